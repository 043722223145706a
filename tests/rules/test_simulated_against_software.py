"""Simulated characteristics of adaptive trials: rpact and adaptr, within 3 Monte Carlo errors of both."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from foreign_designs import equal_looks
from reference_rows import ABSENT, FILE, Row, parameters, read

from sim.rules.boundaries import Design, efficacy_alone
from sim.rules.spending import OBrienFleming
from sim.sufficient import arm_selection, reestimation, response_adaptive
from sim.sufficient.arm_selection import SelectionDesign
from sim.sufficient.reestimation import Reestimation
from sim.sufficient.response_adaptive import AdaptiveDesign, AdaptiveTrials
from tests.montecarlo import assert_mc

SEED = 20261121
ERRORS = 3.0
"""Monte Carlo errors that the rows allow."""

Values = dict[str, np.ndarray]
"""Values of each trial, whose mean is the quantity."""

ELSEWHERE = ("sim_rpact_means_asOF3_fut_alt0", "sim_R_longitudinal_MAR_eff1")
"""Held to exact numbers in test_interim_against_software, and by analyses in tests/analyses."""

ROWS = [row for row in read("adaptive") if row.case.startswith(("sim_", "adaptr_"))]
ROWS = [row for row in ROWS if row.case not in ELSEWHERE]
ESTIMATES = [row for row in ROWS if not row.quantity.endswith(("__mcse", "__mc_sd"))]


def bounds(given: dict[str, Any]) -> tuple[float, ...]:
    assert given["typeOfDesign"] == "OF"
    looks = tuple(equal_looks(given["kMax"]))
    return tuple(
        efficacy_alone(Design(alpha=given["alpha"], information=looks, spending=OBrienFleming())).upper
    )


def sample_size_reestimation(given: dict[str, Any]) -> Values:
    """rpact's default is the normal approximation: the SD counts as known."""
    planned = given["plannedSubjects"]
    design = Reestimation(
        planned=(planned[0], planned[1] - planned[0]),
        least=given["minNumberOfSubjectsPerStage"][1],
        most=given["maxNumberOfSubjectsPerStage"][1],
        bounds=bounds(given),
        conditional_power=given["conditionalPower"],
        assumed=given.get("thetaH1"),
        sd=given["stDev"],
        known_sd=True,
    )
    found = reestimation.run(design, given["alternative"], SEED, given["iterations"])
    return {
        "overall_reject": found.first | found.second,
        "expected_n": found.size,
        "reject_per_stage[1]": found.first,
        "reject_per_stage[2]": found.second,
        "futility_per_stage": np.zeros(given["iterations"]),
    }


def multi_arm(given: dict[str, Any]) -> Values:
    """rpact counts an arm at the stage that first rejects it; the control is the last arm selected."""
    design = SelectionDesign(
        patients=given["plannedSubjects"],
        bounds=bounds(given),
        selection={"how": given["typeOfSelection"]},
        stop="any" if given["successCriterion"] == "atLeastOne" else "all",
    )
    arms = given["activeArms"]
    effects = given["muMaxVector"] / given["stDev"] * np.arange(1, arms + 1) / arms
    found = arm_selection.run(design, effects, SEED, given["iterations"])
    new = found.rejected & ~np.concatenate([np.zeros_like(found.rejected[:1]), found.rejected[:-1]])
    values: Values = {"reject_at_least_one": found.rejected.any(axis=(0, 1)), "expected_n": found.size}
    for arm in range(arms + 1):
        for stage in range(2):
            place = 2 * arm + stage + 1
            there = found.selected[stage, arm] if arm < arms else found.made[stage]
            values[f"selected_arms[stage,scenario,arm] flattened[{place}]"] = there
            if arm < arms:
                values[f"rejected_arms_per_stage flattened[{place}]"] = new[stage, arm]
    return values


def of_adaptive_trials(found: AdaptiveTrials, rates: np.ndarray) -> Values:
    """Values of each trial; the ideal design percentage is linear in the rate of the selected arm."""
    chosen = rates[found.selected]
    values = {
        "size_mean": found.size,
        "sum_ys_mean": found.responders,
        "ratio_ys_mean": found.responders / found.size,
        "prob_conclusive": found.stopped != response_adaptive.LAST,
        "prob_superior": found.stopped == response_adaptive.SUPERIOR,
        "prob_equivalence": found.stopped == response_adaptive.EQUIVALENT,
        "prob_max": found.stopped == response_adaptive.LAST,
        "idp": 100 * (chosen - rates.min()) / max(np.ptp(rates), 1e-300),
    }
    return values | {f"prob_select_arm_{'ABC'[arm]}": found.selected == arm for arm in range(len(rates))}


def adaptive_trials(given: dict[str, Any]) -> tuple[AdaptiveTrials, np.ndarray]:
    rates = np.array(given["true_ys"])
    design = AdaptiveDesign(
        arms=len(rates),
        looks=given["looks"],
        superiority=given["superiority"],
        inferiority=given["inferiority"],
    )
    return response_adaptive.run(design, tuple(rates), SEED, 10_240), rates


