"""The experiment on missing data runs, and the page shows its results."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sim.analyses.base import Analysis
from sim.claims import Draws
from sim.core.streams import Streams
from sim.study import Study
from sim.trial import simulate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments" / "002-missing-data"
STUDIES = [
    f"{what}_{scenario}" for what in ("fast", "slow", "jackknife") for scenario in ("no_effect", "effect")
]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def studies() -> dict[str, Study]:
    return {name: Study.load(FOLDER / f"{name}.yaml") for name in STUDIES}


def test_every_kind_of_analysis_is_in_it(studies):
    used = {
        look.analysis.kind
        for study in studies.values()
        for protocol in study.protocols.values()
        for look in protocol.looks
    }
    ours = {kind for kind, each in Analysis.kinds().items() if each.__module__.startswith("sim.")}
    assert ours - used == {"crossover"}, "which is of trials with two periods"


def test_the_studies_differ_in_what_they_analyse_alone(studies):
    """The slow analyses meet the trials of the fast ones; without an effect it is the same patients."""
    scenarios = {name: study.scenarios for name, study in studies.items()}
    assert scenarios["slow_effect"] == scenarios["fast_effect"] == scenarios["jackknife_effect"]
    draws = Draws(Streams(studies["fast_effect"].seed, 0), {})
    parts = [studies[name].protocols["trial"].model_copy(update={"n": 40}) for name in STUDIES[:3]]
    looks = parts[0].looks[1:2]
    first = simulate(parts[0].model_copy(update={"looks": looks}), scenarios["fast_no_effect"]["mar"], draws)
    second = simulate(parts[1].model_copy(update={"looks": looks}), scenarios["fast_effect"]["mar"], draws)
    assert np.array_equal(first.data.baseline, second.data.baseline)
    control = first.data.arm == 0
    assert np.array_equal(first.data.score[control], second.data.score[control], equal_nan=True)


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
def test_a_mechanism_hides_by_what_it_says(studies, mechanism):
    """Leavers between weeks 8 and 12 of the treated arm had more pain when last seen, by 0.5 points (MAR)."""
    study = studies["fast_no_effect"]
    protocol = study.protocols["trial"]
    ancova = protocol.model_copy(update={"looks": protocol.looks[1:2]})
    data = simulate(ancova, study.scenarios[mechanism], Draws(Streams(3, 0), {})).data
    there = (data.arm == 1) & ~np.isnan(data.score[:, :, 2])
    gone = np.isnan(data.score[:, :, 3])
    last = data.score[:, :, 2]
    gap = last[there & gone].mean() - last[there & ~gone].mean()
    if mechanism == "mcar":
        assert abs(gap) < 0.3
    else:
        assert gap > 0.8
    for arm in (0, 1):
        assert 0.2 < gone[data.arm == arm].mean() < 0.45


def test_the_page_shows_the_results_that_are_kept():
    page = (ROOT / "docs" / "analyses.md").read_text(encoding="utf-8")
    assert script("table").tables() in page
