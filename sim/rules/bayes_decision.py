"""Bayesian decisions: how probable a parameter, or a difference of two, is beyond a threshold."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from sim.core.errors import InputError
from sim.mixtures import BetaMixture, Mixture, NormalMixture
from sim.rules.crossing import Floats

Bools = NDArray[np.bool_]

FINE, FEWEST = 9.0, 64
"""Nodes for a rate on the arcsine scale: so many times √patients (four for each posterior SD), at least."""


@dataclass(frozen=True)
class Criteria:
    """Success when every threshold is passed with more than its probability.

    Two pairs make a dual criterion: significance (null value, 0.975) and relevance (target value, 0.5)
    (Roychoudhury, Scheuer & Neuenschwander 2018, doi:10.1177/1740774518770661).

    Parameters
    ----------
    thresholds, probabilities
        Alike in number.
    lower
        Whether values at or below a threshold count for success; otherwise those above.
    """

    thresholds: tuple[float, ...]
    probabilities: tuple[float, ...]
    lower: bool = True

    def __post_init__(self) -> None:
        if not self.thresholds or len(self.thresholds) != len(self.probabilities):
            raise InputError(
                f"criteria: as many probabilities as thresholds, at least one (given: "
                f"{len(self.thresholds)} thresholds, {len(self.probabilities)} probabilities)"
            )
        if not all(0 < p < 1 for p in self.probabilities):
            raise InputError(f"probabilities: must lie between 0 and 1 (given: {self.probabilities})")

    def of_one(self, posterior: Mixture) -> Bools:
        """Decide on one parameter, for each of the independent mixtures (…)."""
        return self._all(posterior.cdf)

    def of_two(self, first: Mixture, second: Mixture) -> Bools:
        """Decide on the first parameter less the second, (…)."""
        return self._all(lambda threshold: difference_below(first, second, threshold))

    def _all(self, below: Callable[[float], Floats]) -> Bools:
        margins = []
        for threshold, probability in zip(self.thresholds, self.probabilities, strict=True):
            share = below(threshold)
            margins.append((share if self.lower else 1 - share) - probability)
        return np.asarray(np.min(margins, axis=0) > 0)


def difference_below(first: Mixture, second: Mixture, threshold: float) -> Floats:
    """Return the probability that the first less the second is at most ``threshold``, (…).

    Exact for normal mixtures; one integral for beta mixtures, whose independent mixtures broadcast.

    Raises
    ------
    InputError
        Mixtures of another or of unlike kinds.
    """
    if isinstance(first, NormalMixture) and isinstance(second, NormalMixture):
        return _normal(first, second, threshold)
    if isinstance(first, BetaMixture) and isinstance(second, BetaMixture):
        return _beta(first, second, threshold)
    raise InputError(
        f"a difference needs two normal or two beta mixtures, not {type(first).__name__} and "
        f"{type(second).__name__}"
    )


def _normal(first: NormalMixture, second: NormalMixture, threshold: float) -> Floats:
    total: Floats = np.zeros(())
    for i in range(first.size):
        for j in range(second.size):
            weight = first.weight[i] * second.weight[j]
            spread = np.hypot(first.s[i], second.s[j])
            total = total + weight * ndtr((threshold - first.m[i] + second.m[j]) / spread)
    return np.asarray(total)


@lru_cache(maxsize=32)
def _rule(low: float, high: float, nodes: int) -> tuple[Floats, Floats]:
    """Return nodes and weights between two rates on the arcsine scale, where a posterior SD is ½/√n."""
    start, end = np.arcsin(np.sqrt([low, high]))
    x, weight = np.polynomial.legendre.leggauss(nodes)
    angle = (start + end) / 2 + (end - start) / 2 * x
    return np.sin(angle) ** 2, (end - start) / 2 * weight * np.sin(2 * angle)


def _beta(first: BetaMixture, second: BetaMixture, threshold: float) -> Floats:
    """Integrate the first's distribution function, at the threshold above the second, over the second."""
    if abs(threshold) >= 1:
        shape = np.broadcast_shapes(first.weight.shape[1:], second.weight.shape[1:])
        return np.full(shape, 1.0 if threshold >= 1 else 0.0)
    low, high = max(0.0, -threshold), min(1.0, 1 - threshold)
    largest = max(float((mixture.a + mixture.b).max()) for mixture in (first, second))
    nodes = max(FEWEST, int(FINE * np.sqrt(largest)))
    total = 1 - second.cdf(high)
    for y, weight in zip(*_rule(low, high, nodes), strict=True):
        total = total + weight * first.cdf(y + threshold) * second.density(y)
    return np.asarray(np.minimum(total, 1.0))
