"""Trials by sufficient statistics: exact numbers where there are any, error rates, and prefixes."""

from dataclasses import fields

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import ndtr

from sim.core.streams import Streams
from sim.rules.boundaries import Design, solve
from sim.rules.spending import HwangShihDeCani, LanDeMetsOBrienFleming, OBrienFleming
from sim.sufficient import arm_selection, group_sequential, reestimation, response_adaptive
from sim.sufficient.arm_selection import SelectionDesign
from sim.sufficient.reestimation import Reestimation
from sim.sufficient.response_adaptive import AdaptiveDesign, Reallocation
from tests.montecarlo import assert_mean, assert_share

SEED = 20261121
FOUND = solve(
    Design(
        information=(0.4, 0.7, 1.0), spending=LanDeMetsOBrienFleming(), futility=HwangShihDeCani(gamma=-2.0)
    )
)
TWO_LOOKS = tuple(solve(Design(information=(0.5, 1.0), spending=OBrienFleming())).efficacy_z)


@pytest.mark.parametrize("effect", [0.0, 0.5, 1.0])
def test_group_sequential_stops_as_the_exact_recursion_says(effect: float) -> None:
    drift, trials = effect * FOUND.drift, 1_000_000
    found = group_sequential.run(FOUND.path, drift, SEED, trials)
    for counted, exact in zip(found.shares(), FOUND.path.crossing(drift), strict=True):
        for share, probability in zip(counted, exact, strict=True):
            hits = np.zeros(trials)
            hits[: round(share * trials)] = 1
            assert_share(hits, float(probability), detects=0.005)
    assert found.upper.sum() + found.lower.sum() == trials


def test_a_part_of_a_block_is_its_beginning() -> None:
    whole = group_sequential.simulate(FOUND.path, 1.0, Streams(SEED, 3))
    part = group_sequential.simulate(FOUND.path, 1.0, Streams(SEED, 3), 1000)
    assert part.upper.sum() + part.lower.sum() == 1000
    assert (part.upper <= whole.upper).all()


def reestimated(**change: object) -> Reestimation:
    plan = {"planned": (120, 120), "least": 60, "most": 360, "bounds": TWO_LOOKS, "sd": 2.5}
    return Reestimation(**(plan | change))


@pytest.mark.parametrize("change", [{}, {"assumed": 0.8}, {"zone": (0.3, 0.9)}, {"known_sd": True}], ids=str)
def test_reestimation_holds_the_type_1_error(change: dict[str, object]) -> None:
    found = reestimation.run(reestimated(**change), 0.0, SEED, 400_000)
    assert_share(found.first | found.second, 0.025, detects=0.003)


def test_a_fixed_second_stage_is_a_group_sequential_trial() -> None:
    design = reestimated(least=120, most=120, known_sd=True)
    found = reestimation.run(design, 0.8, SEED, 200_000)
    drift = 0.8 / 2.5 * np.sqrt(240) / 2
    plain = Design(information=(0.5, 1.0), spending=OBrienFleming())
    _, exact = solve(plain).path.crossing(drift)
    assert_share(found.first, float(exact[0]), detects=0.01)
    assert_share(found.second, float(exact[1]), detects=0.01)
    assert_mean(found.size, 240 - 120 * float(exact[0]), detects=2.0)


def test_the_second_stage_has_the_conditional_power_asked_for() -> None:
    design = reestimated(least=10, most=100_000, assumed=0.8)
    z = np.array([0.5, 1.0, 2.0])
    n = design.second_stage(z, np.zeros(3))
    needed = (design.bounds[1] - design.weights[0] * z) / design.weights[1]
    np.testing.assert_allclose(ndtr(0.8 / 2.5 * np.sqrt(n) / 2 - needed), 0.9)


def test_only_the_promising_zone_is_resized() -> None:
    design = reestimated(zone=(0.4, 0.8), assumed=0.8, most=1000)
    z = np.linspace(-1, 3, 41)
    n = design.second_stage(z, np.zeros(41))
    needed = (design.bounds[1] - design.weights[0] * z) / design.weights[1]
    power = ndtr(0.8 / 2.5 * np.sqrt(120) / 2 - needed)
    inside = (power >= 0.4) & (power < 0.8)
    assert inside.any()
    assert (n[~inside] == 120).all()
    assert (n[inside] > 120).all()


@pytest.mark.parametrize(
    "selection",
    [{"how": "best"}, {"how": "epsilon", "value": 0.1}, {"how": "promising", "value": 0.05}, {"how": "all"}],
    ids=lambda given: given["how"],
)
def test_selection_keeps_the_family_wise_error(selection: dict[str, object]) -> None:
    """With one good arm among three, the others are rejected in at most alpha of the trials."""
    design = SelectionDesign(patients=(40, 80), bounds=TWO_LOOKS, selection=selection)
    found = arm_selection.run(design, np.array([0.6, 0.0, 0.0]), SEED, 16_384)
    wrong = found.rejected[:, 1:].any(axis=(0, 1))
    limit = 0.025 + 5 * np.sqrt(0.025 * 0.975 / wrong.size)
    assert wrong.mean() < limit
    assert found.rejected[:, 0].any(axis=0).mean() > 0.5


