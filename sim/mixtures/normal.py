"""Mixtures of normal distributions: priors of a mean that is measured with known error."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from sim.core.errors import InputError
from sim.mixtures.base import Floats, Mixture


@dataclass(frozen=True, eq=False)
class NormalMixture(Mixture):
    """Mixture of normal distributions.

    Parameters
    ----------
    m, s
        Mean and standard deviation of each component, shape (component, …).
    sigma
        Standard deviation of one observation (the reference scale): what turns precision into patients.
    """

    m: Floats
    s: Floats
    sigma: float | None = None

    names = ("m", "s")

    def _valid(self) -> NDArray[np.bool_]:
        return np.isfinite(self.m) & np.isfinite(self.s) & (self.s > 0)

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and variance of each component."""
        return self.m, self.s**2

    def component_log_density(self, x: Floats) -> Floats:
        """Log density of each component."""
        return np.asarray(-0.5 * ((x - self.m) / self.s) ** 2 - np.log(self.s * np.sqrt(2 * np.pi)))

    def component_cdf(self, x: Floats) -> Floats:
        """Distribution function of each component."""
        return np.asarray(ndtr((x - self.m) / self.s))

    def component_quantile(self, p: Floats) -> Floats:
        """Quantile of each component."""
        return np.asarray(self.m + self.s * ndtri(p))

    def slopes(self, x: Floats) -> tuple[Floats, Floats]:
        """First and second derivative of each component's log density."""
        return (self.m - x) / self.s**2, np.broadcast_to(
            -1 / self.s**2, np.broadcast_shapes(self.s.shape, np.shape(x))
        )

    def reference_sd(self) -> float:
        """Return the reference scale, or say that it is missing."""
        if self.sigma is None:
            raise InputError("a normal mixture needs the SD of one observation ('sigma') to count patients")
        return self.sigma

    def unit_information(self, x: Floats) -> Floats:
        """Fisher information of one patient, 1 / sigma²."""
        return np.full(np.shape(x), self.reference_sd() ** -2)

    def to_line(self, x: Floats) -> Floats:
        """Return ``x`` itself."""
        return x

    def from_line(self, t: Floats) -> tuple[Floats, Floats]:
        """Return ``t`` itself and the slope 1."""
        return t, np.ones_like(t)

    def posterior(self, mean: ArrayLike, se: ArrayLike) -> Self:
        """Update with an observed ``mean`` of standard error ``se``, both of any shape."""
        mean, se = np.broadcast_arrays(np.asarray(mean, dtype=float), np.asarray(se, dtype=float))
        wide = self.spread(mean)
        marginal = wide.predictive(se)
        precision = 1 / wide.s**2 + 1 / se**2
        m = (wide.m / wide.s**2 + mean / se**2) / precision
        return self.reweighted(marginal.component_log_density(mean), m=m, s=1 / np.sqrt(precision))

    def predictive(self, se: ArrayLike) -> "NormalMixture":
        """Distribution of an estimate with standard error ``se``."""
        wide = self.spread(se)
        return NormalMixture(wide.weight, wide.m, np.hypot(wide.s, se), self.sigma)

    def robust(self, weight: float, mean: float, n: float = 1.0) -> Self:
        """Add a component that is worth ``n`` patients (Schmidli et al. 2014, doi:10.1111/biom.12242)."""
        return self.with_component(weight, mean, self.reference_sd() / np.sqrt(n))
