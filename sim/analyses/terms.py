"""Fixed effects of a model of repeated measures."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim.analyses.data_set import DataSet

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """Which columns of the design have an effect at each visit, and which one for all visits."""

    by_visit: tuple[bool, ...]
    visits: int

    @classmethod
    def of_data(cls, data: DataSet, baseline_by_visit: bool = True) -> "Terms":
        """Arms, and baseline if asked, have effects by visit; other covariates one effect for all."""
        columns = len(data.arms) + sum(covariate.values.shape[1] for covariate in data.adjusted_for)
        by_visit = len(data.arms) + int(data.baseline is not None and baseline_by_visit)
        return cls(tuple(column < by_visit for column in range(columns)), len(data.visits))

    @cached_property
    def restriction(self) -> Floats | None:
        """As ``Model`` takes it: (column × visit, coefficient)."""
        if all(self.by_visit):
            return None
        blocks = [np.eye(self.visits) if each else np.ones((self.visits, 1)) for each in self.by_visit]
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
        return sum(self.visits if each else 1 for each in self.by_visit)

    def at(self, rows: Floats, visit: int) -> Floats:
        """Weights (row, column × visit) of rows of the design at one visit."""
        place = np.zeros(self.visits)
        place[visit] = 1.0
        return np.asarray((rows[:, :, None] * place).reshape(len(rows), -1))
