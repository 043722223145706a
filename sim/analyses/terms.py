"""Fixed effects of a model of repeated measures."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.analyses.data_set import DataSet

Floats = NDArray[np.float64]

Span = Literal["each", "later", "one"]
EACH: Span = "each"
LATER: Span = "later"
ONE: Span = "one"


@dataclass(frozen=True)
class Terms:
    """Where the columns of the design have effects.

    Attributes
    ----------
    spans
        For each column: an effect at each visit, at each but the first, or one for all.
    visits
        Number of visits.
    """

    spans: tuple[Span, ...]
    visits: int

    @classmethod
    def of_data(cls, data: DataSet, baseline_by_visit: bool = True) -> "Terms":
        """Arms, and baseline if asked, have effects by visit; other covariates one effect for all."""
        columns = len(data.arms) + sum(covariate.values.shape[1] for covariate in data.adjusted_for)
        by_visit = len(data.arms) + int(data.baseline is not None and baseline_by_visit)
        return cls((EACH,) * by_visit + (ONE,) * (columns - by_visit), len(data.visits))

    @cached_property
    def restriction(self) -> Floats | None:
        """As ``Model`` takes it: (column × visit, coefficient)."""
        if all(span == "each" for span in self.spans):
            return None
        shapes = {
            "each": np.eye(self.visits),
            "later": np.eye(self.visits)[:, 1:],
            "one": np.ones((self.visits, 1)),
        }
        blocks = [shapes[span] for span in self.spans]
        whole = np.zeros((len(blocks) * self.visits, self.coefficients))
        start = 0
        for column, block in enumerate(blocks):
            stop = start + block.shape[1]
            whole[column * self.visits : (column + 1) * self.visits, start:stop] = block
            start = stop
        return whole

    @property
    def coefficients(self) -> int:
        """Number of free effects."""
        return sum({"each": self.visits, "later": self.visits - 1, "one": 1}[span] for span in self.spans)

    def at(self, rows: Floats, visit: int) -> Floats:
        """Weights (row, column × visit) of rows of the design at one visit."""
        place = np.zeros(self.visits)
        place[visit] = 1.0
        return np.asarray((rows[:, :, None] * place).reshape(len(rows), -1))
