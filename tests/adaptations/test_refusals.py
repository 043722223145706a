"""Designs whose parts do not go together are refused; in what is allowed looks and arms keep their order."""

import numpy as np
import pytest

from sim.adaptations.base import Plan, Standing
from sim.adaptations.response_adaptive import ResponseAdaptive
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.data import ABSENT
from sim.protocol import Protocol
from sim.seen import Seen
from sim.stages import _adapt, _see
from sim.timing import Timing
from tests.adaptations.trials import ANCOVA, BAYES, COMBINATION, SEQUENTIAL, four_arms, nature, protocol, run

HALF = {"fractions": [0.5, 1]}
SHARES = {"kind": "response_adaptive"}
KEEP_ALL = {"kind": "drop_arms", "keep": "all"}
LATE = [
    {"name": "control", "treatment": "placebo"},
    {"name": "active", "treatment": "drug", "opens": 20},
]


def two_named(study, look, **changes):
    tree = dump(study.protocols["small"]) | {"n": 200, "sizes": []}
    tree["estimands"]["primary"]["contrast"] = {"of": ["active"], "to": "control"}
    estimands = {"primary": tree["estimands"]["primary"]}
    looks = [{"analysis": ANCOVA, **look}]
    return validate({**tree, "estimands": estimands, "looks": looks, **changes}, Protocol, "t")


