"""Bayesian random-effects meta-analysis of responder counts, by nested quadrature."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import betaln, expit, log_expit, ndtr, roots_hermite

from sim.core.errors import InputError
from sim.synthesis.hierarchy import Floats, HeterogeneityPrior, MeanPrior, TauGrid, TauPosterior, distribution
from sim.synthesis.normal_hierarchy import NormalHierarchy

DEVIATES = np.arange(-8.0, 8.01, 0.25)
"""Where the mean is integrated given τ, in standard deviations around its conditional mean."""
NEWTON_STEPS = 40
NEGLIGIBLE = 1e-13
"""Posterior probability of a node of τ below which it is left out of distribution functions."""

_X, _W = roots_hermite(32)
_LOG_W = np.log(_W) + _X**2


@dataclass(frozen=True, eq=False)
class BinomialHierarchy:
    """r_j ~ Binomial(n_j, expit θ_j), θ_j ~ N(μ, τ²).

    Parameters
    ----------
    r, n
        Responders and patients, shape (study,).
    mean
        Prior of μ on the logit scale; proper.
    """

    r: Floats
    n: Floats
    mean: MeanPrior
    heterogeneity: HeterogeneityPrior

    def __post_init__(self) -> None:
        """Check counts and prior."""
        if len(self.r) < 1 or np.any(self.r < 0) or np.any(self.r > self.n) or np.any(self.n <= 0):
            raise InputError("responders must be between 0 and the number of patients, in one study or more")
        if np.isinf(self.mean.sd):
            raise InputError("responders need a proper prior of the mean (on the logit scale)")

    def log_likelihood(self, mu: Floats, tau: Floats) -> Floats:
        """Log marginal likelihood of all studies at each pair of ``mu`` and ``tau`` (broadcast), any shape.

        Adaptive Gauss–Hermite quadrature: nodes around the mode of each study's deviation z, θ = μ + τz,
        in units of its curvature (Liu & Pierce 1994, doi:10.1093/biomet/81.3.624).
        """
        total = np.zeros(np.broadcast_shapes(mu.shape, tau.shape))
        for r, n in zip(self.r, self.n, strict=True):
            z = _mode(r, n, mu, tau)
            p = expit(mu + tau * z)
            step = np.sqrt(2 / (1 + tau**2 * n * p * (1 - p)))
            nodes = z[..., None] + step[..., None] * _X
            theta = mu[..., None] + tau[..., None] * nodes
            logs = r * log_expit(theta) + (n - r) * log_expit(-theta) - 0.5 * nodes**2 + _LOG_W
            top = logs.max(axis=-1)
            total += top + np.log(np.exp(logs - top[..., None]).sum(axis=-1) * step / np.sqrt(2 * np.pi))
        return total - float(np.sum(betaln(self.r + 1, self.n - self.r + 1) + np.log(self.n + 1)))

    def fit(self) -> "BinomialPosterior":
        """Integrate over τ, μ given τ, and each study's own mean given both."""
        grid = TauGrid.of(self.heterogeneity)
        m, s = self._first_guess(grid)
        for _ in range(3):  # each pass lays the nodes of μ around the moments found by the one before
            mu = m[:, None] + s[:, None] * DEVIATES
            logs = self.log_likelihood(
                mu, np.broadcast_to(grid.tau[:, None], mu.shape)
            ) + self.mean.log_density(mu)
            share = np.exp(logs - logs.max(axis=1, keepdims=True))
            share /= share.sum(axis=1, keepdims=True)
            m = (share * mu).sum(axis=1)
            s = np.sqrt((share * (mu - m[:, None]) ** 2).sum(axis=1))
        outer = self.heterogeneity.log_density(grid.tau) + grid.log_weight + np.log(mu[:, 1] - mu[:, 0])
        joint = np.exp(logs + outer[:, None] - (logs + outer[:, None]).max())
        joint /= joint.sum()
        return BinomialPosterior(TauPosterior(grid, joint.sum(axis=1)), mu, joint)

    def _first_guess(self, grid: TauGrid) -> tuple[Floats, Floats]:
        """Moments of μ given τ from normal approximations to the studies' logits."""
        hits, misses = self.r + 0.5, self.n - self.r + 0.5
        approximate = NormalHierarchy(
            np.log(hits / misses), np.sqrt(1 / hits + 1 / misses), self.mean, self.heterogeneity
        )
        return approximate.conditional(grid.tau)


