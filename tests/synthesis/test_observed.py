"""What a trial reports of a latent rating: closed forms against twins, PyTensor, and the simulator itself."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import integrate, stats

from sim.claims import Draws
from sim.core.loading import load
from sim.core.streams import BLOCK_SIZE, Streams
from sim.endpoints import (
    PairedRatings,
    Responder,
    Scale,
    State,
    clipped_mean,
    clipped_sd,
    clipped_variance,
    rounding_variance,
    state_share,
)
from sim.lives import Possible, create, experience
from sim.population import Eligibility, EntryRule, PainLevels, Population
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.synthesis.observed import normal_cdf, normal_pdf, observed_log_sd, observed_mean
from sim.synthesis.scales import BOUNDS
from tests.montecarlo import assert_mc, assert_mean, assert_share

CONFIGS = Path(__file__).parents[2] / "configs"
means, sds = some.floats(-3, 13), some.floats(0.3, 5)
starts, spreads = some.floats(3, 8), some.floats(0.8, 2.5)
reductions = some.sampled_from([0.3, 0.5])
correlations = some.floats(0.1, 0.9)


def exact_moments(mean: float, sd: float) -> tuple[float, float]:
    """Mean and SD of the whole-number score, from the probability of each."""
    score = np.arange(11)
    share = np.diff(stats.norm.cdf([-np.inf, *(score[:-1] + 0.5), np.inf], mean, sd))
    middle = float(share @ score)
    return middle, float(np.sqrt(share @ (score - middle) ** 2))


@pytest.mark.parametrize("sd", [1.0, 1.3, 1.7, 2.5, 3.0])
@pytest.mark.parametrize("mean", [-1.0, 0.0, 0.7, 1.2, 2.0, 4.0, 7.0, 9.5])
def test_the_closed_forms_miss_rounding_by_little(mean: float, sd: float) -> None:
    """What the synthesis gives away by integrating, not summing; rounding moves an SD by up to 0.05."""
    middle, spread = exact_moments(mean, sd)
    found = clipped_variance(mean, sd, BOUNDS) + rounding_variance(mean, sd, BOUNDS, 1.0)
    assert clipped_mean(mean, sd, BOUNDS) == pytest.approx(middle, abs=0.018)
    assert np.sqrt(found) == pytest.approx(spread, abs=0.015)


def plain_share(paired: PairedRatings, reduction: float) -> float:
    """Twin: score by score, adaptive quadrature of the bivariate normal written out."""
    (start, spread), (mean, sd) = paired.baseline, paired.visit
    total = 0.0
    for score in range(1, 11):
        reach = max(k for k in range(11) if k <= (1 - reduction) * score + 1e-9) + 0.5

        def joint(x: float, reach: float = reach) -> float:
            middle = mean + paired.correlation * sd / spread * (x - start)
            left = stats.norm.cdf(reach, middle, sd * np.sqrt(1 - paired.correlation**2))
            return float(stats.norm.pdf(x, start, spread) * left)

        total += integrate.quad(joint, score - 0.5, score + 0.5 if score < 10 else 40.0, points=[9.6, 14])[0]
    return total


@settings(max_examples=40, deadline=None)
@given(starts, spreads, some.floats(0, 7), some.floats(1, 3), correlations, reductions)
def test_responders_are_the_sum_over_scores(
    start: float, spread: float, mean: float, sd: float, correlation: float, reduction: float
) -> None:
    paired = PairedRatings((start, spread), (mean, sd), correlation)
    assert paired.responders(reduction) == pytest.approx(plain_share(paired, reduction), abs=5e-5)


def test_broadcasting_is_one_by_one() -> None:
    mean, sd = np.array([2.0, 4.0, 6.0]), np.array([1.5, 2.0, 2.2])
    together = PairedRatings((5.5, 1.4), (mean, sd), 0.5 * 1.4 / sd).responders(0.3)
    alone = [
        PairedRatings((5.5, 1.4), (m, s), 0.5 * 1.4 / s).responders(0.3)
        for m, s in zip(mean, sd, strict=True)
    ]
    assert together == pytest.approx(alone, abs=1e-14)


@cache
def twin(name: str) -> Any:
    """A closed form compiled in PyTensor."""
    start, spread, mean, sd, r = inputs = pt.dvectors("start", "spread", "mean", "sd", "r")
    paired = PairedRatings((start, spread), (mean, sd), r)
    formulas = {
        "mean": observed_mean(mean, sd),
        "log_sd": observed_log_sd(mean, sd),
        "30": paired.responders(0.3, cdf=normal_cdf, pdf=normal_pdf),
        "50": paired.responders(0.5, cdf=normal_cdf, pdf=normal_pdf),
        "free": state_share(mean, sd, 1.0, cdf=normal_cdf),
    }
    return pytensor.function(inputs, formulas[name], mode="FAST_COMPILE", on_unused_input="ignore")


@settings(max_examples=60, deadline=None)
@given(starts, spreads, means, sds, correlations)
def test_numpy_and_pytensor_see_the_same(
    start: float, spread: float, mean: float, sd: float, r: float
) -> None:
    values = [np.array([v]) for v in (start, spread, mean, sd, r)]
    paired = PairedRatings((start, spread), (mean, sd), r)
    expected = {
        "mean": clipped_mean(mean, sd, BOUNDS),
        "30": paired.responders(0.3),
        "50": paired.responders(0.5),
        "free": state_share(mean, sd, 1.0),
    }
    for name, value in expected.items():
        assert float(twin(name)(*values)[0]) == pytest.approx(float(value), abs=1e-10), name
    variance = clipped_variance(mean, sd, BOUNDS) + rounding_variance(mean, sd, BOUNDS, 1.0)
    assert np.exp(2 * float(twin("log_sd")(*values)[0])) == pytest.approx(
        max(float(variance), 1e-9), abs=1e-10
    )


def test_responders_under_an_entry_rule_are_those_of_the_population() -> None:
    """The admitted rating's truncated normal, against the simulator's enrolment."""
    levels = PainLevels(*(np.full(BLOCK_SIZE, v) for v in (4.8, 1.7, 0.9)))
    rule = EntryRule(at_least=4)
    population = load(CONFIGS / "populations" / "chronic_drug_trial.yaml", Population)
    streams = Streams(3, 0)
    cohort = population.enrol(800, Eligibility(pain=rule), levels, streams)
    later = streams("later").normal(-1.4, np.hypot(2.1, 0.9), cohort.true.shape)
    score, baseline = Scale().score(cohort.true + later), Scale().score(cohort.rating.copy())
    spread, sd = np.hypot(1.7, 0.9), np.sqrt(1.7**2 + 2.1**2 + 0.9**2)
    paired = PairedRatings((4.8, spread), (3.4, sd), 1.7**2 / (spread * sd))
    for reduction in (0.3, 0.5):
        hits = Responder(reduction=reduction).value(baseline, score)
        assert_share(hits.ravel(), paired.responders(reduction, rule.limits(1.0)), detects=0.02)
        everybody = paired.responders(reduction)
        assert abs(hits.mean() - everybody) > 0.01, "the rule moves nothing: the test shows nothing"


EFFECTS = {"pain_reprocessing": -1.9, "open_label_placebo": -0.1, "usual_care": 0.5}


@dataclass(frozen=True)
class Fitted:
    """Values as a fit of the synthesis gives them for one trial, and a visit: the end of treatment."""

    baseline: float = 4.1
    sd: float = 1.24
    growth: float = 0.14
    reliability: float = 0.8
    response: float = 1.1
    half: float = 2.4
    week: float = 5.0

    def paired(self, effect: float) -> PairedRatings:
        """The synthesis' ratings: the formulas of its document, written out."""
        sd = self.sd * (1 + self.week) ** self.growth
        mean = self.baseline - self.response * (1 - 2 ** (-self.week / self.half)) + effect
        return PairedRatings((self.baseline, self.sd), (mean, sd), self.reliability * self.sd / sd)

    def patch(self) -> list[str]:
        """The same as settings of a scenario: what is not true is rating error, what grows is departure."""
        departed = self.sd**2 * ((1 + self.week) ** (2 * self.growth) - 1)
        told = {
            "population.pain.mean": self.baseline,
            "population.pain.sd": self.sd * np.sqrt(self.reliability),
            "population.pain.rating_error": self.sd * np.sqrt(1 - self.reliability),
            "population.variation.sd": np.sqrt(departed * np.log1p(12 / 1.5) / np.log1p(self.week / 1.5)),
            "population.variation.growth_weeks": 1.5,
            "course.response": self.response,
            "course.half_weeks": self.half,
        }
        for treatment, effect in EFFECTS.items():
            place = f"treatments.{treatment}"
            told |= {
                f"{place}.weeks": self.week,
                f"{place}.effect.plateau": effect,
                f"{place}.effect.half_weeks": 3,
                f"{place}.effect.persistence_half_weeks": 50,
            }
        return [f"{key}={{assume: {value}, because: test}}" for key, value in told.items()]


