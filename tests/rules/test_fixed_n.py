"""Sample sizes by formula: what must hold without any other software."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import fisher_exact

from sim.core.errors import InputError, RunError
from sim.rules.fixed_n import (
    Errors,
    Size,
    Visits,
    ancova,
    equivalent_means,
    fisher_power,
    longitudinal,
    means,
    means_by_normal,
    one_rate,
    power_means,
    rates,
)


@pytest.mark.parametrize(
    "errors", [Errors(), Errors(0.05, 0.2, 2), Errors(0.025, 0.1, 1, 3.0), Errors(0.1, 0.3)]
)
@pytest.mark.parametrize("effect", [0.05, 0.5, 1.5])
def test_the_size_has_the_power(errors: Errors, effect: float) -> None:
    size = means(errors, effect, 1.0)
    assert power_means(errors, effect, 1.0, size) == pytest.approx(1 - errors.beta, rel=1e-8)
    assert size.arm_1 == pytest.approx(errors.ratio * size.arm_2)


def test_no_arm_is_empty() -> None:
    size = means(Errors(0.3, 0.5, 1, 0.5), 9.0, 1.0)
    assert 1 < size.arm_1 < 1.1
    assert power_means(Errors(0.3, 0.5), 9.0, 1.0, size) > 0.5


def test_the_t_test_asks_for_about_a_quarter_of_a_squared_z_more() -> None:
    """Guenther's correction: z_α²/4 patients in each arm, nearly exact for many patients."""
    errors = Errors()
    more = means(errors, 0.2, 1.0).arm_1 - means_by_normal(errors, 0.2, 1.0).arm_1
    assert more == pytest.approx(errors.z_alpha**2 / 4, rel=0.01)


def test_power_is_what_t_tests_reach() -> None:
    """100,000 simulated t tests of 12 and 8 patients: a power off by 0.007 (5 Monte Carlo errors) fails."""
    rng, runs, errors = np.random.default_rng(20261121), 100_000, Errors(ratio=1.5)
    one, two = rng.standard_normal((12, runs)) + 1.2, rng.standard_normal((8, runs))
    pooled = np.sqrt((one.var(0, ddof=1) * 11 + two.var(0, ddof=1) * 7) / 18)
    t = (one.mean(0) - two.mean(0)) / (pooled * np.sqrt(1 / 12 + 1 / 8))
    power = power_means(errors, 1.2, 1.0, Size(12, 8))
    rejected = (t > 2.10092204).mean()  # 0.975 quantile of t with 18 degrees of freedom, from printed tables
    assert abs(rejected - power) < 5 * np.sqrt(power * (1 - power) / runs)


def test_ancova_takes_the_explained_variance_off() -> None:
    assert ancova(Errors(), 1.0, 2.2, 0.0) == means(Errors(), 1.0, 2.2)
    assert ancova(Errors(), 1.0, 2.2, 0.6).total == pytest.approx(means(Errors(), 1.0, 2.2 * 0.8).total)


def test_equivalence_without_a_difference_has_a_closed_form() -> None:
    errors = Errors(0.05, 0.2, 1, 2.0)
    closed = (-ndtri(0.05) - ndtri(0.1)) ** 2 * 2.2**2 * (1 + 1 / 2)
    assert equivalent_means(errors, 0.0, 2.2, 1.0).arm_2 == pytest.approx(closed, rel=1e-8)


def test_unpooled_rates_have_the_power() -> None:
    errors = Errors(0.025, 0.1, 1, 2.0)
    size = rates(errors, 0.5, 0.3, pooled=False)
    error = np.sqrt(0.25 / size.arm_1 + 0.21 / size.arm_2)
    assert ndtr(0.2 / error - errors.z_alpha) == pytest.approx(0.9, rel=1e-9)


def test_fisher_power_is_that_of_the_library_test_over_every_table() -> None:
    (n_1, n_2), rates_of, power = (9, 7), (0.7, 0.25), 0.0
    binomial = [[np.exp(0)]]
    for n, rate in zip((n_1, n_2), rates_of, strict=True):
        row = np.ones(1)
        for _ in range(n):
            row = np.convolve(row, [1 - rate, rate])
        binomial.append(row)
    for a, p_a in enumerate(binomial[1]):
        for b, p_b in enumerate(binomial[2]):
            if fisher_exact([[a, n_1 - a], [b, n_2 - b]]).pvalue <= 0.05:
                power += float(p_a * p_b)
    assert fisher_power(0.05, rates_of, (n_1, n_2)) == pytest.approx(power, rel=1e-10)


def test_earlier_visits_help_only_those_who_leave() -> None:
    correlation = 0.7 ** np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    assert Visits(correlation, np.ones(3)).variance() == pytest.approx(1, rel=1e-12)
    uncorrelated = Visits(np.eye(3), np.array([1.0, 0.9, 0.8]))
    assert uncorrelated.variance() == pytest.approx(1 / 0.8, rel=1e-12)
    assert 1 < Visits(correlation, np.array([1.0, 0.9, 0.8])).variance() < 1 / 0.8
    everyone = longitudinal(Errors(), 1.0, 2.2, Visits(correlation, np.ones(3)))
    assert everyone.total == pytest.approx(means_by_normal(Errors(), 1.0, 2.2).total)


def test_whole_patients_are_rounded_up() -> None:
    assert Size(10.0, 20.01).whole() == (10, 21)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (lambda: Errors(alpha=1.4), "alpha: must lie between 0 and 1"),
        (lambda: Errors(sided=3), "sided be 1 or 2"),
        (lambda: Errors(beta=0.98), "beta: must lie between 0 and 1 - alpha"),
        (lambda: Errors(ratio=0), "ratio: must be above 0"),
        (lambda: means(Errors(), -0.5, 1.0), "effect: must be above the margin"),
        (lambda: ancova(Errors(), 1.0, 1.0, 1.0), "correlation: must lie between -1 and 1"),
        (lambda: equivalent_means(Errors(), 1.0, 1.0, 1.0), "margin: must be above the effect"),
        (lambda: rates(Errors(), 0.3, 0.3), "rates: must lie between 0 and 1 and differ"),
        (lambda: one_rate(Errors(), 1.2, 0.3), "rates: must lie between 0 and 1 and differ"),
    ],
)
def test_wrong_input_is_refused(wrong: object, line: str) -> None:
    with pytest.raises(InputError, match=line):
        wrong()  # type: ignore[operator]


def test_an_effect_too_small_is_a_failed_run() -> None:
    with pytest.raises(RunError, match="no sample size"):
        means(Errors(), 1e-9, 1.0)
