"""Everything that a fit of counted events leaves in its folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.core.loading import dump, to_yaml
from sim.synthesis.draws import Arrays
from sim.synthesis.figures.rates import draw_rates
from sim.synthesis.models.class_rates import ClassRates
from sim.synthesis.rates_model import CountedNetwork, RatePriors, build_rates, lay_out, quantities
from sim.synthesis.results import require_convergence
from sim.synthesis.sampling import diagnose, sample
from sim.synthesis.tables import BORROWED, DIRECT, INDIRECT, INTERVAL, sources_table

MOST_DRAWS = 4000
IN_TOTAL = "total"
"""Basis of a rate whose treatment's trials report only a total that it is part of."""
HETEROGENEITY = ("reference", "between_trials", "tau", "omega")


def write_rates(config: ClassRates, folder: Path, progress: bool) -> None:
    """Fit ``config`` and write posterior, draws, tables, figure and diagnostics into ``folder``.

    Raises
    ------
    RunError
        R-hat above 1.01, bulk ESS below 400 or a divergence; diagnostics.json is written first.
    """
    network = lay_out(config.counted.entries, config.class_of, config.reference, config.names, config.pooled)
    priors = RatePriors(
        tuple(rate.reference for rate in config.rates.values()),
        config.priors.class_effect,
        config.priors.between_trials,
        config.priors.tau,
        config.priors.omega,
    )
    posterior = sample(build_rates(network, config.shape, priors), config.sampling, config.seed, progress)
    diagnostics = diagnose(posterior)
    values = quantities(_coordinates(posterior), network, priors)
    said = {"diagnostics": diagnostics, "heterogeneity": _heterogeneity(values, config.names)}
    (folder / "diagnostics.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    require_convergence(diagnostics)
    levels = new_levels(_thinned(values), network, config.seed)
    rates = rates_table(config, network, levels)
    np.savez_compressed(
        folder / "draws.npz", allow_pickle=False, **_draws(config, network, levels, _basis_of(rates, network))
    )
    posterior.to_netcdf(folder / "posterior.nc", groups=["posterior", "sample_stats"], engine="h5netcdf")
    tables = {
        "rates": rates,
        "fitted": fitted_table(config, network, levels["study"]),
        "entries": config.counted.entries,
        "exclusions": config.counted.exclusions,
        "sources": sources_table(config.tables.studies, config.counted.entries),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    (folder / "figures").mkdir()
    draw_rates(rates, config.weeks, folder / "figures" / "forest.png")
    (folder / "config.yaml").write_text(to_yaml({"schema": 1, **dump(config)}), encoding="utf-8")


def _coordinates(posterior: Any) -> Arrays:
    """Draws of the standard normals by name, chains one after the other."""
    data = posterior.posterior
    total = data.sizes["chain"] * data.sizes["draw"]
    return {
        str(name).removesuffix("_z"): np.asarray(data[name], dtype=float).reshape(
            total, *data[name].shape[2:]
        )
        for name in data.data_vars
    }


def _thinned(values: Arrays) -> Arrays:
    """At most 4000 draws, evenly."""
    total = len(values["reference"])
    keep = np.linspace(0, total - 1, min(total, MOST_DRAWS)).round().astype(int)
    return {name: array[keep] for name, array in values.items()}


def new_levels(values: Arrays, network: CountedNetwork, seed: int) -> Arrays:
    """Log hazards (logits) of a new trial, which has one baseline for all its arms.

    Returns
    -------
    dict
        ``new`` (draw, treatment, rate), ``class`` (draw, class, rate: a new member of it), ``study``
        (draw, arm, rate: the trials that entered) and ``effect`` (draw, treatment, rate: mean over trials).
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    size, rates = values["reference"].shape

    def spread(name: str, number: int) -> Any:
        return values[name][:, None] * rng.standard_normal((size, number, rates))

    baseline = values["reference"][:, None] + spread("between_trials", 1)
    deviation = spread("tau", len(network.treatments))
    deviation[:, 0] = 0.0
    classes = len(network.classes)
    member = values["class_effect"] + spread("omega", classes) + spread("tau", classes)
    return {
        "new": baseline + values["effect"] + deviation,
        "class": baseline + member,
        "study": values["study_level"],
        "effect": values["effect"],
    }


def _draws(config: ClassRates, network: CountedNetwork, levels: Arrays, basis: Any) -> Arrays:
    """What the simulator reads: hazards a week after the turn, before it where they differ, shares."""
    early = config.shape.early
    differs = [i for i, ratio in enumerate(early) if ratio not in (0.0, 1.0)]
    names = [("share_" if config.shape.timeless else "hazard_") + n for n in config.names]

    def rate(level: Any) -> Any:
        value = np.exp(level)
        value = value / (1 + value) if config.shape.timeless else value
        return np.concatenate([value, value[..., differs] * early[differs]], axis=-1).astype(np.float32)

    return {
        "digest": np.array(config.digest()),
        "rates": np.array([*names, *(f"{names[i]}_early" for i in differs)]),
        "treatments": np.array(network.treatments),
        "classes": np.array(network.classes),
        "class_of": network.class_of,
        "basis": basis,
        "study_arm_study": np.array([network.studies[s] for s in network.arm_study]),
        "study_arm_treatment": np.array([network.treatments[t] for t in network.arm_treatment]),
        "rate_new": rate(levels["new"]),
        "rate_class": rate(levels["class"]),
        "rate_study": rate(levels["study"]),
    }


def rates_table(config: ClassRates, network: CountedNetwork, levels: Arrays) -> pd.DataFrame:
    """Share of patients with each event by ``config.weeks`` in a new trial, and the ratio to the reference.

    ``ratio`` is that of weekly hazards (of odds, for a share), mean over trials; ``basis`` is direct, total
    (reported only as part of a total), indirect (another condition) or borrowed (the class alone).
    """
    shares = config.shape.shares(levels["new"], config.weeks)
    found = []
    for k, treatment in enumerate(network.treatments):
        for r, rate in enumerate(config.names):
            value = shares[:, k, r]
            low, high = np.quantile(value, INTERVAL)
            ratio = np.exp(levels["effect"][:, k, r])
            ratio_low, ratio_high = np.quantile(ratio, INTERVAL)
            row = {"treatment": treatment, "class": network.classes[network.class_of[k]], "rate": rate}
            row |= {"mean": value.mean(), "sd": value.std(ddof=1), "low": low, "high": high}
            row |= {"ratio": np.exp(levels["effect"][:, k, r].mean()), "ratio_low": ratio_low}
            found.append({**row, "ratio_high": ratio_high, **_support(config, treatment, rate)})
    return pd.DataFrame(found)


def _support(config: ClassRates, treatment: str, rate: str) -> dict[str, Any]:
    """Trials, patients and events behind one rate of a treatment, and its basis."""
    entries = config.counted.entries
    mine = entries[(entries["treatment"] == treatment) & ~entries["rest"]]
    own = mine[mine["rates"] == rate]
    part = mine[np.array([rate in text.split("+") for text in mine["rates"]], dtype=bool)]
    studies = set(part["study_id"])
    basis = DIRECT if len(own) else IN_TOTAL
    if not studies:
        basis = BORROWED
    elif studies <= {a.study for a in config.indirect}:
        basis = INDIRECT
    return {
        "trials": sum(config.pooled.get(study, 1) for study in studies),
        "patients": round(part.drop_duplicates(["study_id", "arm_id"])["n"].sum()),
        "events": round(own["count"].sum()),
        "basis": basis,
    }


def _basis_of(rates: pd.DataFrame, network: CountedNetwork) -> Any:
    """Basis of each treatment and rate, shape (treatment, rate)."""
    return np.array(rates["basis"]).reshape(len(network.treatments), -1).astype(str)


def fitted_table(config: ClassRates, network: CountedNetwork, level: Any) -> pd.DataFrame:
    """Reported share of each group beside the fitted one, patients of one arm and week a group."""
    chance = (config.shape.shares(level[:, network.arm], network.weeks[:, None]) * network.mask).sum(axis=-1)
    entries = config.counted.entries
    low, high = np.quantile(chance, INTERVAL, axis=0)
    shown = entries.assign(
        reported=entries["count"] / entries["n"], fitted=chance.mean(axis=0), low=low, high=high
    )
    columns = [
        "study_id",
        "arm_id",
        "treatment",
        "weeks",
        "rates",
        "count",
        "n",
        "reported",
        "fitted",
        "low",
        "high",
    ]
    return shown.loc[~entries["rest"], columns].reset_index(drop=True)


def _heterogeneity(values: Arrays, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    found = {}
    for quantity in HETEROGENEITY:
        low, high = np.quantile(values[quantity], INTERVAL, axis=0)
        mean, sd = values[quantity].mean(axis=0), values[quantity].std(axis=0, ddof=1)
        for name, *row in zip(names, mean, sd, low, high, strict=True):
            shown = (float(number) for number in row)
            found[f"{quantity}_{name}"] = dict(zip(("mean", "sd", "low", "high"), shown, strict=True))
    return found
