"""Sites: recruitment against closed forms, agreement with the open door, and what is refused."""

import numpy as np
import pytest
from scipy.stats import betaprime, gamma

from sim.core.errors import InputError
from sim.core.loading import validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.base import Course, Intake, Operations
from sim.operations.conditions import ConditionLevels
from sim.operations.open_door import OpenDoor
from sim.operations.sites import Sites
from tests.montecarlo import assert_mean, assert_share

RATE, N = 0.3, 40
ONE = np.ones(BLOCK_SIZE)


def intake(n: int = N, weeks: float = 5, **conditions: float) -> Intake:
    """Two arms in turn; the second has nine sessions in so many weeks."""
    arm = np.broadcast_to((np.arange(n) % 2)[:, None], (n, BLOCK_SIZE))
    courses = (Course(None, weeks * ONE, 0 * ONE), Course(9, weeks * ONE, 0 * ONE))
    levels = ConditionLevels(**{name: value * ONE for name, value in conditions.items()})
    return Intake(arm, ("control", "therapy"), courses, RATE * ONE, ONE, levels)


def sites(**keys) -> Operations:
    return validate({"kind": "sites", **keys}, Operations, "test")


def clinic(**keys) -> dict:
    return {"arms": ["therapy"], "therapists": 2, "sessions_a_week": 20, **keys}


def over_blocks(operations: Operations, asked: Intake, blocks: int = 40) -> list:
    return [operations.conduct(asked, Streams(3, block)) for block in range(blocks)]


def test_with_endless_capacity_and_one_rate_it_is_the_open_door():
    plenty = sites(sites=7, clinics=[clinic(therapists=1000)])
    assert type(plenty) is Sites
    door = OpenDoor(sites=7).conduct(intake(300), Streams(1, 0))
    found = plenty.conduct(intake(300), Streams(1, 0))
    assert np.abs(found.enrolled - door.enrolled).max() < 1e-9
    assert found.start is not None
    assert (found.start == 0).all()
    assert np.isinf(found.gave_up).all()


def test_equal_sites_recruit_in_an_erlang_time():
    week = np.concatenate([c.enrolled[N - 1] for c in over_blocks(sites(sites=4), intake())])
    law = gamma(N, scale=1 / (4 * RATE))
    assert_mean(week, law.mean(), detects=0.03 * law.mean())
    for q in (0.1, 0.9):
        assert_share(week < law.ppf(q), q, detects=0.06)


def test_gamma_rates_recruit_in_a_beta_prime_time():
    """The total rate is gamma(sites × shape), so the time is a ratio of gammas (Anisimov & Fedorov 2007)."""
    shape, number = 1.2, 5
    found = over_blocks(sites(sites=number), intake(between_sites=shape))
    week = np.concatenate([c.enrolled[N - 1] for c in found])
    law = betaprime(N, number * shape, scale=shape / RATE)
    for q in (0.1, 0.5, 0.9):
        assert_share(week < law.ppf(q), q, detects=0.06)


def test_sites_that_never_recruit_leave_the_mean_rate():
    asked = intake(never_recruits=0.25)
    first = np.concatenate([c.enrolled[0] for c in over_blocks(sites(sites=3), asked)])
    never = 0.25**3
    assert_share(np.isinf(first), never, detects=0.02)
    recruiting = np.arange(1, 4)
    ways = np.array([3, 3, 1]) * 0.75**recruiting * 0.25 ** (3 - recruiting)
    week = 2.0
    expected = float(ways @ -np.expm1(-recruiting * RATE / 0.75 * week))
    assert_share(first < week, expected, detects=0.06)


def test_sites_open_one_after_another_and_late():
    conduct = over_blocks(sites(sites=3, open_every=10), intake(), 1)[0]
    assert (conduct.opened == np.array([[0.0], [10], [20]])).all()
    found = over_blocks(sites(sites=2), intake(activation=4.0))
    last = np.concatenate([c.opened.max(axis=0) for c in found])
    assert_mean(last, 4.0, detects=0.5)  # the gap between two exponential delays is exponential
    assert (np.concatenate([c.opened.min(axis=0) for c in found]) == 0).all()


def test_arrivals_at_late_sites_have_the_mean_of_their_cumulated_rate():
    """Expected arrivals by week 30 at sites open from weeks 0, 10 and 20: (30 + 20 + 10) × rate."""
    found = over_blocks(sites(sites=3, open_every=10), intake(60))
    by_then = np.concatenate([(c.enrolled <= 30).sum(axis=0) for c in found]).astype(float)
    assert_mean(by_then, 60 * RATE, detects=0.8)
    assert float(by_then.var(ddof=1)) == pytest.approx(60 * RATE, rel=0.15)


def test_screened_people_are_as_many_as_eligibility_and_consent_ask_for():
    asked = intake(consent=0.5)
    asked = Intake(asked.arm, asked.names, asked.courses, asked.site_rate, 0.4 * ONE, asked.conditions)
    found = over_blocks(sites(sites=4), asked)
    screened = np.concatenate([c.screened[N - 1] for c in found])
    assert_mean(screened, N / 0.2, detects=4.0)
    p = 0.2
    assert float(screened.var(ddof=1)) == pytest.approx(N * (1 - p) / p**2, rel=0.15)  # negative binomial


def test_who_present_decide_the_rate_where_they_are_known():
    found = over_blocks(sites(sites=4), intake(presenting=2.0, consent=0.25, screening=3.0))
    week = np.concatenate([c.enrolled[N - 1] for c in found])
    assert_mean(week, N / (4 * 2.0 * 0.25) + 3, detects=0.6)


