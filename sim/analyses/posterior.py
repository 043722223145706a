"""Estimates that are posterior distributions."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sim.analyses.base import LEVEL, Estimate, Floats
from sim.analyses.data_set import Row

TAIL = (1 - LEVEL) / 2


class Distribution(Protocol):
    """A posterior of the effect in every cell (compared arm, size, replicate)."""

    def cdf(self, x: float) -> Floats:
        """Probability of an effect of at most ``x``."""

    def mean(self) -> Floats:
        """Posterior mean."""

    def sd(self) -> Floats:
        """Posterior standard deviation."""

    def quantile(self, p: float) -> Floats:
        """Effect that is exceeded with probability 1 − ``p``."""


@dataclass(frozen=True)
class PosteriorEstimate(Estimate):
    """Posterior of one estimand: mean, standard deviation and equal-tailed interval of 95 %.

    Attributes
    ----------
    posterior
        Where the data gave no estimate its numbers mean nothing, and those of the estimate are nan.
    """

    posterior: Distribution

    @classmethod
    def of(cls, posterior: Distribution, n: Floats, failed: np.ndarray | None = None) -> "PosteriorEstimate":
        """Summarise a posterior; ``failed`` marks cells without data for an estimate."""
        numbers = (posterior.mean(), posterior.sd(), posterior.quantile(TAIL), posterior.quantile(1 - TAIL))
        mean, sd, low, high = (np.where(False if failed is None else failed, np.nan, x) for x in numbers)
        return cls(
            mean, sd, np.full(mean.shape, np.inf), low, high, np.broadcast_to(n, mean.shape), posterior
        )

    def one_sided_p(self, better: str, margin: float = 0.0) -> Floats:
        """Posterior probability of no benefit beyond ``margin``, in the place of a p-value."""
        worse = 1 - self.posterior.cdf(-margin) if better == "lower" else self.posterior.cdf(margin)
        return np.where(np.isnan(self.estimate), np.nan, worse)

    def row(self, name: str, arm: int) -> Row:
        """Tabulate one compared arm; ``p`` is twice the smaller posterior probability of a sign."""
        below = float(self.posterior.cdf(0.0)[arm, 0, 0])
        return replace(super().row(name, arm), p=2 * min(below, 1 - below))
