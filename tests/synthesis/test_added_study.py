"""Adding a trial is adding rows: another digest, another fit, and the trial in every table."""

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sim.core.loading import dump, load, validate
from sim.evidence.vocabulary import COLUMNS
from sim.synthesis import Store, Synthesis
from sim.synthesis.backtest import FOLDS

MADE_UP = "madeup2026"
SAID = {"source_url": "https://example.org", "provenance": "checked", "note": "made up for a test"}
STUDY = {"study_id": MADE_UP, "citation": "Made up for a test", "year": "2026", "stage": "acute",
         "weeks_primary": "2", "n_randomised": "120", **SAID}  # fmt: skip
MEANS = {("nsaid", "0"): "6.1", ("nsaid", "2"): "2.6", ("placebo", "0"): "6.0", ("placebo", "2"): "3.4"}


def write(folder: Path, table: str, rows: list[dict[str, str]]) -> None:
    with (folder / f"{table}.csv").open("w", newline="") as file:
        out = csv.DictWriter(file, COLUMNS[table], restval="")
        out.writeheader()
        out.writerows(rows)


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One more study of the form of the shipped tables, its numbers made up."""
    folder = tmp_path_factory.mktemp("added")
    write(folder, "studies", [STUDY])
    arm = {"study_id": MADE_UP, "n_randomised": "60", **SAID}
    write(folder, "arms", [{**arm, "arm_id": t, "treatment": t} for t in ("nsaid", "placebo")])
    seen = {"study_id": MADE_UP, "outcome": "pain", "scale": "NRS", "scale_min": "0", "scale_max": "10",
            "statistic": "mean", "dispersion": "sd", "disp_value": "2", "n": "60", **SAID}  # fmt: skip
    means = [{**seen, "arm_id": arm, "weeks": week, "value": mean} for (arm, week), mean in MEANS.items()]
    write(folder, "outcomes", means)
    write(folder, "contrasts", [])
    return folder


def small(configs: Path, evidence: Path | None = None) -> Synthesis:
    """The acute synthesis of two treatments, with short chains."""
    tree = dump(load(configs / "syntheses" / "acute.yaml", Synthesis))
    tree["classes"] = {name: tree["classes"][name] for name in ("inert", "nsaid")}
    tree["sampling"] = {"chains": 4, "tune": 800, "draws": 1200, "target_accept": 0.95}
    return validate(tree | ({"evidence": {"add": str(evidence)}} if evidence else {}), Synthesis, "small")


class Told:
    """Counts what it is told, and interrupts when asked to."""

    def __init__(self, stop_after: int = 10**6) -> None:
        self.seen: list[int] = []
        self.stop_after = stop_after

    def __call__(self, done: int, planned: int) -> None:
        self.seen.append(done)
        if done >= self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def fitted(configs: Path, added: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Told]:
    """The fit with the study added; its backtest, interrupted after two studies and taken up again."""
    config = small(configs, added)
    folder = Store(tmp_path_factory.mktemp("fits")).fit(config)
    with pytest.raises(KeyboardInterrupt):
        config.leave_one_out(folder, Told(stop_after=2))
    kept = {file: file.stat().st_mtime_ns for file in (folder / FOLDS).glob("*.json")}
    assert len(kept) == 2
    told = Told()
    report = config.leave_one_out(folder, told)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept, "finished folds were made again"
    return folder, report, told


def test_the_digest_is_another(configs: Path, added: Path) -> None:
    assert small(configs, added).digest() != small(configs).digest() == small(configs).digest()


@pytest.mark.slow
def test_the_study_stands_in_the_tables(fitted: tuple[Path, Any, Told]) -> None:
    folder, _, _ = fitted
    trials = pd.read_csv(folder / "trials.csv").set_index("study")
    mine = trials.loc[MADE_UP]
    assert (mine["treatment"], mine["comparator"], mine["week"]) == ("nsaid", "placebo", 2)
    assert mine["reported"] == pytest.approx(2.6 - 3.4)
    assert mine["se"] == pytest.approx(2 * (2 / 60) ** 0.5, rel=1e-5)
    assert MADE_UP in set(pd.read_csv(folder / "sources.csv")["study_id"])
    frequentist = pd.read_csv(folder / "frequentist.csv")
    assert list(frequentist["k"]) == [2, 2]
    drawn = {file.stem for file in (folder / "figures").glob("*.png")}
    assert drawn == {
        "forest",
        "network",
        "trials",
        "courses",
        "ranks",
        "check",
        "funnel",
        "priors",
        "backtest",
    }


@pytest.mark.slow
def test_the_study_is_foretold_and_foretells(fitted: tuple[Path, Any, Told]) -> None:
    folder, report, told = fitted
    rows = pd.read_csv(folder / "backtest.csv")
    mine = rows[rows["study"] == MADE_UP]
    assert list(mine["form"]) == ["mean", "mean", "difference"]
    assert list(mine["week"]) == [2, 2, 2]
    assert mine["pit"].between(0, 1).all()
    assert (mine["low_95"] < mine["low_50"]).all()
    assert (mine["low_50"] < mine["high_50"]).all()
    assert (mine["high_50"] < mine["high_95"]).all()
    assert report["coverage"]["all"]["studies"] == rows["study"].nunique() == told.seen[-1]
    assert report == json.loads((folder / "backtest.json").read_text())
    assert told.seen[0] == 2, "two studies were there already"
    share = pd.read_csv(folder / "prior_share.csv").set_index("study")
    assert (share["treatment"] == "nsaid").all()
    assert set(share.index) == {MADE_UP, "vandergaag2020"}
    assert (share["share"] > 0).all()
