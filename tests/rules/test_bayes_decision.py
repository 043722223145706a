"""Bayesian decisions, characteristics, predictive probabilities, thresholds: slow twins, simulation."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import beta, betabinom, binom

from sim.core.errors import InputError
from sim.mixtures import BetaMixture, GammaMixture, NormalMixture
from sim.rules.bayes_characteristics import (
    MeanArm,
    RateArm,
    critical_mean,
    critical_responders,
    mean_assurance,
    mean_power,
    rate_assurance,
    rate_power,
    rate_table,
)
from sim.rules.bayes_decision import Criteria, difference_below
from sim.rules.predictive_probability import of_mean, of_rate, of_two_rates
from sim.rules.threshold import calibrate
from tests.montecarlo import assert_mean, assert_share

ROBUST = BetaMixture.of((0.7, 12, 28), (0.3, 1, 1))
FLAT = BetaMixture.of((1, 1, 1))
BETTER = Criteria((0.0,), (0.9,), lower=False)
DUAL = Criteria((0.2, 0.35), (0.95, 0.5), lower=False)
NORMAL = NormalMixture.of((0.6, -1.0, 0.4), (0.4, 0.0, 2.0))


@pytest.mark.parametrize("threshold", [-1.2, -0.3, 0.0, 0.15, 1.0])
def test_difference_of_two_rates_against_adaptive_integration(threshold: float) -> None:
    first, second = FLAT.posterior(18, 40), ROBUST.posterior(9, 30)

    def within(y: float) -> float:
        return float(second.density(y)) * float(first.cdf(np.clip(y + threshold, 0, 1)))

    edges = sorted({0.0, min(max(-threshold, 0.0), 1.0), min(max(1 - threshold, 0.0), 1.0), 1.0})
    slow = sum(quad(within, a, b, epsabs=1e-12)[0] for a, b in pairwise(edges))
    assert float(difference_below(first, second, threshold)) == pytest.approx(slow, abs=1e-9)


def test_difference_of_rates_stays_exact_with_two_thousand_patients() -> None:
    first, second = FLAT.posterior(430, 2000), FLAT.posterior(400, 2000)
    slow = quad(lambda y: beta.pdf(y, 401, 1601) * beta.cdf(y, 431, 1571), 0.1, 0.3, epsabs=1e-12)[0]
    assert float(difference_below(first, second, 0.0)) == pytest.approx(slow, abs=1e-10)


def test_difference_of_two_means_against_draws() -> None:
    rng = np.random.default_rng(4)
    draws = NORMAL.sample(rng, 200_000) - NormalMixture.of((1, -0.5, 0.3)).sample(rng, 200_000)
    found = float(difference_below(NORMAL, NormalMixture.of((1, -0.5, 0.3)), -0.2))
    assert_share(draws <= -0.2, found, detects=0.01)


def test_a_decision_needs_all_its_criteria() -> None:
    posterior = FLAT.posterior(np.arange(41), 40)
    each = [Criteria((q,), (p,), lower=False).of_one(posterior) for q, p in [(0.2, 0.95), (0.35, 0.5)]]
    np.testing.assert_array_equal(DUAL.of_one(posterior), each[0] & each[1])
    assert each[0].argmax() < each[1].argmax()


def test_rates_low_or_high_are_mirror_images() -> None:
    high = rate_table(BETTER, RateArm(FLAT, 20), RateArm(FLAT, 15))
    low = rate_table(Criteria((0.0,), (0.9,)), RateArm(FLAT, 20), RateArm(FLAT, 15))
    np.testing.assert_array_equal(low, high[::-1, ::-1])


def test_power_of_two_rates_against_simulated_trials() -> None:
    first, second = RateArm(FLAT, 40), RateArm(ROBUST, 25)
    table = rate_table(BETTER, first, second)
    rng = np.random.default_rng(5)
    hits = table[rng.binomial(40, 0.45, 200_000), rng.binomial(25, 0.3, 200_000)]
    power = rate_power(table, (first, 0.45), (second, 0.3))
    assert_share(hits, float(power), detects=0.01)


def test_assurance_is_power_averaged_over_the_design_prior() -> None:
    first, second = RateArm(FLAT, 30), RateArm(ROBUST, 20)
    table = rate_table(BETTER, first, second)
    design = BetaMixture.of((1, 20, 25)), BetaMixture.of((1, 10, 25))
    rng = np.random.default_rng(6)
    drawn = [prior.sample(rng, 20_000) for prior in design]
    power = rate_power(table, (first, drawn[0]), (second, drawn[1]))
    assert_mean(power, rate_assurance(table, (first, design[0]), (second, design[1])), detects=0.02)


def test_critical_responders_are_where_the_table_turns() -> None:
    table = rate_table(BETTER, RateArm(FLAT, 12), RateArm(FLAT, 10))
    least = critical_responders(table)
    for other, value in enumerate(least):
        assert value == -1 or (table[value, other] and not table[value - 1, other])
    assert (np.diff(least[least >= 0]) >= 0).all()
    with pytest.raises(InputError, match="does not rise"):
        critical_responders(table[::-1])


def test_a_flat_prior_gives_the_z_test() -> None:
    """Without information the critical mean is the quantile of the estimate, and power is the formula's."""
    flat = NormalMixture.of((1, 0, 1e6))
    first, second = MeanArm(flat, 0.5), MeanArm(flat, 0.4)
    criteria = Criteria((0.0,), (0.975,))
    error = np.hypot(0.5, 0.4)
    turn = critical_mean(criteria, first, (second, np.array([-1.0, 0.0, 2.0])))
    np.testing.assert_allclose(turn, np.array([-1, 0, 2]) - 1.959963985 * error, atol=1e-6)
    power = mean_power(criteria, (first, -1.5), (second, 0.0))
    assert power == pytest.approx(float(ndtr(1.5 / error - 1.959963985)), abs=1e-9)


