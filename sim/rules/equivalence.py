"""Equivalence within a margin on both sides."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.base import Estimate
from sim.rules.base import Rule


class EquivalenceTest(Rule):
    """Success when a difference of ``margin`` is excluded on both sides by one-sided tests (TOST).

    Schuirmann 1987, doi:10.1007/BF01068419: the confidence interval of level 1 − 2·alpha lies within
    ± ``margin``, in the unit of the estimand's summary.
    """

    kind: Literal["equivalence"] = "equivalence"
    tests_no_effect: ClassVar[bool] = False
    margin: Annotated[
        float, Field(gt=0, description="largest difference that is nothing, in the summary's unit")
    ]
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05

    def success(self, estimate: Estimate, better: str) -> NDArray[np.bool_]:
        """Compare the p-values against both margins with ``alpha``."""
        with np.errstate(invalid="ignore"):
            sides = [estimate.one_sided_p(side, -self.margin) <= self.alpha for side in ("lower", "higher")]
        return np.asarray(sides[0] & sides[1])

    def words(self) -> str:
        """Say the rule in words."""
        return f"equivalence within ± {self.margin:g} by two one-sided tests at {self.alpha:g}"
