"""The check itself: uniform ranks pass, others do not, and code is told from its comments."""

import numpy as np
import pytest
from scipy.stats import chisquare

from tests.calibration.case import rank
from tests.calibration.map_prior import MapCase
from tests.calibration.model_code import bare, code_of
from tests.calibration.ranks import LEVELS, RANKS, SIMULATED, Uniformity, histogram
from tests.calibration.rates import COMPETING, events
from tests.montecarlo import assert_share

N = 200


@pytest.fixture(scope="module")
def uniformity() -> Uniformity:
    return Uniformity(N)


@pytest.fixture(scope="module")
def uniform() -> np.ndarray:
    return np.random.default_rng(5).multinomial(N, np.full(RANKS, 1 / RANKS), 20_000)


def test_chi_square_is_scipys(uniformity, uniform):
    seen = uniform[0].reshape(20, 5).sum(axis=1)
    assert uniformity.chi_square(uniform[0]) == pytest.approx(chisquare(seen).pvalue)


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
def test_uniform_ranks_are_called_unusual_as_often_as_stated(uniformity, uniform, level):
    """What is simulated inside has an error of its own, sqrt(level / 50,000): far less than is detected."""
    for p in (uniformity.ecdf(uniform), uniformity.chi_square(uniform)):
        assert_share(p <= level, level, detects=0.12 * level + 0.01)


def test_the_band_holds_as_many_curves_as_it_says(uniformity, uniform):
    low, high = uniformity.bands(0.95)
    below = uniform.cumsum(axis=1)[:, :-1]
    inside = ((below >= low) & (below <= high)).all(axis=1)
    assert_share(inside, 0.95, detects=0.02)


def test_a_band_is_the_ecdf_test(uniformity, uniform):
    """A curve leaves the 95 % band exactly where its p-value is below 5 %."""
    low, high = uniformity.bands(0.95)
    below = uniform.cumsum(axis=1)[:, :-1]
    outside = ((below < low) | (below > high)).any(axis=1)
    p = uniformity.ecdf(uniform)
    near = np.abs(p - 0.05) < 5 / SIMULATED
    assert np.array_equal(outside[~near], (p < 0.05)[~near])


def test_departures_are_found_as_often_as_they_are_large(uniformity):
    assert uniformity.power(100, 0.01) < 0.02
    assert uniformity.power(100, 0.01, shift=0.5) > 0.95
    assert uniformity.power(100, 0.01, shift=0.2) < uniformity.power(100, 0.01, shift=0.35)
    assert uniformity.power(100, 0.01, width=0.6) > 0.95


def test_the_rank_of_a_draw_among_draws_of_its_own_kind_is_uniform():
    rng = np.random.default_rng(3)
    ranks = []
    for _ in range(N * 20):
        draws = {"a": rng.standard_normal(500), "b": rng.standard_normal((500, 2))}
        ranks.append(rank({"a": np.array(rng.standard_normal()), "b": rng.standard_normal(2)}, draws))
    assert set(ranks[0]) == {"a", "b[0]", "b[1]"}
    counts = np.array([histogram([one[name] for one in ranks]) for name in ranks[0]])
    assert Uniformity(N * 20).ecdf(counts).min() > 1e-3


def test_a_rank_counts_the_draws_below():
    draws = {"x": np.arange(99.0)}
    assert rank({"x": np.array(-1.0)}, draws) == {"x": 0}
    assert rank({"x": np.array(41.5)}, draws) == {"x": 42}
    assert rank({"x": np.array(1000.0)}, draws) == {"x": LEVELS}


def test_events_of_single_patients_are_the_shares_of_the_formula():
    """Simulated times against the closed form that the likelihood uses."""
    level = np.array([-4.0, -3.5, -3.0])
    had = events(COMPETING.shape, level, 200_000, 12.0, np.random.default_rng(8))
    assert (had[:, :2].sum(axis=1) <= 1).all()
    for column, share in enumerate(COMPETING.shape.shares(level, 12.0)):
        assert_share(had[:, column], float(share), detects=0.01)


def test_a_replication_is_the_same_whenever_it_is_made():
    case = MapCase("normal", "half_normal")
    assert case.replicate(3, faulty=False) == case.replicate(3, faulty=False)
    assert case.replicate(3, faulty=False) != case.replicate(4, faulty=False)


def test_comments_docstrings_and_layout_are_not_code():
    one = 'A = 1\n"""Told."""\n\n\ndef f(x):\n    """Say."""\n    return (x +\n        1)  # why\n'
    two = '"""Module."""\nA = 1\ndef f(x):\n    return (x + 1)\n'
    assert bare(one) == bare(two)
    assert bare(one) != bare(two.replace("x + 1", "x + 2"))
    assert bare("if a:\n    b\nc\n") != bare("if a:\n    b\n    c\n")
    assert bare("a = lambda x: x + 1  # why\n") == bare("a = lambda x: x + 1\n")
    assert bare('f("text")\n') != bare('f("other")\n')


def test_a_name_that_is_not_there_is_an_error():
    assert code_of("sim.endpoints:clipped_mean").startswith("0 def clipped_mean")
    assert "Mean on the" not in code_of("sim.synthesis.observed")
    with pytest.raises(LookupError, match="no nothing"):
        code_of("sim.endpoints:nothing")
