"""Backtest: each study that entered is foretold from the others (mathematics: docs/backtest.md)."""

import json
import os
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from sim.synthesis.base import Tell
from sim.synthesis.course import Course
from sim.synthesis.ends import treatment_ends, typical_end
from sim.synthesis.figures.backtest import draw_backtest
from sim.synthesis.folds import Fold
from sim.synthesis.foretold_counts import score_counts
from sim.synthesis.model import build_model
from sim.synthesis.prior_share import effect_moments, share_table
from sim.synthesis.question import NetworkQuestion, Sampling
from sim.synthesis.results import network_of
from sim.synthesis.sampling import Compiled, diagnose

VERSION = 5
"""Raise it when a fold's numbers change for the same fit: folds of another version are made again."""
FOLDS = "folds"
LEAST_ACCEPTED = 0.95
"""Target acceptance of a fold, at least: without a study the posterior is wider, and its tails are harder."""
LEVELS = (0.5, 0.8, 0.95)
SOUND = (0.88, 0.99)
"""Where the coverage of the 95 % interval should lie, once there are enough predictions to say so."""
ENOUGH = 30
DERIVED = "difference"
"""Form of the differences between two predicted arms: told apart, since the arms' own rows say it already."""


def run_backtest(config: NetworkQuestion, folder: Path, tell: Tell) -> dict[str, Any]:
    """Leave out one study after another, and write ``backtest.csv``, ``backtest.json`` and the figure.

    One model is compiled; each fold is kept in ``folds/<study>.json`` as it finishes and found again.
    A fold that does not converge is drawn once more, longer; if it still does not, it stays, flagged.

    Returns
    -------
    dict
        What ``backtest.json`` holds.
    """
    network = network_of(config)
    entries = config.harmonised.entries
    folds = [Fold(network, entries, study) for study in network.studies]
    folds = [fold for fold in folds if len(fold.held)]
    (folder / FOLDS).mkdir(exist_ok=True)
    todo = [fold for fold in folds if _read(_file(folder, fold)) is None]
    tell(len(folds) - len(todo), len(folds))
    if todo:
        compiled = Compiled.of(build_model(config, network))
        for done, fold in enumerate(todo, start=len(folds) - len(todo) + 1):
            _write(_file(folder, fold), _foretell(config, fold, compiled))
            tell(done, len(folds))
    made = [json.loads(_file(folder, fold).read_text(encoding="utf-8")) for fold in folds]
    table = pd.DataFrame([row for fold in made for row in fold["rows"]])
    report = summarise(table)
    table.to_csv(folder / "backtest.csv", index=False, float_format="%.6g")
    _one_trial_priors(config, folder, made).to_csv(
        folder / "prior_share.csv", index=False, float_format="%.6g"
    )
    _write(folder / "backtest.json", report)
    draw_backtest(table, folder / "figures" / "backtest.png")
    return report


def _one_trial_priors(config: NetworkQuestion, folder: Path, folds: list[dict[str, Any]]) -> pd.DataFrame:
    """What single studies contribute to the design priors of the finished fit in ``folder``."""
    with np.load(folder / "draws.npz", allow_pickle=False) as saved:
        draws = {name: saved[name] for name in saved.files}
    entries = config.harmonised.entries
    course = Course(draws, config.harmonised.spread)
    tau = json.loads((folder / "diagnostics.json").read_text(encoding="utf-8"))["heterogeneity"]["tau_effect"]
    root = np.hypot(tau["mean"], tau["sd"])
    whole = effect_moments(draws["effect"], root, course.treatments)
    patient_sd = float(np.mean(course.sd(typical_end(treatment_ends(config, entries)))))
    return share_table(entries, whole, folds, patient_sd)


def _file(folder: Path, fold: Fold) -> Path:
    return folder / FOLDS / f"{fold.study}.json"


def _read(file: Path) -> dict[str, Any] | None:
    """Return a finished fold of this version, or None."""
    if not file.exists():
        return None
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content if content["version"] == VERSION else None


