"""Draw from the posterior, and refuse draws that cannot be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import arviz as az
import numba
import numpy as np
import nutpie
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pytensor.compile.mode import Mode
from pytensor.graph.replace import vectorize_graph

from sim.synthesis.covariates import SLOPES
from sim.synthesis.density import FREE, Flattened, flatten
from sim.synthesis.question import Sampling

MOST_RHAT, LEAST_ESS = 1.01, 400
"""Vehtari et al. 2021, doi:10.1214/20-BA1221."""
LIGHT = 1
"""LLVM's level of optimisation."""
AT_A_TIME = 250
"""Draws from which quantities are derived together: some tens of megabytes."""

NAMED = (
    "response", "tau_response", "tau_effect", "omega", "response_half_weeks", "effect_half_weeks",
    "class_effect", "effect", "study_baseline", "study_response", "study_effect", "persistence_half_weeks",
    "sd_level", "sd_growth", "tau_sd", "reliability", "study_sd", *SLOPES,
)  # fmt: skip
"""What is kept of the posterior; the rest are the standard-normal coordinates of the same quantities."""


def named(posterior: Any) -> list[str]:
    """Names of what is kept of this fit's posterior."""
    return [name for name in NAMED if name in posterior.posterior]


@dataclass(frozen=True, eq=False)
class Compiled:
    """A model made ready to draw from; the arrays of its likelihood can be exchanged.

    Only what is sampled is compiled: ``derived`` computes the rest from all draws at once, in a tenth of the
    time that compiling it takes. Light optimisation saves a quarter of the compiling on a new machine, and no
    loss of the sampler's speed could be measured.
    """

    model: pm.Model
    flat: Flattened
    sampler: Any

    @classmethod
    def of(cls, model: pm.Model) -> Self:
        """Compile the density and its gradient (nutpie, numba backend)."""
        before = numba.config.OPT  # type: ignore[attr-defined]
        numba.config.OPT = type(before)(LIGHT)  # type: ignore[attr-defined]
        try:
            flat = flatten(model)
            return cls(model, flat, nutpie.compile_pymc_model(flat.model, backend="numba"))
        finally:
            numba.config.OPT = before  # type: ignore[attr-defined]

    def with_data(self, data: Mapping[str, Any]) -> Self:
        """The same model of other data; what is derived must not depend on them.

        Raises
        ------
        ValueError
            Data of another shape: the compiled loops have theirs for good.
        """
        for name, value in data.items():
            had = self.flat.model[name].get_value().shape
            if np.shape(value) != had:
                raise ValueError(f"{name}: shape {np.shape(value)} where the model has {had}")
        return replace(self, sampler=self.sampler.with_data(**data))

    def draw(self, sampling: Sampling, seed: int, progress: bool) -> Any:
        """Posterior draws of everything by NUTS, as ArviZ ``InferenceData``.

        Interrupted, it stops: left to itself the sampler would hand back what it has, as if it were whole.
        """
        sampler = nutpie.sample(
            self.sampler,
            draws=sampling.draws,
            tune=sampling.tune,
            chains=sampling.chains,
            seed=seed,
            target_accept=sampling.target_accept,
            progress_bar=progress,
            blocking=False,
        )
        try:
            posterior = sampler.wait()
        except KeyboardInterrupt:
            sampler.cancel()
            raise
        drawn = xr.Dataset(self.flat.named(posterior.posterior[FREE]), posterior.posterior.coords)
        posterior.posterior = drawn.assign(derived(self.model, drawn))
        return posterior


def derived(model: pm.Model, drawn: Any) -> dict[str, Any]:
    """Quantities that ``model`` derives from what is drawn, for all draws at once.

    Parameters
    ----------
    drawn
        Data set with every sampled variable, dimensions chain, draw and its own.

    Returns
    -------
    dict
        For each name its dimensions and values, as a data set takes them.
    """
    values = [model.rvs_to_values[variable] for variable in model.free_RVs]
    batches = {v: pt.tensor(name=f"{v.name}_draws", shape=(None, *v.type.shape)) for v in values}
    wanted = vectorize_graph(model.replace_rvs_by_values(model.deterministics), batches)
    compute = pytensor.function(
        list(batches.values()), wanted, mode=Mode("py", None), on_unused_input="ignore"
    )
    chains, draws = drawn.sizes["chain"], drawn.sizes["draw"]
    flat = [np.asarray(drawn[v.name]).reshape(chains * draws, *v.type.shape) for v in values]
    starts = range(0, chains * draws, AT_A_TIME)
    parts = [compute(*(array[start : start + AT_A_TIME] for array in flat)) for start in starts]
    made = {}
    for variable, *pieces in zip(model.deterministics, *parts, strict=True):
        whole = np.concatenate(pieces).reshape(chains, draws, *pieces[0].shape[1:])
        own = [f"{variable.name}_dim_{axis}" for axis in range(whole.ndim - 2)]
        made[variable.name] = (["chain", "draw", *own], whole)
    return made


def sample(model: pm.Model, sampling: Sampling, seed: int, progress: bool) -> Any:
    """Compile ``model`` and draw from its posterior (see ``Compiled``)."""
    return Compiled.of(model).draw(sampling, seed, progress)


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
