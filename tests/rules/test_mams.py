"""Multi-arm multi-stage designs against one arm, scipy's multivariate normal and plain simulation."""

import itertools

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import multivariate_normal

from sim.core.errors import RunError
from sim.rules.crossing import crossing_probabilities
from sim.rules.mams import Effects, MultiArmDesign, family_wise_error, selection_power, solve
from tests.montecarlo import assert_share

TWO = MultiArmDesign(arms=2, patients=(1, 2), control=(1, 2), lower="fixed", lower_z=0.0)
UNEQUAL = MultiArmDesign(
    arms=3, patients=(1, 2, 3), control=(2, 3, 5), upper="triangular", lower="triangular"
)


@pytest.mark.parametrize("looks", [2, 3, 4])
def test_one_arm_is_a_group_sequential_trial(looks: int) -> None:
    """The weighted information of arm and control makes one path, which the exact recursion crosses."""
    multiples = tuple(range(1, looks + 1))
    design = MultiArmDesign(
        arms=1, patients=multiples, control=multiples, upper="pocock", lower="fixed", lower_z=0.2
    )
    lower, upper = design.bounds(2.2)
    information = np.array(multiples) / 2
    _, high = crossing_probabilities(information, (lower, upper))
    assert family_wise_error(design, 2.2) == pytest.approx(high.sum(), abs=1e-6)
    _, high = crossing_probabilities(information * 12, (lower, upper), 0.6)
    assert selection_power(design, 2.2, Effects(good=0.6), 12) == pytest.approx(high.sum(), abs=1e-6)


def test_two_arms_and_looks_against_scipy() -> None:
    """No arm crosses: each is dropped at the first look, or goes on and stays below at the second."""
    constant = 2.2
    (low, _), (first, last) = TWO.bounds(constant)
    between, arms = np.sqrt(0.5), 0.5
    cov = np.kron([[1, arms], [arms, 1]], [[1, between], [between, 1]])
    normal = multivariate_normal(cov=cov, abseps=1e-7, maxpts=1_000_000)  # by default it is off by 5e-6
    ways = {"dropped": ([-9.0, -9.0], [low, 9.0]), "stays": ([low, -9.0], [first, last])}
    none = 0.0
    for one, two in itertools.product(ways.values(), repeat=2):
        none += normal.cdf(one[1] + two[1], lower_limit=one[0] + two[0])
    assert family_wise_error(TWO, constant) == pytest.approx(1 - none, abs=1e-6)


def trials(design: MultiArmDesign, effect: np.ndarray, patients: float, number: int) -> np.ndarray:
    """Which arm wins each of many simulated trials, −1 for none: plain sums and loops over looks and arms."""
    rng = np.random.default_rng(20261121)
    lower, upper = design.bounds(2.0)
    arms = design.arms
    total, control, made, made_0 = np.zeros((arms, number)), np.zeros(number), 0.0, 0.0
    going, winner, open_ = np.ones((arms, number), bool), np.full(number, -1), np.ones(number, bool)
    for look, (r, r0) in enumerate(zip(design.patients, design.control, strict=True)):
        n, n0 = (r - made) * patients, (r0 - made_0) * patients
        total += effect[:, None] * n + rng.normal(size=(arms, number)) * np.sqrt(n)
        control += rng.normal(size=number) * np.sqrt(n0)
        made, made_0 = r, r0
        difference = total / (r * patients) - control / (r0 * patients)
        z = difference / np.sqrt((1 / r + 1 / r0) / patients)
        best = np.where(going, z, -np.inf).argmax(axis=0)
        crosses = (going & (z >= upper[look])).any(axis=0) & open_
        winner[crosses] = best[crosses]
        open_ &= ~crosses
        going &= z > lower[look]
    return winner


@pytest.mark.parametrize("design", [TWO, UNEQUAL], ids=["two", "unequal"])
def test_power_and_error_against_simulated_trials(design: MultiArmDesign) -> None:
    effects = Effects(good=0.5, poor=0.2)
    effect = np.array([effects.good] + [effects.poor] * (design.arms - 1))
    power = selection_power(design, 2.0, effects, 20.0)
    assert_share(trials(design, effect, 20.0, 200_000) == 0, power, detects=0.01)
    none = trials(design, np.zeros(design.arms), 20.0, 200_000)
    assert_share(none >= 0, family_wise_error(design, 2.0), detects=0.01)


def test_solved_bounds_and_size_do_what_was_asked() -> None:
    effects = Effects(good=0.5, poor=0.1)
    found = solve(TWO, effects)
    constant = found.upper[-1] * np.sqrt(2)
    assert family_wise_error(TWO, constant) == pytest.approx(0.025, abs=1e-9)
    assert selection_power(TWO, constant, effects, found.patients) >= 0.9
    assert selection_power(TWO, constant, effects, found.patients - 1) < 0.9
    assert found.total == found.patients * 6


def test_an_effect_that_no_size_finds() -> None:
    with pytest.raises(RunError, match="no size"):
        solve(TWO, Effects(good=0.2, poor=0.2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control": (1,)}, "needs 2 values"),
        ({"patients": (2, 1)}, "must increase"),
        ({"lower_z": None}, "goes with lower 'fixed'"),
    ],
)
def test_what_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MultiArmDesign(**(TWO.model_dump() | change))
