"""Conditional and predictive power, and what a trial with looks may claim: rpact, gsDesign, closed forms."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from foreign_designs import gsdesign_design, rpact_design
from plain_twin import crosses
from reference_rows import ABSENT, FILE, Row, answer, parameters, read

from sim.rules.boundaries import Boundaries, Design, efficacy_alone, solve
from sim.rules.interim import Interim, conditional_power, predictive_power
from sim.rules.sequential_inference import (
    Ended,
    confidence_limits,
    effect_at,
    repeated_confidence_interval,
    repeated_p,
    stagewise_p,
)
from sim.rules.spending import UserSpending

ROWS = read("adaptive")

SIMULATED = "a simulation: test_simulated_against_software holds ours to it"
NOT_COMPUTED = {
    "adaptr_OC_RARoff": SIMULATED,
    "sim_rpact_SSR_IN2_alt0.6": SIMULATED,
    "sim_rpact_SSR_IN2_thetahat_alt0.6": SIMULATED,
    "sim_rpact_SSR_IN2_alt1": SIMULATED,
    "sim_rpact_multiarm3_best_mu0": SIMULATED,
    "sim_rpact_multiarm3_all_mu0": SIMULATED,
    "sim_rpact_multiarm3_all_mu1": SIMULATED,
    "sim_R_longitudinal_MAR_eff1": "patients, not statistics: in tests/analyses",
}
"""Cases that have no exact answer, with the reason."""

SEARCH = (
    "rpact stops its search about 1e-6 away from the root, here more than 1e-5 of the value; "
    "the tests against nested integrals show that ours is the root"
)
SCORE = (
    "the interval inverts a score test of two rates, which is an analysis; its bound is a row of group gsd"
)
DIVERGES = {
    "gs_analysis_means_final3/repeated_p[3]": SEARCH,
    "gs_analysis_means_final3/final_ci_lower": SEARCH,
    "gs_analysis_rates_stop2/repeated_p[2]": SEARCH,
    "sim_rpact_means_asOF3_fut_alt0/overall_reject__mcse": "ours is exact: it has no Monte Carlo error",
    "gs_analysis_rates_stop2/repeated_ci_lower[1]": SCORE,
    "gs_analysis_rates_stop2/repeated_ci_lower[2]": SCORE,
    "gs_analysis_rates_stop2/repeated_ci_upper[1]": SCORE,
    "gs_analysis_rates_stop2/repeated_ci_upper[2]": SCORE,
}
"""Single rows that are not matched, with the reason."""

Quantities = dict[str, Any]


def gsdesign_conditional_power(given: dict[str, Any]) -> Quantities:
    found, interim = solve(gsdesign_design(given)), Interim(given["i"], given["zi"])
    trend = interim.z / np.sqrt(found.design.information[interim.look - 1])
    return {
        "CP_theta_hat": conditional_power(found, interim, trend),
        "CP_theta0": conditional_power(found, interim, 0.0),
        "CP_thetaH1": conditional_power(found, interim, found.drift),
    }


def silent_look(given: dict[str, Any]) -> Boundaries:
    """One look that spends nothing: the last bound is that of the fixed test."""
    nothing = UserSpending(values=(0.0, given["alpha"]))
    return solve(Design(alpha=given["alpha"], information=(given["info_fraction"], 1.0), spending=nothing))


def fixed_conditional_power(given: dict[str, Any]) -> Quantities:
    found = silent_look(given)
    return {"conditional_power": conditional_power(found, Interim(1, given["z"]), given["drift"])}


def fixed_predictive_power(given: dict[str, Any]) -> Quantities:
    return {"predictive_power": predictive_power(silent_look(given), Interim(1, given["z"]))}


def pooled_means(given: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Difference and its standard error at each look, from all stages until then."""
    n = np.array(given["n1"])
    total, squares, mean = np.cumsum(n), np.zeros(len(n)), []
    for arm in ("1", "2"):
        stage, sd = np.array(given[f"means{arm}"]), np.array(given[f"stDevs{arm}"])
        mean.append(np.cumsum(n * stage) / total)
        within = np.cumsum((n - 1) * sd**2)
        squares += within + np.cumsum(n * stage**2) - total * mean[-1] ** 2
    return mean[0] - mean[1], np.sqrt(squares / (2 * total - 2) * 2 / total)


