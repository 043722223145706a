"""The experiment on missing data runs, and the page shows its results."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sim.analyses.base import Analysis

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments" / "002-missing-data"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_kind_of_analysis_is_in_it():
    simulate = script("simulate")
    used = {each.kind for each in (*simulate.MEAN_ANALYSES.values(), *simulate.SHARE_ANALYSES.values())}
    ours = {kind for kind, each in Analysis.kinds().items() if each.__module__.startswith("sim.")}
    assert ours - used == {"cox", "log_rank"}
    assert {name.split("_time")[0] for name in simulate.TIME_ANALYSES} == {"cox", "log_rank"}


def test_a_block_gives_every_metric_of_every_analysis(monkeypatch: pytest.MonkeyPatch):
    simulate = script("simulate")
    monkeypatch.setattr(simulate, "BLOCK", 8)
    *_, rows = simulate.study("mar", "null", 8)
    names = {*simulate.MEAN_ANALYSES, *simulate.SHARE_ANALYSES, *simulate.TIME_ANALYSES}
    assert {row["analysis"] for row in rows} == names
    assert all(np.isfinite(row["value"]) for row in rows)


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
def test_a_mechanism_hides_by_what_it_says(mechanism: str):
    """Leavers of the treated arm score worse at the last visit seen (MAR), even more so unseen (MNAR)."""
    simulate = script("simulate")
    rng = np.random.default_rng(3)
    whole = simulate.complete(0.0, 400, rng)
    gone = np.isnan(simulate.leave(whole, mechanism, rng).score[:, :, 0]) & (whole.arm == 1)
    stays = ~gone & (whole.arm == 1)
    gap = whole.baseline[gone].mean() - whole.baseline[stays].mean()
    unseen = whole.score[:, :, 0][gone].mean() - whole.score[:, :, 0][stays].mean()
    if mechanism == "mcar":
        assert abs(gap) < 0.15
    else:
        assert gap > 0.5
        assert (unseen > gap) == (mechanism == "mnar")


def test_the_page_shows_the_results_that_are_kept():
    page = (ROOT / "docs" / "analyses.md").read_text(encoding="utf-8")
    assert script("table").tables() in page
