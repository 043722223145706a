"""Rates that grow, holidays and competing trials: against closed forms, a grid and a loop."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import expon, kstest

from sim.core.errors import InputError
from sim.core.loading import validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.conditions import Conditions
from sim.operations.holidays import Away, HolidayLevels, slacks
from sim.operations.pauses import Pause, Slack, calendar, working
from sim.operations.queues import Line, serve, serve_groups
from sim.operations.rates import CompetitorLevels, GrowthLevels
from tests.montecarlo import assert_mean, assert_share
from tests.operations.test_sites import ONE, RATE, intake, over_blocks, sites


def asked(n: int = 60, **parts):
    given = intake(n)
    return replace(given, conditions=replace(given.conditions, **parts))


GROWTH = GrowthLevels(0.2 * ONE, 12 * ONE)
SUMMER = HolidayLevels(20.0, 5.0, None, 0.3 * ONE, None)
RIVAL = CompetitorLevels(14 * ONE, 10 * ONE, 0.6 * ONE, None)


def grown(weeks: float) -> float:
    """Weeks of the full rate in so many weeks since the opening: a triangle on a block, then a block."""
    ramp = min(max(weeks, 0.0), 12.0)
    return 0.2 * ramp + 0.8 * ramp**2 / 24 + max(weeks - 12.0, 0.0)


@pytest.mark.parametrize("week", [6.0, 15.0, 40.0])
def test_patients_by_a_week_are_the_area_under_growing_rates(week):
    found = over_blocks(sites(sites=3, open_every=10), asked(growth=GROWTH))
    by_then = np.concatenate([(c.enrolled <= week).sum(axis=0) for c in found]).astype(float)
    law = RATE * sum(grown(week - opened) for opened in (0, 10, 20))
    assert_mean(by_then, law, detects=max(0.15 * law, 0.2))


def test_the_law_of_growth_is_that_of_its_parts():
    """Rates from nothing to the whole in w weeks: the first patient comes after sqrt(2 w E / rate)."""
    found = over_blocks(sites(), asked(2, growth=GrowthLevels(0 * ONE, 400 * ONE)), 10)
    first = np.concatenate([c.enrolled[0] for c in found])
    assert kstest(first**2 * RATE / 800, expon.cdf).pvalue > 1e-6


def cumulated(week: np.ndarray, opened: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Patients expected in all sites together by each week, on a fine grid of the calendar."""
    grid = np.linspace(0.0, 400.0, 400_001)
    middle = (grid[:-1] + grid[1:]) / 2
    speed = np.where((middle >= 20) & (middle < 25), 0.3, np.where((middle >= 30) & (middle < 33), 0.0, 1.0))
    clock = np.append(0.0, np.cumsum(speed)) * 1e-3
    at_work = (clock[:-1] + clock[1:]) / 2
    total = np.zeros(len(middle))
    for begins, own in zip(np.interp(opened, grid, clock), rate, strict=True):
        since = at_work - begins
        total += own * speed * (since >= 0) * np.clip(0.2 + 0.8 * since / 12, 0.2, 1.0)
    total *= np.where((middle >= 14) & (middle < 24), 0.4, 1.0)
    return np.interp(week, grid, np.append(0.0, np.cumsum(total)) * 1e-3)


def test_each_patient_comes_where_the_cumulated_rate_reaches_the_sum_of_gaps():
    """All together, by a grid: growth, a holiday, a pause and another trial at three late sites."""
    parts = {"growth": GROWTH, "holidays": (SUMMER,), "competing": (RIVAL,)}
    given = asked(40, **parts, activation=4.0 * ONE, between_sites=1.2 * ONE)
    operations = sites(sites=3, open_every=8, pauses=[{"at": 30, "weeks": 3}])
    found = operations.conduct(given, Streams(3, 0))
    gaps = Streams(3, 0)("arrival").standard_exponential((40, BLOCK_SIZE))
    rate = RATE * Streams(3, 0)("rate of a site").standard_gamma(1.2, (3, BLOCK_SIZE)) / 1.2
    for replicate in range(0, BLOCK_SIZE, 16):
        one = (found.enrolled[:, replicate], found.opened[:, replicate], rate[:, replicate])
        here = one[0] < 400
        wanted = np.cumsum(gaps[:, replicate])[here]
        assert np.abs(cumulated(*one)[here] - wanted).max() < 2e-3


