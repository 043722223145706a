"""Imputations against a plain loop over patients, Rubin's rules by hand, and where the answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from sim.analyses.ancova import Ancova
from sim.analyses.base import Analysis, as_observations
from sim.analyses.conditional_mean import ConditionalMean, Incomplete
from sim.analyses.imputation import Imputer, Noise
from sim.analyses.moments import Measurements
from sim.analyses.multiple_imputation import MultipleImputation
from sim.analyses.rubin import pool
from sim.analyses.t import TTest
from sim.analyses.terms import Terms
from sim.cli.long_form import Layout, Table, arrange
from sim.core.errors import InputError
from sim.core.loading import validate
from sim.core.streams import Streams
from sim.data import TrialData
from tests.analyses.blocks import MEAN, block, design, observe, single
from tests.analyses.plain_reml import Plain
from tests.analyses.test_conditional_mean import impute_plainly
from tests.analyses.test_one_visit import data_set
from tests.analyses.test_reference_values import ANTIDEPRESSANT, FILE, ORACLES, references
from tests.montecarlo import assert_mean

STRATEGIES = ("missing_at_random", "jump_to_reference", "copy_reference", "copy_increments")


def imputer(one: TrialData) -> Imputer:
    columns = tuple(column[:, None] for column in design(one).T)
    return Imputer.of(Measurements(columns, one.score), 2, 2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_draw_equals_a_plain_loop_over_patients(strategy):
    """The same normal numbers through textbook formulas: one patient, one inverse at a time."""
    one = single(block(), 60, 1)
    ours = imputer(one)
    noise = Noise.draw(np.random.default_rng(2), 60, (1, 4, 3))
    drawn = ours.complete(noise, (strategy,), np.zeros(len(ours.missing[0]), dtype=np.int64))
    centre, factor = (part[0] for part in ours._posterior)
    theta = centre + factor @ noise.covariance[0]
    lower = np.eye(3)
    lower[np.tril_indices(3, -1)] = theta[3:]
    lower = np.exp(theta[:3])[:, None] * lower
    covariance = lower @ lower.T
    beta, variance, _ = Plain(design(one), one.score[:, 0]).pieces(covariance)
    beta = (beta + np.linalg.cholesky(variance) @ noise.effects[0]).reshape(4, 3)
    error = noise.values[:, 0] @ lower.T
    for k, patient in enumerate(ours.missing[0]):
        # what is left of the patient's own error once the seen visits are known
        seen = np.flatnonzero(~np.isnan(one.score[patient, 0]))
        own = error[patient, 2]
        if len(seen):
            weights = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[seen, 2])
            own = own - weights @ error[patient, seen]
        alone = impute_of(one, patient, beta, covariance, strategy)
        assert drawn[k] == pytest.approx(alone + own, rel=1e-8)


def impute_of(one: TrialData, patient: int, beta: np.ndarray, covariance: np.ndarray, strategy: str) -> float:
    trial = Incomplete(design(one), 2, one.score[:, 0], Terms(("each",) * 4, 3))
    return float(impute_plainly(trial, beta, covariance, strategy)[patient, 2])


def test_noise_has_the_conditional_mean_and_variance():
    """20,000 draws of one patient's last visit given the first two, model known."""
    one = single(block(), 60, 1)
    ours = imputer(one)
    values = np.random.default_rng(4).standard_normal((20_000, 1, 3))
    drawn = np.empty((20_000, len(ours.missing[0])))
    mean = np.zeros((len(ours.missing[0]), 3)) + 5.0
    for k in range(len(drawn)):
        covariance, state = ours.fitted.covariance, ours.fitted.state
        drawn[k] = ours._given(mean, covariance, state, np.repeat(values[k], len(mean), axis=0))
    for column, patient in enumerate(ours.missing[0][:4]):
        y, covariance = one.score[patient, 0], ours.fitted.covariance[0]
        seen = np.flatnonzero(~np.isnan(y))
        weights = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[seen, 2])
        expected = 5.0 + weights @ (y[seen] - 5.0)
        variance = covariance[2, 2] - weights @ covariance[seen, 2]
        assert_mean(drawn[:, column], expected, detects=0.1)
        assert_mean((drawn[:, column] - expected) ** 2, variance, detects=0.15)


