"""Rules with margins and targets: confidence limits say the same, and simulated error rates hold."""

import numpy as np
import pytest
from scipy.special import ndtr, stdtrit

from sim.analyses.base import Estimate
from sim.analyses.posterior import PosteriorEstimate
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.mixtures import NormalMixture
from sim.rules.base import Rule
from sim.rules.dual_criterion import DualCriterion
from sim.rules.equivalence import EquivalenceTest
from sim.rules.non_inferiority import NonInferiority
from sim.rules.posterior_probability import PosteriorProbability
from tests.montecarlo import assert_share


def estimates(mean: float, se: float, replicates: int = 4000, df: float = 60.0) -> Estimate:
    """Simulated estimates (1, 1, replicate) of a difference, the first one failed."""
    rng = np.random.default_rng(20261121)
    spread = np.sqrt(rng.chisquare(df, (1, 1, replicates)) / df) * se
    value = mean + se * rng.standard_normal((1, 1, replicates))
    value[..., 0] = np.nan
    return Estimate.by_t(value, spread, np.array(df), np.array(100.0))


def limits(found: Estimate, level: float) -> tuple[np.ndarray, np.ndarray]:
    half = stdtrit(found.df, 0.5 + level / 2) * found.se
    return found.estimate - half, found.estimate + half


def rule(**tree: object) -> Rule:
    return validate(tree, Rule, "test")


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_non_inferiority_is_a_limit_beyond_the_margin(better: str) -> None:
    found = estimates(0.2, 0.4)
    low, high = limits(found, 0.95)
    decided = rule(kind="non_inferiority", margin=1).success(found, better)
    np.testing.assert_array_equal(decided, high < 1 if better == "lower" else low > -1)
    assert 0.1 < decided.mean() < 0.99


def test_equivalence_is_an_interval_within_the_margin() -> None:
    found = estimates(0.2, 0.4)
    low, high = limits(found, 0.9)
    decided = rule(kind="equivalence", margin=1).success(found, "lower")
    np.testing.assert_array_equal(decided, (low > -1) & (high < 1))
    np.testing.assert_array_equal(decided, rule(kind="equivalence", margin=1).success(found, "higher"))
    assert 0.1 < decided.mean() < 0.9


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_dual_criterion_asks_for_both(better: str) -> None:
    sign = -1.0 if better == "lower" else 1.0
    found = estimates(sign * 0.6, 0.25)
    decided = rule(kind="dual_criterion", target=0.5).success(found, better)
    significant = rule(kind="one_sided", alpha=0.025).success(found, better)
    np.testing.assert_array_equal(decided, significant & (sign * found.estimate >= 0.5))
    assert decided.sum() < significant.sum()


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_posterior_probabilities_under_a_flat_prior(better: str) -> None:
    found = estimates(-0.3 if better == "lower" else 0.3, 0.3)
    decided = PosteriorProbability(benefits=[{"beyond": 0, "probability": 0.9}]).success(found, better)
    np.testing.assert_array_equal(decided, found.one_sided_p(better) < 0.1)
    both = PosteriorProbability(
        benefits=[{"beyond": 0, "probability": 0.9}, {"beyond": 0.4, "probability": 0.5}]
    ).success(found, better)
    benefit = -found.estimate if better == "lower" else found.estimate
    np.testing.assert_array_equal(both, decided & (benefit > 0.4))


def test_a_posterior_brings_its_own_probability() -> None:
    """An informative prior decides otherwise than the estimate alone would."""
    prior = NormalMixture.of((0.7, 0.0, 0.2), (0.3, -1.0, 1.0))
    seen = np.linspace(-2, 1, 61).reshape(1, 1, -1)
    found = PosteriorEstimate.of(prior.posterior(seen, 0.4), np.array(50.0))
    asked = PosteriorProbability(benefits=[{"beyond": 0.3, "probability": 0.8}])
    np.testing.assert_array_equal(asked.success(found, "lower"), found.posterior.cdf(-0.3) > 0.8)
    flat = Estimate.by_t(seen, np.full(seen.shape, 0.4), np.array(np.inf), np.array(50.0))
    assert (asked.success(flat, "lower") != asked.success(found, "lower")).any()


def test_error_rates_at_the_edge_of_the_null() -> None:
    """At a loss of exactly the margin, non-inferiority errs in alpha, equivalence in alpha."""
    found = estimates(1.0, 0.2, 200_000)
    assert_share(NonInferiority(margin=1, alpha=0.025).success(found, "lower"), 0.025, detects=0.004)
    assert_share(EquivalenceTest(margin=1, alpha=0.05).success(found, "lower"), 0.05, detects=0.005)
    better = estimates(0.5, 0.2, 200_000, df=1e6)
    power = float(ndtr(0.5 / 0.2 - 1.959963985))
    assert_share(NonInferiority(margin=1).success(better, "lower"), power, detects=0.01)


RULES = [
    (NonInferiority(margin=1), "non-inferiority by a margin of 1 at one-sided 0.025"),
    (EquivalenceTest(margin=0.5), "equivalence within ± 0.5 by two one-sided tests at 0.05"),
    (DualCriterion(target=1), "superiority at one-sided 0.025 with an estimated benefit of at least 1"),
    (
        PosteriorProbability(benefits=[{"probability": 0.9}, {"beyond": 1, "probability": 0.5}]),
        "posterior probability of a benefit beyond 0 with more than 0.9 "
        "and of a benefit beyond 1 with more than 0.5",
    ),
]


@pytest.mark.parametrize(("part", "words"), RULES, ids=lambda given: getattr(given, "kind", ""))
def test_a_rule_says_itself_and_survives_the_round_trip(part: Rule, words: str) -> None:
    assert part.words() == words
    assert validate(dump(part), Rule, "test") == part
    failed = Estimate.by_t(*(np.full((1, 1, 1), np.nan) for _ in range(2)), np.array(9.0), np.array(0.0))
    assert not part.success(failed, "lower").any()


@pytest.mark.parametrize(
    "tree", [{"kind": "non_inferiority", "margin": 0}, {"kind": "posterior_probability", "benefits": []}]
)
def test_what_is_refused(tree: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"margin|benefits"):
        rule(**tree)
