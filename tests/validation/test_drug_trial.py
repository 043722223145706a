"""A simulated duloxetine trial beside what four pooled trials report (Tsuji 2017)."""

from pathlib import Path

import numpy as np
import pytest

from sim.claims import Draws, Posterior, PosteriorClaim
from sim.core.loading import validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.eligibility import Eligibility, EntryRule
from sim.events import REASONS
from sim.lives import Possible, create, experience
from sim.screening import PainLevels
from sim.study import Study
from sim.synthesis import Store, Synthesis
from sim.trial import simulate
from tests.montecarlo import assert_mean

BLOCKS = 6
REPORTED = {"placebo": (0.478, 0.351), "snri": (0.597, 0.486)}
"""Shares whose pain is at least 30 % and 50 % lower at week 13."""
NEAR = 0.04
HALF_WEEKS = "{assume: 2.7, because: 'as fitted'}"
WITHOUT_FIT = (
    f"scenarios.recipe.course.half_weeks={HALF_WEEKS}",
    f"scenarios.recipe.treatments.snri.effect.half_weeks={HALF_WEEKS}",
    f"scenarios.recipe.treatments.snri.effect.persistence_half_weeks={HALF_WEEKS}",
    "scenarios.recipe.treatments.snri.discontinuation={}",
    "scenarios.recipe.treatments.snri.withdrawal={value: 0.0162, source: tsuji2017}",
    "scenarios.recipe.treatments.placebo.discontinuation={}",
    "scenarios.recipe.treatments.placebo.withdrawal={value: 0.0154, source: tsuji2017}",
)
"""Numbers, so that no synthesis is needed: week 13 is five half-lives away, 19.0 and 18.1 % are lost."""
FITTED = {
    "course.response": 1.6,
    "course.half_weeks": 2.36,
    "treatments.placebo.discontinuation.adverse_event.early": 0.00982,
    "treatments.placebo.discontinuation.adverse_event.later": 0.00218,
    "treatments.placebo.discontinuation.inefficacy.at_five.of": 0.00436,
    "treatments.placebo.withdrawal": 0.00872,
    "treatments.snri.effect.plateau": -0.588,
    "treatments.snri.effect.half_weeks": 1.78,
    "treatments.snri.effect.persistence_half_weeks": 2.54,
    "treatments.snri.discontinuation.adverse_event.early": 0.0193,
    "treatments.snri.discontinuation.adverse_event.later": 0.00428,
    "treatments.snri.discontinuation.inefficacy.at_five.of": 0.00185,
    "treatments.snri.withdrawal": 0.00602,
}
"""Posterior means of what the scenario 'expected' takes from the syntheses."""
WEEKLY = "protocols.pooled.eligibility.pain={at_least: 4, occasion: screening, days: 7}"


def study(configs: Path, *changes: str) -> Study:
    return Study.load(configs / "studies" / "drug_trial.yaml", (*WITHOUT_FIT, *changes))


@pytest.fixture(scope="module")
def recipe(configs) -> Study:
    return study(configs)


@pytest.fixture(scope="module")
def trials(recipe):
    protocol, scenario = (
        recipe.protocols["pooled"],
        recipe.scenarios["recipe"].only(recipe.protocols["pooled"]),
    )
    return [simulate(protocol, scenario, Draws(Streams(1, block), {})) for block in range(BLOCKS)]


@pytest.fixture(scope="module")
def expected(configs) -> Study:
    claims = [
        f"scenarios.expected.{path}={{assume: {value}, because: 'as fitted'}}"
        for path, value in FITTED.items()
    ]
    return Study.load(configs / "studies" / "drug_trial.yaml", (*WITHOUT_FIT, *claims))


@pytest.fixture(scope="module")
def expected_trials(expected):
    protocol, scenario = expected.protocols["pooled"], expected.scenarios["expected"]
    only = scenario.only(protocol)
    return [simulate(protocol, only, Draws(Streams(1, block), {})) for block in range(4)]


def full(value: float) -> np.ndarray:
    return np.full(BLOCK_SIZE, value)


def test_the_recipe_gives_the_reported_baseline_and_share_of_passes(configs):
    """5.6 (1.4) after one rating of 4 or more, which three quarters pass; a fault of 0.05 points is seen."""
    population = study(configs).scenarios["recipe"].population
    levels = PainLevels(full(4.8), full(1.7), full(0.9))
    rules = Eligibility(pain=EntryRule(at_least=4))
    cohorts = [population.enrol(400, rules, levels, Streams(1, block)) for block in range(4)]
    rated = np.concatenate([np.clip(np.rint(cohort.rating), 0, 10).ravel() for cohort in cohorts])
    assert rated.min() == 4
    assert_mean(rated, 5.63, detects=0.05)
    assert_mean((rated - rated.mean()) ** 2, 1.40**2, detects=0.14)
    failed = np.concatenate([population.screened(rules, levels, Streams(1, b))["pain"] for b in range(4)])
    assert_mean(1 - failed, 0.75, detects=0.01)


def test_enrolled_patients_have_the_reported_baseline(trials):
    """After the calibration: 5.6 (1.4) under all entry rules of the trial; a fault of 0.03 points is seen."""
    baseline = np.concatenate([trial.data.baseline for trial in trials], axis=1)
    assert_mean(baseline.ravel(), 5.6, detects=0.05)
    assert_mean(baseline.var(axis=0, ddof=1), 1.4**2, detects=0.1)


