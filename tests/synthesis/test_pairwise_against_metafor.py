"""Pairwise meta-analyses of metafor, meta and bayesmeta."""

import csv
import json
import re
from functools import lru_cache

import numpy as np
import pytest
from scipy import integrate, stats

from sim.synthesis.effect_sizes import (
    Counts,
    Means,
    log_odds_ratio,
    mantel_haenszel,
    mean_difference,
    risk_difference,
    standardised_mean_difference,
)
from sim.synthesis.heterogeneity import Studies, q_profile
from sim.synthesis.hierarchy import HeterogeneityPrior, MeanPrior
from sim.synthesis.normal_hierarchy import NormalHierarchy, NormalPosterior
from sim.synthesis.pairwise import Pooled, pool
from sim.synthesis.small_study_effects import egger, trim_and_fill
from tests.rules.reference_rows import ABSENT, FILE, Row, parameters, read

ROWS = read("meta")

EIGHT_SCHOOLS = (np.array([28.0, 8, -3, 7, -1, 1, 18, 12]), np.array([15.0, 10, 16, 11, 9, 11, 10, 18]) ** 2)
"""Rubin 1981: no file of these lies with the reference values, and they are in every textbook."""

CRINS_2014 = [
    (14, 61, 15, 20),
    (16, 28, 19, 28),
    (3, 18, 8, 12),
    (9, 54, 29, 54),
    (4, 36, 11, 36),
    (0, 50, 3, 34),
]
"""Crins et al. 2014 (Pediatric Transplantation 18:839): acute rejections and patients, drug then control."""

NOT_COMPUTED = {
    "escalc_SMDH": "no evidence row is a difference standardised by unequal variances",
    "escalc_CVR": "no synthesis pools coefficients of variation",
}
"""Cases that we choose not to compute, with the reason."""

EARLY_STOP = "metafor's Fisher scoring stops at a step of 1e-5: see test_metafor_stops_early"
SEARCH_LIMIT = "metafor searches τ² up to 100 only and reports that: see test_search_ends_at_100"
COARSE = "bayesmeta's own accuracy: ours is adaptive quadrature's, see test_bayesmeta_is_coarser"
MISSED = {
    **{("metareg_bcg_ablat_knha", q): EARLY_STOP for q in ("b0", "se_b0", "se_ablat", "tau2", "p_ablat")},
    **{("ma_eightschools_Qprofile", q): SEARCH_LIMIT for q in ("tau2_ub", "I2_ub")},
    ("bayesmeta_bcg_logRR_HN0.5", "shrinkage_mean[8]"): COARSE,
    ("bayesmeta_normand1999_SMD_HN0.5", "mu_q97.5"): COARSE,
}
"""Rows that we compute and do not meet, with the explanation and the test that shows it."""


def column(data: str, name: str) -> np.ndarray:
    with (FILE.parent / "data" / data).open(encoding="utf-8") as lines:
        return np.array([float(row[name]) for row in csv.DictReader(lines)])


@lru_cache
def studies(data: str, moderator: str | None = None) -> Studies:
    name = data.removeprefix("reference_data/")
    if name == "eightschools.csv":
        return Studies(*EIGHT_SCHOOLS)
    if name == "crins2014_AR_logOR.csv":
        r, n, s, m = np.array(CRINS_2014, dtype=float).T
        return Studies(*log_odds_ratio(Counts(r, n - r), Counts(s, m - s)))
    y, v = column(name, "yi"), column(name, "vi")
    design = None if moderator is None else np.stack([np.ones_like(y), column(name, moderator)], axis=1)
    return Studies(y, v, design)


def listed(name: str, values: np.ndarray) -> dict[str, float]:
    return {f"{name}[{i}]": float(value) for i, value in enumerate(values, start=1)}


def rma(given: dict) -> dict[str, float]:
    data = studies(given["data"])
    pooled = pool(data, given["method"], {"z": "normal", "knha": "knapp_hartung"}[given["test"]])
    low, high = pooled.interval()
    below, above = pooled.prediction_interval()
    return {
        "estimate": pooled.estimate,
        "se": pooled.se[0],
        "statistic": pooled.statistic[0],
        "pvalue": pooled.p[0],
        "ci_lb": low,
        "ci_ub": high,
        "tau2": pooled.tau2,
        "I2": 100 * data.i2(pooled.tau2),
        "pi_lb": below,
        "pi_ub": above,
        "Q": data.q(),
        "Q_p": data.q_p(),
        "k": len(data.estimate),
    }


def confint(given: dict) -> dict[str, float]:
    data = studies(given["data"])
    low, high = q_profile(data)
    found = {"tau2_lb": low, "tau2_ub": high, "I2_lb": 100 * data.i2(low), "I2_ub": 100 * data.i2(high)}
    return found