def test_an_expected_number_is_that_of_the_simulated_patients():
    from sim.operations.recruitment import OpenSites

    levels = asked(growth=GROWTH, competing=(RIVAL,)).conditions
    opened = OpenSites.draw(3, 10, RATE * ONE, levels, Streams(1, 0))
    closing = replace(opened, closed=np.array([[18.0], [np.inf], [26.0]]) * ONE)
    week = np.array([5.0, 16.0, 22.0, 30.0, 60.0])
    made = [closing.arrivals(Streams(1, b)("a").standard_exponential((80, BLOCK_SIZE))) for b in range(40)]
    for expected, by in zip(closing.expected(week)[:, 0], week, strict=True):
        counted = np.concatenate([(arrived <= by).sum(axis=0) for arrived in made]).astype(float)
        assert_mean(counted, expected, detects=max(0.15 * expected, 0.15))


def test_a_site_that_has_grown_has_more_of_the_patients():
    """Sites open at a fifth of their rate: after ten weeks one is at 0.4, the one before it at 0.6."""
    found = over_blocks(sites(sites=2, open_every=10), asked(60, growth=GrowthLevels(0.2 * ONE, 40 * ONE)))
    week, site = (np.concatenate([getattr(c, name) for c in found], axis=1) for name in ("enrolled", "site"))
    then = (week > 18) & (week < 22)
    assert_share(site[then] == 1, 0.4, detects=0.06)
    assert (site[week < 10] == 0).all()


def test_another_trial_at_some_sites_takes_their_patients():
    """At a quarter of the sites nobody is left from week 10 on: their patients are missing, nobody else's."""
    rival = CompetitorLevels(10 * ONE, None, ONE, 0.25 * ONE)
    found = over_blocks(sites(sites=4), asked(60, competing=(rival,)))
    by_then = np.concatenate([(c.enrolled <= 30).sum(axis=0) for c in found]).astype(float)
    assert_mean(by_then, 4 * RATE * (10 + 0.75 * 20), detects=1.0)
    none = np.concatenate([np.isinf(c.enrolled[-1]) for c in found])
    assert_share(none, 0.25**4, detects=0.03)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_clock_goes_back_and_forth(share):
    less = [Slack(10.0, 4.0, share * ONE), Slack(14.0, 1.0, 0.0), Slack(30.0, 6.5, 0.5)]
    week = np.linspace(0.07, 60.07, 301)[:, None] * np.ones(BLOCK_SIZE)
    clock = working(week, less)
    assert (np.diff(clock, axis=0) >= -1e-12).all()
    there = calendar(clock, less)
    moves = working(week + 1e-3, less) > clock + 1e-9
    assert np.allclose(there[moves], week[moves], rtol=0, atol=1e-9)


def test_a_holiday_without_recruitment_is_a_pause_and_one_with_all_is_none():
    pause = sites(sites=3, pauses=[{"at": 10, "weeks": 4}]).conduct(asked(), Streams(1, 0))
    plain = sites(sites=3).conduct(asked(), Streams(1, 0))
    for share, wanted in ((0.0, pause), (1.0, plain)):
        holiday = HolidayLevels(10.0, 4.0, None, share * ONE, None)
        found = sites(sites=3).conduct(asked(holidays=(holiday,)), Streams(1, 0))
        assert np.allclose(found.enrolled, wanted.enrolled, rtol=0, atol=1e-9)
        assert np.array_equal(found.site, wanted.site)


def test_holidays_come_again_and_a_pause_takes_their_place():
    yearly = HolidayLevels(10.0, 4.0, 52.0, 0.5 * ONE, None)
    laid = slacks([Pause(at=12, weeks=1), Pause(at=63, weeks=20)], [yearly], 130.0)
    spans = [(slack.at, slack.at + slack.weeks, float(np.mean(slack.share))) for slack in laid]
    kept = [(10, 12, 0.5), (12, 13, 0), (13, 14, 0.5), (62, 63, 0.5), (63, 83, 0), (114, 118, 0.5)]
    assert spans == kept


