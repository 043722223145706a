"""Mixtures of gamma distributions: priors of a rate at which events are counted."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincinv, gammaln, xlogy

from sim.mixtures.base import Floats, Mixture


@dataclass(frozen=True, eq=False)
class GammaMixture(Mixture):
    """Mixture of gamma distributions of a Poisson rate.

    Parameters
    ----------
    a, b
        Shape and rate of each component, shape (component, …): ``a`` events in ``b`` units of exposure.
    """

    a: Floats
    b: Floats

    names = ("a", "b")

    def _valid(self) -> NDArray[np.bool_]:
        return np.isfinite(self.a) & np.isfinite(self.b) & (self.a > 0) & (self.b > 0)

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and variance of each component."""
        return self.a / self.b, self.a / self.b**2

    def component_log_density(self, x: Floats) -> Floats:
        """Log density of each component; −inf below 0."""
        held = np.where(x >= 0, x, 1.0)
        logs = xlogy(self.a, self.b) + xlogy(self.a - 1, held) - self.b * held - gammaln(self.a)
        return np.where(x >= 0, logs, -np.inf)

    def component_cdf(self, x: Floats) -> Floats:
        """Distribution function of each component."""
        return np.asarray(gammainc(self.a, self.b * np.maximum(x, 0.0)))

    def component_quantile(self, p: Floats) -> Floats:
        """Quantile of each component."""
        return np.asarray(gammaincinv(self.a, p) / self.b)

    def slopes(self, x: Floats) -> tuple[Floats, Floats]:
        """First and second derivative of each component's log density."""
        return (self.a - 1) / x - self.b, -(self.a - 1) / x**2

    def unit_information(self, x: Floats) -> Floats:
        """Fisher information of one unit of exposure, 1 / x."""
        return np.asarray(1 / x)

    def to_line(self, x: Floats) -> Floats:
        """Logarithm."""
        return np.asarray(np.log(x))

    def from_line(self, t: Floats) -> tuple[Floats, Floats]:
        """Inverse of the logarithm and its slope."""
        x = np.exp(t)
        return x, x

    def posterior(self, events: ArrayLike, exposure: ArrayLike) -> Self:
        """Update with a count of ``events`` in ``exposure`` units, both of any shape."""
        events, exposure = np.broadcast_arrays(
            np.asarray(events, dtype=float), np.asarray(exposure, dtype=float)
        )
        wide = self.spread(events)
        a, b = wide.a + events, wide.b + exposure
        logs = gammaln(a) - gammaln(wide.a) + xlogy(wide.a, wide.b) - xlogy(a, b)
        return self.reweighted(np.asarray(logs), a=a, b=b)

    def predictive(self, events: ArrayLike, exposure: float) -> Floats:
        """Probability of each count of ``events`` in ``exposure`` units: negative binomial."""
        y = np.asarray(events, dtype=float)
        wide = self.spread(y)
        share = exposure / (wide.b + exposure)
        logs = (
            gammaln(wide.a + y)
            - gammaln(wide.a)
            - gammaln(y + 1)
            + xlogy(y, share)
            + xlogy(wide.a, 1 - share)
        )
        return np.asarray((wide.weight * np.exp(logs)).sum(axis=0))

    def robust(self, weight: float, mean: float, n: float = 1.0) -> Self:
        """Add a component that is worth ``n`` units of exposure."""
        return self.with_component(weight, mean * n, n)
