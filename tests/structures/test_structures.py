"""Structures other than parallel arms: plain twins, closed forms, and what they must keep apart."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from sim import Study
from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import Streams
from sim.data import ABSENT
from sim.lives import Possible, create, experience
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.steps import Patients, Steps
from sim.trial import TrialRecord, simulate
from sim.true_values import _whole_lives, true_values
from tests.adaptations.trials import nature
from tests.montecarlo import assert_mean, assert_share

RULE = {"kind": "one_sided", "alpha": 0.025}
ANCOVA = {"kind": "ancova", "estimand": "primary"}
CROSSOVER = [
    {"name": "ab", "treatment": "drug", "weeks": 6, "then": [{"treatment": "placebo", "at": 8, "weeks": 6}]},
    {"name": "ba", "treatment": "placebo", "weeks": 6, "then": [{"treatment": "drug", "at": 8, "weeks": 6}]},
]
FACTORIAL = [
    {"name": "neither", "treatment": "placebo"},
    {"name": "one", "treatment": "drug"},
    {"name": "other", "treatment": "second"},
    {"name": "both", "treatment": "drug", "then": [{"treatment": "second", "at": 0, "beside": True}]},
]
SWITCH = [
    {"name": "stay", "treatment": "drug"},
    {
        "name": "switch",
        "treatment": "drug",
        "then": [{"treatment": "second", "at": 6, "unless": "responder_30"}],
    },
    {"name": "add", "treatment": "drug", "then": [{"treatment": "second", "at": 6, "beside": True}]},
]
WITHDRAWAL = [
    {"name": "control", "treatment": "drug", "weeks": 6, "then": [{"treatment": "placebo", "at": 6}]},
    {"name": "active", "treatment": "drug"},
]


def protocol(study: Study, arms: list[dict[str, Any]], contrast: tuple[Any, str], **changes: Any) -> Protocol:
    tree = dump(study.protocols["small"]) | {"arms": arms, "n": 120, "sizes": []}
    visits = {"visits": [0, 2, 6, 8, 14]} | changes
    week = visits.pop("week", 14)
    primary = tree["estimands"]["primary"] | {
        "visit": week,
        "contrast": {"of": contrast[0], "to": contrast[1]},
    }
    looks = [{"analysis": visits.pop("analysis", ANCOVA), "rule": RULE, **visits.pop("look", {})}]
    return validate({**tree, "estimands": {"primary": primary}, "looks": looks, **visits}, Protocol, "t")


def world_with_second(study: Study, name: str = "expected", **changes: Any) -> Scenario:
    """The study's own without losses, with a second drug that works half as well and fades slowly."""
    tree = dump(nature(study, name))
    second = tree["treatments"]["drug"] | {"label": "second"}
    plateau = {"kind": "normal", "mean": -0.5, "sd": 0.1, "because": "test"}
    fading = {"assume": 5, "because": "test"}
    second["effect"] = second["effect"] | {"plateau": plateau, "persistence_half_weeks": fading}
    tree["treatments"]["second"] = second
    return validate({**tree, **changes}, Scenario, "t")


def far_from_the_ends(scenario: Scenario) -> Scenario:
    """The same with more pain that does not fall by itself: hardly a rating lies at an end of the scale."""
    tree = dump(scenario)
    tree["course"]["response"] = {"assume": 0, "because": "test"}
    tree["population"]["pain"]["mean"] = {"assume": 6.0, "because": "test"}
    return validate(tree, Scenario, "t")


def run(chosen: Protocol, scenario: Scenario, blocks: int = 1) -> list[TrialRecord]:
    return [simulate(chosen, scenario, Draws(Streams(21, block), {})) for block in range(blocks)]


def estimates(records: list[TrialRecord], arm: int = 0) -> np.ndarray:
    return np.concatenate([r.findings[0].estimate.estimate[arm, 0] for r in records])


def share(since: float, given: float, length: float, fading: float, half: float = 1.5) -> float:
    """Share of the whole effect ``since`` weeks after the start of a treatment given for ``given`` weeks."""
    treated = min(since, given)
    grown = (1 - 2 ** (-treated / half)) / (1 - 2 ** (-length / half))
    return grown * 2 ** (-max(since - given, 0) / fading)


