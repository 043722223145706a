"""Scanners and physicians: against queueing theory and loops, before randomisation and before treatment."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic_core import PydanticCustomError

from sim import Study
from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.queues import Line
from sim.trial import simulate
from tests.montecarlo import assert_mean
from tests.operations.test_in_the_trial import CLINIC, STUDY, THERAPY
from tests.operations.test_queues import crommelin_wait, plain
from tests.operations.test_sites import ONE, clinic, intake, sites

SCANNER = {"name": "scanner", "before": "randomisation", "a_week": 2}
PHYSICIAN = {"name": "physician", "before": "treatment", "a_week": 1, "arms": ["therapy"]}


def busy(n: int = 60, rate: float = 2.2, **conditions: float):
    return replace(intake(n, **conditions), site_rate=rate * ONE)


@pytest.mark.parametrize(("a_week", "load"), [(1, 0.5), (3, 1.8)])
def test_the_wait_for_an_appointment_is_that_of_the_queue(a_week, load):
    """So many in any seven days, Poisson arrivals: M/D/c with a service of one week."""
    operations = sites(appointments=[{**SCANNER, "a_week": a_week}], max_weeks=5000)
    each = operations.conduct(busy(240, load), Streams(3, 0)).held_up[60:].mean(axis=0)
    law = crommelin_wait(a_week, load)
    assert_mean(each, law, detects=0.5 * law)


def test_endless_appointments_change_nothing():
    given, plenty = busy(), {"a_week": 10_000}
    without = sites(clinics=[clinic()]).conduct(given, Streams(1, 0))
    both = [{**SCANNER, **plenty}, {**PHYSICIAN, **plenty}]
    found = sites(clinics=[clinic()], appointments=both).conduct(given, Streams(1, 0))
    for name in ("enrolled", "start", "screened", "site"):
        assert np.array_equal(getattr(found, name), getattr(without, name)), name
    assert (found.held_up == 0).all()
    assert (found.lost == 0).all()


def test_who_gives_up_the_wait_for_the_scanner_is_screened_and_not_randomised():
    """Against a loop over the candidates: the first 40 who have not given up, and those before them."""
    asked = {"patience": 1.0, "consent": 0.5}
    found = sites(sites=3, appointments=[SCANNER]).conduct(busy(40, 1.2, **asked), Streams(3, 0))
    streams, many = Streams(3, 0), 320
    gaps = streams("arrival").standard_exponential((many, BLOCK_SIZE))
    patience = streams("patience for scanner").standard_exponential((many, BLOCK_SIZE))
    failures = streams("screen failure").poisson(gaps)
    for replicate in range(0, BLOCK_SIZE, 16):
        ready = np.cumsum(gaps[:, replicate]) / 3.6
        line = Line(ready.tolist(), [1.0] * many, [1.0] * many, patience[:, replicate].tolist())
        begin = np.array(plain(line, 2))
        kept = np.flatnonzero(np.isfinite(begin))[:40]
        assert np.isinf(begin).sum() > 40
        assert np.allclose(found.enrolled[:, replicate], begin[kept], rtol=0, atol=1e-9)
        assert np.allclose(found.held_up[:, replicate], (begin - ready)[kept], rtol=0, atol=1e-9)
        assert np.array_equal(found.lost[:, replicate], np.cumsum(np.isinf(begin))[kept])
        assert np.array_equal(found.screened[:, replicate], np.cumsum(failures[:, replicate] + 1.0)[kept])
    assert np.array_equal(found.appointments["scanner"], found.enrolled)


def test_fewer_patients_are_the_first_of_more():
    both = sites(
        sites=3, appointments=[SCANNER, PHYSICIAN], clinics=[clinic(therapists=1, sessions_a_week=5)]
    )
    asked = {"patience": 2.0, "rate": 0.9, "between_sites": 1.2}
    more, fewer = (both.conduct(busy(n, **asked), Streams(5, 0)) for n in (40, 20))
    for name in ("enrolled", "start", "gave_up", "screened", "site", "held_up", "lost"):
        assert np.array_equal(getattr(more, name)[:20], getattr(fewer, name)), name
    assert (more.lost[-1] > 0).any()


def test_a_trial_that_cannot_fill_its_places_stops_at_the_latest_week():
    found = sites(appointments=[{**SCANNER, "a_week": 1}], max_weeks=30).conduct(busy(60), Streams(1, 0))
    assert np.isinf(found.enrolled[-1]).all()
    assert (np.isfinite(found.enrolled).sum(axis=0) <= 30).all()
    assert (found.enrolled[:20] < 30).all()


def test_after_the_physician_comes_the_therapist():
    """Two queues one after the other, by hand; patience counts from the first day of waiting."""
    queues = {"appointments": [PHYSICIAN], "clinics": [clinic(therapists=1, sessions_a_week=3.6)]}
    found = sites(sites=1, **queues).conduct(busy(60, 2.6, patience=6.0), Streams(3, 0))
    patience = 6.0 * Streams(3, 0)("patience").standard_exponential((60, BLOCK_SIZE))
    for replicate in range(0, BLOCK_SIZE, 16):
        here = np.arange(1, 60, 2)
        ready, wait = found.enrolled[here, replicate], patience[here, replicate]
        first = plain(Line(ready.tolist(), [1.0] * 30, [1.0] * 30, wait.tolist()), 1)
        seen = np.isfinite(first)
        left = (ready + wait - first)[seen]
        line = Line(np.array(first)[seen].tolist(), [5.0] * len(left), [1.0] * len(left), left.tolist())
        begin = np.full(30, np.inf)
        begin[seen] = plain(line, 2)
        assert np.allclose(found.start[here, replicate], begin - ready, rtol=0, atol=1e-9)
        gave_up = np.where(np.isinf(begin), wait, np.inf)
        assert np.allclose(found.gave_up[here, replicate], gave_up, rtol=0, atol=1e-9)
        assert 0 < seen.sum() < 30
        assert 0 < np.isfinite(begin).sum() < seen.sum()
        assert np.allclose(found.appointments["physician"][here, replicate], first, rtol=0, atol=1e-9)
    assert (found.start[::2] == 0).all()


@pytest.mark.parametrize(
    ("appointments", "message"),
    [
        ([{**SCANNER, "a_week": 0}], "greater than or equal to 1"),
        ([{**SCANNER, "arms": ["therapy"]}], "are not known before randomisation"),
        ([SCANNER, SCANNER], "'scanner' is there twice"),
        ([{**PHYSICIAN, "arms": ["therapi"]}], "unknown arm 'therapi'"),
        ([PHYSICIAN, {**PHYSICIAN, "name": "nurse", "arms": []}], "has another appointment before treatment"),
    ],
)
def test_impossible_appointments_are_refused(appointments, message):
    with pytest.raises((InputError, PydanticCustomError), match=message):
        sites(appointments=appointments).check(["control", "therapy"], 12.0)


PRICES = "scenarios.expected.costs={per_appointment: {%s: {assume: 300, because: t}}}"
BOTH = (
    "appointments: [{name: scanner, before: randomisation, a_week: 200}, "
    "{name: physician, before: treatment, a_week: 10, arms: [therapy]}]"
)


def study(name: str, patience: float = 3.0) -> Study:
    tired = f"scenarios.expected.conditions={{patience: {{assume: {patience}, because: t}}}}"
    places = f"{BOTH}, clinics: [{CLINIC % 9}]"
    operations = f"protocols.two_arm.operations={{kind: sites, sites: 10, max_weeks: 900, {places}}}"
    return Study.load(STUDY, (*THERAPY, operations, tired, PRICES % name))


def test_each_appointment_that_is_kept_is_paid():
    asked = study("physician")
    protocol, scenario = asked.protocols["two_arm"], asked.scenarios["expected"]
    record = simulate(protocol, scenario, Draws(Streams(asked.seed, 0), {}))
    assert record.cost is not None
    kept = np.isfinite(record.conduct.appointments["physician"]).sum(axis=0)
    assert (kept < (record.data.arm == 1).sum(axis=0)).any()
    assert np.allclose(record.cost.total[0], 300 * kept)
    assert np.isfinite(record.conduct.gave_up).any()


def test_the_price_of_an_appointment_that_nobody_has_is_refused():
    with pytest.raises(InputError, match=r"per_appointment: no protocol has the appointment 'scaner'"):
        study("scaner")
