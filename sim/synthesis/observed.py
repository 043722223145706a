"""The observation model in PyTensor: what a trial reports of a latent, normal rating."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from sim.endpoints import PairedRatings, clipped_mean, clipped_variance, rounding_variance, state_share
from sim.synthesis.network import Counts, Ints, Network
from sim.synthesis.scales import BOUNDS

STEP = 1.0
"""Step of a rating. Finer scales are taken as coarse: 0.02 of an SD of 2."""
LEAST = 1e-9
"""Smallest share, and smallest variance, that the sampler may meet far from everything."""


def normal_cdf(z: Any) -> Any:
    """Standard normal distribution function in PyTensor."""
    return 0.5 * pt.erfc(-z / np.sqrt(2))


def normal_pdf(z: Any) -> Any:
    """Standard normal density in PyTensor."""
    return pt.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def observed_mean(mean: Any, sd: Any) -> Any:
    """Mean on the 0 to 10 scale of a latent normal: ``endpoints.clipped_mean`` in PyTensor."""
    return clipped_mean(mean, sd, BOUNDS, cdf=normal_cdf, pdf=normal_pdf)


def observed_log_sd(mean: Any, sd: Any) -> Any:
    """Log SD of the rounded score: ``endpoints.clipped_variance`` and ``rounding_variance`` in PyTensor."""
    variance = clipped_variance(mean, sd, BOUNDS, cdf=normal_cdf, pdf=normal_pdf)
    variance = variance + rounding_variance(mean, sd, BOUNDS, STEP, cdf=normal_cdf)
    return 0.5 * pt.log(pt.maximum(variance, LEAST))


@dataclass(frozen=True)
class Latent:
    """Means and SDs of the latent ratings of all cells, (cell,), and those of each cell's study at baseline.

    ``study`` is each cell's, as a plain array.
    """

    study: Ints
    mean: Any
    sd: Any
    baseline_mean: Any
    baseline_sd: Any
    reliability: Any

    def shares(self, counts: Counts) -> Any:
        """Expected share of each count, (count,): ``endpoints.PairedRatings`` and ``state_share`` in
        PyTensor."""
        share = pt.zeros(len(counts.cell))
        own = np.flatnonzero(~np.isnan(counts.reduction))
        if len(own):
            met = self._paired(counts.cell[own]).responders(
                counts.reduction[own][:, None], cdf=normal_cdf, pdf=normal_pdf
            )
            share = pt.set_subtensor(share[own], met)
        at = np.flatnonzero(~np.isnan(counts.at_most))
        if len(at):
            cell = counts.cell[at]
            state = state_share(self.mean[cell], self.sd[cell], counts.at_most[at], cdf=normal_cdf)
            share = pt.set_subtensor(share[at], state)
        return share

    def _paired(self, cell: Ints) -> PairedRatings:
        """Ratings at baseline, once a study, and at the visit of each cell."""
        _, first, of = np.unique(self.study[cell], return_index=True, return_inverse=True)
        start, sd = self.baseline_sd[cell[first]], self.sd[cell]
        return PairedRatings(
            (self.baseline_mean[cell[first]], start),
            (self.mean[cell], sd),
            self.reliability * start[of] / sd,
            of,
        )


def observe(network: Network, latent: Latent) -> None:
    """Add the likelihood of everything that was reported to the model in whose context this is called."""
    data = {name: pm.Data(name, value) for name, value in network.data().items()}
    means = observed_mean(latent.mean, latent.sd)
    pm.Deterministic("reported", pt.dot(network.combine, means))
    pm.Normal("seen", pt.dot(data["mixing"], means), 1.0, observed=data["whitened"])
    if network.spreads is not None:
        cell = network.spreads.cell
        log_sd = observed_log_sd(latent.mean[cell], latent.sd[cell])
        pm.Normal("sds", pt.dot(data["sd_mixing"], log_sd), 1.0, observed=data["sd_whitened"])
    if network.counts is not None:
        counts = network.counts
        share = pm.Deterministic("share", pt.clip(latent.shares(counts), LEAST, 1 - LEAST))
        log_likelihood = counts.value * pt.log(share) + (counts.n - counts.value) * pt.log(1 - share)
        pm.Potential("responders", pt.sum(data["count_weight"] * log_likelihood))
