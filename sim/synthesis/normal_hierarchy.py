"""Bayesian random-effects meta-analysis of estimates with known standard errors, by exact integration."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from sim.core.errors import InputError
from sim.mixtures import NormalMixture
from sim.synthesis.hierarchy import Floats, HeterogeneityPrior, MeanPrior, TauGrid, TauPosterior


@dataclass(frozen=True, eq=False)
class NormalHierarchy:
    """estimate_j ~ N(θ_j, se_j²), θ_j ~ N(μ, τ²).

    Parameters
    ----------
    estimate, se
        Shape (study,).
    """

    estimate: Floats
    se: Floats
    mean: MeanPrior
    heterogeneity: HeterogeneityPrior

    def conditional(self, tau: Floats) -> tuple[Floats, Floats]:
        """Mean and SD of μ given each τ, shape (node,)."""
        w = 1 / (self.se**2 + tau[:, None] ** 2)
        precision = w.sum(axis=1) + self.mean.precision
        return (w @ self.estimate + self.mean.precision * self.mean.mean) / precision, precision**-0.5

    def fit(self) -> "NormalPosterior":
        """Integrate (Röver 2020, doi:10.18637/jss.v093.i06).

        Raises
        ------
        InputError
            No study, or an improper posterior (one study and a uniform prior of μ under a half-Cauchy τ).
        """
        if len(self.estimate) < 1 or (len(self.estimate) < 2 and np.isinf(self.mean.sd)):
            raise InputError("a meta-analysis with a uniform prior of the mean needs two studies or more")
        grid = TauGrid.of(self.heterogeneity)
        m, s = self.conditional(grid.tau)
        variance = self.se**2 + grid.tau[:, None] ** 2
        of_data = -0.5 * ((self.estimate - m[:, None]) ** 2 / variance + np.log(2 * np.pi * variance)).sum(
            axis=1
        )
        marginal = of_data + self.mean.log_density(m) + np.log(s * np.sqrt(2 * np.pi))
        logs = marginal + self.heterogeneity.log_density(grid.tau) + grid.log_weight
        total = float(logsumexp(logs))
        return NormalPosterior(self, TauPosterior(grid, np.exp(logs - total)), m, s, total)


@dataclass(frozen=True, eq=False)
class NormalPosterior:
    """Posterior of the population mean, of τ and of a new study's mean.

    Parameters
    ----------
    m, s
        Mean and SD of μ given τ at each node.
    log_marginal_likelihood
        Of the data; it means something only under a proper prior of μ.
    """

    model: NormalHierarchy
    tau: TauPosterior
    m: Floats
    s: Floats
    log_marginal_likelihood: float

    @property
    def population_mean(self) -> NormalMixture:
        """Posterior of μ, an exact mixture over the nodes of τ."""
        return NormalMixture(self.tau.weight, self.m, self.s)

    @property
    def new_study(self) -> NormalMixture:
        """Predictive distribution of the mean of a new study."""
        return NormalMixture(self.tau.weight, self.m, np.hypot(self.s, self.tau.grid.tau))

    def shrunken(self) -> Floats:
        """Posterior mean of each study's own mean, shape (study,)."""
        tau2, variance = self.tau.grid.tau[:, None] ** 2, self.model.se**2
        given_tau = (tau2 * self.model.estimate + variance * self.m[:, None]) / (tau2 + variance)
        return np.asarray(self.tau.weight @ given_tau)
