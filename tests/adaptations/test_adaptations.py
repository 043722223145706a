"""What is changed at a look: closed forms, plain twins, and the engines on sufficient statistics."""

import numpy as np
import pytest
from scipy.special import ndtr

from sim.adaptations.base import Plan, Standing, arm_posteriors
from sim.adaptations.drop_arms import DropArms
from sim.adaptations.promising_zone import PromisingZone
from sim.adaptations.response_adaptive import ResponseAdaptive, bounded
from sim.allocation import PermutedBlocks, among_open, by_shares
from sim.core.streams import Streams
from sim.protocol import Protocol
from sim.rules.best_normal import best_probability
from sim.rules.combination_test import CombinationTest
from sim.scenario import Scenario
from sim.sufficient import arm_selection, reestimation
from sim.sufficient.response_adaptive import Reallocation
from tests.adaptations.trials import (
    COMBINATION,
    SEQUENTIAL,
    four_arms,
    nature,
    protocol,
    run,
    success,
    together,
)
from tests.montecarlo import assert_mean, assert_share

AT_ONCE = {"rule": {"kind": "one_sided", "alpha": 0.025}}
RNG = np.random.default_rng(5)


def test_the_better_of_two_arms_in_closed_form():
    mean, variance = RNG.normal(size=(2, 50)), RNG.uniform(0.05, 2, (2, 50))
    found = best_probability(mean, variance, np.ones((2, 50), dtype=bool))
    exact = ndtr((mean[0] - mean[1]) / np.sqrt(variance.sum(axis=0)))
    assert found[0] == pytest.approx(exact, abs=1e-9)
    assert found.sum(axis=0) == pytest.approx(np.ones(50), abs=1e-9)


def test_the_best_of_four_arms_as_drawn():
    mean, variance = np.array([0, 0.2, 0.5, 0.4])[:, None], np.array([0.1, 0.3, 0.2, 0.4])[:, None]
    drawn = mean + np.sqrt(variance) * RNG.standard_normal((4, 200_000))
    found = best_probability(mean, variance, np.ones((4, 1), dtype=bool))[:, 0]
    for arm in range(4):
        assert_share(drawn.argmax(axis=0) == arm, found[arm], detects=0.01)
    without = best_probability(mean, variance, np.array([True, True, False, True])[:, None])[:, 0]
    assert without[2] == 0
    assert without.sum() == pytest.approx(1)


def test_contrasts_with_one_control_are_taken_apart():
    patients = np.array([[40.0], [20.0], [10.0]])
    sigma = 2.5
    se = sigma * np.sqrt(1 / patients[1:] + 1 / patients[0])
    mean, variance = arm_posteriors(np.array([[0.3], [-0.2]]), se, patients, ((1, 2), 0))
    assert mean[:, 0] == pytest.approx([0, 0.3, -0.2])
    assert variance == pytest.approx(sigma**2 / patients)


def test_shares_within_limits():
    weight = RNG.gamma(0.3, size=(4, 300)) + 1e-9
    among, total = np.ones((4, 300), dtype=bool), np.full(300, 0.8)
    shares = bounded(weight, among, total, (0.05, 0.4))
    assert shares.sum(axis=0) == pytest.approx(total)
    assert shares.min() >= 0.05 - 1e-9
    assert shares.max() <= 0.4 + 1e-9
    free = (shares > 0.05 + 1e-6) & (shares < 0.4 - 1e-6)
    ratio = np.where(free, shares / weight, np.nan)
    spread = np.nanmax(ratio, axis=0) / np.nanmin(ratio, axis=0)
    assert np.nanmax(spread) == pytest.approx(1, abs=1e-6)


def test_shares_without_an_upper_limit_are_those_of_the_engine():
    best = RNG.dirichlet([0.4] * 3, 200).T
    among = np.ones((3, 200), dtype=bool)
    engine = Reallocation(power=0.5, at_least=0.15).shares(best, among)
    ours = bounded(np.maximum(best, 1e-12) ** 0.5, among, np.ones(200), (0.15, 1.0))
    low = (engine <= 0.15 + 1e-9).sum(axis=0)
    assert ours[:, low < 2] == pytest.approx(engine[:, low < 2], abs=1e-6)


