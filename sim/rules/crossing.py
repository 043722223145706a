"""The probability that a z statistic crosses its bounds at each look: the exact recursion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

NODES, PANEL, TAIL = 16, 6.0, 8.5
"""Gauss-Legendre nodes a panel, its width and the reach of the grid in standard deviations.

Halving the panel moves a crossing probability by less than 1e-10 (relative); beyond 8.5 lies 1e-17.
"""


HIGHEST_Z = 40.0
"""Beyond this no normal probability is left."""


def find_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a monotone ``function`` is 0, or the end of the interval that is nearest to it."""
    from scipy.optimize import brentq  # here, for it would double the time of ``import sim``

    at_low, at_high = function(low), function(high)
    if (at_low > 0) == (at_high > 0):
        return low if abs(at_low) < abs(at_high) else high
    return float(brentq(function, low, high, xtol=1e-12, rtol=1e-12))


def probit(probability: float) -> float:
    """Return the normal quantile, finite at 0 and 1: on this scale crossing is nearly linear in a bound."""
    return float(ndtri(min(max(probability, 1e-300), 1 - 1e-16)))


@lru_cache(maxsize=1)
def _rule() -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(NODES)


@dataclass(frozen=True)
class Continuing:
    """The trials that have not stopped before a look.

    ``score`` (node,) holds quadrature nodes of the score z·√information at ``information``, ``mass``
    (node,) the probability each stands for without an effect. A drift θ (expected z at information 1)
    multiplies it by the likelihood ratio exp(θ·score − θ²·information/2), so one pass serves every drift.
    """

    information: float
    score: Floats
    mass: Floats

    def _weights(self, drift: float) -> Floats:
        if drift == 0:
            return self.mass
        return np.asarray(self.mass * np.exp(drift * (self.score - drift * self.information / 2)))

    def beyond(self, information: float, drift: float, below: bool) -> Callable[[float], float]:
        """Return the function of a bound that gives the probability of the next z below (or above) it."""
        step, side = information - self.information, 1.0 if below else -1.0
        slope, spread = side * np.sqrt(information), np.sqrt(step)
        centre, weights = side * (self.score + drift * step), self._weights(drift)

        def probability(bound: float) -> float:
            return float(weights @ ndtr((bound * slope - centre) / spread))

        return probability

    def mean_beyond(self, information: float, drift: float, bound: float) -> float:
        """Return the mean of the next score z·√information of those whose z is ``bound`` or above."""
        step, weights = information - self.information, self._weights(drift)
        centre = self.score + drift * step
        distance = (bound * np.sqrt(information) - centre) / np.sqrt(step)
        stays = ndtr(-distance)
        density = np.exp(-0.5 * distance * distance) / np.sqrt(2 * np.pi)
        return float(weights @ (centre * stays + np.sqrt(step) * density) / (weights @ stays))

    def bound(self, target: float, information: float, drift: float, below: bool) -> float:
        """Return the bound on the next z that ``target`` probability crosses (going below it, or above).

        Infinite if nothing is to cross; as far as ``HIGHEST_Z`` on the other side if too few are left.
        """
        away = -1.0 if below else 1.0
        if target <= 0:
            return away * np.inf
        if self._weights(drift).sum() <= target:
            return -away * HIGHEST_Z
        goal, probability = ndtri(target), self.beyond(information, drift, below)

        def missing(z: float) -> float:
            return probit(probability(z)) - goal

        # Those who stopped cannot cross, so the bound is never beyond that of a single look.
        outer, width = drift * np.sqrt(information) - away * goal, 1.0
        while missing(outer - away * width) < 0:
            width *= 2
        return find_root(missing, outer - away * width, outer)

    def onward(
        self, bounds: tuple[float, float], information: float, finer: float, reach: tuple[float, float]
    ) -> "Continuing":
        """Return those who stay between ``bounds`` (low z, high z) at ``information``.

        Parameters
        ----------
        finer
            Information still to come until the look after, which may ask for a finer grid.
        reach
            Lowest and highest drift that will be asked for.
        """
        step, root = information - self.information, np.sqrt(information)
        low = max(bounds[0] * root, min(reach[0], 0) * information - TAIL * root)
        high = min(bounds[1] * root, max(reach[1], 0) * information + TAIL * root)
        if low >= high:
            return Continuing(information, np.empty(0), np.empty(0))
        score, width = grid(low, high, PANEL * np.sqrt(min(step, finer)))
        distance = (score[:, None] - self.score) / np.sqrt(step)
        density = np.exp(-0.5 * distance * distance) @ self.mass / np.sqrt(2 * np.pi * step)
        return Continuing(information, score, width * density)


START = Continuing(0.0, np.zeros(1), np.ones(1))
"""Before the first look: every trial, its score 0."""


def grid(low: float, high: float, panel: float) -> tuple[Floats, Floats]:
    """Return quadrature nodes and weights, both (node,), in panels no wider than ``panel``."""
    node, weight = _rule()
    panels = int(np.ceil((high - low) / panel))
    half = (high - low) / panels / 2
    centre = low + half * np.arange(1, 2 * panels, 2)
    return (centre[:, None] + half * node).ravel(), np.tile(half * weight, panels)


@dataclass(frozen=True)
class Path:
    """Bounds at each look, and who is still there before it; ``crossing`` counts who stops where."""

    information: Floats
    lower: Floats
    upper: Floats
    before: tuple[Continuing, ...]

    def crossing(self, drift: float = 0.0) -> tuple[Floats, Floats]:
        """Return the probabilities (look,) of first crossing the lower and the upper bound at each look.

        The recursion of Armitage, McPherson & Rowe (1969, doi:10.2307/2343787) by Gauss-Legendre panels
        (Jennison & Turnbull, Group Sequential Methods, 2000, chapter 19, use Simpson's rule).

        Parameters
        ----------
        drift
            Expected z at information 1; within the reach for which the path was made.
        """
        low, high = np.empty(len(self.lower)), np.empty(len(self.lower))
        for k, there in enumerate(self.before):
            low[k] = there.beyond(self.information[k], drift, below=True)(self.lower[k])
            high[k] = there.beyond(self.information[k], drift, below=False)(self.upper[k])
        return low, high


def follow(
    information: Floats, lower: Floats, upper: Floats, reach: tuple[float, float] = (0.0, 0.0)
) -> Path:
    """Walk through known bounds.

    Parameters
    ----------
    information
        Information at each look, (look,), increasing, in the unit in which the drift is expected z at 1.
    lower, upper
        Bounds on z, (look,); infinite where there is none.
    reach
        Lowest and highest drift that ``crossing`` will be asked for.
    """
    steps = np.diff(information, append=np.inf)
    before: list[Continuing] = [START]
    for k in range(len(information) - 1):
        bounds = (float(lower[k]), float(upper[k]))
        before.append(before[-1].onward(bounds, float(information[k]), float(steps[k]), reach))
    return Path(information, lower, upper, tuple(before))


def crossing_probabilities(
    information: Sequence[float], bounds: tuple[Sequence[float], Sequence[float]], drift: float = 0.0
) -> tuple[Floats, Floats]:
    """Return the probabilities (look,) of first crossing the (lower, upper) bounds under ``drift``."""
    t, low, high = (np.asarray(values, dtype=float) for values in (information, *bounds))
    return follow(t, low, high, (drift, drift)).crossing(drift)