EFFECTS = {"drug": (-1.0, 2), "second": (-0.5, 5), "placebo": (0.0, 1)}
"""Size, and weeks in which half of it fades."""


def plain_effect(mine: dict[str, Any], responds: bool, week: float, stop: float) -> float:
    """Sum of what the treatments of one patient have done by a week; a first one is planned for 14 weeks."""
    given = [[mine["treatment"], 0.0, 14.0, mine.get("weeks", 14.0)]]
    for step in mine.get("then", ()):
        if step.get("unless") and responds:
            continue
        if not step.get("beside"):
            for one in given:
                one[3] = min(one[3], step["at"])
        length = step.get("weeks", 14.0 - step["at"])
        given.append([step["treatment"], step["at"], length, step["at"] + length])
    total = 0.0
    for name, begin, length, end in given:
        size, fading = EFFECTS[name]
        if week > begin:
            total += size * share(week - begin, max(min(end, stop) - begin, 0.0), length, fading)
    return total


@pytest.mark.parametrize("arms", [CROSSOVER, FACTORIAL, SWITCH, WITHDRAWAL])
def test_ratings_are_those_of_a_plain_loop(two_arm, arms):
    """Each patient's rating is his own plus the course plus what each treatment has left, visit by visit."""
    chosen = protocol(two_arm, arms, (arms[-1]["name"], arms[0]["name"]))
    draws, scenario = Draws(Streams(5, 0), {}), world_with_second(two_arm)
    world = create(chosen, scenario, scenario.realise(chosen, draws), 24, draws.streams)
    arm = np.arange(24)[:, None] % len(arms) * np.ones(128, dtype=np.int64)
    steps = Steps(chosen, world.trajectories, world.steps, Patients(arm, world.baseline, None, None))
    stop = np.where(np.arange(24) % 5 == 1, 7.0, np.inf)[:, None] * np.ones(128)
    found, moves = steps.latent(steps.plan(), stop), world.trajectories
    for i in range(24):
        for r in (0, 77):
            mine = arms[arm[i, r]]
            own = moves.own[i, r] + moves.course[r]
            first = own[1] + plain_effect(mine, True, 6.0, np.inf)
            responds = np.clip(np.rint(first), 0, 10) <= 0.7 * world.baseline[i, r]
            for v, week in enumerate(chosen.weeks):
                expected = own[v] + plain_effect(mine, responds, week, stop[i, r])
                assert found[i, r, v] == pytest.approx(expected, abs=1e-9)


def test_arms_are_the_same_until_they_differ(two_arm):
    """The same random numbers and the same course: a run-in cannot tell the arms apart."""
    chosen = protocol(two_arm, WITHDRAWAL, ("active", "control"))
    draws, scenario = Draws(Streams(5, 0), {}), two_arm.scenarios["expected"]
    world = create(chosen, scenario, scenario.realise(chosen, draws), 60, draws.streams)
    lives = [experience(chosen, world, np.full((60, 128), k), draws.streams) for k in (0, 1)]
    assert np.array_equal(lives[0].score[:, :, :2], lives[1].score[:, :, :2])
    assert not np.array_equal(lives[0].score[:, :, 2:], lives[1].score[:, :, 2:])


def test_a_crossover_is_a_t_test_of_halved_differences(two_arm):
    analysis = {"kind": "crossover", "estimand": "primary", "second": 14}
    chosen = protocol(two_arm, CROSSOVER, ("ab", "ba"), week=6, analysis=analysis)
    record = run(chosen, two_arm.scenarios["expected"])[0]
    found = record.findings[0].estimate
    for r in (0, 50):
        halved = (record.data.score[:, r, 1] - record.data.score[:, r, 3]) / 2
        groups = [halved[(record.data.arm[:, r] == k) & ~np.isnan(halved)] for k in (0, 1)]
        test = stats.ttest_ind(*groups)
        assert found.estimate[0, 0, r] == pytest.approx(groups[0].mean() - groups[1].mean())
        assert found.estimate[0, 0, r] / found.se[0, 0, r] == pytest.approx(test.statistic)
        assert found.df[0, 0, r] == test.df