def test_selection_of_one_arm_only_is_the_plain_trial() -> None:
    design = SelectionDesign(patients=(60, 120), bounds=TWO_LOOKS)
    found = arm_selection.run(design, np.array([0.35]), SEED, 61_440)
    drift = 0.35 * np.sqrt(120 / 2)
    _, exact = solve(Design(information=(0.5, 1.0), spending=OBrienFleming())).path.crossing(drift)
    assert_share(found.rejected.any(axis=(0, 1)), float(exact.sum()), detects=0.02)


def slow_shares(best: list[float], active: list[bool], power: float, least: float) -> np.ndarray:
    """One trial's shares: fix whoever is below the least, divide the rest again, until nobody is."""
    fixed: dict[int, float] = {}
    free = [arm for arm, there in enumerate(active) if there]
    while True:
        rest = 1 - sum(fixed.values())
        weight = {arm: best[arm] ** power for arm in free if arm not in fixed}
        shares = {arm: rest * w / sum(weight.values()) for arm, w in weight.items()} | fixed
        low = [arm for arm in weight if shares[arm] < least]
        if not low:
            return np.array([shares.get(arm, 0.0) for arm in range(len(best))])
        fixed |= dict.fromkeys(low, least)


@pytest.mark.parametrize(("power", "least"), [(1.0, 0.0), (0.5, 0.15), (1.0, 0.2)])
def test_shares_against_the_slow_way(power: float, least: float) -> None:
    rng = np.random.default_rng(3)
    best = rng.dirichlet([0.3, 0.5, 1.0, 0.4], 60).T
    active = rng.random((4, 60)) < 0.8
    active[0] = True
    best = np.where(active, best, 0.0)
    found = Reallocation(power=power, at_least=least).shares(best, active)
    for trial in range(60):
        slow = slow_shares(best[:, trial].tolist(), active[:, trial].tolist(), power, least)
        np.testing.assert_allclose(found[:, trial], slow, atol=1e-9)


ADAPTIVE = AdaptiveDesign(arms=3, looks=(100, 200, 300), randomised=(150, 250, 300), better="lower")


def test_patients_who_lag_are_counted_at_the_end_but_not_seen() -> None:
    batches = [(0, 0, 100), (0, 100, 150), (1, 150, 200), (1, 200, 250), (2, 250, 300)]
    assert ADAPTIVE.batches() == batches
    found = response_adaptive.run(ADAPTIVE, (0.1, 0.5, 0.5), SEED, 512)
    assert set(found.size) <= {150, 250, 300}
    assert (found.responders <= found.size).all()
    assert (found.selected == 0).mean() > 0.95


def test_more_trials_extend_fewer_and_a_threshold_meets_the_same_patients() -> None:
    rates = (0.2, 0.3, 0.35)
    few, many = (response_adaptive.run(ADAPTIVE, rates, SEED, n) for n in (100, 700))
    for field in fields(few):
        np.testing.assert_array_equal(getattr(few, field.name), getattr(many, field.name)[:100])
    keeps_all = ADAPTIVE.model_copy(update={"inferiority": 0.0})
    soon = response_adaptive.run(keeps_all, rates, SEED, 700)
    later = response_adaptive.run(keeps_all.model_copy(update={"superiority": 0.999}), rates, SEED, 700)
    assert (later.size >= soon.size).all()
    assert (later.size > soon.size).any()


def test_equal_arms_stop_for_equivalence() -> None:
    design = ADAPTIVE.model_copy(
        update={"equivalence": response_adaptive.Equivalence(probability=0.5, within=0.15)}
    )
    found = response_adaptive.run(design, (0.3, 0.3, 0.3), SEED, 512)
    assert (found.stopped == response_adaptive.EQUIVALENT).mean() > 0.5
    assert (found.stopped[found.size < 300] != response_adaptive.LAST).all()


@pytest.mark.parametrize(
    ("part", "tree", "message"),
    [
        (AdaptiveDesign, {"arms": 3, "looks": (100, 50)}, "looks: must increase"),
        (AdaptiveDesign, {"arms": 3, "looks": (50,), "randomised": (40,)}, "at least the patients"),
        (AdaptiveDesign, {"arms": 3, "looks": (50,), "inferiority": 0.4}, "below 1/arms"),
        (AdaptiveDesign, {"arms": 3, "looks": (50,), "allocation": {"at_least": 0.4}}, "more than 1"),
        (SelectionDesign, {"patients": (50, 100), "bounds": (2.0,)}, "needs 2 values"),
        (SelectionDesign, {"patients": (50, 50), "bounds": (2.0, 2.0)}, "must increase"),
    ],
)
def test_what_is_refused(part: type, tree: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        part(**tree)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"least": 500}, "at most 'most'"), ({"zone": (0.9, 0.3)}, "two rising"), ({"least": 1}, "more than 2")],
)
def test_what_reestimation_refuses(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        reestimated(**change)