def test_fewer_patients_are_the_first_of_more():
    few_therapists = sites(sites=4, clinics=[clinic(therapists=1, sessions_a_week=5)], max_weeks=300)
    asked = {"between_sites": 1.2, "activation": 3.0, "consent": 0.7, "patience": 20.0}
    more, fewer = (few_therapists.conduct(intake(n, **asked), Streams(5, 0)) for n in (60, 30))
    for name in ("enrolled", "start", "gave_up", "screened"):
        assert np.array_equal(getattr(more, name)[:30], getattr(fewer, name)), name


def test_nobody_is_randomised_after_the_latest_week():
    found = sites(sites=1, max_weeks=50).conduct(intake(), Streams(1, 0))
    assert np.isinf(found.enrolled).any()
    assert found.enrolled[np.isfinite(found.enrolled)].max() <= 50


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"clinics": [clinic(therapists=0)]}, "0 therapists can treat nobody"),
        ({"clinics": [clinic(sessions_a_week=0)]}, "nobody is treated in 0 sessions"),
        ({"clinics": [clinic(arms=["a", "b"], groups={"size": 8, "every": 4})]}, "treats one arm"),
        ({"sites": 0}, "greater than or equal to 1"),
    ],
)
def test_impossible_operations_are_refused(keys, message):
    with pytest.raises(InputError, match=message):
        sites(**keys)


def test_nobody_is_randomised_in_a_pause_and_the_others_come_as_much_later():
    pauses = [{"at": 10, "weeks": 4}, {"at": 20, "weeks": 6.5}]
    without, with_ = (
        sites(sites=3, open_every=6, pauses=chosen).conduct(intake(60), Streams(1, 0)).enrolled
        for chosen in ([], pauses)
    )
    inside = ((with_ > 10) & (with_ < 14)) | ((with_ > 20) & (with_ < 26.5))
    assert not inside.any()
    assert (with_ > 27).any()
    before = with_ < 10
    assert np.array_equal(with_[before], without[before])
    one = sites(sites=1, pauses=pauses).conduct(intake(60), Streams(1, 0)).enrolled
    plain = sites(sites=1).conduct(intake(60), Streams(1, 0)).enrolled
    later = np.where(plain < 10, 0.0, np.where(plain < 16, 4.0, 10.5))
    assert np.allclose(one, plain + later)


def test_pauses_that_overlap_are_refused():
    with pytest.raises(InputError, match="must be in order"):
        sites(pauses=[{"at": 10, "weeks": 4}, {"at": 12, "weeks": 1}])


def test_patients_are_shared_by_the_sites_that_are_open():
    found = over_blocks(sites(sites=3, open_every=10), intake(60), 10)
    week, site = (np.concatenate([getattr(c, name) for c in found], axis=1) for name in ("enrolled", "site"))
    assert (site[week < 10] == 0).all()
    two = (week >= 10) & (week < 20)
    assert set(site[two]) == {0, 1}
    assert_share(site[two] == 1, 1 / 2, detects=0.08)
    assert_share(site[week >= 20] == 2, 1 / 3, detects=0.08)


def test_a_busy_site_has_more_patients():
    """The site of a patient has the rate of a size-biased draw: with shape a that is (a + 1) / a for many."""
    shape = 1.2
    found = over_blocks(sites(sites=200), intake(between_sites=shape), 20)
    own = []
    for block, conduct in enumerate(found):
        rate = Streams(3, block)("rate of a site").standard_gamma(shape, (200, BLOCK_SIZE)) / shape
        own.append(np.take_along_axis(rate, conduct.site, axis=0).mean(axis=0))
    assert_mean(np.concatenate(own), (shape + 1) / shape * 200 / (200 + 1 / shape), detects=0.2)


def test_sites_without_a_patient_are_closed():
    """A site is closed at week 8 with the probability that it has nobody by then, exp(-8 rate)."""
    idle = 8.0
    found = over_blocks(sites(sites=5, close_idle=idle), intake(80), 10)
    closed = np.concatenate([c.closed for c in found], axis=1)
    week = np.concatenate([c.enrolled for c in found], axis=1)
    site = np.concatenate([c.site for c in found], axis=1)
    assert_share(np.isfinite(closed), np.exp(-idle * RATE), detects=0.06)
    assert set(closed[np.isfinite(closed)]) == {idle}
    for s in range(5):
        mine = np.where(site == s, week, np.inf)
        assert np.isinf(mine.min(axis=0)[np.isfinite(closed[s])]).all()
        assert (mine.min(axis=0)[np.isinf(closed[s])] <= idle).all()


def test_closing_idle_sites_moves_only_later_patients():
    asked = {"between_sites": 0.6, "activation": 5.0}
    without, with_ = (
        sites(sites=5, close_idle=chosen).conduct(intake(60, **asked), Streams(1, 0)).enrolled
        for chosen in (None, 6.0)
    )
    early = without < 6
    assert np.array_equal(without[early], with_[early])
    assert (with_ >= without - 1e-9).all()
    assert (with_ > without + 0.1).any()


def test_fewer_patients_are_the_first_of_more_with_pauses_and_closed_sites():
    asked = {"between_sites": 0.6, "activation": 5.0}
    keys = {"sites": 5, "close_idle": 10.0, "pauses": [{"at": 12, "weeks": 3}]}
    more, fewer = (sites(**keys).conduct(intake(n, **asked), Streams(5, 0)) for n in (60, 30))
    assert np.isfinite(more.closed).any()
    assert np.array_equal(more.enrolled[:30], fewer.enrolled)
    assert np.array_equal(more.site[:30], fewer.site)