@pytest.mark.slow
def test_a_crossover_finds_the_effect_and_its_carry_over(two_arm):
    """With a washout nearly the true value; without one, half of what the first treatment leaves is lost."""
    analysis = {"kind": "crossover", "estimand": "primary", "second": 14}
    slow = [
        {**CROSSOVER[0], "treatment": "second"},
        {**CROSSOVER[1], "then": [{"treatment": "second", "at": 8, "weeks": 6}]},
    ]
    scenario = far_from_the_ends(world_with_second(two_arm))
    for arms, size, fading in ((CROSSOVER, -1.0, 2), (slow, -0.5, 5)):
        chosen = protocol(two_arm, arms, ("ab", "ba"), week=6, analysis=analysis, n=300)
        truth = np.mean(
            [true_values(chosen, scenario, Draws(Streams(21, b), {}), 400)["primary"] for b in range(4)]
        )
        left = size * 2 ** (-8 / fading)
        scale = truth / size  # clipping and rounding of the rating shrink an effect a little
        assert_mean(estimates(run(chosen, scenario, 8)), truth - scale * left / 2, detects=0.08)


def test_effects_of_two_treatments_add_up_with_their_interaction(two_arm):
    claim = {"between": ["second", "drug"], "points": {"assume": 0.3, "because": "test"}}
    chosen = protocol(two_arm, FACTORIAL, (["one", "other", "both"], "neither"), visits=[0, 6, 14])
    sums = {}
    for name, interactions in (("sum", []), ("less", [claim])):
        scenario = world_with_second(two_arm, interactions=interactions)
        sums[name] = scenario.realise(chosen, Draws(Streams(5, 0), {})).later[0].levels.size
    assert sums["sum"] == pytest.approx(-0.5)
    assert sums["less"] == pytest.approx(-0.2)


def test_groups_are_arms_taken_together(two_arm):
    groups = {"with": ["one", "both"], "without": ["neither", "other"]}
    chosen = protocol(two_arm, FACTORIAL, ("with", "without"), groups=groups)
    scenario = world_with_second(two_arm)
    record = run(chosen, scenario)[0]
    for r in (0, 99):
        arm, y = record.data.arm[:, r], record.data.score[:, r, -1]
        columns = np.column_stack([np.ones(120), np.isin(arm, (1, 3)), record.data.baseline[:, r]])
        used = ~np.isnan(y)
        beta = np.linalg.lstsq(columns[used], y[used], rcond=None)[0]
        assert record.findings[0].estimate.estimate[0, 0, r] == pytest.approx(beta[1])
    alone = protocol(two_arm, FACTORIAL, (["one", "other", "both"], "neither"))
    draws = Draws(Streams(21, 0), {})
    one, other, both = true_values(alone, scenario, draws, 300)["primary"]
    pooled = true_values(chosen, scenario, draws, 300)["primary"][0]
    assert pooled == pytest.approx((one + both - other) / 2)


def test_who_responds_keeps_the_treatment(two_arm):
    chosen, scenario = protocol(two_arm, SWITCH, (["switch", "add"], "stay")), world_with_second(two_arm)
    draws = Draws(Streams(5, 0), {})
    world = create(chosen, scenario, scenario.realise(chosen, draws), 120, draws.streams)
    arm = np.ones((120, 128), dtype=np.int64)
    steps = Steps(chosen, world.trajectories, world.steps, Patients(arm, world.baseline, None, None))
    begun = steps.plan().begun[0]
    stays = steps.trajectories.under(np.zeros_like(arm))
    score = chosen.pain.scale.score(stays[:, :, 1].copy())
    responds = score <= 0.7 * world.baseline + 1e-9
    assert (np.isinf(begun) == responds).all()
    assert 0.1 < responds.mean() < 0.9


def test_a_regime_is_estimated_without_bias_where_nobody_is_lost(two_arm):
    chosen = protocol(two_arm, SWITCH, (["switch", "add"], "stay"), n=300)
    scenario = world_with_second(two_arm)
    truth = np.mean(
        [true_values(chosen, scenario, Draws(Streams(21, b), {}), 400)["primary"] for b in range(4)], (0, 2)
    )
    records = run(chosen, scenario, 6)
    for arm in (0, 1):
        assert_mean(estimates(records, arm), float(truth[arm]), detects=0.12)


