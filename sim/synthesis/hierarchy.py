"""One level of studies around a population mean: its priors, and the posterior of τ on nodes.

Everything about such a model is a mixture over τ, so τ is integrated by Gauss–Legendre quadrature and
nothing is sampled (as in bayesmeta: Röver 2020, doi:10.18637/jss.v093.i06).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import roots_legendre

from sim.core.parts import Part
from sim.synthesis.priors import Positive, Reason

Floats = NDArray[np.float64]

PANELS = (0.0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 1.0)
"""Edges of quadrature panels in τ / (τ + scale): finer towards 0, where τ of few studies piles up."""
NODES = 20


class HeterogeneityPrior(Part):
    """Prior of τ, the SD between studies: half-normal, half-Cauchy or exponential (mean ``scale``).

    Half-normal and half-Cauchy as in Gelman 2006, doi:10.1214/06-BA117A.
    """

    kind: Literal["half_normal", "half_cauchy", "exponential"] = "half_normal"
    scale: Positive
    because: Reason

    def log_density(self, tau: Floats) -> Floats:
        """Log prior density at ``tau``, 0 or more."""
        x = tau / self.scale
        logs = {
            "half_normal": -0.5 * x**2 + 0.5 * np.log(2 / np.pi),
            "half_cauchy": np.log(2 / np.pi) - np.log1p(x**2),
            "exponential": -x,
        }[self.kind]
        return np.asarray(logs - np.log(self.scale))


@dataclass(frozen=True)
class MeanPrior:
    """Normal prior of the population mean; an infinite ``sd`` is the improper uniform."""

    mean: float = 0.0
    sd: float = np.inf

    @property
    def precision(self) -> float:
        """1 / sd²; 0 for the improper uniform."""
        return float(self.sd**-2)

    def log_density(self, mu: Floats) -> Floats:
        """Log prior density at ``mu``; 0 for the improper uniform."""
        if np.isinf(self.sd):
            return np.zeros_like(mu)
        return np.asarray(-0.5 * ((mu - self.mean) / self.sd) ** 2 - np.log(self.sd * np.sqrt(2 * np.pi)))


@dataclass(frozen=True, eq=False)
class TauGrid:
    """Nodes for τ, shape (node,): ``share`` is τ / (τ + scale), where the nodes are laid."""

    share: Floats
    width: Floats
    scale: float

    @classmethod
    def of(cls, prior: HeterogeneityPrior, nodes: int = NODES) -> "TauGrid":
        """Lay nodes over the whole half-line, in units of the prior's scale."""
        edges, (x, w) = np.array(PANELS), roots_legendre(nodes)
        centre, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
        return cls((centre[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel(), prior.scale)

    @property
    def tau(self) -> Floats:
        """τ at the nodes."""
        return self.scale * self.share / (1 - self.share)

    @property
    def log_weight(self) -> Floats:
        """Log of the quadrature weights for an integral over τ."""
        return np.asarray(np.log(self.width) + np.log(self.scale) - 2 * np.log1p(-self.share))


@dataclass(frozen=True, eq=False)
class TauPosterior:
    """Posterior of τ: the probability at each node."""

    grid: TauGrid
    weight: Floats

    def mean(self) -> float:
        """Posterior mean."""
        return float(self.weight @ self.grid.tau)

    def sd(self) -> float:
        """Posterior standard deviation."""
        return float(np.sqrt(self.weight @ (self.grid.tau - self.mean()) ** 2))

    @cached_property
    def _cumulative(self) -> CubicSpline:
        density = CubicSpline(self.grid.share, self.weight / self.grid.width)
        return density.antiderivative()

    def quantile(self, p: float) -> float:
        """Posterior quantile, 0 < ``p`` < 1."""
        start, end = float(self._cumulative(0.0)), float(self._cumulative(1.0))
        wanted = start + p * (end - start)
        share = brentq(lambda u: float(self._cumulative(u)) - wanted, 0.0, 1.0, xtol=1e-12)
        return float(self.grid.scale * share / (1 - share))


def quantile_of(cdf: CubicSpline, p: float) -> float:
    """Solve a distribution function for ``p`` between its first and last knot."""
    low, high = float(cdf.x[0]), float(cdf.x[-1])
    return float(brentq(lambda x: float(cdf(x)) - p, low, high, xtol=1e-12 * (high - low)))


def distribution(cdf: Callable[[Floats], Floats], centre: float, spread: float) -> CubicSpline:
    """Interpolate a distribution function on knots dense around ``centre`` that reach 300 ``spread``."""
    knots = centre + spread * np.sinh(np.linspace(-6.5, 6.5, 501))
    return CubicSpline(knots, cdf(knots))


def even_quantiles(cdf: CubicSpline, count: int) -> Floats:
    """Quantiles at (i − ½) / count, shape (count,): what ``count`` draws would be without their chance."""
    fine = np.interp(np.linspace(0, 1, 40_001), np.linspace(0, 1, len(cdf.x)), cdf.x)
    rising = np.maximum.accumulate(cdf(fine))
    return np.interp((np.arange(count) + 0.5) / count, rising, fine)
