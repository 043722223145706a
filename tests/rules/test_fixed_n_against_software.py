"""Sample sizes and powers of rpact, R's stats, pwr, longpower, Exact, TrialSize and gsDesign."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from foreign_designs import rpact_design
from reference_rows import ABSENT, FILE, Row, answer, parameters, read
from scipy.special import stdtrit

from sim.rules.boundaries import solve
from sim.rules.fixed_n import (
    Errors,
    Size,
    Visits,
    arcsine_effect,
    equivalent_means,
    fisher_power,
    longitudinal,
    means,
    means_by_normal,
    one_rate,
    power_means,
    rates,
    rates_by_arcsine,
)

ROWS = read("sample_size")

NOT_COMPUTED = {
    "ss_means_ratio": "a ratio of means is no estimand of this project",
    "ss_surv_recovery_hr1.4": "no time-to-event endpoint in this project",
    "gsDesign_nSurvival": "no time-to-event endpoint in this project",
    "pwr_anova_k3": "no global test of several arms: contrasts with the control only",
    "bin_exact_power_z-pooled_n40": "no unconditional exact test: Fisher's is the exact one offered",
    "bin_exact_power_z-pooled_n80": "no unconditional exact test: Fisher's is the exact one offered",
    "bin_exact_power_boschloo_n80": "no unconditional exact test: Fisher's is the exact one offered",
}
"""Cases that we choose not to compute, with the reason."""

Quantities = dict[str, Any]


def rpact_errors(given: dict[str, Any]) -> Errors:
    design = given.get("design", given)
    return Errors(design["alpha"], design["beta"], design["sided"], given.get("allocationRatioPlanned", 1))


def sized(size: Size) -> Quantities:
    return {
        "n_total_fractional": size.total,
        "n_arm1_fractional": size.arm_1,
        "n_arm2_fractional": size.arm_2,
        "n_per_arm_fractional": size.arm_2,
        "n_arm1": size.arm_1,
        "n_arm2": size.arm_2,
        "n_total": size.total,
        "n": size.arm_2,
    }


def rpact_means(given: dict[str, Any]) -> Quantities:
    errors, margin, sd = rpact_errors(given), given.get("thetaH0", 0), given["stDev"]
    normal = given.get("normalApproximation", False)
    size = (means_by_normal if normal else means)(errors, given["alternative"], sd, margin)
    if "design" in given:
        return rpact_means_with_looks(given, size)
    critical = errors.z_alpha if normal else float(stdtrit(size.total - 2, 1 - errors.alpha / errors.sided))
    bound = margin + critical * sd * np.sqrt(1 / size.arm_1 + 1 / size.arm_2)
    return sized(size) | {"critical_value_effect_scale": bound}


def rpact_means_with_looks(given: dict[str, Any], fixed: Size) -> Quantities:
    found = solve(rpact_design(given["design"]))
    n = fixed.total * found.inflation * found.design.looks_at
    return looks(found.inflation * fixed.total, fixed.total, given["design"]) | {
        "n_by_stage": n,
        "critical_value_effect_scale": stdtrit(n - 2, 1 - found.nominal_p) * given["stDev"] * np.sqrt(4 / n),
        "critical_value_pvalue_scale": found.nominal_p,
    }


def looks(most: float, fixed: float, design: dict[str, Any]) -> Quantities:
    ratio = solve(rpact_design(design)).expected_n_ratio
    return {
        "max_n_total": most,
        "expected_n_H0": fixed * ratio(0.0),
        "expected_n_H01": fixed * ratio(0.5),
        "expected_n_H1": fixed * ratio(1.0),
    }


def rpact_power(given: dict[str, Any]) -> Quantities:
    ratio, n = given.get("allocationRatioPlanned", 1), given["maxNumberOfSubjects"]
    errors, size = Errors(given["alpha"], 0.1, 1, ratio), Size(n * ratio / (1 + ratio), n / (1 + ratio))
    return {
        f"overall_reject[alt={effect:g}]": power_means(errors, effect, given["stDev"], size)
        for effect in given["alternative"]
    }


def rpact_rates(given: dict[str, Any]) -> Quantities:
    errors = rpact_errors(given)
    if given["groups"] == 1:
        return {"n_total_fractional": one_rate(errors, given["pi1"], given["thetaH0"])}
    size = rates(errors, given["pi1"], given["pi2"])
    if "design" in given:
        return looks(solve(rpact_design(given["design"])).inflation * size.total, size.total, given["design"])
    return sized(size)


def r_t_test(given: dict[str, Any]) -> Quantities:
    alpha, effect, sd = given["sig.level"], given["delta"], given["sd"]
    if "n" in given:
        return {"power": power_means(Errors(alpha, 0.1, 2), effect, sd, Size(given["n"], given["n"]))}
    return sized(means(Errors(alpha, 1 - given["power"], 2), effect, sd))


def pwr_t2n(given: dict[str, Any]) -> Quantities:
    return {
        "power": power_means(
            Errors(given["sig.level"], 0.1, 2), given["d"], 1.0, Size(given["n1"], given["n2"])
        )
    }


def r_rates(given: dict[str, Any]) -> Quantities:
    return sized(rates(Errors(given["sig.level"], 1 - given["power"], 2), given["p1"], given["p2"]))


def pwr_rates(given: dict[str, Any]) -> Quantities:
    errors = Errors(given["sig.level"], 1 - given["power"], 2)
    effect = {"effect_h": arcsine_effect(given["p1"], given["p2"])}
    return sized(rates_by_arcsine(errors, given["p1"], given["p2"])) | effect


def fisher(given: dict[str, Any]) -> Quantities:
    rates_of, patients = (given["p1"], given["p2"]), (given["n1"], given["n2"])
    return {"power": fisher_power(given["alpha"], rates_of, patients)}


def fisher_first(given: dict[str, Any]) -> Quantities:
    rates_of = (given["p1"], given["p2"])
    enough = (n for n in range(2, 200) if fisher_power(given["alpha"], rates_of, (n, n)) >= given["power"])
    return {"n_per_arm_first": next(enough)}


def equivalence(given: dict[str, Any]) -> Quantities:
    assert given["k"] == 1
    errors = Errors(given["alpha"], given["beta"])
    return sized(equivalent_means(errors, given["margin"], given["sigma"], given["delta"]))


def non_inferiority(given: dict[str, Any]) -> Quantities:
    errors = Errors(given["alpha"], given["beta"], 1, given["k"])
    return sized(means_by_normal(errors, given["margin"], given["sigma"], given["delta"]))


def mmrm(given: dict[str, Any]) -> Quantities:
    visit = np.arange(len(given["ra"]))
    autoregressive = given.get("rho", 0.0) ** np.abs(np.subtract.outer(visit, visit))
    visits = Visits(np.array(given.get("Ra", autoregressive)), np.array(given["ra"]))
    errors = Errors(given["sig.level"], 1 - given["power"], 2, given.get("lambda", 1))
    return sized(longitudinal(errors, given["delta"], given["sigmaa"], visits))


def gsdesign_normal(given: dict[str, Any]) -> Quantities:
    errors = Errors(given["alpha"], given["beta"], 1, given["ratio"])
    return sized(means_by_normal(errors, given["delta1"], given["sd"]))


CALLS: dict[str, Callable[[dict[str, Any]], Quantities]] = {
    "rpact::getSampleSizeMeans": rpact_means,
    "rpact::getPowerMeans": rpact_power,
    "rpact::getSampleSizeRates": rpact_rates,
    "stats::power.t.test": r_t_test,
    "pwr::pwr.t2n.test": pwr_t2n,
    "stats::power.prop.test": r_rates,
    "pwr::pwr.2p.test": pwr_rates,
    "Exact::power.exact.test": fisher,
    "enumeration of stats::fisher.test": fisher,
    "first n with enumerated fisher.test power >= 0.8": fisher_first,
    "TrialSize::TwoSampleMean.Equivalence": equivalence,
    "TrialSize::TwoSampleMean.NIS": non_inferiority,
    "longpower::power.mmrm": mmrm,
    "longpower::power.mmrm.ar1": mmrm,
    "gsDesign::nNormal": gsdesign_normal,
}


@lru_cache
def quantities(inputs: str) -> dict[str, float]:
    return answer(CALLS, inputs)


@pytest.mark.parametrize("row", parameters(ROWS))
def test_reference_value(row: Row) -> None:
    if row.case in NOT_COMPUTED:
        pytest.skip(NOT_COMPUTED[row.case])
    assert quantities(row.inputs)[row.quantity] == pytest.approx(row.value, rel=row.relative, abs=0)


@pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])
def test_no_row_is_left_out() -> None:
    assert len(ROWS) == 122
    assert set(NOT_COMPUTED) <= {row.case for row in ROWS}
    asked = [row for row in ROWS if row.case not in NOT_COMPUTED]
    assert not [row for row in asked if row.quantity not in quantities(row.inputs)]