def embedded(study: Study, ratio: tuple[int, int]) -> Protocol:
    """Two regimes that begin alike and part for who does not respond, beside placebo."""
    step = {"treatment": "second", "at": 6, "unless": "responder_30"}
    arms = [
        {"name": "placebo", "treatment": "placebo"},
        {"name": "switch", "treatment": "drug", "ratio": ratio[0], "then": [step]},
        {"name": "augment", "treatment": "drug", "ratio": ratio[1], "then": [step | {"beside": True}]},
    ]
    groups = {"drug_first": ["switch", "augment"]}
    return protocol(study, arms, ("drug_first", "placebo"), groups=groups, n=160)


def test_a_regime_is_its_own_arm_so_that_nothing_needs_weights(two_arm):
    """Who responds lives the same in both regimes; a mean over all who fit one must weigh them by a half.

    Non-responders fit one regime, responders two (Nahum-Shani et al. 2012, doi:10.1037/a0029372). The arms
    that are simulated hold each patient's own regime alone.
    """
    chosen, scenario = embedded(two_arm, (1, 1)), world_with_second(two_arm)
    draws = Draws(Streams(5, 0), {})
    world = create(chosen, scenario, scenario.realise(chosen, draws), 400, draws.streams)
    lives = [
        experience(chosen, world, np.full((400, 128), arm, dtype=np.int64), draws.streams) for arm in (1, 2)
    ]
    switch, augment = (life.score[:, :, -1] for life in lives)
    responds = lives[0].score[:, :, 1] <= 0.7 * world.baseline + 1e-9
    assert (switch[responds] == augment[responds]).all()
    assert (switch[~responds] != augment[~responds]).any()
    arm = np.arange(400)[:, None] % 2 + np.zeros((1, 128), dtype=int)
    seen = np.where(arm == 0, switch, augment)
    fits, truth = (arm == 0) | responds, switch.mean(axis=0)
    weighed = np.where(fits, np.where(responds, 1.0, 2.0), 0.0)
    assert_mean((seen * weighed).sum(axis=0) / weighed.sum(axis=0) - truth, 0.0, detects=0.1)
    assert_mean(np.where(arm == 0, seen, 0).sum(axis=0) / 200 - truth, 0.0, detects=0.1)
    unweighed = (seen * fits).sum(axis=0) / fits.sum(axis=0) - truth
    assert unweighed.mean() < -0.1  # responders count twice


def test_regimes_taken_together_are_estimated_by_the_share_of_their_arms(two_arm):
    chosen, scenario = embedded(two_arm, (3, 1)), world_with_second(two_arm)
    truth = np.mean(
        [true_values(chosen, scenario, Draws(Streams(21, b), {}), 400)["primary"] for b in range(4)]
    )
    assert_mean(estimates(run(chosen, scenario, 8)), float(truth), detects=0.12)


RUN_IN = {"weeks": 6, "enter": 200, "only": "responder_30"}


def test_only_responders_to_the_run_in_are_randomised(two_arm):
    chosen = protocol(two_arm, WITHDRAWAL, ("active", "control"), run_in=RUN_IN, n=110)
    record = run(chosen, two_arm.scenarios["expected"])[0]
    inside = record.data.arm != ABSENT
    start = record.data.score[:, :, 1]
    assert (start[inside] <= 0.7 * record.data.baseline[inside] + 1e-9).all()
    assert (record.data.stopped[inside] > 6).all()
    everybody = protocol(two_arm, WITHDRAWAL, ("active", "control"), run_in=RUN_IN, n=200)
    passed = run(everybody, two_arm.scenarios["expected"])[0].randomised[0]
    assert (record.randomised[0] == np.minimum(passed, 110)).all()
    assert passed.min() < 110 < passed.max()
    assert np.abs((record.data.arm == 1).sum(axis=0) - (record.data.arm == 0).sum(axis=0)).max() <= 1
    for r in (0, 77):
        who = inside[:, r] & ~np.isnan(record.data.score[:, r, -1])
        columns = np.column_stack([np.ones(who.sum()), record.data.arm[who, r] == 1, start[who, r]])
        beta = np.linalg.lstsq(columns, record.data.score[who, r, -1], rcond=None)[0]
        assert record.findings[0].estimate.estimate[0, 0, r] == pytest.approx(beta[1])


