"""An effect that rises to a plateau during treatment and fades after it."""

from typing import Any, Literal

import numpy as np

from sim.claims import AboveZero, Claim, Read
from sim.effects.base import Effect, Floats, Shape


class ExponentialOnset(Effect):
    """Exponential onset and offset, the shape that the synthesis fits.

    At week t of a treatment planned for L weeks that stopped at week s ≤ L:
    plateau × r(min(t, s)) / r(L) × 2^(−max(t − s, 0) / persistence_half_weeks),
    where r(t) = 1 − 2^(−t / half_weeks).
    A completed course, however short, has its whole effect (``plateau``) at its end.
    The exponential approach to a plateau is the usual time course of model-based meta-analysis
    (Pedder et al. 2019, doi:10.1002/jrsm.1351).
    """

    kind: Literal["exponential_onset"] = "exponential_onset"
    plateau: Claim
    half_weeks: AboveZero
    persistence_half_weeks: AboveZero

    def size(self, name: str, read: Read) -> Floats:
        """Read the plateau."""
        return read(f"{name}.plateau", self.plateau)

    def shape(self, name: str, read: Read, length: Floats) -> Shape:
        """Read the two half-lives."""
        onset = read(f"{name}.half_weeks", self.half_weeks)
        offset = read(f"{name}.persistence_half_weeks", self.persistence_half_weeks)
        whole = np.expm1(-np.log(2) * length / onset)

        def rise_and_fade(weeks: Any, stop: Any, replicate: Any) -> Floats:
            treated, after = np.minimum(weeks, stop), np.maximum(weeks - stop, 0.0)
            rise = np.expm1(-np.log(2) * treated / onset[replicate]) / whole[replicate]
            return np.asarray(rise * np.exp2(-after / offset[replicate]), dtype=np.float64)

        return rise_and_fade
