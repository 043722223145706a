"""How probable each arm is the best, and all arms alike, when each rate has a beta posterior."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.rules.crossing import Floats

Bools = NDArray[np.bool_]

STEP, REACH = 0.35, 7.0
"""Width of a grid step, and how far the grid reaches, in posterior standard deviations.

A step of 0.35 leaves an error of about 1e-5 in a distribution function (see ``Posteriors``).
"""

FEWEST, FEWEST_AT_AN_END = 160, 600
"""Nodes at least: a small sample's posterior is not normal, and without responders ends in a slope at 0."""

GROWTH = 1.1
"""Grids come in sizes that differ by this factor, so that few are made."""


@dataclass(frozen=True)
class _Grid:
    """Midpoints on the arcsine scale, where a posterior SD is ½/√(a + b) whatever the rate.

    All arrays are (node,): logs of sine and cosine at the nodes, their slopes, and the rate.
    """

    step: float
    log_sine: Floats
    log_cosine: Floats
    cotangent: Floats
    tangent: Floats
    rate: Floats


@lru_cache(maxsize=128)
def _grid(nodes: int) -> _Grid:
    step = np.pi / 2 / nodes
    angle = step * (np.arange(nodes) + 0.5)
    sine, cosine = np.sin(angle), np.cos(angle)
    return _Grid(step, np.log(sine), np.log(cosine), cosine / sine, sine / cosine, sine**2)


@dataclass(frozen=True)
class Posteriors:
    """Beta posteriors of several arms on one grid.

    Attributes
    ----------
    density, below
        Density on the arcsine scale and distribution function at the nodes, (arm, replicate, node).
    active
        Arms that are compared, (arm, replicate).
    start
        First node's number on the grid.

    Notes
    -----
    The distribution function is the running sum with the first Euler-Maclaurin correction, so that its
    error is step⁴/720 times the third derivative of the density.
    """

    grid: _Grid
    start: int
    density: Floats
    below: Floats
    active: Bools

    @classmethod
    def of(cls, shape_a: ArrayLike, shape_b: ArrayLike, active: Bools) -> "Posteriors":
        """Put beta posteriors with these shapes, both (arm, replicate), on a grid."""
        a, b = np.asarray(shape_a, dtype=np.float64), np.asarray(shape_b, dtype=np.float64)
        n = a + b
        spread = 0.5 / np.sqrt(n)
        angle = np.arcsin(np.sqrt(a / n))
        fewest = FEWEST_AT_AN_END if min(a.min(), b.min()) < 2 else FEWEST
        needed = max(fewest, np.pi / 2 / (STEP * float(spread.min())))
        grid = _grid(int(np.ceil(GROWTH ** np.ceil(np.log(needed) / np.log(GROWTH)))))
        low = max(int(float((angle - REACH * spread).min()) / grid.step), 0)
        high = min(int(float((angle + REACH * spread).max()) / grid.step) + 1, len(grid.rate))
        here = slice(low, high)
        p, q = (2 * a - 1)[..., None], (2 * b - 1)[..., None]
        logs = p * grid.log_sine[here] + q * grid.log_cosine[here]
        logs -= logs.max(axis=-1, keepdims=True)
        density = np.exp(logs, out=logs)
        density /= grid.step * density.sum(axis=-1, keepdims=True)
        slope = p * grid.cotangent[here] - q * grid.tangent[here]
        below = np.cumsum(density, axis=-1)
        below -= density * (0.5 + grid.step / 12 * slope)
        below *= grid.step
        return cls(grid, low, density, below, active)

    def best(self, better: str) -> Floats:
        """Return the probability that each active arm is the best, (arm, replicate); 0 for the others."""
        beaten = self.below if better == "higher" else 1 - self.below
        beaten = np.where(self.active[..., None], beaten, 1.0)
        found = self.grid.step * (self.density * _of_the_others(beaten)).sum(axis=-1)
        held = np.where(self.active, found, 0.0)
        return np.asarray(held / held.sum(axis=0))

    def among(self, active: Bools) -> "Posteriors":
        """Compare the ``active`` arms only, (arm, replicate)."""
        return replace(self, active=active)

    def all_within(self, difference: float) -> Floats:
        """Return the probability that the active arms differ by less than ``difference``, (replicate,)."""
        near = self._at_rates_above(difference) - self.below
        near = np.where(self.active[..., None], near, 1.0)
        lowest = self.grid.step * (self.density * _of_the_others(near)).sum(axis=-1)
        return np.asarray(np.where(self.active, lowest, 0.0).sum(axis=0))

    def better_than(self, control: int, better: str) -> Floats:
        """Return the probability that each arm is better than arm ``control``, (arm, replicate)."""
        beaten = self.below[control] if better == "higher" else 1 - self.below[control]
        return np.asarray(self.grid.step * (self.density * beaten).sum(axis=-1))

    def _at_rates_above(self, difference: float) -> Floats:
        """Return the distribution functions at each node's rate plus ``difference``.

        A cubic between nodes, of which values and slopes are known.
        """
        here = self.grid.rate[self.start : self.start + self.below.shape[-1]]
        angle = np.arcsin(np.sqrt(np.minimum(here + difference, 1.0)))
        place = angle / self.grid.step - 0.5 - self.start
        last = self.below.shape[-1] - 1
        left = np.clip(np.floor(place).astype(int), 0, last - 1)
        u = np.clip(place - left, 0.0, 1.0)
        rise = self.grid.step * u * (1 - u)
        found = np.take(self.below, left, axis=-1) * ((1 + 2 * u) * (1 - u) ** 2)
        found += np.take(self.below, left + 1, axis=-1) * (u * u * (3 - 2 * u))
        found += np.take(self.density, left, axis=-1) * (rise * (1 - u))
        found -= np.take(self.density, left + 1, axis=-1) * (rise * u)
        return np.asarray(np.where(place > last, 1.0, found))


def _of_the_others(factor: Floats) -> Floats:
    """Return for each arm the product of the other arms' ``factor``, (arm, …)."""
    product = np.ones_like(factor)
    for arm in range(len(factor)):
        for other in range(len(factor)):
            if other != arm:
                product[arm] *= factor[other]
    return product