def test_the_same_patients_are_randomised_whatever_a_strategy_supposes(two_arm):
    """Without stopping more would pass the run-in; the hypothetical truth is that of those who did pass."""
    chosen = protocol(two_arm, WITHDRAWAL, ("active", "control"), run_in=RUN_IN, n=60)
    primary = dump(chosen.estimands["primary"])
    hypothetical = primary | {"intercurrent_events": {"discontinuation": "hypothetical"}}
    estimands = {"primary": primary, "supposed": hypothetical}
    chosen = validate(dump(chosen) | {"estimands": estimands}, Protocol, "t")
    streams = Streams(21, 0)
    scenario = two_arm.scenarios["expected"]
    world = create(chosen, scenario, scenario.realise(chosen, Draws(streams, {})), 200, streams)
    first, second = (
        _whole_lives(chosen, world, "active", streams)[Possible(stopping, True, False)].arm != ABSENT
        for stopping in (True, False)
    )
    assert (first == second).all()
    assert 0 < first.mean() < 1


def test_pairs_after_a_run_in_are_of_those_who_passed_it(two_arm):
    order = [{"outcome": "value", "margin": 1}]
    chosen = protocol(two_arm, WITHDRAWAL, ("active", "control"), run_in=RUN_IN, n=60)
    pairs = dump(chosen.estimands["primary"]) | {"summary": "net_benefit", "order": order}
    look = {"analysis": {"kind": "win_ratio", "estimand": "primary", "measure": "net_benefit"}, "rule": RULE}
    chosen = validate(dump(chosen) | {"estimands": {"primary": pairs}, "looks": [look]}, Protocol, "t")
    scenario = nature(two_arm)
    truth = true_values(chosen, scenario, Draws(Streams(21, 0), {}), 400)["primary"]
    assert_mean(estimates(run(chosen, scenario, 2)), float(truth.mean()), detects=0.1)


@pytest.mark.slow
def test_a_withdrawal_is_estimated_among_those_who_are_randomised(two_arm):
    chosen = protocol(two_arm, WITHDRAWAL, ("active", "control"), run_in={**RUN_IN, "enter": 300}, n=150)
    scenario = nature(two_arm)
    truth = np.mean(
        [true_values(chosen, scenario, Draws(Streams(21, b), {}), 800)["primary"] for b in range(3)]
    )
    assert_mean(estimates(run(chosen, scenario, 6)), float(truth), detects=0.15)
    assert truth < -0.5


def test_clusters_cost_what_the_design_effect_says(two_arm):
    """Var of a difference of means is multiplied by 1 + (m − 1) ICC (Donner & Klar 2000)."""
    arms = dump(two_arm.protocols["small"])["arms"]
    icc = {"assume": 0.1, "because": "test"}
    scenario = world_with_second(two_arm, "null", cluster_icc=icc)
    analysis = {"kind": "t", "estimand": "primary"}
    chosen = protocol(
        two_arm,
        arms,
        ("active", "control"),
        n=200,
        allocation={"kind": "clusters", "clusters": 20},
        visits=[0, 12],
        week=12,
        analysis=analysis,
    )
    records = run(chosen, scenario, 20)
    squares = estimates(records) ** 2
    alone = np.concatenate([r.findings[0].estimate.se[0, 0] for r in records]) ** 2
    # an ICC of 0.1 within means of ten; the naive variance also holds most of what clusters add
    spread = alone.mean() / (1 - 0.1 * 9 / 199)
    assert_mean(squares / spread, 1 + 9 * 0.1, detects=0.7)
    data = records[0].data
    assert data.therapist is not None
    for cluster in range(20):
        members = data.therapist[:, 0] == cluster
        assert members.sum() == 10
        assert len(set(data.arm[members, 0])) == 1


