"""Visits on other days than planned: the outcome is that of the day, and what is outside the window."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import truncnorm

from sim import Study
from sim.claims import Draws
from sim.conduct import after_waiting
from sim.core.errors import InputError
from sim.core.loading import validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.lives import _moved, create
from sim.observation import Ground
from sim.operations.visits import Visits, VisitWindow, hold
from sim.trial import TrialRecord, simulate
from tests.montecarlo import assert_mean, assert_share
from tests.operations.test_in_the_trial import CLINIC, STUDY, THERAPY

WEEKS = np.array([1.0, 2.0, 4.0, 8.0, 12.0])
WINDOW = VisitWindow(days=3, until=4, later_days=7)


def study(days: float | None, window: str = "", *more: str) -> Study:
    sites = f"protocols.two_arm.operations={{kind: sites, sites: 10, max_weeks: 900{window}}}"
    late = f"scenarios.expected.conditions={{visit_days: {{assume: {days}, because: t}}}}"
    return Study.load(STUDY, (*THERAPY, sites, *([] if days is None else [late]), *more))


def simulated(asked: Study) -> TrialRecord:
    protocol, scenario = asked.protocols["two_arm"], asked.scenarios["expected"]
    return simulate(protocol, scenario, Draws(Streams(asked.seed, 0), {}))


def test_visits_on_their_days_are_todays_result():
    plain, zero = simulated(study(None)), simulated(study(0, ", visit_window: {days: 3, outside: missing}"))
    assert np.array_equal(plain.data.score, zero.data.score, equal_nan=True)
    assert np.array_equal(plain.finished, zero.finished)


@pytest.mark.parametrize("days", [2.5, 5.0])
def test_days_are_those_of_a_normal_cut_off_half_way_to_the_nearest_visit(days):
    found = hold(WEEKS, np.full(BLOCK_SIZE, days), WINDOW, 200, Streams(1, 0))
    assert found is not None
    assert found.outside is not None
    for visit, (nearest, window) in enumerate([(7, 3), (7, 3), (14, 3), (28, 7), (28, 7)]):
        law = truncnorm(-nearest / 2 / days, nearest / 2 / days, scale=days)
        late = (found.held[:, :, visit] - WEEKS[visit]) * 7
        assert_mean(late, 0.0, detects=0.07 * days)
        assert_mean(late**2, law.var(), detects=0.09 * law.var())
        assert_share(found.outside[:, :, visit], 2 * law.sf(window), detects=0.03)


def test_where_the_spread_is_none_visits_are_on_their_days():
    found = hold(WEEKS, np.repeat([0.0, 5.0], BLOCK_SIZE // 2), WINDOW, 20, Streams(1, 0))
    assert found is not None
    assert (found.held[:, : BLOCK_SIZE // 2] == WEEKS).all()
    assert (found.held[:, BLOCK_SIZE // 2 :] != WEEKS).all()


def test_visits_keep_their_order_and_fewer_patients_are_the_first_of_more():
    sd = np.full(BLOCK_SIZE, 9.0)
    more, fewer = (hold(WEEKS, sd, WINDOW, n, Streams(1, 0)) for n in (60, 30))
    assert more is not None
    assert fewer is not None
    assert (np.diff(more.held, axis=2, prepend=0.0) >= 0).all()
    assert (np.abs(more.held - WEEKS) > 0.4).any(axis=(0, 1)).all()
    assert np.array_equal(more.held[:30], fewer.held)


def test_what_is_outside_is_missing_only_if_the_protocol_says_so():
    kept = simulated(study(5, ", visit_window: {days: 3}"))
    missing = simulated(study(5, ", visit_window: {days: 3, outside: missing}"))
    visits = missing.conduct.visits
    assert visits is not None
    assert visits.outside is not None
    assert 0.3 < visits.outside.mean() < 0.7
    assert np.isnan(missing.data.score[visits.outside]).all()
    inside = ~visits.outside
    assert np.array_equal(missing.data.score[inside], kept.data.score[inside], equal_nan=True)
    assert not np.isnan(kept.data.score[visits.outside]).all()


@pytest.mark.parametrize("clinic", ["", f", clinics: [{CLINIC % 3}]"])
def test_the_outcome_is_that_of_the_day_of_the_visit(clinic):
    """Against patients one by one, who are lived through again with visits planned on these very days."""
    asked = study(4, clinic)
    protocol, scenario = asked.protocols["two_arm"], asked.scenarios["expected"]
    draws = Draws(Streams(asked.seed, 0), {})
    world = create(protocol, scenario, scenario.realise(protocol, draws), protocol.n, draws.streams)
    arm = protocol.allocation.assign(protocol.n, protocol.ratio, draws.streams)
    conduct = Ground(protocol, scenario, world, draws.streams).live(arm).conduct
    assert conduct.visits is not None
    world, held = after_waiting(world, conduct), conduct.visits.held
    stop = np.where(np.arange(len(arm))[:, None] % 3 == 0, 3.0, np.inf) * np.ones(BLOCK_SIZE)
    found = _moved(world, arm, (stop, None), held)
    for patient in range(0, 60, 7):
        lived = []
        for weeks in (held[patient, 0], world.trajectories.weeks):
            own = np.zeros((1, BLOCK_SIZE, len(weeks)))
            start = None if conduct.start is None else conduct.start[[patient]]
            alone = replace(
                world.trajectories, weeks=weeks, own=own, course=world.truth.course.at(weeks), start=start
            )
            latent = alone.under(arm[[patient]])
            lived.append(alone.after_stopping(latent, arm[[patient]], stop[[patient]])[0, 0])
        assert np.allclose(found[patient, 0], lived[0] - lived[1], rtol=0, atol=1e-12)
    assert np.abs(found).max() > 0.2


def test_what_a_treatment_does_beyond_pain_is_that_of_the_day_of_the_visit():
    """Against the same patients without it: on a scale of steps of 2 they differ by its share that day."""
    odi = (
        "protocols.two_arm.endpoints.disability={kind: measure, measure: ODI}",
        "scenarios.expected.other_outcomes={ODI: {baseline: {assume: 60, because: t}, "
        "baseline_sd: {assume: 5, because: t}, per_point: {assume: 0, because: t}, "
        "change_sd: {assume: 5, because: t}, correlation: {assume: 0, because: t}}}",
    )
    beyond = "scenarios.expected.treatments.snri.beyond_pain={ODI: {assume: -25, because: t}}"
    without, found = (simulated(study(4, "", *odi, *more)) for more in ((), (beyond,)))
    visits, arm = found.conduct.visits, found.data.arm
    assert visits is not None
    change = found.data.others["ODI"].visits - without.data.others["ODI"].visits
    begun = 1 - 0.5 ** (np.minimum(visits.held, 4) / 1.5)  # half-life of 1.5 weeks; a course of 4 lasts
    share = begun / (1 - 0.5 ** (4 / 1.5))
    assert np.abs(change - np.where(arm == 1, -25, 0)[:, :, None] * share).max() <= 2 + 1e-9


def test_conditions_that_an_open_door_would_not_meet_are_refused():
    late = "scenarios.expected.conditions={visit_days: {assume: 5, because: t}}"
    with pytest.raises(InputError, match=r"two_arm.operations: 'open_door' does not meet .*\(visit_days\)"):
        Study.load(STUDY, (*THERAPY, late))


def test_a_window_where_every_visit_is_on_its_day_is_refused():
    with pytest.raises(InputError, match=r"visit_window: every visit is held on its day"):
        study(None, ", visit_window: {days: 3}")


def test_who_leaves_before_the_day_of_a_visit_is_not_seen_and_who_leaves_after_it_is():
    leaving = "scenarios.expected.treatments.placebo.withdrawal={assume: 0.1, because: t}"
    record = simulated(study(6, "", leaving))
    visits, leave = record.conduct.visits, record.events.leave
    assert isinstance(visits, Visits)
    gone = leave[:, :, None] < visits.held
    assert np.array_equal(np.isnan(record.data.score), gone)
    assert (gone != (leave[:, :, None] < record.data.weeks)).any()


def test_a_window_with_half_of_its_keys_is_refused():
    with pytest.raises(InputError, match="go together"):
        validate({"days": 3, "until": 4}, VisitWindow, "test")


def test_a_window_is_said_in_words():
    assert VisitWindow(days=3, until=4, later_days=7, outside="missing").words() == (
        "A visit may be 3 days from its day to week 4, 7 days later; what is measured outside is missing."
    )
