"""An effect that is earned session by session and fades after the last."""

from typing import Any, Literal

import numpy as np

from sim.claims import AboveZero, Claim, Read
from sim.effects.base import Effect, Floats, Shape


class LinearOnset(Effect):
    """Linear onset over the course, exponential offset: each week of treatment adds the same share.

    At week t of a treatment planned for L weeks that stopped at week s ≤ L:
    plateau × min(t, s) / L × 2^(−max(t − s, 0) / persistence_half_weeks). The linear time course is the
    other usual one of model-based meta-analysis (Pedder et al. 2019, doi:10.1002/jrsm.1351).
    """

    kind: Literal["linear_onset"] = "linear_onset"
    plateau: Claim
    persistence_half_weeks: AboveZero

    def size(self, name: str, read: Read) -> Floats:
        """Read the plateau."""
        return read(f"{name}.plateau", self.plateau)

    def shape(self, name: str, read: Read, length: Floats) -> Shape:
        """Read the half-life of what was learned."""
        offset = read(f"{name}.persistence_half_weeks", self.persistence_half_weeks)

        def rise_and_fade(weeks: Any, stop: Any, replicate: Any) -> Floats:
            treated, after = np.minimum(weeks, stop), np.maximum(weeks - stop, 0.0)
            return np.asarray(treated / length[replicate] * np.exp2(-after / offset[replicate]))

        return rise_and_fade
