"""Posterior probabilities of benefits, each above its threshold."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.base import Estimate
from sim.core.parts import Part, wrong
from sim.rules.base import Looks, Rule

Probability = Annotated[float, Field(gt=0, lt=1)]


class Benefit(Part):
    """A benefit ``beyond`` a size, in the summary's unit, with more than a ``probability``.

    Several probabilities are those of the interim looks in turn, of a rule that is asked there.
    """

    beyond: float = 0.0
    probability: Probability | Annotated[tuple[Probability, ...], Field(min_length=2)]

    def at(self, look: int) -> float:
        """Return the threshold of a look; after the interim ones, and at −1, the last."""
        if isinstance(self.probability, float):
            return self.probability
        return self.probability[min(look, len(self.probability) - 1)]

    def words(self) -> str:
        """Say the benefit and its thresholds."""
        each = self.probability if isinstance(self.probability, tuple) else (self.probability,)
        said = ", ".join(f"{one:g}" for one in each)
        return f"a benefit beyond {self.beyond:g} with more than {said}{' in turn' if len(each) > 1 else ''}"


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
        """Compare each posterior probability with its threshold, the last where there are several."""
        return self._beyond(estimate, better, [b.at(-1) for b in self.benefits])

    def at_looks(self, estimate: Estimate, better: str, looks: Looks) -> NDArray[np.bool_]:
        """Compare them at each look with that look's."""
        found = []
        for look in range(len(looks.fractions)):
            thresholds = [benefit.at(look) for benefit in self.benefits]
            found.append(looks.of(self._beyond(estimate, better, thresholds))[:, :, look])
        return np.stack(found, axis=2)

    def _beyond(self, estimate: Estimate, better: str, thresholds: list[float]) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore"):
            each = [
                estimate.probability_beyond(b.beyond, better) > threshold
                for b, threshold in zip(self.benefits, thresholds, strict=True)
            ]
        return np.asarray(np.logical_and.reduce(each))

    def check_looks(self, interim: int) -> None:
        """Refuse thresholds that are not one for each interim look."""
        for benefit in self.benefits:
            if isinstance(benefit.probability, tuple) and len(benefit.probability) != interim:
                number = len(benefit.probability)
                raise wrong(
                    f"benefits: {number} probabilities for {interim} interim looks; give one, or one each"
                )

    def words(self) -> str:
        """Say the rule in words."""
        return "posterior probability of " + " and of ".join(benefit.words() for benefit in self.benefits)