def pooled_rates(given: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    n = np.cumsum(given["n1"])
    rate_1, rate_2 = np.cumsum(given["events1"]) / n, np.cumsum(given["events2"]) / n
    mean = (rate_1 + rate_2) / 2
    return rate_1 - rate_2, np.sqrt(2 * mean * (1 - mean) / n)


def rpact_analysis(given: dict[str, Any]) -> Quantities:
    design = rpact_design(given | {"beta": 0.1})
    difference, error = pooled_means(given) if "means1" in given else pooled_rates(given)
    z, made = difference / error, len(difference)
    upper = efficacy_alone(design).upper
    planned = design.looks_at[:made] / design.looks_at[made - 1]
    ended = Ended(planned / error[-1] ** 2, upper[: made - 1], float(z[-1]))
    low, high = confidence_limits(ended, design.alpha)
    named: Quantities = {
        "final_p": stagewise_p(ended),
        "final_ci_lower": low,
        "final_ci_upper": high,
        "median_unbiased": effect_at(ended, 0.5),
        "repeated_p": [repeated_p(design, look, float(z[look - 1])) for look in range(1, made + 1)],
    }
    if "means1" in given:
        each = zip(z, 1 / error**2, upper, strict=True)
        intervals = [repeated_confidence_interval(*look) for look in each]
        named["repeated_ci_lower"], named["repeated_ci_upper"] = zip(*intervals, strict=True)
    return named


CALLS: dict[str, Callable[[dict[str, Any]], Quantities]] = {
    "gsDesign::gsCP; colSums(upper$prob)": gsdesign_conditional_power,
    "pnorm((z*sqrt(t)+theta*(1-t)-z_alpha)/sqrt(1-t))": fixed_conditional_power,
    "predictive power, flat prior: pnorm((z-z_alpha*sqrt(t))/sqrt(1-t))": fixed_predictive_power,
    "rpact::getAnalysisResults": rpact_analysis,
}


@lru_cache
def quantities(inputs: str) -> dict[str, float]:
    return answer(CALLS, inputs)


EXACT = [row for row in ROWS if row.case not in NOT_COMPUTED and not row.case.startswith("sim_")]
WITH_FUTILITY = [row for row in ROWS if row.case == "sim_rpact_means_asOF3_fut_alt0"]


@pytest.mark.parametrize("row", parameters(EXACT))
def test_reference_value(row: Row) -> None:
    if f"{row.case}/{row.quantity}" in DIVERGES:
        pytest.skip(DIVERGES[f"{row.case}/{row.quantity}"])
    assert quantities(row.inputs)[row.quantity] == pytest.approx(row.value, rel=row.relative, abs=0)


@pytest.mark.parametrize("row", parameters(WITH_FUTILITY))
def test_exact_stopping_against_200_000_simulated_trials(row: Row) -> None:
    """Within 3 Monte Carlo errors of the simulation; ours has none."""
    if f"{row.case}/{row.quantity}" in DIVERGES:
        pytest.skip(DIVERGES[f"{row.case}/{row.quantity}"])
    assert row.tolerance == "3 Monte Carlo errors (both sides)"
    given = row.given
    design = rpact_design(given | {"sided": 1, "beta": 0.1})
    low, high = solve(design).path.crossing(0.0)
    stop, n = high + low, np.array(given["plannedSubjects"])
    probabilities = {"overall_reject": high.sum()}
    probabilities |= {f"reject_per_stage[{k + 1}]": p for k, p in enumerate(high)}
    probabilities |= {f"futility_per_stage[{k + 1}]": p for k, p in enumerate(low[:-1])}
    if row.quantity == "expected_n":
        exact, variance = stop @ n, stop @ n**2 - (stop @ n) ** 2
    else:
        exact = probabilities[row.quantity]
        variance = exact * (1 - exact)
    assert abs(row.value - exact) < 3 * np.sqrt(variance / given["iterations"])


LAN_DEMETS = {
    "informationRates": [0.4, 0.7, 1.0],
    "alpha": 0.025,
    "beta": 0.1,
    "sided": 1,
    "typeOfDesign": "asOF",
}


@pytest.mark.parametrize(("look", "z"), [(1, 0.97), (2, 3.7599), (3, 1.96)])
def test_repeated_p_is_the_root(look: int, z: float) -> None:
    """At our p, the chance to cross with ``z`` in place of the bound is what the spending function gives."""
    design = rpact_design(LAN_DEMETS)
    p = repeated_p(design, look, z)
    before = efficacy_alone(design.model_copy(update={"alpha": p})).upper[: look - 1]
    t = design.information[:look]
    assert crosses(t, [*before, z]) == pytest.approx(design.spending.spent(np.array(t), p)[-1], rel=1e-8)


@pytest.mark.parametrize("z", [1.96, -0.5, 4.0])
def test_limits_and_median_are_the_roots(z: float) -> None:
    """Under each limit, a result as extreme in the stage-wise ordering has the chance asked for."""
    upper = efficacy_alone(rpact_design(LAN_DEMETS)).upper[:2]
    ended = Ended(np.array([4.0, 7.0, 10.0]), upper, z)
    low, high = confidence_limits(ended, 0.025)
    for effect, error in [(low, 0.025), (effect_at(ended, 0.5), 0.5), (high, 0.975)]:
        assert crosses(ended.information, [*upper, z], effect) == pytest.approx(error, abs=1e-9)


@pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])
def test_no_row_is_left_out() -> None:
    assert len(ROWS) == 172
    assert set(NOT_COMPUTED) <= {row.case for row in ROWS}
    assert set(DIVERGES) <= {f"{row.case}/{row.quantity}" for row in ROWS}
    rows = [row for row in EXACT if f"{row.case}/{row.quantity}" not in DIVERGES]
    assert not [row for row in rows if row.quantity not in quantities(row.inputs)]
    assert {row.case for row in ROWS} == {row.case for row in EXACT + WITH_FUTILITY} | set(NOT_COMPUTED)
