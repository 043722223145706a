"""Pairwise meta-analysis against closed forms, statsmodels and simulation."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import StratifiedTable

from sim.core.errors import InputError
from sim.synthesis.effect_sizes import (
    Counts,
    Means,
    log_odds_ratio,
    mantel_haenszel,
    standardised_mean_difference,
)
from sim.synthesis.heterogeneity import ESTIMATORS, Studies, estimate_tau2, q_profile
from sim.synthesis.pairwise import pool
from sim.synthesis.small_study_effects import egger, trim_and_fill
from tests.montecarlo import assert_mean, assert_share

RNG = np.random.default_rng(8)
Y, V = RNG.normal(-0.5, 0.7, 9), RNG.uniform(0.02, 0.4, 9)
X = np.stack([np.ones(9), RNG.normal(size=9)], axis=1)


def test_equal_variances_have_closed_forms() -> None:
    """With one variance every moment estimator is s² − v, ML is (k − 1)/k s² − v."""
    data = Studies(Y, np.full(9, 0.1))
    spread = Y.var(ddof=1)
    for method in ("DL", "HE", "REML", "PM", "EB"):
        assert estimate_tau2(data, method) == pytest.approx(spread - 0.1, rel=1e-9)
    assert estimate_tau2(data, "ML") == pytest.approx(8 / 9 * spread - 0.1, rel=1e-9)
    assert estimate_tau2(data, "HS") == pytest.approx(8 / 9 * spread - 0.1, rel=1e-9)
    start = Y.var()
    assert estimate_tau2(data, "SJ") == pytest.approx(start * 9 / 8 * start / (0.1 + start), rel=1e-9)
    low, high = q_profile(data)
    assert low == pytest.approx(8 * spread / stats.chi2(8).ppf(0.975) - 0.1)
    assert high == pytest.approx(8 * spread / stats.chi2(8).ppf(0.025) - 0.1)
    assert data.i2(spread - 0.1) == pytest.approx(1 - 0.1 / spread)
    assert data.h2(spread - 0.1) == pytest.approx(spread / 0.1)


@pytest.mark.parametrize("design", [None, X])
@pytest.mark.parametrize(("method", "restricted"), [("ML", False), ("REML", True)])
def test_likelihood_has_its_maximum_there(design, method, restricted) -> None:
    data = Studies(Y, V, design)
    x = np.ones((9, 1)) if design is None else design

    def minus_log_likelihood(tau2: float) -> float:
        w = 1 / (V + tau2)
        fit = sm.WLS(Y, x, weights=w).fit()
        total = -0.5 * np.log(w).sum() + 0.5 * np.sum(w * fit.resid**2)
        return total + restricted * 0.5 * np.linalg.slogdet(x.T @ (x * w[:, None]))[1]

    best = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(0, 3), method="bounded", options={"xatol": 1e-10}
    )
    assert estimate_tau2(data, method) == pytest.approx(best.x, rel=1e-5)


def test_restricted_likelihood_where_fisher_scoring_circles() -> None:
    """Found by simulation: scoring from Hedges' estimate never settles on these seven studies."""
    y = np.array([-0.0867778, 0.29878582, 0.18348195, 0.22578961, 0.18828935, 0.08217767, 0.04117737])
    v = np.array([0.02, 0.05, 0.05, 0.1, 0.15, 0.2, 0.3])
    grid = np.linspace(0, 0.5, 20_001)[:, None]
    w = 1 / (v + grid)
    centre = (w * y).sum(axis=1, keepdims=True) / w.sum(axis=1, keepdims=True)
    likelihood = np.log(w).sum(axis=1) - np.log(w.sum(axis=1)) - (w * (y - centre) ** 2).sum(axis=1)
    assert estimate_tau2(Studies(y, v), "REML") == pytest.approx(
        float(grid[likelihood.argmax(), 0]), abs=2.5e-5
    )


def test_no_heterogeneity_is_zero() -> None:
    data = Studies(np.array([0.1, 0.11, 0.09]), np.full(3, 0.5))
    assert all(estimate_tau2(data, method) == 0 for method in ESTIMATORS if method != "SJ")
    assert q_profile(data)[0] == 0


def test_coefficients_are_weighted_least_squares() -> None:
    data = Studies(Y, V, X)
    for uncertainty, scaled in (("normal", False), ("knapp_hartung", True)):
        ours = pool(data, "DL", uncertainty)
        twin = sm.WLS(Y, X, weights=1 / (V + ours.tau2)).fit(
            use_t=scaled, **({} if scaled else {"cov_type": "fixed scale"})
        )
        np.testing.assert_allclose(ours.coefficient, twin.params)
        np.testing.assert_allclose(ours.se, twin.bse)
        np.testing.assert_allclose(ours.p, twin.pvalues, rtol=1e-8)
        np.testing.assert_allclose(ours.interval(), twin.conf_int()[0])


def test_modified_knapp_hartung_never_narrows() -> None:
    calm = Studies(np.array([0.1, 0.12, 0.11, 0.1]), np.full(4, 0.5))
    assert pool(calm, "DL", "knapp_hartung").se[0] < pool(calm, "DL").se[0]
    assert pool(calm, "DL", "knapp_hartung_modified").se[0] == pytest.approx(pool(calm, "DL").se[0])
    apart = Studies(Y, V)
    modified, plain = (pool(apart, "DL", u).se[0] for u in ("knapp_hartung_modified", "knapp_hartung"))
    assert modified >= plain


def test_shrunken_effects_are_between_study_and_pooled() -> None:
    pooled = pool(Studies(Y, V))
    share = (pooled.shrunken() - pooled.estimate) / (Y - pooled.estimate)
    np.testing.assert_allclose(share, pooled.tau2 / (pooled.tau2 + V))


