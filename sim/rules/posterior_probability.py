"""Posterior probabilities of benefits, each above its threshold."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.base import Estimate
from sim.core.parts import Part
from sim.rules.base import Rule


class Benefit(Part):
    """A benefit ``beyond`` a size, in the summary's unit, with more than a ``probability``."""

    beyond: float = 0.0
    probability: Annotated[float, Field(gt=0, lt=1)]


class PosteriorProbability(Rule):
    """Success when every posterior probability asked for is exceeded.

    Spiegelhalter, Abrams & Myles 2004, Bayesian Approaches to Clinical Trials and Health-Care Evaluation,
    chapter 6. The prior is that of the analysis, flat where it has none; a benefit beyond a negative size
    allows a loss.
    """

    kind: Literal["posterior_probability"] = "posterior_probability"
    benefits: tuple[Benefit, ...] = Field(min_length=1)

    @property
    def tests_no_effect(self) -> bool:
        """Whether no effect at all is outside every benefit that is asked for."""
        return any(benefit.beyond >= 0 for benefit in self.benefits)

    def success(self, estimate: Estimate, better: str) -> NDArray[np.bool_]:
        """Compare each posterior probability with its threshold."""
        with np.errstate(invalid="ignore"):
            each = [estimate.probability_beyond(b.beyond, better) > b.probability for b in self.benefits]
        return np.asarray(np.logical_and.reduce(each))

    def words(self) -> str:
        """Say the rule in words."""
        parts = [f"a benefit beyond {b.beyond:g} with more than {b.probability:g}" for b in self.benefits]
        return "posterior probability of " + " and of ".join(parts)