def test_rubin_by_hand():
    """Rubin 1987, section 3.3, and Barnard & Rubin 1999, equations 3 to 5, one number at a time."""
    estimates, variances, df = np.array([1.0, 1.4, 0.9, 1.2]), np.array([0.2, 0.25, 0.22, 0.21]), 50.0
    b = np.var(estimates, ddof=1)
    total = variances.mean() + 1.25 * b
    share = 1.25 * b / total
    old, seen = 3 / share**2, (df + 1) / (df + 3) * df * (1 - share)
    shape = (4, 1, 1, 1)
    found = pool(
        estimates.reshape(shape), variances.reshape(shape), np.full((1, 1, 1), df), np.full((1, 1, 1), 60.0)
    )
    assert found.estimate.item() == pytest.approx(estimates.mean())
    assert found.se.item() == pytest.approx(np.sqrt(total))
    assert found.df.item() == pytest.approx(1 / (1 / old + 1 / seen))
    large = pool(estimates.reshape(shape), variances.reshape(shape), np.full((1, 1, 1), np.inf), found.n)
    assert large.df.item() == pytest.approx(old)


@pytest.mark.parametrize("then", [Ancova(estimand="x", errors="hc3"), TTest(estimand="x")])
def test_complete_data_give_the_analysis_itself(then):
    data = block(missing=False)
    found = MultipleImputation(estimand="x", then=then, imputations=3).estimate(observe(data))
    plain = then.estimate(observe(data))
    for name in ("estimate", "se", "df", "low", "high"):
        np.testing.assert_allclose(getattr(found, name), getattr(plain, name), rtol=1e-10)


def test_pooling_equals_statsmodels_analyses_of_each_completed_data_set():
    one = single(block(), 90, 3)
    analysis = MultipleImputation(estimand="x", imputations=5)
    found = analysis.estimate(observe(one))
    trial = analysis._incomplete(observe(one), 90)
    fits = [sm.OLS(each.value[:, 0], design(one)).fit() for each in analysis._completed(trial, None)]
    estimates = np.array([f.params[1:3] for f in fits])
    total = np.mean([f.bse[1:3] ** 2 for f in fits], axis=0) + 1.2 * estimates.var(axis=0, ddof=1)
    np.testing.assert_allclose(found.estimate[:, 0, 0], estimates.mean(axis=0), rtol=1e-8)
    np.testing.assert_allclose(found.se[:, 0, 0], np.sqrt(total), rtol=1e-8)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_many_imputations_approach_conditional_means(strategy):
    """The estimate is linear in what is imputed, so its mean over draws is that of the conditional means.

    Not exactly: effects and covariance are drawn, not held at their estimates, which moves the mean by
    a term of order 1/n; with 300 patients it is small against the error of 400 imputations.
    """
    data = block(n=300, replicates=3, sizes=(300,))
    analysis = MultipleImputation(estimand="x", strategy=strategy, imputations=400)
    completed = analysis._completed(analysis._incomplete(observe(data), 300), None)
    estimates = np.stack([Ancova(estimand="x").estimate(each).estimate[:, 0] for each in completed])
    exact = ConditionalMean(estimand="x", strategy=strategy, groups=2).estimate(observe(data)).estimate[:, 0]
    for arm in (0, 1):
        for replicate in range(3):
            assert_mean(estimates[:, arm, replicate], exact[arm, replicate], detects=0.1)


def test_a_smaller_size_is_not_moved_by_a_larger_one():
    data = block()
    both = MultipleImputation(estimand="x", imputations=3).estimate(observe(data))
    small = MultipleImputation(estimand="x", imputations=3).estimate(observe(replace(data, sizes=(60,))))
    np.testing.assert_allclose(both.estimate[:, :1], small.estimate, rtol=1e-9)


def test_delta_shifts_what_is_imputed_after_leaving_in_treated_arms():
    """ANCOVA is linear: the estimate moves by delta × the coefficient of the indicator of shifted values."""
    one = single(block(), 90, 0)
    plain = MultipleImputation(estimand="x", imputations=4).estimate(observe(one))
    moved = MultipleImputation(estimand="x", imputations=4, delta=1.5).estimate(observe(one))
    gone = np.isnan(one.score[:, 0, 2]) & (one.arm[:, 0] > 0)
    coefficient = sm.OLS(gone.astype(float), design(one)).fit().params[1:3]
    assert (coefficient > 0.01).all()
    np.testing.assert_allclose((moved.estimate - plain.estimate)[:, 0, 0], 1.5 * coefficient, rtol=1e-8)