def regtest(given: dict) -> dict[str, float]:
    return dict(zip(("t", "p"), egger(studies(given["data"])), strict=True))


def trimfill(given: dict) -> dict[str, float]:
    filled = trim_and_fill(studies(given["data"]))
    return {"k0": filled.missing, "estimate": filled.pooled.estimate, "tau2": filled.pooled.tau2}


def metareg(given: dict) -> dict[str, float]:
    pooled = pool(studies(given["data"], "ablat"), "REML", "knapp_hartung")
    names = ("b0", "b_ablat", "se_b0", "se_ablat", "tau2", "p_ablat")
    return dict(zip(names, (*pooled.coefficient, *pooled.se, pooled.tau2, pooled.p[1]), strict=True))


def metagen(given: dict) -> dict[str, float]:
    data = studies(given["data"])
    by = {"classic": "normal", "HK": "knapp_hartung", "KR": "kenward_roger"}
    pooled = pool(data, "REML", by[given["method.random.ci"]])
    k = len(data.estimate)
    predicting: dict[str, tuple[Pooled, float]] = {
        "HTS": (pool(data, "REML"), k - 2),
        "V": (pool(data, "REML"), k - 1),
        "HK": (pool(data, "REML", "knapp_hartung"), k - 1),
        "HK-PR": (pool(data, "REML", "knapp_hartung"), k - 2),
        "KR": (pool(data, "REML", "kenward_roger"), pool(data, "REML", "kenward_roger").df),
    }
    of, df = predicting[given["method.predict"]]
    numbers = (pooled.estimate, pooled.se[0], *pooled.interval(), *of.prediction_interval(df))
    return dict(zip(("TE", "seTE", "lower", "upper", "pi_lower", "pi_upper"), numbers, strict=True))


def escalc(given: dict) -> dict[str, float]:
    if "m1i" in given:
        arms = [Means(*(np.array(given[f"{k}{i}i"]) for k in ("m", "sd", "n"))) for i in (1, 2)]
        measure = {"MD": mean_difference, "SMD": standardised_mean_difference}
    else:
        arms = [Counts(np.array(given[f"{a}i"]), np.array(given[f"{b}i"])) for a, b in ("ab", "cd")]
        measure = {"OR": log_odds_ratio, "RD": risk_difference}
    return dict(zip(("yi", "vi"), map(float, measure[given["measure"]](*arms)), strict=True))


def mh(given: dict) -> dict[str, float]:
    name = given["data"].removeprefix("reference_data/")
    cells = [column(name, cell) for cell in ("tpos", "tneg", "cpos", "cneg")]
    return dict(zip(("estimate", "se"), mantel_haenszel(Counts(*cells[:2]), Counts(*cells[2:])), strict=True))


def posterior(given: dict) -> NormalPosterior:
    data = studies(given["data"])
    normal = re.fullmatch(r"normal\((.+),(.+)\)", given["mu_prior"])
    mean = MeanPrior(*map(float, normal.groups())) if normal else MeanPrior()
    kind = {"halfnormal": "half_normal", "halfcauchy": "half_cauchy"}[given["tau_prior"]]
    prior = HeterogeneityPrior(kind=kind, scale=given["tau_scale"], because="of the reference")
    return NormalHierarchy(data.estimate, np.sqrt(data.variance), mean, prior).fit()


def bayes(given: dict) -> dict[str, float]:
    fitted = posterior(given)
    found = {
        "P(mu<=0)": float(fitted.population_mean.cdf(0.0)),
        "log_marginal_likelihood": fitted.log_marginal_likelihood,
        **listed("shrinkage_mean", fitted.shrunken()),
    }
    for name, of in (("mu", fitted.population_mean), ("theta", fitted.new_study), ("tau", fitted.tau)):
        quantiles = {"median": 0.5, "q2.5": 0.025, "q97.5": 0.975}
        found |= {f"{name}_{label}": float(of.quantile(p)) for label, p in quantiles.items()}
        found |= {f"{name}_mean": float(of.mean()), f"{name}_sd": float(of.sd())}
    return found


CALLS = {
    "metafor::rma.uni": rma,
    "metafor::confint(rma REML) Q-profile": confint,
    "metafor::blup(rma REML)": lambda given: listed("blup", pool(studies(given["data"])).shrunken()),
    "metafor::regtest(model='lm')": regtest,
    "metafor::trimfill(rma REML)": trimfill,
    "metafor::rma(mods=~ablat)": metareg,
    "metafor::rma.mh": mh,
    "metafor::escalc": escalc,
    "meta::metagen": metagen,
    "1-D quadrature over tau, mu given tau normal (same model as bayesmeta)": bayes,
    "bayesmeta::bayesmeta": bayes,
}


