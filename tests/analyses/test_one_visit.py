"""The batched analyses of one visit equal statsmodels and scipy, data set by data set, to 1e-8."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.special import stdtrit
from statsmodels.stats.proportion import confint_proportions_2indep

from sim.analyses.ancova import Ancova
from sim.analyses.base import Analysis, Estimate, critical
from sim.analyses.data_set import Covariate, DataSet
from sim.analyses.logistic import Logistic
from sim.analyses.responder_difference import ResponderDifference
from sim.analyses.t import TTest
from sim.core.errors import InputError, RunError
from sim.data import TrialData
from sim.estimand import Estimand
from tests.analyses.blocks import MEAN, SHARE, block, design, observe, single

NEAR = {"rtol": 1e-8, "atol": 1e-10}


def each(data: TrialData) -> Iterator[tuple[tuple[int, int], TrialData]]:
    for at, size in enumerate(data.sizes):
        for replicate in range(data.arm.shape[1]):
            yield (at, replicate), single(data, size, replicate)


def values(estimand: Estimand, data: TrialData) -> np.ndarray:
    return observe(data, estimand).value[:, 0]


def run(analysis: Analysis, estimand: Estimand) -> tuple[TrialData, Estimate]:
    data = block()
    return data, analysis.estimate(observe(data, estimand))


@pytest.mark.parametrize("errors", ["classical", "hc0", "hc1", "hc2", "hc3"])
def test_ancova_equals_statsmodels(errors):
    data, found = run(Ancova(estimand="primary", errors=errors), MEAN)
    for (at, replicate), one in each(data):
        y = values(MEAN, one)
        fitted = sm.OLS(y[~np.isnan(y)], design(one)[~np.isnan(y)]).fit()
        se = fitted.bse if errors == "classical" else getattr(fitted, f"{errors.upper()}_se")
        np.testing.assert_allclose(found.estimate[:, at, replicate], fitted.params[1:3], **NEAR)
        np.testing.assert_allclose(found.se[:, at, replicate], se[1:3], **NEAR)
        np.testing.assert_allclose(found.df[:, at, replicate], fitted.df_resid)
        if errors == "classical":
            low, high = fitted.conf_int()[1:3].T
            np.testing.assert_allclose(found.low[:, at, replicate], low, **NEAR)
            np.testing.assert_allclose(found.high[:, at, replicate], high, **NEAR)


@pytest.mark.parametrize("variance", ["welch", "pooled"])
def test_t_equals_scipy(variance):
    data, found = run(TTest(estimand="primary", variance=variance), MEAN)
    for (at, replicate), one in each(data):
        y, arm = values(MEAN, one), one.arm[:, 0]
        seen = ~np.isnan(y)
        for place in (0, 1):
            if variance == "pooled":
                fitted = sm.OLS(y[seen], design(one)[seen, :3]).fit()
                difference, se, df = fitted.params[1 + place], fitted.bse[1 + place], fitted.df_resid
            else:
                test = stats.ttest_ind(y[seen & (arm == place + 1)], y[seen & (arm == 0)], equal_var=False)
                low, high = test.confidence_interval()
                difference, df = (low + high) / 2, test.df
                se = difference / test.statistic
                np.testing.assert_allclose(found.high[place, at, replicate], high, **NEAR)
            np.testing.assert_allclose(found.estimate[place, at, replicate], difference, **NEAR)
            np.testing.assert_allclose(found.se[place, at, replicate], se, **NEAR)
            np.testing.assert_allclose(found.df[place, at, replicate], df, **NEAR)


@pytest.mark.parametrize("missing", ["non_response", "complete_case"])
def test_responder_difference_equals_statsmodels(missing):
    data, found = run(ResponderDifference(estimand="responder", missing=missing), SHARE)
    for (at, replicate), one in each(data):
        y, arm = values(SHARE, one), one.arm[:, 0]
        used = np.ones_like(y, dtype=bool) if missing == "non_response" else ~np.isnan(y)
        hits = [np.nansum(y[arm == k]) for k in range(3)]
        sizes = [np.sum(used & (arm == k)) for k in range(3)]
        for place in (0, 1):
            p1, p0 = hits[place + 1] / sizes[place + 1], hits[0] / sizes[0]
            low, high = confint_proportions_2indep(
                hits[place + 1], sizes[place + 1], hits[0], sizes[0], method="newcomb", compare="diff"
            )
            se = np.sqrt(p1 * (1 - p1) / sizes[place + 1] + p0 * (1 - p0) / sizes[0])
            np.testing.assert_allclose(found.estimate[place, at, replicate], p1 - p0, **NEAR)
            np.testing.assert_allclose(found.se[place, at, replicate], se, **NEAR)
            np.testing.assert_allclose(found.low[place, at, replicate], low, **NEAR)
            np.testing.assert_allclose(found.high[place, at, replicate], high, **NEAR)


COMPARE = {
    "risk_difference": lambda p, q: p - q,
    "risk_ratio": lambda p, q: np.log(p / q),
    "odds_ratio": lambda p, q: np.log(p / (1 - p) / (q / (1 - q))),
}


@pytest.mark.parametrize("missing", ["non_response", "complete_case"])
@pytest.mark.parametrize("errors", ["model", "robust"])
@pytest.mark.parametrize("measure", COMPARE)
def test_logistic_equals_statsmodels(missing, errors, measure):
    """Shares standardised by hand over statsmodels' fit; the slope of the delta method by differences."""
    analysis = Logistic(estimand="responder", missing=missing, errors=errors, measure=measure)
    assert analysis.target == measure
    data, found = run(analysis, SHARE)
    for (at, replicate), one in each(data):
        y, x = values(SHARE, one), design(one)
        used = np.ones_like(y, dtype=bool) if missing == "non_response" else ~np.isnan(y)
        kind = "nonrobust" if errors == "model" else "HC0"
        fitted = sm.GLM(np.nan_to_num(y)[used], x[used], sm.families.Binomial()).fit(cov_type=kind, tol=1e-12)
        for place in (1, 2):

            def difference(beta: np.ndarray, place: int = place, x: np.ndarray = x[used]) -> float:
                under = []
                for arm in (place, 0):
                    moved = x.copy()
                    moved[:, 1:3] = np.arange(1, 3) == arm
                    under.append(np.mean(1 / (1 + np.exp(-moved @ beta))))
                return COMPARE[measure](*under)

            steps = 1e-5 * np.eye(4)
            slope = [(difference(fitted.params + h) - difference(fitted.params - h)) / 2e-5 for h in steps]
            se = np.sqrt(np.array(slope) @ fitted.cov_params() @ np.array(slope))
            np.testing.assert_allclose(
                found.estimate[place - 1, at, replicate], difference(fitted.params), **NEAR
            )
            np.testing.assert_allclose(found.se[place - 1, at, replicate], se, rtol=1e-7)


