"""Estimates that allow for early stops, for many trials at once, from a table of exact ones."""

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from sim.rules.crossing import Floats, follow
from sim.rules.sequential_inference import Ended, conditional_effect, effect_at

LEVELS = (0.5, 0.025, 0.975)
"""Stage-wise p-values whose effects are the median unbiased estimate and the limits of its 95 % interval."""
GRID = np.arange(-6.0, 9.01, 0.25)
"""z at which the exact effects are solved; between them they are interpolated, beyond them held."""
FINE_GRID = np.arange(-6.0, 9.01, 0.05)
"""z at which conditional estimates are solved: finely, since they fall steeply at the bound."""
LIMITS = (-8.0, 12.0)
"""Within which they are looked for."""


def effects_after(
    fractions: tuple[float, ...], bounds: tuple[Floats, Floats | None], look: Floats, z: Floats
) -> Floats:
    """Return the effects of ``LEVELS``, (level, trial), on the scale of z at full information.

    Stage-wise ordering (Tsiatis, Rosner & Mehta 1984, doi:10.2307/2530924), of trials that obey their
    futility bounds. At the first look they are those of a trial without looks.

    Parameters
    ----------
    bounds
        Efficacy and futility bounds on z, (look,); None: there is no futility.
    look, z
        Where each trial ended, from 0, and estimate over standard error there, (trial,).
    """
    found = np.full((len(LEVELS), len(z)), np.nan)
    for k in range(len(fractions)):
        mine = (look == k) & np.isfinite(z)
        at = np.clip(z[mine], GRID[0], GRID[-1])
        lower = None if bounds[1] is None else tuple(float(bound) for bound in bounds[1][:k])
        curves = _curves(fractions[: k + 1], tuple(float(bound) for bound in bounds[0][:k]), lower)
        for level, curve in enumerate(curves):
            found[level, mine] = curve(at) + (z[mine] - at) * (k == 0)
    return found


def conditional_effects(
    fractions: tuple[float, ...], bounds: tuple[Floats, Floats | None], look: Floats, z: Floats
) -> Floats:
    """Return conditional maximum likelihood estimates, (trial,), on the scale of z at full information.

    See ``sequential_inference.conditional_effect``. After an early stop it is taken to be no less than 0,
    since it falls without limit near the bound. Trials that stopped for futility have none (nan).

    Parameters
    ----------
    bounds
        Efficacy and futility bounds on z, (look,); None: there is no futility.
    look, z
        Where each trial ended, from 0, and estimate over standard error there, (trial,).
    """
    upper = tuple(float(bound) for bound in bounds[0])
    lower = (-np.inf,) * len(upper) if bounds[1] is None else tuple(float(bound) for bound in bounds[1])
    found, last = np.full(len(z), np.nan), len(fractions) - 1
    for k in range(len(fractions)):
        mine = (look == k) & np.isfinite(z) & ((k == last) | (z >= upper[k]))
        if mine.any():
            curve = _conditional_curve(fractions, lower, upper, k)
            effect = curve(np.clip(z[mine], FINE_GRID[0], FINE_GRID[-1]))
            found[mine] = effect if k == last else np.maximum(effect, 0.0)
    return found


@lru_cache(maxsize=64)
def _conditional_curve(
    information: tuple[float, ...], lower: tuple[float, ...], upper: tuple[float, ...], look: int
) -> PchipInterpolator:
    """Conditional estimate at a look as a function of z there."""
    path = follow(np.array(information), np.array(lower), np.array(upper), LIMITS)
    return PchipInterpolator(FINE_GRID, [conditional_effect(path, look, z, LIMITS) for z in FINE_GRID])


@lru_cache(maxsize=64)
def _curves(
    information: tuple[float, ...], upper: tuple[float, ...], lower: tuple[float, ...] | None
) -> list[PchipInterpolator]:
    """Effect at each level as a function of z at the last of these looks."""
    stops = None if lower is None else np.array(lower)
    ends = [Ended(np.array(information), np.array(upper), float(z), lower=stops) for z in GRID]
    return [PchipInterpolator(GRID, [effect_at(ended, level) for ended in ends]) for level in LEVELS]
