"""What every calibration is: data made from prior draws, a fit of them, and ranks of the truth in the fit."""

from dataclasses import dataclass
from typing import Any, Protocol
from zlib import crc32

import arviz as az
import numpy as np

from sim.synthesis.question import Sampling
from sim.synthesis.sampling import Compiled

SEED = 20261121
LEVELS = 99
"""Draws that the truth is ranked among: ranks are 0 to 99."""
TRIES = (
    Sampling(chains=2, tune=400, draws=700, target_accept=0.9),
    Sampling(chains=2, tune=1000, draws=2500, target_accept=0.95),
)
"""A fit that did not converge is made once more, longer. None is left out: that would depend on the data."""
MOST_RHAT, LEAST_ESS = 1.03, 200
"""Enough for 99 nearly independent draws; a fit whose numbers are used is held to more."""


@dataclass(frozen=True)
class Replication:
    """Rank of each quantity by name; ``tries``: fits made; ``converged``: whether the last one did."""

    ranks: dict[str, int]
    tries: int = 1
    converged: bool = True
    divergences: int = 0


class Case(Protocol):
    """A model under calibration, and a fault that the check must find in it.

    ``modules`` are those whose code defines priors, likelihood and fit, or names within one
    (``module:name``).
    """

    name: str
    fault: str
    modules: tuple[str, ...]

    def replicate(self, number: int, faulty: bool) -> Replication:
        """Make data from a draw of the prior (wrongly if ``faulty``), fit them, rank the truth."""
        ...


def seed_of(case: str, number: int) -> np.random.SeedSequence:
    """Seed of one replication of one case."""
    return np.random.SeedSequence(SEED, spawn_key=(crc32(case.encode()), number))


def fit(compiled: Compiled, seed: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Posterior draws by name, (draw, …), chains one after the other, and how the fit went."""
    tries, converged = 0, False
    while not converged and tries < len(TRIES):
        sampling, tries = TRIES[tries], tries + 1
        posterior = compiled.draw(sampling, seed, progress=False)
        divergences = int(posterior.sample_stats["diverging"].sum())
        names = [n for n in posterior.posterior if n == "response" or n.endswith(("_z", "_own"))]
        sampled = posterior.posterior[names]
        worst = max(float(one.max()) for one in az.rhat(sampled).values())
        least = min(float(one.min()) for one in az.ess(sampled).values())
        converged = worst <= MOST_RHAT and least >= LEAST_ESS
    data = posterior.posterior
    total = data.sizes["chain"] * data.sizes["draw"]
    values = {str(n): data[n].to_numpy().reshape(total, *data[n].shape[2:]) for n in data.data_vars}
    return values, {"tries": tries, "converged": converged, "divergences": divergences}


def rank(truth: dict[str, np.ndarray], draws: dict[str, np.ndarray]) -> dict[str, int]:
    """Rank of each element of each quantity among ``LEVELS`` draws that lie evenly apart."""
    found = {}
    for name, value in truth.items():
        mine = draws[name]
        keep = np.linspace(0, len(mine) - 1, LEVELS).round().astype(int)
        below = (mine[keep] < value).sum(axis=0)
        for place, one in np.ndenumerate(below):
            label = ",".join(str(i) for i in place)
            found[f"{name}[{label}]" if label else name] = int(one)
    return found
