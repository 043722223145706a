"""Dunnett's distribution against scipy's multivariate normal and t, and the tests built on it."""

import numpy as np
import pytest
from scipy.special import ndtr, stdtr
from scipy.stats import multivariate_normal, multivariate_t

from sim.core.errors import InputError
from sim.rules.dunnett import all_below, critical_value, intersection_p, loadings, single_step_p, step_down_p
from tests.montecarlo import assert_share

UNEQUAL = loadings([30, 60, 90], 45)


def correlation(loading: np.ndarray) -> np.ndarray:
    return np.outer(loading, loading) + np.diag(1 - loading**2)


@pytest.mark.parametrize("bound", [-0.5, 1.0, 2.2])
def test_three_unequal_arms_against_scipy(bound: float) -> None:
    reference = multivariate_normal(cov=correlation(UNEQUAL)).cdf([bound] * 3)
    assert float(all_below(bound, UNEQUAL)) == pytest.approx(reference, abs=1e-5)


@pytest.mark.parametrize("df", [5, 40])
def test_the_t_distribution_against_scipy(df: int) -> None:
    generator = np.random.default_rng(1)
    reference = multivariate_t(shape=correlation(UNEQUAL), df=df, seed=generator).cdf(
        [2.0] * 3, maxpts=200_000
    )
    assert float(all_below(2.0, UNEQUAL, df)) == pytest.approx(reference, abs=2e-5)


def test_one_arm_is_the_plain_test() -> None:
    z = np.array([[-1.0, 0.3, 2.5]])
    np.testing.assert_allclose(single_step_p(z, loadings([50], 20))[0], ndtr(-z[0]), atol=1e-14)
    np.testing.assert_allclose(single_step_p(z, loadings([50], 20), 7.0)[0], stdtr(7, -z[0]), atol=1e-12)


def test_arms_that_do_not_count_are_as_if_they_were_not_there() -> None:
    member = np.array([[True, True, False], [False, True, False], [True, False, False]])
    bound = np.array([1.1, 1.1, 1.1])
    found = all_below(bound, UNEQUAL, member=member)
    assert found[0] == pytest.approx(float(all_below(1.1, UNEQUAL[[0, 2]])))
    assert found[1] == pytest.approx(float(all_below(1.1, UNEQUAL[:2])))
    assert found[2] == pytest.approx(1, abs=1e-14)


def test_the_critical_value_is_the_root() -> None:
    bound = critical_value(0.025, UNEQUAL, 55.0)
    assert 1 - float(all_below(bound, UNEQUAL, 55.0)) == pytest.approx(0.025, abs=1e-12)


def test_stepping_down_gives_away_nothing() -> None:
    """The largest statistic keeps its p-value, the smallest is tested alone, and no p-value grows."""
    z = np.random.default_rng(2).normal(1.0, 1.0, (3, 200))
    loading = loadings([40] * 3, 40)
    single, down = single_step_p(z, loading), step_down_p(z, loading)
    assert (down <= single + 1e-12).all()
    top = z.argmax(axis=0)
    np.testing.assert_allclose(
        np.take_along_axis(down, top[None], 0), np.take_along_axis(single, top[None], 0)
    )
    ranked = np.sort(z, axis=0)[::-1]
    step = np.stack([1 - all_below(ranked[k], loading[k:]) for k in range(3)])
    np.testing.assert_allclose(-np.sort(-down, axis=0)[::-1], np.maximum.accumulate(step, axis=0), atol=1e-12)


def test_the_family_wise_error_is_alpha() -> None:
    """Under no effects some step-down p-value is at most 0.025 in a share 0.025 of trials."""
    rng = np.random.default_rng(3)
    n, n0 = np.array([30, 60, 90]), 45
    mean = rng.normal(size=(3, 400_000)) / np.sqrt(n)[:, None]
    control = rng.normal(size=400_000) / np.sqrt(n0)
    z = (mean - control) / np.sqrt(1 / n + 1 / n0)[:, None]
    assert_share(z.max(axis=0) >= critical_value(0.025, UNEQUAL), 0.025, detects=0.003)
    assert (step_down_p(z[:, :2000], UNEQUAL) <= 0.025).any(axis=0).mean() == pytest.approx(
        (z[:, :2000].max(axis=0) >= critical_value(0.025, UNEQUAL)).mean(), abs=1e-12
    )


def test_an_intersection_of_no_tested_arm_has_p_1() -> None:
    z, selected = np.array([[3.0], [2.0]]), np.array([[False], [True]])
    p = intersection_p(z, loadings([10, 10], 10), selected=selected)
    np.testing.assert_allclose(p[:, 0], [1.0, ndtr(-2.0), ndtr(-2.0)], atol=1e-12)
    missing = intersection_p(np.array([[np.nan], [2.0]]), loadings([10, 10], 10))
    np.testing.assert_array_equal(missing, p)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="above 0"):
        loadings([10, 0], 10)
    with pytest.raises(InputError, match="between 0 and 1"):
        critical_value(1.2, UNEQUAL)
