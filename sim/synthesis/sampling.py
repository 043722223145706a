"""Draw from the posterior, and refuse draws that cannot be trusted."""

from typing import Any

import arviz as az
import nutpie
import pymc as pm

from sim.synthesis.covariates import SLOPES
from sim.synthesis.question import Sampling

MOST_RHAT, LEAST_ESS = 1.01, 400
"""Vehtari et al. 2021, doi:10.1214/20-BA1221."""

NAMED = (
    "response", "tau_response", "tau_effect", "omega", "response_half_weeks", "effect_half_weeks",
    "class_effect", "effect", "study_baseline", "study_response", "study_effect", "persistence_half_weeks",
    "sd_level", "sd_growth", "tau_sd", "reliability", "study_sd", *SLOPES,
)  # fmt: skip
"""What is kept of the posterior; the rest are the standard-normal coordinates of the same quantities."""


def named(posterior: Any) -> list[str]:
    """Names of what is kept of this fit's posterior."""
    return [name for name in NAMED if name in posterior.posterior]


def sample(model: pm.Model, sampling: Sampling, seed: int, progress: bool) -> Any:
    """Posterior draws by NUTS (nutpie, numba backend) as ArviZ ``InferenceData``.

    Without the expected shares of the counts: only a backtest, which compiles for itself, asks for them, and
    their quadrature would be compiled and computed a second time.
    """
    kept = [variable.name for variable in model.deterministics if variable.name != "share"]
    return draw(nutpie.compile_pymc_model(model, backend="numba", var_names=kept), sampling, seed, progress)


def draw(compiled: Any, sampling: Sampling, seed: int, progress: bool) -> Any:
    """Posterior draws of a compiled model.

    Interrupted, it stops: left to itself the sampler would hand back what it has, as if it were whole.
    """
    sampler = nutpie.sample(
        compiled,
        draws=sampling.draws,
        tune=sampling.tune,
        chains=sampling.chains,
        seed=seed,
        target_accept=sampling.target_accept,
        progress_bar=progress,
        blocking=False,
    )
    try:
        return sampler.wait()
    except KeyboardInterrupt:
        sampler.cancel()
        raise


def diagnose(posterior: Any) -> dict[str, Any]:
    """Convergence of everything sampled: worst values, divergences, and the names of what failed.

    What is sampled are standard-normal coordinates (``*_z``), centred ones (``*_own``) and the mean
    response; the scales and half-lives, monotone functions of one coordinate each, share its ranks and so
    its diagnostics.
    """
    names = [n for n in posterior.posterior.data_vars if n == "response" or n.endswith(("_z", "_own"))]
    table = az.summary(posterior, var_names=names, kind="diagnostics", round_to="none")
    failed = table[(table["r_hat"] > MOST_RHAT) | (table["ess_bulk"] < LEAST_ESS)]
    divergences = int(posterior.sample_stats["diverging"].sum())
    return {
        "max_rhat": float(table["r_hat"].max()),
        "min_ess_bulk": float(table["ess_bulk"].min()),
        "min_ess_tail": float(table["ess_tail"].min()),
        "divergences": divergences,
        "chains": int(posterior.posterior.sizes["chain"]),
        "draws": int(posterior.posterior.sizes["draw"]),
        "parameters": len(table),
        "failed": sorted(str(name) for name in failed.index),
        "converged": failed.empty and divergences == 0,
    }