@pytest.mark.parametrize(
    ("look", "changes", "message"),
    [
        ({"when": HALF, "rule": COMBINATION}, {"arms": LATE}, "'combination' needs every arm in every stage"),
        ({"when": HALF, "rule": BAYES}, {"arms": LATE, "adaptations": [SHARES]}, "know no 'opens'"),
        (
            {"when": HALF, "rule": BAYES},
            {
                "arms": [
                    {"name": "control", "treatment": "placebo"},
                    {"name": "active", "treatment": "placebo"},
                ],
                "run_in": {"weeks": 6, "enter": 300},
                "adaptations": [KEEP_ALL],
            },
            "adaptations: not after a run-in",
        ),
        (
            {"when": {"patients": [100]}, "rule": BAYES},
            {"arms": [LATE[0], LATE[1] | {"opens": 0}], "sizes": [80]},
            "must be below the smallest of 'sizes' = 80",
        ),
        (
            {
                "when": {"fractions": [0.5, 1], "patients": [90]},
                "rule": SEQUENTIAL | {"spending": {"kind": "pocock"}},
            },
            {"arms": [LATE[0], LATE[1] | {"opens": 0}]},
            "need a spending function",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(two_arm, look, changes, message):
    with pytest.raises(InputError, match=message):
        two_named(two_arm, look, **changes)


@pytest.mark.parametrize(
    ("look", "changes"),
    [
        ({"when": HALF, "rule": COMBINATION}, {}),
        ({"when": HALF, "rule": BAYES}, {"adaptations": [KEEP_ALL]}),
        ({"when": HALF, "rule": BAYES}, {"arms": LATE}),
        ({"rule": {"kind": "one_sided", "alpha": 0.025}}, {"run_in": {"weeks": 2, "enter": 300}}),
    ],
    ids=["combination", "adaptations", "opens", "run_in"],
)
def test_clusters_keep_their_arm(two_arm, look, changes):
    same = [arm | {"treatment": "placebo"} for arm in LATE] if "run_in" in changes else LATE
    changes = {"arms": [arm | {"opens": 0} for arm in same], **changes}
    two_named(two_arm, look, **changes)
    with pytest.raises(InputError, match="allocation: clusters keep their arm"):
        two_named(two_arm, look, **changes, allocation={"kind": "clusters", "clusters": 20})


def test_shares_that_follow_results_are_refused_where_several_arms_need_the_planned_ones(two_arm):
    with pytest.raises(InputError, match="correlation of the planned allocation"):
        four_arms(two_arm, "dpp", {"when": HALF, "rule": COMBINATION}, adaptations=[SHARES])
    protocol(two_arm, {"when": HALF, "rule": COMBINATION}, adaptations=[SHARES])


def test_information_is_not_known_where_shares_and_numbers_decide_together(two_arm):
    both = {"fractions": [0.5, 1], "patients": [60]}
    assert protocol(two_arm, {"when": both, "rule": SEQUENTIAL}).information_varies
    assert not protocol(two_arm, {"when": {"patients": [60]}, "rule": SEQUENTIAL}).information_varies


def test_a_crossover_ends_with_its_second_period(two_arm):
    tree = dump(two_arm.protocols["small"]) | {"sizes": []}
    primary = tree["estimands"]["primary"] | {"visit": 6}
    analysis = {"kind": "crossover", "estimand": "primary", "second": 12}
    looks = [{"analysis": analysis, "rule": {"kind": "one_sided", "alpha": 0.025}}]
    chosen = validate({**tree, "estimands": {"primary": primary}, "looks": looks}, Protocol, "t")
    assert (chosen.primary_week, chosen.last_week) == (6, 12)
    record = run(chosen, nature(two_arm), 1)[0]
    assert record.finished[0] == pytest.approx(record.conduct.enrolled.max(axis=0) + 12)


def test_a_second_period_ends_at_a_visit(two_arm):
    tree = dump(two_arm.protocols["small"]) | {"sizes": []}
    primary = tree["estimands"]["primary"] | {"visit": 6}
    analysis = {"kind": "crossover", "estimand": "primary", "second": 11}
    looks = [{"analysis": analysis, "rule": {"kind": "one_sided", "alpha": 0.025}}]
    with pytest.raises(InputError, match=r"second: there is no visit at week 11; allowed: 2, 6, 12"):
        validate({**tree, "estimands": {"primary": primary}, "looks": looks}, Protocol, "t")


def test_looks_at_a_number_of_patients_are_other_shares_of_a_smaller_size(two_arm):
    chosen = protocol(two_arm, {"when": {"patients": [60]}, "rule": SEQUENTIAL}, sizes=[120])
    assert chosen.planned(200) == (0.3, 1.0)
    assert chosen.planned(120) == (0.5, 1.0)


def standing(ended: np.ndarray) -> Standing:
    arms, replicates = ended.shape
    return Standing(
        look=0,
        planned=(0.5, 1.0),
        z=np.zeros((arms - 1, replicates)),
        se=np.ones((arms - 1, replicates)),
        mean=np.zeros(ended.shape),
        variance=np.ones(ended.shape),
        compared=tuple(range(1, arms)),
        control=0,
        ended=ended,
        decided=ended[1:],
        passed=np.full(replicates, 100),
        randomised=np.full(replicates, 120),
        sd=np.ones(replicates),
        ratio=np.ones(arms),
        bounds=None,
    )


@pytest.mark.parametrize("control_share", [None, 0.4])
def test_an_arm_whose_test_has_ended_gets_no_share(two_arm, control_share):
    chosen = four_arms(
        two_arm,
        "dpp",
        {"when": HALF, "rule": BAYES},
        adaptations=[{**SHARES, "control_share": control_share, "at_least": 0.1}],
    )
    ended = np.array([[False, False], [True, False], [False, False], [False, False]])
    plan = _adapt(chosen, Plan.at_start(4, 200, 2), standing(ended))
    assert plan.shares is not None
    assert plan.shares[1].tolist() == pytest.approx([0, plan.shares[2, 1]])
    assert plan.shares.sum(axis=0) == pytest.approx([1, 1])
    if control_share:
        assert plan.shares[0] == pytest.approx([0.4, 0.4])


def test_arms_dropped_after_the_shares_were_set_get_none():
    plan = ResponseAdaptive().adapt(Plan.at_start(3, 200, 1), standing(np.zeros((3, 1), dtype=bool)))
    left = plan.close(np.array([[False], [True], [False]])).share_among_open()
    assert left.shares is not None
    assert left.shares[:, 0] == pytest.approx([0.5, 0, 0.5])


@pytest.mark.parametrize("first", [0, 1])
def test_closed_arms_recruit_nobody_whatever_the_order(two_arm, first):
    changes = [{"kind": "drop_arms", "keep": "best"}, {**SHARES, "power": 0.5}]
    look = {"when": {"fractions": [0.4, 0.7, 1]}, "rule": BAYES}
    order = [changes[first], changes[1 - first]]
    record = run(four_arms(two_arm, "dpp", look, adaptations=order), nature(two_arm), 1)[0]
    enrolled, arm = record.conduct.enrolled, record.data.arm
    later = (enrolled > np.sort(enrolled, axis=0)[79] + 12) & (arm > 0)
    assert later.any()
    for r in range(128):
        assert len(set(arm[later[:, r], r])) <= 1


def test_patients_never_to_be_randomised_do_not_count(two_arm):
    """A blinded size cannot be kept up by arrivals beyond the plan."""
    change = [{"kind": "blinded_sd", "planned_sd": 100, "least": 0.1, "most_times": 2}]
    look = {"when": {"fractions": [0.9, 1]}, "rule": BAYES}
    record = run(protocol(two_arm, look, adaptations=change), nature(two_arm, a_week=50.0), 1)[0]
    assert record.randomised.max() <= 200


def test_a_look_at_a_share_made_up_of_fewer_patients_is_not_before_the_last():
    when = Timing(fractions=(0.5, 0.75, 1.0))
    passed = np.arange(1.0, 201)[:, None]
    assert when.due(1, np.array([120]), passed)[0] == 90
    assert when.due(1, np.array([120]), passed, np.array([110 / 120]))[0] == 110


def test_saved_patients_leave_later_looks_in_order(two_arm, monkeypatch):
    weeks, passed = [], []

    def seen(*given: object) -> Seen:
        found = _see(*given)
        weeks.append(found.week)
        passed.append(found.who.sum(axis=0))
        return found

    monkeypatch.setattr("sim.stages._see", seen)
    change = [{"kind": "drop_arms", "keep": "best", "freed": "saved"}]
    look = {"when": {"fractions": [0.6, 0.8, 1]}, "rule": COMBINATION}
    chosen = four_arms(two_arm, "ppp", look, n=240, adaptations=change)
    record = run(chosen, nature(two_arm), 1)[0]
    assert (record.data.arm != ABSENT).sum(axis=0).min() < 240
    assert len(weeks) == 3
    on = record.ended[0] > 0
    for first, second in ((0, 1), (1, 2)):
        assert (weeks[second] >= weeks[first]).all()
        assert (passed[second] > passed[first])[on].all()
    halfway = passed[0] + (passed[2] - passed[0]) / 2
    to_the_end = record.ended[0] == 2  # whose test ends at the second look recruit no more after it
    assert passed[1][to_the_end] == pytest.approx(halfway[to_the_end], abs=1)