def adaptr(given: dict[str, Any]) -> Values:
    assert given["allocation"] == "fixed 1:1:1"
    assert given["prior"] == "beta(1,1)"
    found, rates = adaptive_trials(given)
    error = found.estimate - rates[found.selected]
    return of_adaptive_trials(found, rates) | {"error": error}


CALLS: list[tuple[str, Callable[[dict[str, Any]], Values]]] = [
    ("rpact::getSimulationMeans (inverse normal, conditional-power SSR", sample_size_reestimation),
    ("rpact::getSimulationMultiArmMeans", multi_arm),
    ("adaptr::run_trials", adaptr),
]


@lru_cache
def values(inputs: str) -> Values:
    given = json.loads(inputs)
    call = next(call for start, call in CALLS if given["call"].startswith(start))
    return {name: np.asarray(each, dtype=float) for name, each in call(given).items()}


def spread_of(row: Row) -> tuple[float, float, float]:
    """Median, standard deviation or root mean square error over trials, its standard error, a fault."""
    trials = values(row.inputs)
    size = trials["size_mean"]
    if row.quantity == "size_median":
        return float(np.median(size)), 0.0, 1.0
    deviation = (size - size.mean()) ** 2 if row.quantity == "size_sd" else trials["error"] ** 2
    root = np.sqrt(deviation.mean())
    return float(root), float(deviation.std() / (2 * root * np.sqrt(deviation.size))), float(0.1 * root)


def error_of(row: Row, ours: np.ndarray) -> float:
    """Monte Carlo error of the row: reported beside it, or that of as many trials as it had."""
    reported = [r for r in ROWS if r.case == row.case and r.quantity == f"{row.quantity}__mc_sd"]
    if reported:
        return reported[0].value
    return float(ours.std() / np.sqrt(row.given["iterations"]))


def hold(ours: float, theirs: float, errors: tuple[float, float], detects: float) -> None:
    """Compare two simulations; where neither varies, they must be the same."""
    se = float(np.hypot(*errors))
    if se == 0:
        assert ours == theirs
    else:
        assert_mc(ours, theirs, se, detects, z=ERRORS)


SPREADS = ("size_median", "size_sd", "rmse")


@pytest.mark.parametrize("row", parameters(ESTIMATES))
def test_reference_value(row: Row) -> None:
    assert "3 Monte Carlo errors" in row.tolerance
    if row.quantity in SPREADS:
        ours, error, detects = spread_of(row)
        theirs = next(r.value for r in ROWS if r.quantity == f"{row.quantity}__mc_sd")
        hold(ours, row.value, (error, theirs), detects)
        return
    trials = values(row.inputs)[row.quantity]
    scale = max(abs(row.value), 1.0)
    errors = (float(trials.std() / np.sqrt(trials.size)), error_of(row, trials))
    hold(float(trials.mean()), row.value, errors, detects=0.05 * scale)


README = AdaptiveDesign(
    arms=3,
    looks=tuple(range(300, 2001, 100)),
    randomised=(*range(400, 2001, 100), 2000),
    superiority=0.9814318,
    inferiority=1 - 0.9814318,
    equivalence={"probability": 0.9, "within": 0.05},
    allocation={"at_least": 0.2},
    better="lower",
)
PUBLISHED = {
    "size_mean": (1749.6, 11.36),
    "sum_ys_mean": (438.69, 2.95),
    "prob_superior": (0.048, 0.00676),
    "prob_equivalence": (0.381, 0.01536),
    "prob_max": (0.571, 0.01565),
    "prob_select_arm_A": (0.318, 0.01473),
    "prob_select_arm_B": (0.310, 0.01463),
    "prob_select_arm_C": (0.372, 0.01528),
}
"""What adaptr's own documentation prints for its example of 1,000 trials, and the errors.

README of adaptr 1.4.0: three equal arms, 18 looks, response-adaptive, outcomes that lag 100 patients behind.
"""


@pytest.fixture(scope="module")
def published_design() -> Values:
    found = response_adaptive.run(README, (0.25, 0.25, 0.25), SEED, 6144)
    return of_adaptive_trials(found, np.full(3, 0.25))


@pytest.mark.parametrize("quantity", PUBLISHED)
def test_the_published_example_with_18_looks(quantity: str, published_design: Values) -> None:
    trials = np.asarray(published_design[quantity], dtype=float)
    theirs, error = PUBLISHED[quantity]
    errors = (float(trials.std() / np.sqrt(trials.size)), error)
    hold(float(trials.mean()), theirs, errors, detects=0.15 * max(theirs, 1.0))


@pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])
def test_no_row_is_left_out() -> None:
    assert len(ROWS) == 95
    wanted = [row for row in ESTIMATES if row.quantity not in SPREADS]
    assert not [row for row in wanted if row.quantity not in values(row.inputs)]
    errors = [row for row in ROWS if row not in ESTIMATES]
    named = {f"{row.case}/{row.quantity}" for row in ESTIMATES}
    assert {f"{row.case}/{row.quantity.rsplit('__', 1)[0]}" for row in errors} <= named
