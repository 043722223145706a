"""Everything a fit leaves in its folder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sim.core.errors import RunError
from sim.core.loading import dump, to_yaml
from sim.synthesis.covariates import SLOPES, covariate_values
from sim.synthesis.draws import Labels, joint_draws
from sim.synthesis.ends import treatment_ends
from sim.synthesis.model import build_model
from sim.synthesis.network import Network, Plan, build
from sim.synthesis.question import NetworkQuestion
from sim.synthesis.sampling import diagnose, named, sample
from sim.synthesis.summary import Summary
from sim.synthesis.tables import INTERVAL, basis_of

HETEROGENEITY = (
    "tau_effect",
    "tau_response",
    "omega",
    "response",
    "response_half_weeks",
    "tau_sd",
    "sd_growth",
    "reliability",
    *SLOPES,
)
"""What a fit says of differences between trials, where it estimates it."""


def network_of(config: NetworkQuestion) -> Network:
    """Lay the configuration's evidence out as a network."""
    harmonised = config.harmonised
    ends = treatment_ends(config, harmonised.entries)
    treatments = {t: name for name, c in config.classes.items() for t in c.treatments}
    plan = Plan(treatments, config.reference, ends, config.correlation.at, harmonised.spread)
    covariates = covariate_values(config.regression or (), config.tables.studies, harmonised.entries)
    plan = replace(plan, estimate_sd=config.patients is not None, covariates=covariates)
    return build(harmonised.entries, plan, harmonised.counts)


def write_results(config: NetworkQuestion, folder: Path, progress: bool) -> None:
    """Fit ``config`` and write posterior, draws, tables, figures and diagnostics into ``folder``.

    Raises
    ------
    RunError
        R-hat above 1.01, bulk ESS below 400 or a divergence; diagnostics.json is written first.
    """
    network = network_of(config)
    posterior = sample(build_model(config, network), config.sampling, config.seed, progress)
    diagnostics = diagnose(posterior)
    heterogeneity = _heterogeneity(posterior)
    _write_json(folder / "diagnostics.json", {"diagnostics": diagnostics, "heterogeneity": heterogeneity})
    require_convergence(diagnostics)
    basis = basis_of(network, config.harmonised.entries, frozenset(a.study for a in config.indirect))
    draws = joint_draws(posterior, network, Labels(config.digest(), basis, config.seed))
    _write_tables(Summary(config, network, draws, posterior), folder)
    posterior.posterior = posterior.posterior[named(posterior)]
    posterior.to_netcdf(folder / "posterior.nc", groups=["posterior", "sample_stats"], engine="h5netcdf")
    np.savez_compressed(folder / "draws.npz", allow_pickle=False, **draws)
    (folder / "config.yaml").write_text(to_yaml({"schema": 1, **dump(config)}), encoding="utf-8")


def require_convergence(diagnostics: dict[str, Any]) -> None:
    """Raise ``RunError`` naming the parameters unless the chains converged without divergence."""
    if diagnostics["converged"]:
        return
    names = diagnostics["failed"]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    raise RunError(
        f"the fit did not converge: R-hat > 1.01 or bulk ESS < 400 in {shown or 'no parameter'}; "
        f"{diagnostics['divergences']} divergences (largest R-hat {diagnostics['max_rhat']:.4f}, "
        f"smallest ESS {diagnostics['min_ess_bulk']:.0f})"
    )


def _heterogeneity(posterior: Any) -> dict[str, dict[str, float]]:
    data = {
        name: np.asarray(posterior.posterior[name]).ravel()
        for name in HETEROGENEITY
        if name in named(posterior)
    }
    return {
        name: {"mean": float(x.mean()), "sd": float(x.std(ddof=1)), **_interval(x)}
        for name, x in data.items()
    }


def _interval(values: Any) -> dict[str, float]:
    low, high = np.quantile(values, INTERVAL)
    return {"low": float(low), "high": float(high)}


def _write_tables(summary: Summary, folder: Path) -> None:
    tables = summary.tables()
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    (folder / "figures").mkdir()
    summary.draw(tables, folder / "figures")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
