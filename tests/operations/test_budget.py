"""The largest trial within a budget, where its cost is known by hand."""

import json

import pytest

from sim import Plan, Study
from sim.budget import within_budget
from sim.sample_size import default_sizing, searches
from tests.cli.calling import call
from tests.operations.test_in_the_trial import STUDY

FIXED = "scenarios.expected.costs={fixed: {assume: 1000, because: t}, per_patient: {assume: 100, because: t}}"
UNSURE = (
    "scenarios.expected.costs={per_patient: {kind: lognormal, median: 100, log_sd: 0.5, because: t}}",
    "scenarios.expected.claims={kind: drawn}",
)


def search(*changes: str, replicates: int = 128, largest: int = 400):
    study = Study.load(STUDY, changes)
    sizing = default_sizing(study).model_copy(update={"replicates": replicates, "largest": largest})
    return searches(study, sizing, ("power",))[0]


def test_a_trial_of_known_cost_is_as_large_as_the_budget_allows():
    chosen, curve = within_budget(search(FIXED), 1000 + 25_050, 0.8, Plan(workers=1))
    assert chosen is not None
    assert chosen.n_total == 250
    assert chosen.cost.value == pytest.approx(26_000)
    assert chosen.within.value == 1
    assert [outlay.within.value for outlay in curve] == [float(o.n_total <= 250) for o in curve]
    power = [outlay.success.value for outlay in curve]
    assert power[0] < power[-1]


def test_a_budget_that_is_too_small_or_ample_is_said():
    assert within_budget(search(FIXED), 2000, 0.8, Plan(workers=1))[0] is None
    chosen, curve = within_budget(search(FIXED), 1e9, 0.8, Plan(workers=1))
    assert chosen == curve[-1]


def test_prices_that_are_drawn_make_the_budget_a_probability(monkeypatch):
    """Every trial draws its price, so the size is the budget by the price's quantile: 100 exp(0.84 × 0.5)."""
    found = search(*UNSURE, replicates=640)
    drawn = found.scenario.model_copy(
        update={"claims": Study.load(STUDY, UNSURE).scenarios["expected"].claims}
    )
    from dataclasses import replace

    chosen, _ = within_budget(replace(found, scenario=drawn), 20_000, 0.8, Plan(workers=1))
    assert chosen is not None
    assert chosen.n_total == pytest.approx(20_000 / (100 * 1.523), rel=0.08)
    assert chosen.within.value == pytest.approx(0.8, abs=0.02)


def test_the_command_answers_in_words_and_in_json(capsys):
    largest = (
        "--largest",
        "200",
        "--set",
        "size={protocol: two_arm, power_scenario: expected, assurance_scenario: expected, replicates: 128}",
        "--set",
        FIXED,
    )
    answer = call(capsys, "size", STUDY, "--budget", "11000", *largest, "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert (found["n_total"], found["within"], found["cost"]) == (100, 1, 11_000)
    answer = call(capsys, "size", STUDY, "--budget", "11000", *largest)
    assert "100 patients cost at most 11,000 USD with probability 1.000" in answer.out
    answer = call(capsys, "size", STUDY, "--budget", "1100", *largest)
    assert "No trial fits" in answer.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget", "0"), "a budget is above 0"),
        (("--budget", "1000"), "scenario 'expected' has no 'costs'"),
        (("--budget", "1000", "--power", "0.9"), "give one of"),
    ],
)
def test_wrong_budgets_are_refused(options, message, capsys):
    answer = call(capsys, "size", STUDY, *options)
    assert answer.code == 2
    assert message in answer.errors[0]