def test_patients_are_allocated_by_the_shares():
    shares = np.repeat([[0.2], [0.5], [0.3]], 128, axis=1)
    arm = by_shares(shares, 400, Streams(3, 0))
    for k, share in enumerate((0.2, 0.5, 0.3)):
        assert_share(arm == k, share, detects=0.02)
    assert (by_shares(shares, 100, Streams(3, 0)) == arm[:100]).all()


def test_open_arms_are_filled_by_their_ratio():
    opened = np.ones((3, 120, 128), dtype=bool)
    opened[2, 60:] = False
    opened[:, 110:] = False
    arm = among_open(PermutedBlocks(), (1, 1, 2), opened, Streams(3, 0))
    assert (np.stack([(arm[:60] == k).sum(axis=0) for k in range(3)]) == [[15], [15], [30]]).all()
    assert (np.stack([(arm[60:110] == k).sum(axis=0) for k in range(3)]) == [[25], [25], [0]]).all()
    assert (arm[110:] == -1).all()


def standing(z: np.ndarray, passed: int, bounds: np.ndarray) -> Standing:
    size = z.shape[1]
    nothing = np.zeros((2, size), dtype=bool)
    return Standing(
        look=0,
        planned=(0.5, 1.0),
        z=z,
        se=np.ones_like(z),
        mean=np.vstack([np.zeros(size), z]),
        variance=np.ones((2, size)),
        compared=(1,),
        control=0,
        ended=nothing,
        decided=nothing[1:],
        passed=np.full(size, passed),
        randomised=np.full(size, passed),
        sd=np.ones(size),
        ratio=np.ones(2),
        bounds=bounds,
    )


def test_the_promising_zone_is_that_of_the_engine():
    rule = CombinationTest.model_validate(COMBINATION)
    bounds = rule.boundaries((0.5, 1.0)).efficacy_z
    z = np.linspace(-1, 3.5, 400)[None]
    design = reestimation.Reestimation(
        planned=(100, 100), least=100, most=300, bounds=tuple(bounds), zone=(0.3, 0.9), known_sd=True
    )
    engine = 100 + design.second_stage(z[0], z[0] * 2 / np.sqrt(100))
    plan = PromisingZone(zone=(0.3, 0.9), most_times=2).adapt(
        Plan.at_start(2, 200, 400), standing(z, 100, bounds)
    )
    assert plan.size == pytest.approx(np.ceil(engine), abs=1)
    assert (plan.size > 200).any()


def test_dropped_arms_save_their_patients():
    z = np.array([[0.1, 2.0]])
    plan = DropArms(keep="above", value=0.5, freed="saved").adapt(
        Plan.at_start(2, 200, 2), standing(z, 100, np.array([3, 2]))
    )
    assert plan.open.tolist() == [[True, True], [False, True]]
    assert plan.size.tolist() == [150, 200]


def test_the_control_keeps_its_share():
    z = np.array([[0.0, 3.0]])
    plan = ResponseAdaptive(power=1, control_share=0.4).adapt(
        Plan.at_start(2, 200, 2), standing(z, 100, np.array([3, 2]))
    )
    assert plan.shares is not None
    assert plan.shares[:, 1] == pytest.approx([0.4, 0.6])


def test_a_response_adaptive_trial_as_a_plain_loop_has_it(two_arm):
    """Recompute the shares of one look from a trial's own rows, and the arms that follow from them."""
    from tests.adaptations.trials import BAYES, SEED

    change = [{"kind": "response_adaptive", "power": 0.5, "at_least": 0.2}]
    look = {"when": {"fractions": [0.5, 1]}, "rule": BAYES}
    record = run(protocol(two_arm, look, adaptations=change), nature(two_arm), 1)[0]
    uniform = Streams(SEED, 0).at("after look 1")("share").random((200, 128))
    for r in range(0, 128, 16):
        if record.ended[0, r] == 0:
            continue
        arm, x, y = (a[:100, r] for a in (record.data.arm, record.data.baseline, record.data.score[:, :, -1]))
        design = np.column_stack([np.ones(100), arm == 1, x])
        (_, effect, _), rest, *_ = np.linalg.lstsq(design, y, rcond=None)
        se = np.sqrt(rest[0] / 97 * np.linalg.inv(design.T @ design)[1, 1])
        better = ndtr(-effect / se)
        weight = np.sqrt([1 - better, better])
        share = np.clip(weight / weight.sum(), 0.2, 0.8)
        week = record.conduct.enrolled[99, r] + 12
        for i in np.flatnonzero(record.conduct.enrolled[:, r] > week):
            assert record.data.arm[i, r] == (uniform[i, r] >= share[0])


