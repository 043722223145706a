"""Every group-sequential reference value of rpact 4.4 and gsDesign 3.4."""

import json
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from reference_rows import ABSENT, FILE, Row, parameters, read

from sim.rules.boundaries import Boundaries, Design, solve
from sim.rules.spending import parse_spending

ROWS = read("gsd")

NOT_COMPUTED: dict[str, str] = {}
"""Rows that we choose not to compute, ``case/quantity``, with the reason."""

RPACT = {
    "OF": "obrien_fleming",
    "P": "pocock",
    "WT": "wang_tsiatis:{deltaWT}",
    "asOF": "ld_obrien_fleming",
    "asP": "ld_pocock",
    "asHSD": "hsd:{gammaA}",
    "asKD": "kim_demets:{gammaA}",
    "bsOF": "ld_obrien_fleming",
    "bsP": "ld_pocock",
    "bsHSD": "hsd:{gammaB}",
}
GSDESIGN = {
    "OF": "obrien_fleming",
    "Pocock": "pocock",
    "sfLDOF": "ld_obrien_fleming",
    "sfLDPocock": "ld_pocock",
    "sfHSD": "hsd:{}",
}


def equal_looks(k: int) -> list[float]:
    return [(look + 1) / k for look in range(k)]


def rpact_futility(given: dict[str, Any]) -> str | None:
    if "typeBetaSpending" in given:
        return RPACT[given["typeBetaSpending"]].format(**given)
    if "futilityBounds" in given:
        return "z:" + ",".join(str(z) for z in np.atleast_1d(given["futilityBounds"]))
    return None


def rpact_design(given: dict[str, Any]) -> Design:
    futility = rpact_futility(given)
    return Design(
        alpha=given["alpha"],
        beta=given["beta"],
        sided=given["sided"],
        information=given.get("informationRates") or equal_looks(given["kMax"]),
        spending=parse_spending(RPACT[given["typeOfDesign"]].format(**given), "spending"),
        futility=futility and parse_spending(futility, "futility", given_bounds=True),
        binding=given.get("bindingFutility", False),
    )


def gsdesign_design(given: dict[str, Any]) -> Design:
    """Test types: 1 one-sided, 2 symmetric, 3 and 4 beta spending, 5 and 6 spending under the null."""
    kind, sided = given["test.type"], 2 if given["test.type"] == 2 else 1
    return Design(
        alpha=given["alpha"] * sided,
        beta=given["beta"],
        sided=sided,
        information=[*given["timing"], 1.0] if "timing" in given else equal_looks(given["k"]),
        spending=parse_spending(GSDESIGN[given["sfu"]].format(given.get("sfupar")), "spending"),
        futility=parse_spending(GSDESIGN[given["sfl"]].format(given["sflpar"]), "futility")
        if kind > 2
        else None,
        binding=kind in (3, 5),
        futility_under="null" if kind in (5, 6) else "alternative",
    )


def rpact_quantities(found: Boundaries) -> dict[str, Any]:
    return {
        "critical_value_z": found.efficacy_z,
        "stage_level_one_sided": found.nominal_p,
        "cumulative_alpha_spent": found.alpha_spent,
        "futility_bound_z": None if found.futility_z is None else found.futility_z[:-1],
        "cumulative_beta_spent": found.beta_spent,
        "inflation_factor": found.inflation,
        "nFixed_unit_effect": found.design.fixed_drift**2,
        "max_shift_drift_sq": found.drift**2,
        "ASN_ratio_H0": found.expected_n_ratio(0.0),
        "ASN_ratio_H01": found.expected_n_ratio(0.5),
        "ASN_ratio_H1": found.expected_n_ratio(1.0),
        "cum_power_by_stage": np.cumsum(found.stopping(1.0)[0]),
    }


def gsdesign_quantities(found: Boundaries) -> dict[str, Any]:
    return {
        "upper_z": found.efficacy_z,
        "lower_z": found.path.lower,
        "inflation_n.I_per_nfix": found.inflation * found.design.looks_at,
        "expected_n_ratio_theta0": found.expected_n_ratio(0.0),
        "expected_n_ratio_thetaH1": found.expected_n_ratio(1.0),
        "drift_theta_H1": found.design.fixed_drift,
        "upper_cross_prob_H1": found.stopping(1.0)[0],
        "lower_cross_prob_H0": found.path.crossing(0.0)[0],
    }


@lru_cache
def quantities(inputs: str) -> dict[str, float]:
    given = json.loads(inputs)
    if given["call"].startswith("rpact"):
        named = rpact_quantities(solve(rpact_design(given)))
    else:
        named = gsdesign_quantities(solve(gsdesign_design(given)))
    flat = {}
    for name, value in named.items():
        if value is None:
            continue
        numbers = np.atleast_1d(value)
        flat |= {f"{name}[{look + 1}]": float(number) for look, number in enumerate(numbers)}
        if len(numbers) == 1:
            flat[name] = float(numbers[0])
    return flat


@pytest.mark.parametrize("row", parameters(ROWS))
def test_reference_value(row: Row) -> None:
    if f"{row.case}/{row.quantity}" in NOT_COMPUTED:
        pytest.skip(NOT_COMPUTED[f"{row.case}/{row.quantity}"])
    assert quantities(row.inputs)[row.quantity] == pytest.approx(row.value, rel=row.relative, abs=0)


@pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])
def test_no_row_is_left_out() -> None:
    assert len(ROWS) == 835
    known = {f"{row.case}/{row.quantity}" for row in ROWS}
    assert set(NOT_COMPUTED) <= known
    missing = {
        f"{row.case}/{row.quantity}"
        for row in ROWS
        if f"{row.case}/{row.quantity}" not in NOT_COMPUTED and row.quantity not in quantities(row.inputs)
    }
    assert not missing
