"""One thing at a time: the right claims move, nothing else does, and the differences are paired."""

import numpy as np
import pytest

from sim import Plan, Results, Study, run
from sim.claims import Draws, claims_in
from sim.core.errors import InputError
from sim.core.streams import Streams
from sim.examples import choose, examples
from sim.results import Cell
from sim.scenario import Scenario
from sim.sensitivity import AS_ASSUMED, vary
from sim.variation import STANDARD, Sensitivity, Variation

from ..montecarlo import assert_mean, assert_share

BY_NAME = {variation.what: variation for variation in STANDARD}


def values(scenario: Scenario) -> dict[str, np.ndarray]:
    """What every outermost claim is in eight blocks, by its path."""
    found: dict[str, np.ndarray] = {}
    for path, claim in claims_in(scenario):
        if not any(path.startswith(f"{outer}.") for outer in found):
            blocks = [claim.draw(path, Draws(Streams(3, block), {})) for block in range(8)]
            found[path] = np.concatenate(blocks)
    return found


@pytest.mark.parametrize(("what", "setting"), [("losses", 2), ("placebo response", 0.5), ("accrual", 2)])
def test_a_factor_multiplies_its_claims_and_no_other(two_arm, what, setting):
    scenario = two_arm.scenarios["drawn"]
    asked = Sensitivity()
    base = values(asked.scenario_at(scenario, None, 1))
    moved = values(asked.scenario_at(scenario, BY_NAME[what], setting))
    paths = BY_NAME[what].paths(scenario)
    assert paths
    assert set(base) == set(moved)
    for path, held in base.items():
        assert np.array_equal(moved[path], held * (setting if path in paths else 1)), path


def test_doubt_replaces_its_share_of_an_effect(two_arm):
    scenario = two_arm.scenarios["drawn"]
    asked = Sensitivity()
    path = "treatments.drug.effect.plateau"
    sure = values(asked.scenario_at(scenario, None, 1))[path]
    half = values(asked.scenario_at(scenario, BY_NAME["prior weight"], 0.5))[path]
    kept = half == sure
    assert_share(kept, 0.5, detects=0.15)
    assert_mean(half[~kept], 0.0, detects=0.5)


def test_nothing_varied_is_the_run_itself_where_claims_are_fixed(two_arm):
    effects = vary(two_arm, Sensitivity(scenario="expected", replicates=256), Plan(workers=1))
    records = run_of(two_arm)
    for n in (40, 80):
        rows = records.of_estimand(Cell("small", "expected"), "primary", n)
        found = next(e for e in effects if (e.what, e.n, e.arm) == ("", n, "active"))
        assert (found.setting, found.metric) == (AS_ASSUMED, "power")
        assert found.value == rows["success"].mean()


_runs: dict[int, Results] = {}


def run_of(study: Study) -> Results:
    return _runs[id(study)]


@pytest.fixture(scope="module", autouse=True)
def _once(two_arm, tmp_path_factory):
    _runs[id(two_arm)] = run(two_arm, Plan(workers=1), tmp_path_factory.mktemp("run"))


def test_a_paired_difference_is_that_of_the_values_with_a_smaller_error(two_arm, tmp_path):
    asked = Sensitivity(vary=(BY_NAME["spread of pain"], BY_NAME["accrual"]), replicates=200)
    effects = vary(two_arm, asked, Plan(workers=1), tmp_path)
    again = vary(two_arm, asked, Plan(workers=1), tmp_path)
    assert effects == again
    assert len(list((tmp_path / "blocks").glob("vary.*.npy"))) == 5 * 2
    varied = [e for e in effects if e.what]
    assert {e.setting for e in varied} == {"× 0.8", "× 1.25", "× 0.5", "× 2"}
    for effect in varied:
        assert effect.difference == pytest.approx(effect.value - effect.base, abs=1e-9)
        assert effect.difference_mcse <= effect.mcse
    by = {(e.what, e.setting, e.metric, e.n): e for e in varied}
    assert by["spread of pain", "× 0.8", "assurance", 80].difference > 0
    assert by["spread of pain", "× 1.25", "assurance", 80].difference < 0
    assert by["accrual", "× 2", "assurance", 80].difference == 0
    assert by["accrual", "× 2", "duration_weeks", 80].difference < -5


def test_a_variation_that_finds_no_claim_is_refused_and_a_standard_one_left_out(two_arm):
    lost = Variation(what="typo", claims=("treatments.*.withdrawl",), by=(0.5, 2), because="test")
    with pytest.raises(InputError, match="'typo': the scenario has no claim at treatments"):
        Sensitivity(vary=(lost,)).varied(two_arm.scenarios["drawn"])
    bare = two_arm.scenarios["drawn"].model_copy(update={"treatments": {}})
    assert BY_NAME["losses"] not in Sensitivity().varied(bare)


@pytest.mark.parametrize("ways", [{}, {"by": (0.5, 2), "doubt": (0.2, 0.5)}])
def test_a_variation_varies_one_way(ways):
    with pytest.raises(ValueError, match="needs either 'by'"):
        Variation(what="x", claims=("course.response",), because="test", **ways)


def test_a_study_names_what_it_varies(two_arm_file):
    with pytest.raises(InputError, match=r"sensitivity.scenario: unknown name 'drwan'.*drawn"):
        Study.load(two_arm_file, ("sensitivity={scenario: drwan}",))


def test_the_examples_are_what_they_say(two_arm):
    results = run_of(two_arm)
    arm, chosen = choose(two_arm, results, "small")
    assert arm == "active"
    rows = results.of_estimand(Cell("small", "drawn"), "primary", 80).set_index("replicate")
    won = rows["success"]
    assert won[chosen["success"]]
    assert not won[chosen["no success"]]
    for name, kind in (("success", won), ("no success", ~won)):
        below = (rows.loc[kind, "p"] < rows["p"][chosen[name]]).sum()
        assert abs(below - kind.sum() / 2) <= 1
    away = (rows["p"] - 0.025).abs().drop([chosen["success"], chosen["no success"]])
    assert away[chosen["near the line"]] <= away.nsmallest(2).iloc[-1]
    told = list(examples(two_arm, results, Plan(workers=1)))
    assert [row["replicate"] for row in told] == list(chosen.values())
    for row in told:
        assert row["estimate"] == rows["estimate"][row["replicate"]]
        assert row["truth"] == rows["truth"][row["replicate"]]