def drift(plain: Protocol, scenario: Scenario, arm: int = 0) -> float:
    """Effect in SDs in trials of the same arms in which nothing changes, from their own z."""
    estimates = [r.findings[0].estimate for r in run(plain, scenario, 20)]
    z = np.concatenate([-(found.estimate / found.se)[arm, -1] for found in estimates])
    return float(z.mean() / np.sqrt(plain.n / len(plain.arms) / 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["null", "expected"])
def test_a_promising_zone_trial_is_the_engines(two_arm, name):
    change = [{"kind": "promising_zone", "zone": [0.3, 0.9], "most_times": 2}]
    look = {"when": {"fractions": [0.5, 1]}, "rule": COMBINATION}
    records = run(protocol(two_arm, look, n=140, adaptations=change), nature(two_arm, name), 80)
    effect = drift(protocol(two_arm, AT_ONCE, n=140), nature(two_arm, name)) if name == "expected" else 0.0
    bounds = CombinationTest.model_validate(COMBINATION).boundaries((0.5, 1.0)).efficacy_z
    design = reestimation.Reestimation(
        planned=(70, 70), least=70, most=210, bounds=tuple(bounds), zone=(0.3, 0.9)
    )
    engine = reestimation.run(design, effect, 1, 200_000)
    won = engine.first | engine.second
    assert_share(success(records)[0], float(won.mean()), detects=0.04)
    size = np.where(together(records, "ended") == 0, 70, together(records, "analysed"))
    assert_mean(size, float(np.where(engine.first, 70, engine.size).mean()), detects=8)


@pytest.mark.slow
@pytest.mark.parametrize(("treatments", "a_week"), [("ppp", 0.05), ("pdp", 0.05), ("ppp", 2.0)])
def test_a_trial_that_selects_an_arm_is_the_engines(two_arm, treatments, a_week):
    """At 0.05 patients a week there is no pipeline; where nobody is helped one makes no difference."""
    look = {"when": {"fractions": [0.5, 1]}, "rule": COMBINATION}
    change = [{"kind": "drop_arms", "keep": "best", "freed": "saved"}]
    chosen = four_arms(two_arm, treatments, look, n=240, adaptations=change)
    records = run(chosen, nature(two_arm, a_week=a_week), 80)
    effect = drift(four_arms(two_arm, treatments, AT_ONCE, n=240), nature(two_arm), 1)
    bounds = CombinationTest.model_validate(COMBINATION).boundaries((0.5, 1.0)).efficacy_z
    design = arm_selection.SelectionDesign(patients=(30, 60), bounds=tuple(bounds), stop="any")
    truth = np.array([effect if t == "d" else 0.0 for t in treatments])
    engine = arm_selection.run(design, truth, 1, 81_920)
    rejected = engine.rejected.any(axis=0)
    for arm in range(3):
        assert_share(success(records)[arm], float(rejected[arm].mean()), detects=0.04)
    assert_share(success(records).any(axis=0), float(rejected.any(axis=0).mean()), detects=0.04)


@pytest.mark.slow
def test_a_blinded_size_follows_the_variance_and_keeps_the_level(two_arm):
    plain = run(
        protocol(two_arm, {"rule": {"kind": "one_sided", "alpha": 0.025}}), nature(two_arm, "null"), 40
    )
    variance = np.concatenate([r.findings[0].estimate.se[0, 0] ** 2 for r in plain]).mean() * 200 / 4
    planned = float(np.sqrt(variance / 1.4))
    change = [{"kind": "blinded_sd", "planned_sd": planned, "least": 0.5, "most_times": 3}]
    look = {"when": {"fractions": [0.5, 1]}, "rule": SEQUENTIAL}
    records = run(protocol(two_arm, look, adaptations=change), nature(two_arm, "null"), 100)
    assert_share(success(records)[0], 0.025, detects=0.012)
    size = together(records, "analysed")[together(records, "ended") == 1]
    assert_mean(size, 200 * 1.4 + 0.5, detects=6)
