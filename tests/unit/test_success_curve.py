"""Where a success curve reaches a goal, against curves that are known."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import beta

from sim.success_curve import SURE, certainty, crossing, first_sure, locate
from tests.montecarlo import assert_share

DRIFT, GOAL = 0.15, 0.8
SIZES = np.array([round(root**2) for root in np.linspace(12, 28, 20)])
EXACT = ((ndtri(0.975) + ndtri(GOAL)) / DRIFT) ** 2
"""Size at which a z test at one-sided 0.025 with this drift a root of n has the power."""


def trials(rng: np.random.Generator, sizes: np.ndarray, replicates: int) -> np.ndarray:
    """Whether the z test succeeds, (size, replicate): smaller sizes are cuts of the same patients."""
    steps = np.diff(sizes, prepend=0)
    score = (rng.standard_normal((len(sizes), replicates)) * np.sqrt(steps)[:, None]).cumsum(axis=0)
    return score / np.sqrt(sizes)[:, None] + DRIFT * np.sqrt(sizes)[:, None] > ndtri(0.975)


def test_the_crossing_of_the_exact_curve_is_the_closed_form():
    power = ndtr(DRIFT * np.sqrt(SIZES) - ndtri(0.975))
    assert crossing(power, SIZES, GOAL) == pytest.approx(EXACT, rel=0.002)
    assert crossing(power, SIZES, 0.9999) == np.inf
    assert crossing(power, SIZES, 0.1) == SIZES[0]


def test_certainty_is_the_posterior_probability():
    assert certainty(1060, 1280, GOAL) == pytest.approx(beta.sf(GOAL, 1060.5, 220.5), abs=1e-12)
    assert certainty(10, 10, 0.5) > 0.99


def test_a_sure_size_has_the_power_as_often_as_it_says_and_its_interval_holds_the_truth():
    rng = np.random.default_rng(20261121)
    found = [locate(trials(rng, SIZES, 500), SIZES, GOAL, seed) for seed in range(500)]
    assert_share(np.array([f.sure >= EXACT for f in found]), SURE, detects=0.08)
    assert_share(np.array([f.low <= EXACT <= f.high for f in found]), 0.95, detects=0.08)
    assert np.median([f.at for f in found]) == pytest.approx(EXACT, rel=0.01)


def test_the_first_size_that_its_own_trials_make_sure():
    rng = np.random.default_rng(1)
    for _ in range(20):
        decisions = trials(rng, SIZES, 500)
        place = first_sure(decisions, GOAL)
        sure = [certainty(int(d.sum()), 500, GOAL) >= SURE for d in decisions]
        assert sure[place]
        assert not any(sure[:place])
    assert first_sure(np.zeros((3, 100), dtype=bool), GOAL) is None


def test_a_goal_out_of_reach_has_no_size():
    found = locate(np.zeros((len(SIZES), 200), dtype=bool), SIZES, GOAL, 1)
    assert (found.at, found.sure) == (np.inf, np.inf)