def test_the_tipping_point_is_where_the_level_is_passed():
    one = single(block(n=240, replicates=1, sizes=(240,)), 240, 0)
    data = data_set(one, MEAN)
    data = replace(data, report=(2,))
    analysis = MultipleImputation(estimand="x", imputations=5, tipping_point=0.05)
    tips = analysis.analyse(data).model["tipping_point"]
    assert set(tips) == {"difference[b - a, w12]", "difference[c - a, w12]"}
    for row in analysis.analyse(data).estimates:
        tip = tips[row.name]
        assert (tip == 0.0) == (row.p > 0.05)
        if tip:
            moved = analysis.model_copy(update={"delta": tip, "tipping_point": None})
            less = analysis.model_copy(update={"delta": 0.9 * tip, "tipping_point": None})
            p = {r.name: r.p for r in moved.analyse(data).estimates}[row.name]
            assert p == pytest.approx(0.05, abs=1e-6)
            assert {r.name: r.p for r in less.analyse(data).estimates}[row.name] < 0.05
    assert any(tips.values())


def test_a_trial_without_a_fit_has_no_estimate():
    data = block(replicates=2, sizes=(90,))
    data.score[:, 1, 1] = np.where(data.arm[:, 1] == 1, np.nan, data.score[:, 1, 1])
    found = MultipleImputation(estimand="x", imputations=2).estimate(observe(data))
    assert np.isfinite(found.estimate[:, :, 0]).all()
    assert np.isnan(found.estimate[:, :, 1]).all()


def test_only_an_analysis_of_one_visit_can_follow():
    part = {"kind": "multiple_imputation", "estimand": "x", "then": {"kind": "mmrm"}}
    with pytest.raises(InputError, match="only an analysis of one visit"):
        validate(part, Analysis, "test")


def test_reasons_choose_their_strategy():
    """Patients who stopped for an adverse event jump to the reference, the others go on as their arm did."""
    one = single(block(), 90, 1)
    reason = (np.arange(90)[:, None] % 2 == 0).astype(np.int64)
    observed = observe(replace(one, reason=reason))
    mixed = MultipleImputation(estimand="x", by_reason={"adverse_event": "jump_to_reference"}, imputations=2)

    def values(analysis: MultipleImputation) -> np.ndarray:
        return next(analysis._completed(analysis._incomplete(observed, 90), None)).value[:, 0]

    jump = values(MultipleImputation(estimand="x", strategy="jump_to_reference", imputations=2))
    at_random = values(MultipleImputation(estimand="x", imputations=2))
    event = reason[:, 0] == 1
    np.testing.assert_array_equal(values(mixed), np.where(event, jump, at_random))
    assert (jump != at_random)[event].any()
    assert (jump != at_random)[~event].any()
    back = values(
        MultipleImputation(estimand="x", by_reason={"adverse_event": "baseline_observation"}, imputations=2)
    )
    carried = np.isnan(observed.value[:, 0]) & event
    np.testing.assert_array_equal(back, np.where(carried, one.baseline[:, 0], at_random))
    with pytest.raises(InputError, match=r"columns\.reason: required"):
        mixed.estimate(observe(one))
    with pytest.raises(InputError, match="unknown reason 'bored'"):
        validate(
            {"kind": "multiple_imputation", "estimand": "x", "by_reason": {"bored": "copy_reference"}},
            Analysis,
            "test",
        )


def test_blocks_have_imputations_of_their_own_and_a_seed_gives_others():
    data = block()
    analysis = MultipleImputation(estimand="x", imputations=2)
    found = [
        analysis.estimate(observe(replace(data, streams=Streams(7, number)))).estimate for number in (0, 1, 0)
    ]
    assert (found[0] != found[1]).all()
    np.testing.assert_array_equal(found[0], found[2])
    other = analysis.model_copy(update={"seed": 2}).estimate(observe(data)).estimate
    assert (other != analysis.estimate(observe(data)).estimate).all()


@pytest.mark.skipif(not FILE.exists(), reason="the reference values are not beside the repository")
@pytest.mark.parametrize(("case", "strategy"), [("MAR", STRATEGIES[0]), ("JR", STRATEGIES[1])])
def test_the_antidepressant_trial_agrees_with_rbmi(case, strategy):
    """The mean over 400 imputations against R's conditional means (PLACEBO − DRUG there)."""
    table = Table.read(ORACLES / "data" / "antidepressant_data.csv")
    layout = validate({k: v for k, v in ANTIDEPRESSANT.items() if k != "kind"}, Layout, "test")
    data = arrange(table, layout)
    rows = {r.quantity: r.value for r in references() if r.case == f"rbmi_antidep_condmean_{case}"}
    analysis = MultipleImputation(estimand="x", strategy=strategy, imputations=400)
    for place, visit in enumerate(data.visits[1:], start=1):
        observed = as_observations(data, place)
        completed = analysis._completed(analysis._incomplete(observed, len(data.arm)), None)
        estimates = np.array([Ancova(estimand="x").estimate(each).estimate.item() for each in completed])
        assert_mean(estimates, -rows[f"est[trt_{visit}]"], detects=0.25)
