"""Mixtures of beta distributions: priors of a probability of which responders are counted."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincinv, betaln, expit, gammaln, logit, xlog1py, xlogy

from sim.mixtures.base import Floats, Mixture


@dataclass(frozen=True, eq=False)
class BetaMixture(Mixture):
    """Mixture of beta distributions.

    Parameters
    ----------
    a, b
        Shapes of each component, shape (component, …): responders and others that it is worth.
    """

    a: Floats
    b: Floats

    names = ("a", "b")

    def _valid(self) -> NDArray[np.bool_]:
        return np.isfinite(self.a) & np.isfinite(self.b) & (self.a > 0) & (self.b > 0)

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and variance of each component."""
        n = self.a + self.b
        return self.a / n, self.a * self.b / (n**2 * (n + 1))

    def component_log_density(self, x: Floats) -> Floats:
        """Log density of each component; −inf outside 0 to 1."""
        inside = (x >= 0) & (x <= 1)
        held = np.where(inside, x, 0.5)
        logs = xlogy(self.a - 1, held) + xlog1py(self.b - 1, -held) - betaln(self.a, self.b)
        return np.where(inside, logs, -np.inf)

    def component_cdf(self, x: Floats) -> Floats:
        """Distribution function of each component."""
        return np.asarray(betainc(self.a, self.b, np.clip(x, 0.0, 1.0)))

    def component_quantile(self, p: Floats) -> Floats:
        """Quantile of each component."""
        return np.asarray(betaincinv(self.a, self.b, p))

    def slopes(self, x: Floats) -> tuple[Floats, Floats]:
        """First and second derivative of each component's log density."""
        first = (self.a - 1) / x - (self.b - 1) / (1 - x)
        return first, -(self.a - 1) / x**2 - (self.b - 1) / (1 - x) ** 2

    def unit_information(self, x: Floats) -> Floats:
        """Fisher information of one patient, 1 / (x (1 − x))."""
        return np.asarray(1 / (x * (1 - x)))

    def to_line(self, x: Floats) -> Floats:
        """Logit."""
        return np.asarray(logit(x))

    def from_line(self, t: Floats) -> tuple[Floats, Floats]:
        """Inverse of the logit and its slope."""
        x = expit(t)
        return x, x * expit(-t)

    def posterior(self, r: ArrayLike, n: ArrayLike) -> Self:
        """Update with ``r`` responders of ``n`` patients, both of any shape."""
        r, n = np.broadcast_arrays(np.asarray(r, dtype=float), np.asarray(n, dtype=float))
        wide = self.spread(r)
        a, b = wide.a + r, wide.b + n - r
        return self.reweighted(np.asarray(betaln(a, b) - betaln(wide.a, wide.b)), a=a, b=b)

    def predictive(self, n: int) -> Floats:
        """Probability of 0, 1, …, ``n`` responders among ``n`` patients, shape (n + 1, …): beta-binomial."""
        r = np.arange(n + 1).reshape(-1, *[1] * (self.weight.ndim - 1))
        choose = gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)
        wide = self.spread(np.broadcast_to(r, (n + 1, *self.weight.shape[1:])))
        logs = choose + betaln(wide.a + r, wide.b + n - r) - betaln(wide.a, wide.b)
        return np.asarray((wide.weight * np.exp(logs)).sum(axis=0))

    def robust(self, weight: float, mean: float = 0.5, n: float = 1.0) -> Self:
        """Add a component a = mean × (n + 1), b = (1 − mean) × (n + 1): uniform for mean ½ and ``n`` 1.

        The parametrisation is RBesT's; the use is that of Schmidli et al. 2014, doi:10.1111/biom.12242.
        """
        return self.with_component(weight, mean * (n + 1), (1 - mean) * (n + 1))