@lru_cache
def quantities(inputs: str) -> dict[str, float]:
    given = json.loads(inputs)
    return CALLS[given["call"]](given)


def is_met(row: Row) -> bool:
    number, unit = row.tolerance.split()[:2]
    assert unit == "relative", row.tolerance
    return quantities(row.inputs)[row.quantity] == pytest.approx(row.value, rel=float(number), abs=0)


@pytest.mark.parametrize("row", parameters(ROWS))
def test_reference_value(row: Row) -> None:
    if row.case in NOT_COMPUTED:
        pytest.skip(NOT_COMPUTED[row.case])
    if (row.case, row.quantity) in MISSED:
        assert not is_met(row), "met after all: take it off the list"
        pytest.skip(MISSED[row.case, row.quantity])
    assert is_met(row), f"{quantities(row.inputs)[row.quantity]} instead of {row.value}"


needs_reference = pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])


@needs_reference
def test_no_row_is_left_out() -> None:
    assert len(ROWS) == 1160
    assert set(NOT_COMPUTED) <= {row.case for row in ROWS}
    assert set(MISSED) <= {(row.case, row.quantity) for row in ROWS}
    asked = [row for row in ROWS if row.case not in NOT_COMPUTED]
    assert not [row for row in asked if row.quantity not in quantities(row.inputs)]


def reference(case: str, quantity: str) -> float:
    return next(row.value for row in ROWS if (row.case, row.quantity) == (case, quantity))


@needs_reference
def test_metafor_stops_early() -> None:
    """Fisher scoring from Hedges' estimate, stopped at a step below 1e-5, gives metafor's τ²."""
    data = studies("bcg_logRR.csv", "ablat")
    y, x = data.estimate, data.matrix
    hat = np.eye(len(y)) - x @ np.linalg.pinv(x)
    tau2 = float(y @ hat @ y - np.diag(hat) @ data.variance) / data.residual_df
    step = 1.0
    while abs(step) > 1e-5:
        p = data.projection(tau2)
        step = float(y @ p @ p @ y - np.trace(p)) / float(np.trace(p @ p))
        tau2 += step
    assert tau2 == pytest.approx(reference("metareg_bcg_ablat_knha", "tau2"), rel=1e-10)
    projections = data.projection(pool(data, "REML").tau2), data.projection(tau2)
    score, stopped = (abs(float(y @ p @ p @ y - np.trace(p))) for p in projections)
    assert score < 1e-8 < 1e-4 < stopped


@needs_reference
def test_search_ends_at_100() -> None:
    """Q at τ² = 100 is still above the χ² quantile that the interval's end must meet; at ours it is met."""
    data = studies("eightschools.csv")
    wanted = stats.chi2(7).ppf(0.025)
    assert reference("ma_eightschools_Qprofile", "tau2_ub") == 100
    assert data.q(100.0) > wanted + 0.1
    assert data.q(q_profile(data)[1]) == pytest.approx(wanted, rel=1e-9)


@needs_reference
@pytest.mark.parametrize("case", ["bayesmeta_bcg_logRR_HN0.5", "bayesmeta_normand1999_SMD_HN0.5"])
def test_bayesmeta_is_coarser(case: str) -> None:
    """What the missed rows report, by adaptive quadrature over τ: ours."""
    given = next(row.given for row in ROWS if row.case == case)
    data, ours = studies(given["data"]), posterior(given)

    def given_tau(tau: float) -> tuple[float, float, float]:
        w = 1 / (data.variance + tau**2)
        m = float(w @ data.estimate / w.sum())
        logs = 0.5 * np.log(w).sum() - 0.5 * np.log(w.sum()) - 0.5 * float(w @ (data.estimate - m) ** 2)
        return np.exp(logs - 0.5 * (tau / given["tau_scale"]) ** 2), m, w.sum() ** -0.5

    def integral(function) -> float:
        def weighted(tau: float) -> float:
            return given_tau(tau)[0] * function(tau)

        return integrate.quad(weighted, 0, 6, limit=400, epsabs=0, epsrel=1e-11)[0]

    total = integral(lambda tau: 1.0)
    at = float(ours.population_mean.quantile(0.975))
    below = integral(lambda tau: stats.norm.cdf(at, *given_tau(tau)[1:])) / total
    assert below == pytest.approx(0.975, abs=1e-9)
    y, v = data.estimate[7], data.variance[7]
    shrunken = integral(lambda tau: (tau**2 * y + v * given_tau(tau)[1]) / (tau**2 + v)) / total
    assert ours.shrunken()[7] == pytest.approx(shrunken, rel=1e-7)