def _mode(r: float, n: float, mu: Floats, tau: Floats) -> Floats:
    """Where r log p + (n − r) log(1 − p) − z²/2 is highest, p = expit(μ + τz).

    Newton's method kept inside a bracket: there z = τ(r − np), which lies between 0 and its value at z = 0.
    """
    end = tau * (r - n * expit(mu))
    low, high = np.minimum(end, 0), np.maximum(end, 0)
    z = np.zeros(np.broadcast_shapes(mu.shape, tau.shape))
    for _ in range(NEWTON_STEPS):
        p = expit(mu + tau * z)
        slope, curvature = tau * (r - n * p) - z, 1 + tau**2 * n * p * (1 - p)
        low, high = np.where(slope > 0, z, low), np.where(slope > 0, high, z)
        there = z + slope / curvature
        z = np.where((there > low) & (there < high), there, 0.5 * (low + high))
    return z


@dataclass(frozen=True, eq=False)
class BinomialPosterior:
    """Posterior of the population mean (logit scale), of τ, and of a new study's probability.

    Parameters
    ----------
    mu
        Nodes of μ for each node of τ, evenly spaced, shape (τ node, μ node).
    joint
        Posterior probability of each pair, same shape; sums to 1.
    """

    tau: TauPosterior
    mu: Floats
    joint: Floats

    def population_moments(self) -> tuple[float, float]:
        """Posterior mean and SD of μ."""
        mean = float(np.sum(self.joint * self.mu))
        return mean, float(np.sqrt(np.sum(self.joint * (self.mu - mean) ** 2)))

    def new_logit_moments(self) -> tuple[float, float]:
        """Predictive mean and SD of a new study's logit."""
        mean, sd = self.population_moments()
        return mean, float(np.sqrt(sd**2 + self.tau.weight @ self.tau.grid.tau**2))

    def new_moments(self) -> tuple[float, float]:
        """Predictive mean and SD of a new study's probability."""
        x, w = roots_hermite(40)
        theta = self.mu[..., None] + self.tau.grid.tau[:, None, None] * np.sqrt(2) * x
        p = expit(theta)
        mean = float(np.sum(self.joint * (p @ w)) / np.sqrt(np.pi))
        return mean, float(np.sqrt(np.sum(self.joint * ((p - mean) ** 2 @ w)) / np.sqrt(np.pi)))

    @cached_property
    def population_cdf(self) -> CubicSpline:
        """Distribution function of μ."""
        return self._distribution(self._given_tau)

    @cached_property
    def new_cdf(self) -> CubicSpline:
        """Predictive distribution function of a new study's logit."""
        return self._distribution(self._new_given_tau)

    def _distribution(self, given_tau: Callable[[Floats, int], Floats]) -> CubicSpline:
        """Sum over the nodes of τ."""
        nodes = np.flatnonzero(self.tau.weight > NEGLIGIBLE)

        def cdf(t: Floats) -> Floats:
            total = np.sum([given_tau(t, int(node)) for node in nodes], axis=0)
            return np.asarray(total / total[-1])

        mean, sd = self.population_moments()
        return distribution(cdf, mean, sd)

    @cached_property
    def _cumulative(self) -> list[CubicSpline]:
        """Distribution function of μ at each node of τ, times the probability of the node."""
        steps = self.mu[:, 1] - self.mu[:, 0]
        return [
            CubicSpline(mu, joint / step).antiderivative()
            for mu, joint, step in zip(self.mu, self.joint, steps, strict=True)
        ]

    def _given_tau(self, t: Floats, node: int) -> Floats:
        mu = self.mu[node]
        return np.asarray(self._cumulative[node](np.clip(t, mu[0], mu[-1])))

    def _new_given_tau(self, t: Floats, node: int) -> Floats:
        """Add the deviation of a new study: the narrower of the two distributions is summed over nodes."""
        mu, tau = self.mu[node], self.tau.grid.tau[node]
        if tau < 4 * (mu[1] - mu[0]):
            shifted = self._given_tau(t[:, None] - np.sqrt(2) * tau * _X, node)
            return np.asarray(shifted @ _W / np.sqrt(np.pi))
        return np.asarray(ndtr((t[:, None] - mu) / tau) @ self.joint[node])