def test_mean_characteristics_against_simulated_trials() -> None:
    first, second = MeanArm(NormalMixture.of((1, 0, 10)), 0.3), MeanArm(NORMAL, 0.35)
    criteria = Criteria((0.0, -0.4), (0.9, 0.5))
    design = NormalMixture.of((0.5, -1.6, 0.3), (0.5, -1.0, 0.2)), NormalMixture.of((1, -0.7, 0.2))
    rng = np.random.default_rng(7)
    truth = [prior.sample(rng, 100_000) for prior in design]
    seen = [t + arm.se * rng.normal(size=t.size) for t, arm in zip(truth, (first, second), strict=True)]
    hits = criteria.of_two(first.prior.posterior(seen[0], 0.3), second.prior.posterior(seen[1], 0.35))
    assert_share(hits, mean_assurance(criteria, (first, design[0]), (second, design[1])), detects=0.015)


def test_one_mean_needs_no_second_arm() -> None:
    arm = MeanArm(NORMAL, 0.5)
    criteria = Criteria((-0.5,), (0.8,))
    turn = float(critical_mean(criteria, arm))
    assert mean_power(criteria, (arm, -1.2)) == pytest.approx(float(ndtr((turn + 1.2) / 0.5)), abs=1e-12)
    design = NormalMixture.of((1, -1.2, 1e-9))
    assert mean_assurance(criteria, (arm, design)) == pytest.approx(
        mean_power(criteria, (arm, -1.2)), abs=1e-9
    )


def test_predictive_probability_of_a_rate_by_plain_sums() -> None:
    table = rate_table(DUAL, RateArm(FLAT, 40))
    found = of_rate(table, FLAT, 25)
    for r in (0, 8, 12, 25):
        slow = sum(betabinom.pmf(k, 15, 1 + r, 26 - r) * table[r + k] for k in range(16))
        assert found[r] == pytest.approx(slow, abs=1e-12)


def test_predictive_probability_of_two_rates_by_plain_sums() -> None:
    table = rate_table(BETTER, RateArm(FLAT, 12), RateArm(ROBUST, 9))
    found = of_two_rates(table, (FLAT, ROBUST), (7, 5))
    ahead = ROBUST.posterior(2, 5).predictive(4)
    slow = sum(
        betabinom.pmf(i, 5, 1 + 4, 1 + 3) * ahead[j] * table[4 + i, 2 + j] for i in range(6) for j in range(5)
    )
    assert found.shape == (8, 6)
    assert found[4, 2] == pytest.approx(slow, abs=1e-12)


def test_predictive_probabilities_average_to_the_assurance() -> None:
    """What is expected at the look is what was expected before the trial."""
    table = rate_table(DUAL, RateArm(FLAT, 40))
    prior = BetaMixture.of((1, 6, 10))
    before = rate_assurance(table, (RateArm(FLAT, 40), prior))
    assert prior.predictive(25) @ of_rate(table, prior, 25) == pytest.approx(before, abs=1e-12)


def test_predictive_probability_of_a_mean_against_draws() -> None:
    now, end = 0.5, 0.3
    rng = np.random.default_rng(8)
    truth = NORMAL.posterior(-0.6, now).sample(rng, 200_000)
    share = (end / now) ** 2
    rest = truth + rng.normal(size=truth.size) * end / np.sqrt(1 - share)
    final = share * -0.6 + (1 - share) * rest
    found = of_mean(np.array([-0.6]), (now, end), -0.5, NORMAL, better="lower")
    assert_share(final < -0.5, float(found[0]), detects=0.01)


def test_calibrated_threshold_of_uniform_values() -> None:
    """Among 999 equally spaced values the threshold that 5 % exceed is known; nan never succeeds."""
    values = np.arange(1, 1000) / 1000
    found = calibrate(values, 0.05)
    assert found.threshold == pytest.approx(0.95)
    assert found.error <= 0.05
    ranks = binom(999, 0.05).ppf([0.025, 0.975])
    assert found.low == pytest.approx((999 - ranks[1]) / 1000)
    assert found.high == pytest.approx((999 - ranks[0] + 1) / 1000)
    assert calibrate(np.append(values, np.nan), 0.05).threshold <= found.threshold


def test_calibration_limits_hold_the_true_threshold() -> None:
    """In 4,000 calibrations from 500 null trials, 95 % limits hold 0.95 in about 95 %, never much less."""
    null = np.random.default_rng(9).random((4000, 500))
    found = [calibrate(row, 0.05) for row in null]
    held = np.array([c.low <= 0.95 <= c.high for c in found])
    ranks = binom(500, 0.05).ppf([0.025, 0.975])
    exact = binom(500, 0.05).cdf(ranks[1]) - binom(500, 0.05).cdf(ranks[0] - 1)
    assert_share(held, float(exact), detects=0.03)
    assert np.max([c.error for c in found]) <= 0.05
    safe = np.array([c.high >= 0.95 for c in found])
    assert safe.mean() > 0.96


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        calibrate(np.linspace(0, 1, 50), 0.05)
    with pytest.raises(InputError, match="as many probabilities"):
        Criteria((0.0,), (0.9, 0.5))
    with pytest.raises(InputError, match="between 0 and 1"):
        Criteria((0.0,), (1.0,))
    with pytest.raises(InputError, match="two normal or two beta"):
        difference_below(NORMAL, GammaMixture.of((1, 2, 2)), 0.0)
    with pytest.raises(InputError, match="seen"):
        of_rate(np.ones(11, bool), FLAT, 10)
    with pytest.raises(InputError, match="smaller"):
        of_mean(np.zeros(1), (0.3, 0.5), 0.0, NORMAL)