def test_coverage_of_intervals() -> None:
    """Seven unequal studies, τ = 0.5: the Q-profile is exact, Knapp–Hartung nearly so."""
    rng = np.random.default_rng(21)
    v = np.array([0.02, 0.05, 0.05, 0.1, 0.15, 0.2, 0.3])
    pooled, spread = [], []
    for _ in range(2000):
        data = Studies(rng.normal(0.3, np.sqrt(0.25 + v)), v)
        low, high = pool(data, "REML", "knapp_hartung").interval()
        pooled.append(low < 0.3 < high)
        low, high = q_profile(data)
        spread.append(low < 0.25 < high)
    assert_share(np.array(spread), 0.95, detects=0.04)
    assert_share(np.array(pooled), 0.95, detects=0.04)


def test_new_studies_fall_into_the_prediction_interval() -> None:
    """Forty studies, where what the interval approximates no longer matters (with seven it covers 0.90)."""
    rng, v = np.random.default_rng(23), np.linspace(0.02, 0.3, 40)
    inside = []
    for _ in range(1500):
        data = Studies(rng.normal(0.3, np.sqrt(0.25 + v)), v)
        low, high = pool(data, "DL", "knapp_hartung").prediction_interval()
        inside.append(low < rng.normal(0.3, 0.5) < high)
    assert_share(np.array(inside), 0.95, detects=0.05)


def test_estimators_find_the_variance_on_average() -> None:
    """Hedges' and DerSimonian–Laird's moments are unbiased where truncation at zero is rare."""
    rng = np.random.default_rng(22)
    v = np.linspace(0.02, 0.1, 20)
    for method in ("DL", "HE", "PM"):
        found = [estimate_tau2(Studies(rng.normal(0, np.sqrt(0.25 + v)), v), method) for _ in range(1500)]
        assert min(found) > 0
        assert_mean(np.array(found), 0.25, detects=0.03)


def test_kenward_roger_inflates_the_variance() -> None:
    adjusted, plain = (pool(Studies(Y, V), "REML", u) for u in ("kenward_roger", "normal"))
    assert adjusted.se[0] > plain.se[0]
    assert 2 < adjusted.df < np.inf


def test_mantel_haenszel_is_statsmodels() -> None:
    arm, control = (
        Counts(*RNG.integers(3, 40, (2, 5)).astype(float)),
        Counts(*RNG.integers(3, 40, (2, 5)).astype(float)),
    )
    tables = [
        np.array(cells).reshape(2, 2)
        for cells in zip(arm.events, arm.others, control.events, control.others, strict=True)
    ]
    twin = StratifiedTable(tables)
    estimate, se = mantel_haenszel(arm, control)
    assert estimate == pytest.approx(twin.logodds_pooled)
    assert se == pytest.approx(twin.logodds_pooled_se)


def test_empty_cells_get_a_half() -> None:
    arm, control = (
        Counts(np.array([0.0, 5.0]), np.array([10.0, 5.0])),
        Counts(np.array([3.0, 4.0]), np.array([7.0, 6.0])),
    )
    estimate, variance = log_odds_ratio(arm, control)
    assert estimate[0] == pytest.approx(np.log((0.5 / 10.5) / (3.5 / 7.5)))
    assert variance[1] == pytest.approx(2 / 5 + 1 / 4 + 1 / 6)


def test_hedges_g_is_unbiased() -> None:
    """Five patients an arm, true difference one SD: uncorrected it would be 1.11 on average."""
    rng = np.random.default_rng(5)
    arms = [rng.normal(mean, 1, (5, 40_000)) for mean in (1.0, 0.0)]
    g, _ = standardised_mean_difference(
        *(Means(a.mean(axis=0), a.std(axis=0, ddof=1), np.full(40_000, 5)) for a in arms)
    )
    assert_mean(g, 1.0, detects=0.05)


def test_egger_is_weighted_regression() -> None:
    twin = sm.WLS(Y, sm.add_constant(np.sqrt(V)), weights=1 / V).fit()
    np.testing.assert_allclose(egger(Studies(Y, V)), (twin.tvalues[1], twin.pvalues[1]))


def test_trim_and_fill_restores_what_was_cut_off() -> None:
    """A funnel around 0, its sides mirror images, with and without its three lowest small studies."""
    side = np.array([0.05, 0.1, 0.2, 0.9, 1.0, 1.1])
    v = np.array([0.01, 0.02, 0.05, 0.2, 0.2, 0.2])
    low = -side - 0.001 * np.array([1, -1, 1, -1, 1, -1])
    whole = Studies(np.concatenate([[0.0], side, low]), np.concatenate([[0.01], v, v]))
    assert trim_and_fill(whole, "EE").missing == 0
    for sign in (1, -1):
        cut = Studies(sign * whole.estimate[:-3], whole.variance[:-3])
        filled = trim_and_fill(cut, "EE")
        assert filled.missing in (2, 3, 4)
        assert np.all(sign * filled.pooled.studies.estimate[10:] < 0)
        assert abs(filled.pooled.estimate) < 0.5 * abs(pool(cut, "EE").estimate)


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="above 0"):
        Studies(np.array([1.0]), np.array([0.0]))
    with pytest.raises(InputError, match="too few"):
        Studies(np.array([1.0]), np.array([1.0]), np.ones((1, 2)))
    with pytest.raises(InputError, match="more studies"):
        estimate_tau2(Studies(np.array([1.0]), np.array([1.0])))
    with pytest.raises(InputError, match="3 studies"):
        egger(Studies(Y[:2], V[:2]))
