"""Non-inferiority against a margin."""

from typing import Annotated, Literal

from pydantic import Field

from sim.analyses.base import Estimate, Floats
from sim.rules.significance import Significance


class NonInferiority(Significance):
    """Success when the arm is shown to be worse than the control by less than ``margin``.

    ICH E9, section 3.3.2: the one-sided p-value against a loss of ``margin`` or more, in the unit of the
    estimand's summary, is at or below ``alpha``, so that the limit of the confidence interval of level
    1 − 2·alpha lies on the good side of the margin.
    """

    kind: Literal["non_inferiority"] = "non_inferiority"
    margin: Annotated[
        float, Field(gt=0, description="largest loss that is acceptable, in the summary's unit")
    ]
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.025

    @property
    def tests_no_effect(self) -> bool:
        """No: its null hypothesis lies at the margin."""
        return False

    def p_value(self, estimate: Estimate, better: str) -> Floats:
        """Test against a loss of the margin."""
        return estimate.one_sided_p(better, -self.margin)

    def words(self) -> str:
        """Say the rule in words."""
        return f"non-inferiority by a margin of {self.margin:g} at one-sided {self.alpha:g}"
