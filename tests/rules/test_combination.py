"""Combination tests: their levels integrate to alpha, and closing them keeps the family-wise error."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import combine_pvalues, norm

from sim.core.errors import InputError
from sim.rules.combination import (
    bonferroni_intersection_p,
    closed_combination,
    conditional_error,
    fisher,
    fisher_conditional_error,
    fisher_level,
    inverse_normal,
    rejects,
)
from sim.rules.selection import best, epsilon, promising


def test_inverse_normal_is_the_weighted_stouffer_test() -> None:
    p, information = [0.04, 0.2, 0.01], np.array([0.3, 0.7, 1.0])
    weights = np.sqrt(np.diff(information, prepend=0))
    reference = combine_pvalues(p, method="stouffer", weights=weights)
    assert inverse_normal(p, information)[-1] == pytest.approx(reference.statistic)


def test_inverse_normal_of_planned_stages_is_the_z_of_all_patients() -> None:
    """With stages as planned, nothing is lost: the combined z is the pooled one."""
    score = np.cumsum(np.random.default_rng(1).normal(size=(3, 50)), axis=0)
    stage_p = ndtr(-np.diff(score, axis=0, prepend=0))
    np.testing.assert_allclose(inverse_normal(stage_p, [1, 2, 3]), score / np.sqrt([[1], [2], [3]]))


def test_fisher_is_the_product() -> None:
    p = [0.04, 0.2]
    assert fisher(p)[-1] == pytest.approx(np.exp(-combine_pvalues(p, method="fisher").statistic / 2))


@pytest.mark.parametrize(("early", "futility"), [(None, 1.0), (0.01, 1.0), (0.01, 0.5), (None, 0.5)])
def test_the_level_of_the_product_integrates_to_alpha(early: float | None, futility: float) -> None:
    level = fisher_level(0.025, early, futility)
    stop = level if early is None else early
    later = quad(lambda p: float(fisher_conditional_error(p, level)), stop, futility)[0]
    assert stop + later == pytest.approx(0.025, abs=1e-9)


def test_conditional_error_integrates_to_alpha() -> None:
    total = quad(lambda z: norm.pdf(z) * float(conditional_error(z, 0.4, 1.96)), -9, 9)[0]
    assert total == pytest.approx(float(ndtr(-1.96)), abs=1e-12)


def test_an_arm_is_rejected_when_all_its_intersections_are() -> None:
    """Two arms, two stages; the second arm is dropped at the look and can never be rejected afterwards."""
    p = np.array([[0.001, 0.001], [0.004, 0.3]])
    first = bonferroni_intersection_p(p[0])
    second = bonferroni_intersection_p(p[1], selected=np.array([True, False]))
    np.testing.assert_allclose(second, [0.004, 1.0, 0.004])
    combined = closed_combination(np.stack([first, second]), [0.5, 1.0])
    bounds = [3.5, 2.5]
    np.testing.assert_array_equal(rejects(combined, bounds), [[False, False], [True, False]])
    assert combined[1, 1] == -np.inf


def test_a_rejection_stays_though_the_arm_is_dropped() -> None:
    stage_p = np.array([[1e-6, 1e-6, 1e-6], [1.0, 0.5, 0.5]])
    rejected = rejects(closed_combination(stage_p, [0.5, 1.0]), [3.0, 2.0])
    np.testing.assert_array_equal(rejected, [[True, True], [True, True]])


EFFECT = np.array([[0.5, 1.0, np.nan], [0.9, 0.2, 0.1], [0.8, 1.0, -0.2]])


def test_which_arms_go_on() -> None:
    np.testing.assert_array_equal(best(EFFECT), [[0, 1, 0], [1, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(best(EFFECT, number=2), [[0, 1, 0], [1, 0, 1], [1, 1, 1]])
    np.testing.assert_array_equal(epsilon(EFFECT, 0.1), [[0, 1, 0], [1, 0, 1], [1, 1, 0]])
    np.testing.assert_array_equal(promising(EFFECT, 0.15), [[1, 1, 0], [1, 1, 0], [1, 1, 0]])
    going = np.array([[True] * 3, [False] * 3, [True] * 3])
    np.testing.assert_array_equal(best(EFFECT, going), [[0, 1, 0], [0, 0, 0], [1, 0, 1]])


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="increasing"):
        inverse_normal([0.1, 0.2], [1.0])
    with pytest.raises(InputError, match="levels"):
        fisher_level(0.025, early=0.1)
    with pytest.raises(InputError, match="without a limit"):
        fisher_level(0.025, early=0.0)
    with pytest.raises(InputError, match="at least 1 arm"):
        best(EFFECT, number=0)
    with pytest.raises(InputError, match="within"):
        epsilon(EFFECT, -1)