def _write(file: Path, content: dict[str, Any]) -> None:
    """Write whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(part, file)


def _foretell(config: NetworkQuestion, fold: Fold, compiled: Compiled) -> dict[str, Any]:
    """Fit without the fold's rows, then score them."""
    seed = int(
        np.random.SeedSequence(config.seed, spawn_key=(crc32(fold.study.encode()),)).generate_state(1)[0]
    )
    posterior, diagnostics = draw_soundly(compiled.with_data(fold.rest().data()), config.sampling, seed)
    found = [score(fold, _flat(posterior, "reported"))]
    if fold.network.counts is not None:
        found.append(score_counts(fold.network, fold.study, _flat(posterior, "share"), LEVELS))
    rows = pd.concat(found, ignore_index=True).assign(converged=diagnostics["converged"])
    return {
        "version": VERSION,
        "study": fold.study,
        "diagnostics": diagnostics,
        "effects": effect_moments(
            _flat(posterior, "effect"), _flat(posterior, "tau_effect"), fold.network.treatments
        ),
        "rows": rows.to_dict("records"),
    }


def draw_soundly(ready: Compiled, sampling: Sampling, seed: int) -> tuple[Any, dict[str, Any]]:
    """Draws and diagnostics of a fold: by the fit's settings, carefully, and where these do not converge once
    more, twice as long with smaller steps."""
    careful = sampling.model_copy(update={"target_accept": max(sampling.target_accept, LEAST_ACCEPTED)})
    posterior = ready.draw(careful, seed, progress=False)
    diagnostics = diagnose(posterior)
    if not diagnostics["converged"]:
        longer = {
            "tune": 2 * careful.tune,
            "draws": 2 * careful.draws,
            "target_accept": (1 + careful.target_accept) / 2,
        }
        posterior = ready.draw(careful.model_copy(update=longer), seed, progress=False)
        diagnostics = diagnose(posterior)
    return posterior, diagnostics


def _flat(posterior: Any, name: str) -> Any:
    values = np.asarray(posterior.posterior[name], dtype=float)
    return values.reshape(-1, *values.shape[2:])


def score(fold: Fold, reported: Any) -> pd.DataFrame:
    """Set what was reported beside its predictive distribution.

    Columns: those of ``folds.PREDICTED``; ``mean`` and ``sd`` of the predictive distribution, which holds the
    row's own sampling error; its central intervals; ``pit``, the probability it gave to at most what was
    reported; ``log_score``, its log density there.
    """
    predictive, rows = fold.predictive(reported), fold.rows
    seen = rows["reported"].to_numpy(dtype=float)
    made: dict[str, Any] = {"mean": predictive.mean(), "sd": predictive.sd()}
    for level in LEVELS:
        made[f"low_{level:.0%}".rstrip("%")] = predictive.quantile(0.5 - level / 2)
        made[f"high_{level:.0%}".rstrip("%")] = predictive.quantile(0.5 + level / 2)
    return rows.assign(**made, pit=predictive.cdf(seen), log_score=predictive.log_density(seen))


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """Coverage of the intervals and mean log score: of all reported rows, by form, and of the differences."""
    reported = table[table["form"] != DERIVED]
    groups = {"all": reported, **{str(form): rows for form, rows in table.groupby("form")}}
    coverage = {name: _coverage(rows) for name, rows in groups.items()}
    whole = coverage["all"]
    sound = whole["predictions"] < ENOUGH or SOUND[0] <= whole["95"] <= SOUND[1]
    lost = sorted(set(table.loc[~table["converged"], "study"]))
    return {"coverage": coverage, "sound": bool(sound), "not_converged": lost, "bounds": list(SOUND)}


def _coverage(rows: pd.DataFrame) -> dict[str, float]:
    """Shares of rows within the intervals; ``by_study`` weighs each study the same, whatever its rows."""
    inside = {f"{level:.0%}".rstrip("%"): (rows["pit"] - 0.5).abs() <= level / 2 for level in LEVELS}
    study = rows["study"]
    return {
        "predictions": len(rows),
        "studies": int(study.nunique()),
        **{name: float(hit.mean()) for name, hit in inside.items()},
        **{f"{name}_by_study": float(hit.groupby(study).mean().mean()) for name, hit in inside.items()},
        "log_score": float(rows["log_score"].mean()),
    }
