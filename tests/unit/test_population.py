import numpy as np
import pytest
from scipy import stats

from sim.copula import Copula
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.eligibility import Eligibility, EntryRule
from sim.endpoints import Scale
from sim.population import Population
from sim.screening import PainLevels
from sim.study import Study
from tests.montecarlo import assert_mc, assert_mean

LEVELS = PainLevels(np.full(BLOCK_SIZE, 4.8), np.full(BLOCK_SIZE, 1.7), np.full(BLOCK_SIZE, 0.9))


@pytest.fixture(scope="module")
def clinic(two_arm) -> Population:
    return two_arm.scenarios["expected"].population


def screened_one_by_one(rule: EntryRule, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The slow plain twin: draw patients, rate them, keep those whose rating is admitted."""
    rng = np.random.default_rng(5)
    true = rng.normal(4.8, 1.7, n)
    rating = true + rng.normal(0, 0.9, n)
    shown = np.clip(np.rint(rating), 0, 10)
    kept = (shown >= (rule.at_least or 0)) & (shown <= (10 if rule.at_most is None else rule.at_most))
    return true[kept], rating[kept]


@pytest.mark.parametrize("rule", [EntryRule(at_least=4), EntryRule(at_least=3, at_most=8), EntryRule()])
def test_enrolment_by_inversion_is_screening_one_by_one(clinic, rule):
    cohort = clinic.enrol(3000, Eligibility(pain=rule), LEVELS, Streams(1, 0))
    true, rating = screened_one_by_one(rule, 2_000_000)
    for mine, plain in ((cohort.true, true), (cohort.rating, rating)):
        for power in (1, 2):
            values, twin = mine.ravel() ** power, plain**power
            se = np.hypot(values.std() / np.sqrt(values.size), twin.std() / np.sqrt(twin.size))
            assert_mc(
                float(values.mean()), float(twin.mean()), float(se), detects=0.01 * float(twin.std()) * 4
            )
    product, twin = (cohort.true * cohort.rating).ravel(), true * rating
    se = np.hypot(product.std() / np.sqrt(product.size), twin.std() / np.sqrt(twin.size))
    assert_mc(float(product.mean()), float(twin.mean()), float(se), detects=0.01 * float(twin.std()) * 4)


def test_the_recipe_gives_the_reported_baseline(clinic):
    """Pooled duloxetine trials: 5.6 (1.4) after an entry rule of 4 (Tsuji 2017)."""
    cohort = clinic.enrol(500, Eligibility(pain=EntryRule(at_least=4)), LEVELS, Streams(1, 0))
    score = Scale().score(cohort.rating.copy())
    assert score.min() == 4
    assert abs(score.mean() - 5.6) < 0.05
    assert abs(score.std() - 1.4) < 0.05


@pytest.mark.parametrize("rule", [EntryRule(at_least=4), EntryRule(at_least=6), EntryRule(at_most=7)])
def test_regression_to_the_mean_is_what_the_next_rating_shows(clinic, rule):
    cohort = clinic.enrol(2000, Eligibility(pain=rule), LEVELS, Streams(1, 0))
    expected = clinic.regression_to_mean(rule, LEVELS)[0]
    assert_mean((cohort.rating - cohort.true).ravel(), expected, detects=0.02)


def test_an_earlier_screening_rating_leaves_no_regression_after_baseline(clinic):
    rule = EntryRule(at_least=4, occasion="screening")
    cohort = clinic.enrol(2000, Eligibility(pain=rule), LEVELS, Streams(1, 0))
    assert_mean((cohort.rating - cohort.true).ravel(), 0.0, detects=0.02)
    assert clinic.regression_to_mean(rule, LEVELS)[0] == 0


def test_variation_grows_and_fades_as_stated(clinic):
    at = {"sd": 2.1, "growth_weeks": 1.5, "lasting_share": 0.6, "fading_weeks": 6.7}
    weeks = np.array([1.0, 4.0, 8.0, 12.0, 52.0])
    covariance = clinic.variation.covariance(weeks, at)
    assert covariance[3, 3] == pytest.approx(2.1**2)
    assert covariance[4, 4] / covariance[3, 3] == pytest.approx(np.log1p(52 / 1.5) / np.log1p(12 / 1.5))
    correlation = covariance[1, 2] / np.sqrt(covariance[1, 1] * covariance[2, 2])
    assert correlation == pytest.approx(0.6 + 0.4 * np.exp(-4 / 6.7))


@pytest.fixture(scope="module")
def drug_trial(configs) -> Population:
    tree = Study.load(configs / "studies" / "chronic_four_arms.yaml")
    return tree.scenarios["reported"].population


def test_covariates_have_their_margins(drug_trial):
    cohort = drug_trial.enrol(1000, Eligibility(), LEVELS, Streams(1, 0))
    values = drug_trial.describe(cohort, Eligibility(), Streams(1, 0))
    assert set(values) == set(drug_trial.covariates)
    assert_mean(values["female"].ravel(), 0.575, detects=0.02)
    assert_mean(values["duration"].ravel(), 9.5, detects=0.4)


def test_covariates_have_the_copulas_correlations(drug_trial):
    """Kendall's tau of a Gaussian copula is 2/π arcsin(r); without bounds, whose ties would change it."""
    plain = {"shape": "normal", "bounds": None, "step": None, "zeros": None}
    free = {
        name: margin.model_copy(update=plain) for name, margin in drug_trial.covariates.items() if margin.sd
    }
    unbounded = drug_trial.model_copy(update={"covariates": free})
    cohort = unbounded.enrol(600, Eligibility(), LEVELS, Streams(1, 0))
    values = unbounded.describe(cohort, Eligibility(), Streams(1, 0))
    names, matrix = drug_trial.copula.names, np.array(drug_trial.copula.matrix)
    scores = {"pain": cohort.screening_score} | {name: values[name] for name in names[1:]}
    for i, first in enumerate(names):
        for j, second in enumerate(names[:i]):
            pairs = zip(scores[first].T, scores[second].T, strict=True)
            taus = np.array([stats.kendalltau(*pair).statistic for pair in pairs])
            assert_mean(taus, 2 / np.pi * np.arcsin(matrix[i, j]), detects=0.03)


def test_an_age_range_is_kept(drug_trial):
    limits = Eligibility.model_validate({"age": {"between": [40, 60]}})
    cohort = drug_trial.enrol(500, limits, LEVELS, Streams(1, 0))
    age = drug_trial.describe(cohort, limits, Streams(1, 0))["age"]
    assert age.min() >= 40
    assert age.max() <= 60


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]], "not positive definite"),
        ([[1, 0.2], [0.2, 1]], "must be 3 × 3"),
        ([[1, 0.1, 0], [0.2, 1, 0], [0, 0, 1]], "symmetric"),
    ],
)
def test_an_impossible_correlation_matrix_is_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        validate({"names": ["pain", "a", "b"], "matrix": matrix, "because": "t"}, Copula, "test")


def test_a_population_round_trips(drug_trial):
    assert validate(dump(drug_trial), Population, "again") == drug_trial
