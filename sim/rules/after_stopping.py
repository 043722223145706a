"""Estimates that allow for early stops, for many trials at once, from a table of exact ones."""

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from sim.rules.crossing import Floats
from sim.rules.sequential_inference import Ended, effect_at

LEVELS = (0.5, 0.025, 0.975)
"""Stage-wise p-values whose effects are the median unbiased estimate and the limits of its 95 % interval."""
GRID = np.arange(-6.0, 9.01, 0.25)
"""z at which the exact effects are solved; between them they are interpolated, beyond them held."""


def effects_after(fractions: tuple[float, ...], upper: Floats, look: Floats, z: Floats) -> Floats:
    """Return the effects of ``LEVELS``, (level, trial), on the scale of z at full information.

    Stage-wise ordering (Tsiatis, Rosner & Mehta 1984, doi:10.2307/2530924); futility does not count. At the
    first look they are those of a trial without looks.

    Parameters
    ----------
    upper
        Efficacy bounds on z, (look,).
    look, z
        Where each trial ended, from 0, and estimate over standard error there, (trial,).
    """
    found = np.full((len(LEVELS), len(z)), np.nan)
    for k in range(len(fractions)):
        mine = (look == k) & np.isfinite(z)
        at = np.clip(z[mine], GRID[0], GRID[-1])
        for level, curve in enumerate(_curves(fractions[: k + 1], tuple(float(b) for b in upper[:k]))):
            found[level, mine] = curve(at) + (z[mine] - at) * (k == 0)
    return found


@lru_cache(maxsize=64)
def _curves(information: tuple[float, ...], upper: tuple[float, ...]) -> list[PchipInterpolator]:
    """Effect at each level as a function of z at the last of these looks."""
    ends = [Ended(np.array(information), np.array(upper), float(z)) for z in GRID]
    return [PchipInterpolator(GRID, [effect_at(ended, level) for ended in ends]) for level in LEVELS]