def test_a_weekly_mean_at_screening_explains_baselines_below_the_rule(configs):
    """The trials asked for a weekly mean of 4 or more, and one baseline of 1 is reported."""
    weekly = study(configs, WEEKLY)
    protocol = weekly.protocols["pooled"]
    scenario = weekly.scenarios["recipe"].only(protocol)
    blocks = [simulate(protocol, scenario, Draws(Streams(1, b), {})).data.baseline for b in range(2)]
    baseline = np.concatenate(blocks, axis=1)
    assert baseline.min() <= 1
    assert (baseline < 4).mean() < 0.15
    assert_mean(baseline.ravel(), 5.6, detects=0.06)


@pytest.mark.parametrize("scenario", ["recipe", "expected"])
@pytest.mark.parametrize("arm", REPORTED)
def test_responder_shares_are_near_the_reported_ones(scenario, arm, trials, expected_trials):
    """Among those seen at week 13: with the effect that the shares imply, and with the fitted one."""
    ran = {"recipe": trials, "expected": expected_trials}[scenario]
    place = list(REPORTED).index(arm)
    for reduction, reported in zip((0.3, 0.5), REPORTED[arm], strict=True):
        shares = []
        for trial in ran:
            seen = (trial.data.arm == place) & ~np.isnan(trial.data.score[:, :, -1])
            better = trial.data.score[:, :, -1] <= (1 - reduction) * trial.data.baseline + 1e-9
            shares.append((better & seen).sum(axis=0) / seen.sum(axis=0))
        assert_near(np.concatenate(shares), reported, NEAR)


@pytest.mark.parametrize("arm", REPORTED)
def test_losses_are_near_the_reported_ones(arm, expected, expected_trials):
    """All of them within 0.04, the reasons for stopping within 0.01."""
    place = list(REPORTED).index(arm)
    for loss in expected.scenarios["expected"].treatments[arm].reported_losses:
        share = []
        for trial in expected_trials:
            mine, events = trial.data.arm == place, trial.events
            lost = events.leave < loss.weeks
            if loss.reason != "any":
                lost = (events.stop < loss.weeks) & (events.reason == REASONS.index(loss.reason))
            share.append((mine & lost).sum(axis=0) / mine.sum(axis=0))
        assert_near(np.concatenate(share), loss.share.mean({}), NEAR if loss.reason == "any" else 0.01)


@pytest.mark.slow
def test_the_numbers_as_fitted_are_those_of_the_fit(configs):
    study = Study.load(configs / "studies" / "drug_trial.yaml")
    fits = {name: Store().find(validate(tree, Synthesis, name)) for name, tree in study.syntheses.items()}
    if not all(fits.values()):
        pytest.skip("the syntheses are not fitted in results/synthesis")
    posteriors = {name: Posterior.read(name, fit / "draws.npz") for name, fit in fits.items() if fit}
    scenario = study.scenarios["expected"].only(study.protocols["pooled"])
    found = {
        path: claim.mean(posteriors)
        for path, claim in scenario.every_claim.items()
        if isinstance(claim, PosteriorClaim)
    }
    assert found == pytest.approx(FITTED, rel=0.1)


def assert_near(values: np.ndarray, reported: float, near: float) -> None:
    """Hold a mean over trials to a reported share, the Monte Carlo error an eighth of what is allowed."""
    assert 8 * float(values.std(ddof=1) / np.sqrt(values.size)) < near
    assert abs(float(values.mean()) - reported) < near


def test_baseline_explains_a_tenth_to_a_quarter_of_the_outcome(recipe):
    """R² of pain at week 13 on all baseline measures: 0.27 and 0.065 are reported for the best prognostic
    model where it was fitted and elsewhere. 95 % of trials of 2,000 patients lie within 0.1 to 0.25."""
    protocol = recipe.protocols["pooled"].model_copy(update={"n": 2000})
    scenario = recipe.scenarios["recipe"].only(protocol)
    draws = Draws(Streams(3, 0), {})
    world = create(protocol, scenario, scenario.realise(protocol, draws), protocol.n, draws.streams)
    arm = np.zeros((protocol.n, BLOCK_SIZE), dtype=np.int64)
    score = experience(protocol, world, arm, draws.streams, Possible(stopping=False)).score
    measures = scenario.population.describe(world.cohort, protocol.eligibility, draws.streams)
    design = np.stack([world.baseline, *measures.values()], axis=-1)
    explained = [adjusted(design[:, r], score[:, r, -1]) for r in range(BLOCK_SIZE)]
    assert np.quantile(explained, 0.025) > 0.1
    assert np.quantile(explained, 0.975) < 0.25


def adjusted(x: np.ndarray, y: np.ndarray) -> float:
    """R² of a linear model, less what so many columns explain by chance."""
    columns = np.column_stack([np.ones(len(y)), x])
    rest = y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
    n, k = columns.shape
    return float(1 - (rest @ rest / (n - k)) / y.var(ddof=1))


def test_the_spread_of_pain_grows_as_reported(recipe):
    """×1.9 from baseline to twelve months, 1.5 to 2.2 the range (MINT: 1.29, then 1.95, 2.35 and 2.86)."""
    tree = recipe.protocols["pooled"].model_copy(update={"visits": (0.0, 3.0, 13.0, 52.0), "n": 400})
    scenario = recipe.scenarios["recipe"].only(tree)
    draws = Draws(Streams(3, 0), {})
    world = create(tree, scenario, scenario.realise(tree, draws), tree.n, draws.streams)
    arm = np.zeros((tree.n, BLOCK_SIZE), dtype=np.int64)
    score = experience(tree, world, arm, draws.streams, Possible(stopping=False)).score
    start = np.sqrt(world.baseline.var(axis=0, ddof=1).mean())
    ratios = np.sqrt(score.var(axis=0, ddof=1).mean(axis=0)) / start
    assert np.all(np.diff(ratios) > 0)
    assert 1.5 < ratios[-1] < 2.2