def plain(line: Line, places: int, absences: list[Away]) -> list[float]:
    """The queue by hand, for patients who need one place each: who begins first, when enough are free."""

    def capacity(week: float) -> float:
        return places * (1 - sum(a.share for a in absences if a.at <= week < a.at + a.weeks))

    changes = [a.at + a.weeks for a in absences]
    begin: list[float] = []
    ends: list[float] = []
    last = 0.0
    for patient, ready in enumerate(line.ready):
        first = max(ready, last)
        weeks = sorted({first, *(week for week in (*ends, *changes) if week > first)})
        fits = (w for w in weeks if sum(end > w for end in ends) + 1 <= capacity(w) + 1e-9)
        starts = next(fits, np.inf)
        if starts > line.latest(patient):
            begin.append(np.inf)
            last = max(last, min(starts, line.latest(patient)))
            continue
        begin.append(starts)
        ends.append(starts + line.weeks[patient])
        last = starts
    return begin


@pytest.mark.parametrize("share", [1 / 3, 2 / 3, 1.0])
@pytest.mark.parametrize("patience", [2.0, np.inf])
def test_a_clinic_in_its_holidays_begins_no_more_than_it_may(share, patience):
    stream = Streams(4, 0)("queue")
    ready = np.cumsum(stream.standard_exponential(150) / 2.6)
    waits = np.full(150, np.inf) if np.isinf(patience) else patience * stream.standard_exponential(150)
    line = Line(ready.tolist(), stream.standard_exponential(150).tolist(), [1.0] * 150, waits.tolist())
    absences = [Away(6.0, 2.0, share), Away(30.0, 1.0, share)]
    found = serve(line, 3, absences)
    assert np.allclose(found, plain(line, 3, absences), rtol=0, atol=1e-9)
    assert not np.allclose(found, serve(line, 3), rtol=0, atol=1e-9)


def test_groups_do_not_start_while_the_clinic_is_away():
    line = Line([0.5, 1.0, 3.0], [6.0] * 3, [1.0] * 3, [np.inf] * 3)
    away = [Away(1.5, 3.0, 0.5)]
    assert serve_groups(line, 2, 2, 2.0, away) == [2.0, 2.0, 6.0]  # one therapist is left until week 4.5


CLAIMS = {"recruitment": {"assume": 0.5, "because": "t"}}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"holidays": [{"at": 5, "weeks": 3, "every": 2, **CLAIMS}]}, "cannot come again every 2"),
        (
            {"holidays": [{"at": 5, "weeks": 3, "every": 52, **CLAIMS}, {"at": 59, "weeks": 2, **CLAIMS}]},
            "one begins in week 59, before another has ended in week 60",
        ),
        ({"growth": {"at_opening": {"assume": 2, "because": "t"}}}, "can leave the allowed range 0 to 1"),
        ({"competing": [{"opens": {"assume": 2, "because": "t"}}]}, "takes"),
    ],
)
def test_impossible_conditions_are_refused(keys, message):
    with pytest.raises(InputError, match=message):
        validate(keys, Conditions, "test")


def test_conditions_are_said_in_words():
    holiday = {"at": 5, "weeks": 3, "every": 52, **CLAIMS, "treatment": {"assume": 0.4, "because": "t"}}
    growth = {"at_opening": {"assume": 0.2, "because": "t"}, "weeks": {"assume": 12, "because": "t"}}
    said = validate({"growth": growth, "holidays": [holiday]}, Conditions, "test").words()
    assert said == (
        "Sites begin at 0.2 (assumed) of their rate and reach it in 12 (assumed) weeks; holidays of 3 weeks "
        "from week 5, again every 52 weeks with recruitment at 0.5 (assumed) of the usual, clinics at "
        "0.4 (assumed)"
    )
