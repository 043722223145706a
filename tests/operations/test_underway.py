"""Trials that are paused and run on: the same as in one go, and only later patients meet a decision."""

from dataclasses import replace

import numpy as np
import pytest

from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.base import Stays
from sim.operations.holidays import HolidayLevels
from sim.operations.sites import Sites
from tests.operations.test_sites import ONE, clinic, intake, sites

CONDITIONS = {"between_sites": 1.2, "patience": 3.0, "delivery": 3.0}
FEW = {
    "clinic": {"clinics": [clinic(therapists=1, sessions_a_week=2)]},
    "groups": {"clinics": [clinic(therapists=1, groups={"size": 3, "every": 2})]},
    "physician": {
        "appointments": [{"name": "physician", "before": "treatment", "a_week": 1, "arms": ["therapy"]}],
        "clinics": [clinic(therapists=1, sessions_a_week=3)],
    },
    "supply": {"supply": {"arms": ["therapy", "control"], "weeks_a_kit": 2, "stock": 2, "reorder_at": 0}},
}
HOLIDAY = HolidayLevels(5.0, 3.0, 10.0, 0.5 * ONE, 0 * ONE)


def asked(n: int = 60):
    given = intake(n, **CONDITIONS)
    courses = tuple(replace(course, sessions=9) for course in given.courses)
    stream = Streams(7, 0)("stays")
    weeks = stream.standard_exponential((2, n, BLOCK_SIZE))
    return replace(given, courses=courses, stays=Stays(6 * weeks[0], 20 * weeks[1]))


def in_pieces(operations: Sites, given, weeks: list[float]):
    """Run on from pause to pause; the last one is the end."""
    streams = Streams(5, 0)
    underway = operations.treat(operations.recruit(given, streams), given, streams)
    for week in (*weeks, np.inf):
        found = underway.go_on(given, np.full(BLOCK_SIZE, week))
    return found


@pytest.mark.parametrize("kind", FEW)
@pytest.mark.parametrize("pauses", [[13.0], [0.5, 4, 4, 30, 100]])
@pytest.mark.parametrize("holidays", [(), (HOLIDAY,)])
def test_a_trial_that_is_paused_is_the_same_trial(kind, pauses, holidays):
    operations, given = sites(sites=4, **FEW[kind]), asked()
    given = replace(given, conditions=replace(given.conditions, holidays=holidays))
    whole, pieces = operations.conduct(given, Streams(5, 0)), in_pieces(operations, given, pauses)
    waited = (whole.start > 0) & np.isfinite(whole.start)
    assert waited.mean() > 0.1
    assert np.isfinite(whole.gave_up).any()
    for name in ("start", "gave_up"):
        assert np.allclose(getattr(pieces, name), getattr(whole, name), rtol=0, atol=1e-9), name
    if whole.kits is not None:
        for name in ("used", "gap", "shipped"):
            assert np.allclose(getattr(pieces.kits, name), getattr(whole.kits, name), rtol=0, atol=1e-9), name


@pytest.mark.parametrize("kind", FEW)
def test_a_decision_moves_only_patients_who_come_after_it(kind):
    """At week 15 later patients are given other arms: as if these arms had been known from the start."""
    operations, given, week = sites(sites=4, **FEW[kind]), asked(), 15.0
    streams = Streams(5, 0)
    recruited = operations.recruit(given, streams)
    later = recruited.enrolled > week
    decided = replace(given, arm=np.where(later, 1, given.arm))
    underway = operations.treat(recruited, given, streams)
    pause = np.full(BLOCK_SIZE, week)
    at_look = underway.go_on(given, pause)
    found = underway.go_on(decided, np.full(BLOCK_SIZE, np.inf))
    known, whole = operations.conduct(decided, Streams(5, 0)), operations.conduct(given, Streams(5, 0))
    assert np.allclose(found.start, known.start, rtol=0, atol=1e-9)
    assert not np.allclose(found.start, whole.start, rtol=0, atol=1e-9)
    begun = at_look.enrolled + at_look.start <= week
    assert begun.mean() > 0.2
    assert np.allclose(at_look.start[begun], whole.start[begun], rtol=0, atol=1e-9)
    assert np.isinf(at_look.start[~begun & ~later]).all()


def test_who_stops_frees_the_therapist():
    operations = sites(sites=4, clinics=[clinic(therapists=1, sessions_a_week=3)])
    given = intake(60)
    nobody = operations.conduct(given, Streams(5, 0))
    shape = given.arm.shape
    half = Stays(np.full(shape, 2.5), np.full(shape, np.inf))
    halved = operations.conduct(replace(given, stays=half), Streams(5, 0))
    shorter = operations.conduct(
        replace(given, courses=tuple(replace(c, weeks=c.weeks / 2, sessions=4.5) for c in given.courses)),
        Streams(5, 0),
    )
    assert np.allclose(halved.start, shorter.start, rtol=0, atol=1e-9)
    assert nobody.start.mean() > 1.5 * halved.start.mean() > 0


def test_who_leaves_the_study_leaves_the_line():
    operations = sites(sites=4, clinics=[clinic(therapists=1, sessions_a_week=2)])
    given = intake(60)
    shape = given.arm.shape
    weeks = 6 * Streams(7, 0)("leaving").standard_exponential(shape)
    leaves = Stays(np.full(shape, np.inf), weeks)
    found = operations.conduct(replace(given, stays=leaves), Streams(5, 0))
    begun = np.isfinite(found.start)
    assert 0.05 < 1 - begun.mean() < 0.9
    assert (found.start[begun] <= weeks[begun] + 1e-9).all()
    assert np.isinf(found.gave_up).all()  # they have left, which is another thing
