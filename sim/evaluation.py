"""How claims become numbers: drawn anew in each trial, or at their means."""

from typing import Literal

import numpy as np

from sim.claims import Claim, Draws, Floats, Read, Share
from sim.core.parts import Family
from sim.core.streams import BLOCK_SIZE


class Evaluation(Family):
    """How claims become numbers."""

    def reader(self, draws: Draws) -> Read:
        """Return what gives a claim its value in each replicate."""
        raise NotImplementedError

    @property
    def is_drawn(self) -> bool:
        """Whether replicates differ in their truth (assurance) or share it (power)."""
        return False

    def words(self) -> str:
        """Say it in words."""
        raise NotImplementedError


class Drawn(Evaluation):
    """Every replicate draws its own truth: success averaged over it is assurance.

    O'Hagan, Stevens & Campbell 2005, doi:10.1002/pst.175.
    """

    kind: Literal["drawn"] = "drawn"

    def reader(self, draws: Draws) -> Read:
        """Draw each claim."""
        return lambda name, claim: claim.draw(name, draws)

    @property
    def is_drawn(self) -> bool:
        """Yes."""
        return True

    def words(self) -> str:
        """Say it in words."""
        return "each simulated trial draws its own truth from the claims (assurance)"


class AtMean(Evaluation):
    """Every claim is at its mean: success is power."""

    kind: Literal["at_mean"] = "at_mean"

    def reader(self, draws: Draws) -> Read:
        """Take each claim's mean."""
        return lambda name, claim: np.full(BLOCK_SIZE, claim.mean(draws.posteriors))

    def words(self) -> str:
        """Say it in words."""
        return "every claim is at its mean (power)"


class Sceptical(Evaluation):
    """Claims at their means, every treatment's effect multiplied by ``factor``."""

    kind: Literal["sceptical"] = "sceptical"
    factor: Share

    def reader(self, draws: Draws) -> Read:
        """Take each claim's mean, effects shrunk towards placebo."""
        shrunk = self.factor.mean(draws.posteriors)

        def read(name: str, claim: Claim) -> Floats:
            effect = name.endswith(".effect.plateau") or ".beyond_pain." in name or ".modification." in name
            factor = shrunk if effect else 1.0
            return np.full(BLOCK_SIZE, factor * claim.mean(draws.posteriors))

        return read

    def words(self) -> str:
        """Say it in words."""
        factor = f"{self.factor.words()}, because {self.factor.because}" if self.factor.because else ""
        return f"claims at their means, effects against placebo times {factor or self.factor.words()}"