def test_patients_drawn_at_fitted_values_give_back_what_the_fit_says() -> None:
    """Means, SDs and responders of the simulator's patients (population, trajectories, scale, endpoints)."""
    fitted, streams = Fitted(), Streams(11, 0)
    protocol = load(CONFIGS / "protocols" / "prt_three_arm.yaml", Protocol)
    scenario = load(CONFIGS / "scenarios" / "prt_trial.yaml", Scenario, fitted.patch()).only(protocol)
    world = create(protocol, scenario, scenario.realise(protocol, Draws(streams, {})), 600, streams)
    visit = list(protocol.weeks).index(fitted.week)
    for arm, (treatment, effect) in enumerate(EFFECTS.items()):
        assert protocol.arms[arm].treatment == treatment
        everyone = np.full(world.baseline.shape, arm)
        life = experience(protocol, world, everyone, streams, Possible(stopping=False, rescue=False))
        score = life.score[:, :, visit]
        paired = fitted.paired(effect)
        mean, sd = paired.visit
        assert_mean(score.ravel(), clipped_mean(mean, sd, BOUNDS), detects=0.1)
        shown = np.sqrt(clipped_sd(mean, sd, BOUNDS) ** 2 + rounding_variance(mean, sd, BOUNDS, 1.0))
        assert_mc(float(score.std()), float(shown), float(shown / np.sqrt(2 * score.size)), detects=0.05)
        for reduction in (0.3, 0.5):
            hits = Responder(reduction=reduction).value(world.baseline, score)
            assert_share(hits.ravel(), float(paired.responders(reduction)), detects=0.03)
        free = State(at_most=1).value(world.baseline, score)
        assert_share(free.ravel(), float(state_share(mean, sd, 1.0)), detects=0.03)
