"""Sample sizes of the small study: what the search makes sure of, and the three kinds of assurance."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from sim import Plan, Study
from sim.core.errors import InputError
from sim.core.loading import dump
from sim.sample_size import FRESH, RUNGS, Benefit, Search, default_sizing, find, searches, table
from sim.study import Sizing
from sim.success_curve import SURE
from tests.cli.calling import call

NAMES = "protocol: small, power_scenario: expected, assurance_scenario: drawn"
SIZE = f"size={{{NAMES}, largest: 300, replicates: 640}}"
PLAN = Plan(workers=1)


@pytest.fixture(scope="module")
def study(two_arm_file) -> Study:
    return Study.load(two_arm_file, (SIZE,))


def search(study: Study, target: str, goal: float, **changes: object) -> Search:
    sizing = default_sizing(study).model_copy(update={target: goal})
    return replace(searches(study, sizing, (target,))[0], **changes)


@pytest.fixture(scope="module")
def assurance(study) -> Search:
    return search(study, "assurance", 0.6)


@pytest.fixture(scope="module")
def drawn(assurance) -> np.ndarray:
    return assurance.successes(assurance.grid, 0, PLAN, None)


def test_the_size_is_sure_in_the_search_and_on_fresh_patients(study):
    wanted = search(study, "power", 0.7)
    (answer,), curve = find(wanted, PLAN)
    assert answer.n_total == 2 * answer.n_per_arm
    assert answer.low < answer.n_per_arm
    assert answer.certainty >= SURE
    fresh = wanted.successes((answer.n_total,), FRESH, PLAN, None)[0, 0]
    assert answer.value == fresh.mean() > 0.7
    below = [p for p in curve if p.n_total < 2 * answer.low / max(RUNGS)]
    assert below
    assert all(p.value < 0.7 for p in below)


def test_a_size_out_of_reach_is_said(study):
    (answer,), _ = find(search(study, "power", 0.999), PLAN)
    assert (answer.n_per_arm, answer.n_total) == (None, None)
    assert "at the largest size looked at" in answer.note


def test_assurance_given_a_benefit_and_with_one(assurance, drawn):
    """Success with a benefit is its share among such trials times how many trials have it."""
    given, both = (
        replace(assurance, benefit=Benefit(0.9, how)).counted(drawn, 0, PLAN)[0] for how in ("given", "and")
    )
    share = given.shape[1] / drawn.shape[2]
    assert 0.3 < share < 0.8
    np.testing.assert_allclose(both.mean(axis=1), given.mean(axis=1) * share, rtol=1e-12)
    assert (given.mean(axis=1)[5:] > drawn[0].mean(axis=1)[5:]).all()
    assert (both <= drawn[0]).all()


def test_trials_with_a_true_benefit_are_as_many_as_the_claim_draws(assurance, drawn):
    """The latent effect is N(-1, 0.4); on the clipped scale a benefit of 0.9 is reached less often."""
    given = replace(assurance, benefit=Benefit(0.05, "given")).counted(drawn, 0, PLAN)[0]
    assert given.shape[1] > 0.97 * drawn.shape[2]


def test_a_benefit_that_no_trial_draws_is_refused(assurance):
    with pytest.raises(InputError, match="given a true benefit of 5: arm 'active' has it in 0 of 640 trials"):
        find(replace(assurance, benefit=Benefit(5, "given")), PLAN)


def test_a_shared_level_is_kept_while_sizes_are_looked_at(study):
    tree = dump(study)
    tree["protocols"]["small"]["multiplicity"] = {"kind": "bonferroni"}
    shared = search(Study.model_validate(tree), "power", 0.7)
    alone = search(study, "power", 0.7)
    strict, free = (s.successes((200,), 0, PLAN, None)[0, 0].mean() for s in (shared, alone))
    assert strict < free


def test_the_table_has_every_size_protocol_and_scenario(study):
    sizing = Sizing(
        **{**dump(default_sizing(study)), "largest": 60, "replicates": 128}  # type: ignore[arg-type]
    )
    points = list(table(study, sizing, PLAN))
    metrics = {p.scenario: p.target for p in points}
    assert metrics == {"expected": "power", "drawn": "assurance", "null": "type_1_error"}
    sizes = {p.n_total for p in points}
    assert len(points) == 3 * len(sizes)
    assert max(sizes) == 60


def test_the_command_writes_the_table(two_arm_file, tmp_path, capsys):
    file = tmp_path / "sizes.csv"
    small = SIZE.replace("largest: 300, replicates: 640", "largest: 40, replicates: 128")
    answer = call(capsys, "size", two_arm_file, "--table", file, "--set", small, "--json")
    assert answer.code == 0
    with file.open() as text:
        rows = list(csv.DictReader(text))
    assert list(rows[0]) == ["protocol", "metric", "scenario", "arm", "n_total", "n_per_arm", "value", "mcse"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--power", "0.9", "--given-benefit", "1"], "only --assurance draws true benefits"),
        (["--assurance", "0.9", "--given-benefit", "1", "--and-benefit", "1"], "one of --given-benefit or"),
        (["--power", "0.9", "--table", "x.csv"], "give one of --power, --assurance or --table"),
    ],
)
def test_options_that_do_not_go_together_are_refused(two_arm_file, capsys, options, message):
    answer = call(capsys, "size", two_arm_file, *options)
    assert answer.code == 2
    assert message in answer.errors[0]
