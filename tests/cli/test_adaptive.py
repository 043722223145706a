"""``sim adaptive``: the engines from YAML give what the engines give."""

import json

import numpy as np
import pytest

from sim.adaptive import AdaptiveStudy, characteristics
from sim.core.errors import InputError
from sim.sufficient import arm_selection, reestimation, response_adaptive
from sim.sufficient.base import Engine
from tests.cli.calling import call
from tests.montecarlo import assert_share

FEW = ("trials=2000",)
RUNS = {
    "arm_selection": arm_selection.run,
    "reestimation": reestimation.run,
    "response_adaptive": response_adaptive.run,
}


@pytest.fixture
def load(configs):
    return lambda kind, *changes: AdaptiveStudy.load(configs / "adaptive" / f"{kind}.yaml", (*FEW, *changes))


def test_every_engine_has_an_example(configs):
    assert {file.stem for file in (configs / "adaptive").glob("*.yaml")} == set(Engine.kinds()) == set(RUNS)


@pytest.mark.parametrize("kind", RUNS)
def test_numbers_are_shares_and_means_of_the_engine(load, kind):
    study = load(kind)
    rows = {(row.truth, row.metric): row for row in characteristics(study)}
    for name, truth in study.truths.items():
        given = truth.values[0] if kind == "reestimation" else truth.values
        found = RUNS[kind](
            study.design, np.array(given) if kind == "arm_selection" else given, 20261121, 2000
        )
        row = rows[name, "patients"]
        assert (row.value, row.trials) == (pytest.approx(found.size.mean(), rel=1e-12), 2000)
        assert row.mcse == pytest.approx(found.size.std(ddof=1) / np.sqrt(2000), rel=1e-9)
    assert {row.truth for row in rows.values()} == set(study.truths)


def test_arms_that_are_selected_keep_the_family_wise_error(load):
    found = load("arm_selection", "trials=40960").design.outcomes((0.0, 0.0, 0.0), 5, 40_960)
    np.testing.assert_array_equal(found["any_success"], found["any_false_success"])
    assert_share(found["any_success"], 0.025, detects=0.007)
    one = load("arm_selection").design.outcomes((0.0, 0.4, 0.0), 5, 2000)
    each = np.stack([one[f"success_of_arm_{k}"] for k in (1, 2, 3)])
    np.testing.assert_array_equal(each.any(axis=0), one["any_success"])
    np.testing.assert_array_equal(each[[0, 2]].any(axis=0), one["any_false_success"])


def test_a_resized_trial_keeps_its_level(load):
    found = load("reestimation").design.outcomes((0.0,), 5, 400_000)
    assert_share(found["success"], 0.025, detects=0.003)


def test_arms_that_are_alike_are_superior_alike(load):
    """By symmetry each of three equal arms is called superior in a third of such trials."""
    found = load("response_adaptive").design.outcomes((0.4, 0.4, 0.4), 5, 40_960)
    which = np.stack([found[f"superiority_of_arm_{k}"] for k in (1, 2, 3)])
    np.testing.assert_array_equal(which.any(axis=0), found["superiority"])
    assert_share(which[0][found["superiority"]], 1 / 3, detects=0.3)


@pytest.mark.parametrize("kind", RUNS)
def test_the_command_says_the_design_and_the_errors(configs, capsys, kind):
    file = configs / "adaptive" / f"{kind}.yaml"
    answer = call(capsys, "adaptive", file, "--set", "trials=1000", "--json")
    assert answer.code == 0
    content = json.loads(answer.out)
    assert content["design"]
    assert {"truth", "metric", "value", "mcse", "trials"} == set(content["characteristics"][0])
    said = call(capsys, "adaptive", file, "--set", "trials=1000").out
    assert "1000 trials under each truth" in said


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("response_adaptive", "truths.alike.values=[0.4, 0.4]", "truths.alike.values: needs 3 values"),
        ("reestimation", "truths.no_effect.values=[0, 1]", "needs 1 values"),
        ("reestimation", "design.kind=reestimate", "did you mean 'reestimation'"),
        ("arm_selection", "design.bounds=[2]", "needs 2 values, one a stage"),
    ],
)
def test_designs_that_cannot_be_are_refused(load, kind, change, message):
    with pytest.raises(InputError, match=message):
        load(kind, change)
