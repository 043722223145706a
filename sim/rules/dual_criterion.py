"""Statistical significance and an estimate that is large enough."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.base import Estimate
from sim.rules.base import Rule


class DualCriterion(Rule):
    """Success when the benefit is significant at ``alpha`` and as likely as not at least ``target``.

    Roychoudhury, Scheuer & Neuenschwander 2018, doi:10.1177/1740774518770661. Without a prior the second
    criterion says that the estimated benefit is ``target`` or more, in the unit of the estimand's summary.
    """

    kind: Literal["dual_criterion"] = "dual_criterion"
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.025
    target: Annotated[float, Field(gt=0, description="benefit that matters, in the summary's unit")]

    def success(self, estimate: Estimate, better: str) -> NDArray[np.bool_]:
        """Ask for both criteria."""
        with np.errstate(invalid="ignore"):
            significant = estimate.one_sided_p(better) <= self.alpha
            return np.asarray(significant & (estimate.probability_beyond(self.target, better) >= 0.5))

    def words(self) -> str:
        """Say the rule in words."""
        return (
            f"superiority at one-sided {self.alpha:g} with an estimated benefit of at least {self.target:g}"
        )
