"""Every group-sequential reference value of rpact 4.4 and gsDesign 3.4."""

import json
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from foreign_designs import gsdesign_design, rpact_design
from reference_rows import ABSENT, FILE, Row, parameters, read

from sim.rules.boundaries import Boundaries, solve

ROWS = read("gsd")

NOT_COMPUTED: dict[str, str] = {}
"""Rows that we choose not to compute, ``case/quantity``, with the reason."""


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