def test_a_separated_arm_has_no_logistic_estimate_and_counts_as_failed():
    data = block()
    score = data.score.copy()
    score[data.arm[:, 4] == 1, 4, 2] = 0.0
    found = Logistic(estimand="responder").estimate(observe(replace(data, score=score), SHARE))
    assert np.isnan(found.estimate[:, :, 4]).all()
    assert np.isfinite(found.estimate[:, :, [0, 1, 2, 3, 5]]).all()


def data_set(one: TrialData, estimand: Estimand) -> DataSet:
    baseline = Covariate("pain_0", one.baseline)
    value = one.score[:, 0] if estimand is MEAN else values(SHARE, one)[:, None]
    return DataSet(("a", "b", "c"), ("w2", "w6", "w12")[-value.shape[1] :], one.arm[:, 0], value, baseline)


@pytest.mark.parametrize(
    ("analysis", "estimand"),
    [
        (Ancova(estimand="x"), MEAN),
        (Ancova(estimand="x", errors="hc3"), MEAN),
        (TTest(estimand="x"), MEAN),
        (ResponderDifference(estimand="x"), SHARE),
        (Logistic(estimand="x"), SHARE),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_real_data_give_what_the_simulated_trial_gave(analysis, estimand):
    data, found = run(analysis, estimand)
    table = {row.name: row for row in analysis.analyse(data_set(single(data, 90, 1), estimand)).estimates}
    for place, arm in enumerate("bc"):
        row = table[f"difference[{arm} - a, w12]"]
        for theirs, ours in (
            ("estimate",) * 2,
            ("se",) * 2,
            ("df",) * 2,
            ("low", "ci_low"),
            ("high", "ci_high"),
        ):
            assert getattr(row, ours) == pytest.approx(getattr(found, theirs)[place, 1, 1], rel=1e-9)
        assert row.n == found.n[place, 1, 1]


def test_adjusted_means_differ_by_the_difference():
    one = single(block(), 90, 1)
    for analysis in (Ancova(estimand="x"), TTest(estimand="x")):
        table = {row.name: row.estimate for row in analysis.analyse(data_set(one, MEAN)).estimates}
        assert table["mean[b, w12]"] - table["mean[a, w12]"] == pytest.approx(table["difference[b - a, w12]"])


def test_ratios_are_those_of_the_standardised_shares():
    table = {
        r.name: r.estimate
        for r in Logistic(estimand="x").analyse(data_set(single(block(), 90, 1), SHARE)).estimates
    }
    p1, p0 = table["mean[b, w12]"], table["mean[a, w12]"]
    assert table["difference[b - a, w12]"] == pytest.approx(p1 - p0)
    assert table["log_risk_ratio[b - a, w12]"] == pytest.approx(np.log(p1 / p0))
    assert table["log_odds_ratio[b - a, w12]"] == pytest.approx(np.log(p1 / (1 - p1) / (p0 / (1 - p0))))


def test_binary_analyses_refuse_scores():
    with pytest.raises(InputError, match=r"is not a response; allowed: 0 and 1"):
        Logistic(estimand="x").analyse(data_set(single(block(), 90, 1), MEAN))


def test_dependent_columns_are_no_result():
    data = data_set(single(block(), 90, 1), MEAN)
    twice = replace(data, covariates=(Covariate("again", data.baseline.values),))
    with pytest.raises(RunError, match="linearly dependent"):
        Ancova(estimand="x").analyse(twice)


@pytest.mark.parametrize(
    "df",
    [
        [[3.0, 1.0], [270.0, 3.0]],
        [[2.5, 7.0]],
        [[np.inf, 4.0]],
        [[np.nan, 4.0]],
        [[0.0, -1.0]],
        [[1e9, 70000.0]],
    ],
)
def test_critical_values_are_the_quantiles_of_t(df):
    found = critical(np.array(df))
    assert found.shape == np.shape(df)
    assert np.array_equal(found, stdtrit(np.array(df), 0.975), equal_nan=True)
