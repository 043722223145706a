"""Equivalence within a margin on both sides."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sim.analyses.base import Estimate, Floats
from sim.rules.significance import Significance


class EquivalenceTest(Significance):
    """Success when a difference of ``margin`` is excluded on both sides by one-sided tests (TOST).

    Schuirmann 1987, doi:10.1007/BF01068419: the confidence interval of level 1 − 2·alpha lies within
    ± ``margin``, in the unit of the estimand's summary.
    """

    kind: Literal["equivalence"] = "equivalence"
    margin: Annotated[
        float, Field(gt=0, description="largest difference that is nothing, in the summary's unit")
    ]
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05

    @property
    def tests_no_effect(self) -> bool:
        """No: its null hypothesis lies at the margin."""
        return False

    def p_value(self, estimate: Estimate, better: str) -> Floats:
        """Return the larger p-value of the tests against both margins."""
        sides = [estimate.one_sided_p(side, -self.margin) for side in ("lower", "higher")]
        return np.asarray(np.maximum(*sides))

    def words(self) -> str:
        """Say the rule in words."""
        return f"equivalence within ± {self.margin:g} by two one-sided tests at {self.alpha:g}"