@pytest.mark.slow
def test_standard_errors_that_know_clusters_keep_the_level(two_arm):
    arms = dump(two_arm.protocols["small"])["arms"]
    scenario = world_with_second(two_arm, "null", cluster_icc={"assume": 0.1, "because": "test"})
    changes = {"n": 200, "allocation": {"kind": "clusters", "clusters": 20}, "visits": [0, 12], "week": 12}
    contrast = ("active", "control")
    known = protocol(two_arm, arms, contrast, analysis={**ANCOVA, "errors": "cr2"}, **changes)
    won = np.concatenate([r.findings[0].success[0, 0] for r in run(known, scenario, 60)])
    assert_share(won, 0.025, detects=0.016)
    naive = np.concatenate(
        [r.findings[0].success[0, 0] for r in run(protocol(two_arm, arms, contrast, **changes), scenario, 20)]
    )
    assert naive.mean() > 0.06


PLATFORM = [
    {"name": "control", "treatment": "placebo"},
    {"name": "early", "treatment": "drug", "closes": 40},
    {"name": "late", "treatment": "second", "opens": 20},
]


def test_a_platform_recruits_in_its_windows_and_compares_at_the_same_time(two_arm):
    look = {"look": {"controls": "concurrent"}}
    chosen = protocol(two_arm, PLATFORM, (["early", "late"], "control"), **look)
    record = run(chosen, world_with_second(two_arm))[0]
    arm, enrolled = record.data.arm, record.conduct.enrolled
    assert (enrolled[arm == 1] < 40).all()
    assert (enrolled[arm == 2] >= 20).all()
    first = enrolled < 20
    for r in range(0, 128, 16):  # one arm and the control, in blocks of two
        assert abs((arm[first[:, r], r] == 0).sum() - (arm[first[:, r], r] == 1).sum()) <= 1
    for r in (0, 99):
        for place, begin, end in ((1, 0, 40), (2, 20, np.inf)):
            mine = (enrolled[:, r] >= begin) & (enrolled[:, r] < end) & np.isin(arm[:, r], (0, place))
            columns = np.column_stack([np.ones(120), arm[:, r] == place, record.data.baseline[:, r]])[mine]
            beta = np.linalg.lstsq(columns, record.data.score[mine, r, -1], rcond=None)[0]
            assert record.findings[0].estimate.estimate[place - 1, 0, r] == pytest.approx(beta[1])


def test_drift_biases_controls_of_another_time_alone(two_arm):
    scenario = far_from_the_ends(world_with_second(two_arm, drift={"assume": -1, "because": "test"}))
    truths = {}
    for controls in ("all", "concurrent"):
        chosen = protocol(
            two_arm,
            PLATFORM,
            (["early", "late"], "control"),
            n=150,
            visits=[0, 8],
            week=8,
            look={"controls": controls},
        )
        truth = np.mean(
            [true_values(chosen, scenario, Draws(Streams(21, b), {}), 400)["primary"] for b in range(3)],
            (0, 2),
        )
        truths[controls] = (estimates(run(chosen, scenario, 8), 1), float(truth[1]))
    assert_mean(*truths["concurrent"], detects=0.2)
    pooled, truth = truths["all"]
    assert pooled.mean() < truth - 0.2


@pytest.mark.parametrize(
    ("arms", "changes", "message"),
    [
        (
            [
                {
                    "name": "a",
                    "treatment": "x",
                    "then": [{"treatment": "y", "at": 7, "unless": "responder_30"}],
                }
            ],
            {},
            "a response needs a visit",
        ),
        (
            [{"name": "a", "treatment": "x", "then": [{"treatment": "y", "at": 6, "unless": "pain"}]}],
            {},
            "no response of pain",
        ),
        ([{"name": "a", "treatment": "x", "opens": 5, "closes": 4}], {}, "must be after 'opens'"),
        ([{"name": "a", "treatment": "x"}], {"run_in": RUN_IN}, "must be the same until week 6"),
        (
            [{"name": "a", "treatment": "drug"}],
            {"run_in": {**RUN_IN, "weeks": 5}},
            "there is no visit at week 5",
        ),
        (
            [{"name": "a", "treatment": "drug"}],
            {"run_in": {**RUN_IN, "enter": 50}},
            "must be n = 120 or more",
        ),
        ([{"name": "a", "treatment": "drug"}], {"groups": {"g": ["z"]}}, "needs a name of its own"),
    ],
)
def test_what_cannot_be_is_refused(two_arm, arms, changes, message):
    with pytest.raises(InputError, match=message):
        protocol(two_arm, [{"name": "control", "treatment": "drug"}, *arms], ("a", "control"), **changes)
