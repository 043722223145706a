"""Prior and data in conflict: how surprising new data are to the prior that was made without them."""

import numpy as np

from sim.mixtures.beta import BetaMixture
from sim.mixtures.normal import NormalMixture

ALARM = 0.05
"""Tail probability below which a conflict is told."""


def conflict_of_count(prior: BetaMixture, r: int, n: int) -> float:
    """Prior predictive probability of data no more likely than ``r`` responders of ``n`` (Box 1980).

    Box GEP 1980. Sampling and Bayes' inference in scientific modelling and robustness. J R Stat Soc A 143.
    """
    chance = prior.predictive(n)
    return float(chance[chance <= chance[r] * (1 + 1e-9)].sum())


def conflict_of_mean(prior: NormalMixture, mean: float, se: float) -> float:
    """Two-sided prior predictive tail probability of a ``mean`` with standard error ``se`` (as above)."""
    below = float(prior.predictive(np.array(se)).cdf(np.array(mean)))
    return 2 * min(below, 1 - below)
