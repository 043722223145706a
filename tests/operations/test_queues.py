"""Queues for therapists against queueing theory, and against a plain loop."""

import numpy as np
import pytest
from scipy.special import gammaln

from sim.core.streams import Streams
from sim.operations.queues import Line, serve, serve_groups
from tests.montecarlo import assert_mean

PATIENTS, WARM = 2000, 400
RUNS = 48


def waits(places: int, rate: float, constant: bool) -> np.ndarray:
    """Mean wait in each of independent long runs, patients needing one place for a mean of one week."""
    gaps = Streams(1, 0)("gaps").standard_exponential((RUNS, PATIENTS)) / rate
    weeks = np.ones((RUNS, PATIENTS))
    if not constant:
        weeks = Streams(1, 0)("weeks").standard_exponential((RUNS, PATIENTS))
    means = []
    for run in range(RUNS):
        ready = np.cumsum(gaps[run])
        line = Line(ready.tolist(), weeks[run].tolist(), [1.0] * PATIENTS, [np.inf] * PATIENTS)
        means.append(float((np.array(serve(line, places)) - ready)[WARM:].mean()))
    return np.array(means)


def erlang_c_wait(places: int, load: float) -> float:
    """Mean wait of M/M/c with service of mean 1 (Gross & Harris 1998, section 2.3)."""
    terms = np.exp(np.arange(places) * np.log(load) - gammaln(np.arange(places) + 1.0))
    last = np.exp(places * np.log(load) - gammaln(places + 1.0)) / (1 - load / places)
    return float(last / (terms.sum() + last) / (places - load))


def crommelin_wait(places: int, load: float, most: int = 400) -> float:
    """Mean wait of M/D/c with service of 1: its number in the system a service later is a Markov chain.

    N(t + 1) = max(N(t) − c, 0) + Poisson(load) (Crommelin 1932); Little's law gives the wait.
    """
    k = np.arange(most)
    arrivals = np.exp(k * np.log(load) - load - gammaln(k + 1.0))
    chain = np.zeros((most, most))
    for now in range(most):
        left = max(now - places, 0)
        chain[now, left:] = arrivals[: most - left]
        chain[now, -1] += 1 - chain[now].sum()
    system = np.vstack([chain.T - np.eye(most), np.ones(most)])
    share = np.linalg.lstsq(system, np.append(np.zeros(most), 1.0), rcond=None)[0]
    return float(share @ np.maximum(k - places, 0) / load)


def test_the_closed_form_of_one_server_is_pollaczek_and_khinchine():
    assert crommelin_wait(1, 0.6) == pytest.approx(0.6 / (2 * 0.4), abs=1e-8)
    assert erlang_c_wait(1, 0.6) == pytest.approx(0.6 / 0.4)


@pytest.mark.parametrize(("places", "load"), [(1, 0.5), (3, 1.8)])
@pytest.mark.parametrize("constant", [False, True])
def test_waiting_is_that_of_the_queue(places, load, constant):
    law = crommelin_wait if constant else erlang_c_wait
    found = waits(places, load, constant)
    assert_mean(found, law(places, load), detects=0.4 * law(places, load))


def plain(line: Line, places: int) -> list[float]:
    """The same queue by hand: each place has a week from which it is free; who waits too long goes."""
    free, begin = [0.0] * places, []
    for ready, weeks, patience in zip(line.ready, line.weeks, line.patience, strict=True):
        place = int(np.argmin(free))
        starts = max(ready, free[place])
        if starts > ready + patience:
            begin.append(np.inf)
            continue
        begin.append(starts)
        free[place] = starts + weeks
    return begin


@pytest.mark.parametrize("mean_patience", [0.5, 4.0])
def test_patients_who_give_up_leave_the_others_as_a_plain_loop_has_them(mean_patience):
    stream = Streams(2, 0)("queue")
    ready = np.cumsum(stream.standard_exponential(400) / 3.5)
    weeks, patience = stream.standard_exponential(400), mean_patience * stream.standard_exponential(400)
    line = Line(ready.tolist(), weeks.tolist(), [1.0] * 400, patience.tolist())
    found, wanted = serve(line, 3), plain(line, 3)
    assert np.isinf(wanted).sum() > 10
    assert np.allclose(found, wanted, rtol=0, atol=1e-9)


def test_a_short_course_does_not_overtake_a_long_one_but_follows_who_gave_up():
    line = Line([0.0, 1.0, 2.0], [10.0, 1.0, 1.0], [2.0, 3.0, 1.0], [np.inf, 4.0, np.inf])
    assert serve(line, 3) == [0.0, np.inf, 5.0]


def test_sessions_that_fill_the_week_exactly_fit():
    line = Line([0.0] * 3, [9.0] * 3, [1 / 3] * 3, [np.inf] * 3)
    assert serve(line, 1) == [0.0] * 3


def test_groups_start_on_their_dates_with_whoever_waits():
    ready = [0.5, 1.0, 1.5, 3.0, 4.5, 4.6]
    line = Line(ready, [6.0] * 6, [1.0] * 6, [np.inf] * 5 + [1.0])
    # weeks 2 (the first two), then the second therapist takes the third at once; at 4 all are busy until 8
    assert serve_groups(line, 2, size=2, every=2.0) == [2.0, 2.0, 2.0, 8.0, 8.0, np.inf]
