"""Operations in a trial: waiting delays the effect, giving up stops it, a late trial has no result."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim import Plan, Study, run
from sim.claims import Draws
from sim.conduct import after_waiting, intake_of, operate, stays_of
from sim.core.errors import InputError
from sim.core.streams import BLOCK_SIZE, Streams
from sim.lives import create
from sim.observation import Ground
from sim.performance import average
from sim.trial import TrialRecord, all_at_once, simulate, stage_by_stage
from tests.cli.calling import call

STUDY = Path(__file__).parents[2] / "benchmarks" / "two_arm_assumed.yaml"
CLINIC = "{arms: [therapy], therapists: %d, sessions_a_week: 9}"
THERAPY = (
    "protocols.two_arm.arms.1.name=therapy",
    "protocols.two_arm.estimands.primary.contrast.of=therapy",
    "protocols.two_arm.estimands.responder.contrast.of=therapy",
    "scenarios.expected.treatments.snri.sessions=9",
    "scenarios.expected.treatments.snri.weeks={assume: 4, because: test}",
    "scenarios.expected.treatments.snri.effect.plateau={assume: -2, because: test}",
    "scenarios.expected.treatments.snri.effect.persistence_half_weeks={assume: 1000000000000, because: test}",
    "scenarios.expected.treatments.snri.discontinuation={}",
    "scenarios.expected.treatments.snri.withdrawal={assume: 0, because: test}",
    "scenarios.expected.treatments.placebo.withdrawal={assume: 0, because: test}",
)


@pytest.fixture(scope="module")
def study():
    def read(*operations: str) -> Study:
        sites = "protocols.two_arm.operations={kind: sites, sites: 10, %s}"
        return Study.load(STUDY, (*THERAPY, sites % operations[0], *operations[1:]))

    return read


def simulated(study: Study) -> TrialRecord:
    protocol, scenario = study.protocols["two_arm"], study.scenarios["expected"]
    return simulate(protocol, scenario, Draws(Streams(study.seed, 0), {}))


def effect(record: TrialRecord) -> float:
    return average(record.findings[0].estimate.estimate[0, 0]).value


def test_endless_capacity_changes_nothing(study):
    without = simulated(study("max_weeks: 900"))
    plenty = simulated(study(f"max_weeks: 900, clinics: [{CLINIC % 900}]"))
    assert np.array_equal(without.data.score, plenty.data.score, equal_nan=True)
    assert np.array_equal(without.finished, plenty.finished)


def test_waiting_delays_the_effect_of_the_patients_who_wait(study):
    record = simulated(study(f"clinics: [{CLINIC % 2}]"))
    plenty = simulated(study(f"clinics: [{CLINIC % 900}]"))
    start, week = record.conduct.start, record.data.weeks[-1]
    assert start is not None
    prompt, never_yet = start == 0, start >= week
    assert prompt.any()
    assert never_yet.any()
    both = record.data.score[:, :, -1], plenty.data.score[:, :, -1]
    assert np.array_equal(both[0][prompt], both[1][prompt])
    untreated = np.where(never_yet, both[0] - both[1], np.nan)
    assert 1.0 < np.nanmean(untreated) < 2.0  # the whole effect of two points, on a scale that ends at 0
    assert effect(plenty) < effect(record) - 0.5


def test_the_effect_begins_when_the_treatment_begins(study):
    """Nobody has an effect before the own start, and at it the course begins as it does for the others."""
    study_ = study(f"clinics: [{CLINIC % 2}]")
    record, plenty = simulated(study_), simulated(study("max_weeks: 900"))
    start = record.conduct.start
    for place, week in enumerate(record.data.weeks):
        same = (start == 0) | (record.data.arm == 0)
        moved = record.data.score[:, :, place] - plenty.data.score[:, :, place]
        assert (moved[same] == 0).all()
        assert (moved[~same] >= 0).all(), f"who waits is better off at week {week}"


def test_who_gives_up_has_stopped_and_is_no_responder(study):
    impatient = "scenarios.expected.conditions.patience={assume: 2, because: test}"
    record = simulated(study(f"clinics: [{CLINIC % 2}]", impatient))
    conduct, events = record.conduct, record.events
    gone = np.isfinite(conduct.gave_up)
    assert 0.1 < gone[record.data.arm == 1].mean() < 0.9
    assert np.isinf(conduct.start[gone]).all()
    assert (events.stop[gone] == conduct.gave_up[gone]).all()
    assert (events.reason[gone] == 3).all()


def test_a_trial_that_comes_too_late_is_counted_and_has_no_result(study, tmp_path):
    slow = study("max_weeks: 27")
    record = simulated(slow)
    late = record.unfinished[0]
    assert 0 < late.sum() < BLOCK_SIZE
    for finding in record.findings:
        assert not finding.success[:, 0, late].any()
        assert np.isnan(finding.at_end(finding.estimate.estimate)[:, 0, late]).all()
    assert (record.finished[0, late] == 27).all()
    assert (record.randomised[0, late] <= 300).all()
    hopeless = study("max_weeks: 13", "replicates=128")
    found = run(hopeless, Plan(workers=1), tmp_path / "out").characteristics
    rows = found[found["metric"].isin(["unfinished", "power", "failed"]) & (found["scenario"] == "expected")]
    values = rows.groupby("metric")["value"].first()
    assert values["unfinished"] == 1
    assert values["power"] == 0
    assert values["failed"] == 1


def test_costs_are_prices_times_what_is_counted(study):
    prices = {"fixed": 7e5, "per_site": 1e4, "per_screened": 3.0, "per_patient": 100.0, "per_visit": 10.0}
    prices |= {"per_session": 50.0, "per_site_month": 30.0}
    text = ", ".join(f"{name}: {{assume: {value}, because: test}}" for name, value in prices.items())
    weekly = "per_treated_week: {placebo: {assume: 2, because: test}}"
    asked = study("max_weeks: 900", f"scenarios.expected.costs={{{text}, {weekly}}}")
    record = simulated(asked)
    therapy = (record.data.arm == 1).sum(axis=0)
    months = 10 * record.finished[0] * 7 / (365.25 / 12)
    last = record.conduct.screened[-1]
    until_week_12 = 12.0  # a treatment without a length goes on until the primary visit
    expected = 7e5 + 10 * 1e4 + 3 * last + 300 * (100 + 10 * 6) + therapy * 9 * 50 + months * 30
    expected = expected + (300 - therapy) * until_week_12 * 2
    assert np.allclose(record.cost.total[0], expected)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ("clinics: [{arms: [therapi], therapists: 1, sessions_a_week: 9}]", "unknown arm 'therapi'"),
        ("clinics: [{arms: [therapy], therapists: 1, sessions_a_week: 2}]", "9 sessions in 4 weeks are more"),
        ("clinics: [{arms: [placebo], therapists: 1, sessions_a_week: 9}]", "its treatment has no sessions"),
        (f"clinics: [{CLINIC % 1}, {CLINIC % 1}]", "is in two clinics"),
        ("max_weeks: 12", "no patient reaches the primary visit"),
    ],
)
def test_a_study_with_impossible_operations_is_refused(study, operations, message):
    with pytest.raises(InputError, match=message):
        study(operations)


def test_a_price_of_an_unknown_treatment_is_refused(study):
    with pytest.raises(InputError, match="unknown treatment 'snry'"):
        study(
            "max_weeks: 900", "scenarios.expected.costs={per_treated_week: {snry: {assume: 1, because: t}}}"
        )


LOOKS = (
    "protocols.two_arm.looks=[{when: {fractions: [0.4, 0.7, 1]}, "
    "analysis: {kind: ancova, estimand: primary}, "
    "rule: {kind: group_sequential, alpha: 0.025, spending: {kind: ld_obrien_fleming}}}]",
    "scenarios.expected.conditions={patience: {assume: 3, because: t}, delivery: {assume: 2, because: t}}",
)
IN_TIME = (
    "scenarios.expected.conditions={patience: {assume: 3, because: t}, visit_days: {assume: 3, because: t}, "
    "growth: {at_opening: {assume: 0.3, because: t}, weeks: {assume: 10, because: t}}, "
    "holidays: [{at: 4, weeks: 2, every: 13, recruitment: {assume: 0.5, because: t}}]}",
)
APPOINTED = (
    "appointments: [{name: scanner, before: randomisation, a_week: 22}, "
    "{name: physician, before: treatment, a_week: 9, arms: [therapy]}]"
)


@pytest.mark.parametrize(
    "waits",
    [
        (f"clinics: [{CLINIC % 3}]",),
        ("supply: {arms: [placebo, therapy], weeks_a_kit: 4, stock: 3, reorder_at: 1}",),
        pytest.param(
            (f"{APPOINTED}, visit_window: {{days: 3, outside: missing}}, clinics: [{CLINIC % 9}]", *IN_TIME),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_rule_that_only_stops_decides_the_same_at_pauses_as_on_a_cut(study, waits):
    """Run to each look, decide, run on: the looks, estimates and weeks are those of the whole trial cut."""
    asked = study(waits[0], *LOOKS, *waits[1:])
    protocol, scenario = asked.protocols["two_arm"], asked.scenarios["expected"]
    draws = Draws(Streams(asked.seed, 0), {})
    world = create(protocol, scenario, scenario.realise(protocol, draws), protocol.n, draws.streams)
    ground = Ground(protocol, scenario, world, draws.streams)
    whole, paused = all_at_once(ground, (300,)), stage_by_stage(ground, (300,))
    assert len(set(whole.ended.ravel().tolist())) > 1
    for name in ("ended", "finished", "randomised", "analysed", "unfinished"):
        assert np.array_equal(getattr(paused, name), getattr(whole, name)), name
    found, wanted = paused.findings[0], whole.findings[0]
    assert np.array_equal(found.success, wanted.success)
    estimates = (finding.at_end(finding.estimate.estimate) for finding in (found, wanted))
    assert np.allclose(*estimates, rtol=0, atol=1e-12)


CONSTANT = "{adverse_event: {early: {assume: 0.1, because: t}, later: {assume: 0.05, because: t}}}"
BY_PAIN = (
    "{inefficacy: {at_five: {assume: 0.1, because: t}, ratio_per_point: {assume: 1.3, because: t}, "
    "from_week: {assume: 0, because: t}}}"
)


@pytest.mark.parametrize(("stops", "exact"), [(CONSTANT, True), (BY_PAIN, False)])
def test_what_was_drawn_once_is_what_a_second_pass_gives(study, stops, exact):
    """Stays are drawn as if nobody waited: a constant hazard gives the same ones after any wait.

    One that hangs on pain does not, since who begins late is seen for fewer weeks and stops later: the mean
    wait of 3.7 weeks was 0.2 longer in a second pass.
    """
    asked = study(f"clinics: [{CLINIC % 5}]", f"scenarios.expected.treatments.snri.discontinuation={stops}")
    protocol, scenario = asked.protocols["two_arm"], asked.scenarios["expected"]
    draws = Draws(Streams(asked.seed, 0), {})
    world = create(protocol, scenario, scenario.realise(protocol, draws), protocol.n, draws.streams)
    arm = protocol.allocation.assign(protocol.n, protocol.ratio, draws.streams)
    first = operate(protocol, scenario, world, arm, draws.streams)
    stays = stays_of(protocol, after_waiting(world, first), arm, draws.streams)
    intake = replace(intake_of(protocol, scenario, world, arm, draws.streams), stays=stays)
    second = protocol.operations.conduct(intake, draws.streams)
    assert first.waited[arm == 1].mean() > 1
    if exact:
        assert np.allclose(second.waited, first.waited, rtol=0, atol=1e-9)
    else:
        assert not np.allclose(second.waited, first.waited, rtol=0, atol=1e-9)
        assert second.waited[arm == 1].mean() == pytest.approx(first.waited[arm == 1].mean(), rel=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "operations={kind: sites, clinics: [{arms: [therapy], therapists: 0, sessions_a_week: 9}]}",
            "0 therapists can treat nobody",
        ),
        (
            "operations={kind: sites, clinics: [{arms: [therapy], therapists: 1, sessions_a_week: 2}]}",
            "9 sessions in 4 weeks are more than the 2 a week",
        ),
        ("operations={kind: sites, max_weeks: 12}", "no patient reaches the primary visit at week 12"),
        ("operations={kind: sites, sites: 0}", "greater than or equal to 1"),
        ("recruitment={assume: 0, because: t}", "recruitment: 0 (assumed) must be above 0"),
    ],
)
def test_sim_check_refuses_what_cannot_be_run_and_says_why(change, message, capsys):
    tree = "scenarios.expected." if change.startswith("recruitment") else "protocols.two_arm."
    changes = [option for one in (*THERAPY, tree + change) for option in ("--set", one)]
    answer = call(capsys, "check", STUDY, *changes)
    assert answer.code == 2
    assert message in answer.errors[0]
    assert "two_arm_assumed.yaml" in answer.errors[0]
