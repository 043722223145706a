"""Measurements that are missing, rescue medication, adverse events and the belief they cause."""

import numpy as np
import pytest

from sim.adverse_events import Unblinding, believes, react
from sim.core.streams import BLOCK_SIZE, Streams
from sim.missingness import Missing, MissingLevels
from sim.rescue import Rescue
from tests.montecarlo import assert_share
from tests.unit.test_persons import SHAPE, assume, at_mean, drug

WEEKS = np.array([2.0, 6.0, 12.0])
STREAMS = Streams(11, 0)


def levels(**tree) -> MissingLevels:
    return Missing.model_validate(tree).levels(at_mean)


def scores(first: float, second: float, third: float, baseline: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    visits = np.broadcast_to(np.array([first, second, third]), (*SHAPE, 3)).copy()
    return np.full(SHAPE, baseline), visits


@pytest.mark.parametrize(("mechanism", "odds"), [("mcar", 1 / 9), ("mar", 2**2 / 9), ("mnar", 2**-3 / 9)])
def test_a_missed_visit_depends_on_what_its_mechanism_says(mechanism, odds):
    """Scores 7 then 2: at random the last seen counts (7), not at random the unseen (2)."""
    rule = {"mechanism": mechanism, "probability": assume(0.1), "odds_ratio_per_point": assume(2)}
    baseline, visits = scores(7, 2, 5, baseline=7)
    missed = levels(missed_visit=rule).missed(baseline, visits, WEEKS, STREAMS)
    assert missed is not None
    assert_share(missed[:, :, 1], odds / (1 + odds), detects=0.02)


def test_what_was_not_seen_does_not_count_at_random():
    rule = {"mechanism": "mar", "probability": assume(0.2), "odds_ratio_per_point": assume(3)}
    baseline, visits = scores(9, 5, 5)
    missed = levels(missed_visit=rule).missed(baseline, visits, WEEKS, STREAMS)
    assert missed is not None
    unseen = missed[:, :, 0]
    assert_share(missed[:, :, 1][unseen], 0.2, detects=0.05)
    odds = 0.25 * 3**4
    assert_share(missed[:, :, 1][~unseen], odds / (1 + odds), detects=0.05)


@pytest.mark.parametrize(
    ("mechanism", "hazards"),
    [("mcar", (0.02, 0.02, 0.02)), ("mar", (0.02, 0.08, 0.02)), ("mnar", (0.08, 0.02, 0.01))],
)
def test_patients_are_lost_by_the_hazard_of_their_score(mechanism, hazards):
    rule = {"mechanism": mechanism, "weekly_hazard": assume(0.02), "ratio_per_point": assume(2)}
    baseline, visits = scores(7, 5, 4)
    when = levels(dropout=rule).leave(baseline, visits, WEEKS, None, STREAMS)
    assert when is not None
    cumulated = np.cumsum(np.array(hazards) * np.diff(WEEKS, prepend=0))
    for week, total in zip(WEEKS, cumulated, strict=True):
        assert_share(when < week, 1 - np.exp(-total), detects=0.02)
    assert_share(when < 4, 1 - np.exp(-cumulated[0] - hazards[1] * 2), detects=0.02)


def test_who_is_lost_may_differ_by_treatment():
    """At a score of 7 the hazard is 4 times as large where a point doubles it."""
    rule = {"mechanism": "mar", "weekly_hazard": assume(0.02), "ratio_by_treatment": {"drug": assume(2)}}
    part = Missing.model_validate({"dropout": rule}).levels(at_mean, ("placebo", "drug"))
    arm = np.random.default_rng(1).integers(2, size=SHAPE)
    baseline, visits = scores(7, 7, 7, baseline=7)
    when = part.under(arm).leave(baseline, visits, WEEKS, None, STREAMS)
    assert when is not None
    assert_share(when[arm == 0] < 12, 1 - np.exp(-0.02 * 12), detects=0.02)
    assert_share(when[arm == 1] < 12, 1 - np.exp(-0.08 * 12), detects=0.02)
    same = part.under(np.zeros_like(arm)).leave(baseline, visits, WEEKS, None, STREAMS)
    assert same is not None
    assert np.array_equal(same[arm == 0], when[arm == 0]), "a patient meets the same chance in either arm"


def test_nothing_is_missing_by_default():
    baseline, visits = scores(5, 5, 5)
    assert levels().missed(baseline, visits, WEEKS, STREAMS) is None
    assert levels().leave(baseline, visits, WEEKS, None, STREAMS) is None


def test_rescue_is_taken_by_pain():
    part = Rescue.model_validate(
        {"share_at_five": assume(0.2), "odds_ratio_per_point": assume(1.5), "relief": assume(-1)}
    )
    _, visits = scores(5, 8, 2)
    taken = part.levels(at_mean).taken(visits, WEEKS, STREAMS)
    for visit, points in enumerate((0, 3, -3)):
        odds = 0.25 * 1.5**points
        assert_share(taken[:, :, visit], odds / (1 + odds), detects=0.02)


def test_adverse_events_come_by_arm_and_tell_the_patient():
    arms = tuple(
        drug(adverse_events={"somnolence": assume(share)}).levels("t", at_mean, 12.0) for share in (0.18, 0.6)
    )
    other = drug(adverse_events={"nausea": assume(0.1)}).levels("t", at_mean, 12.0)
    arm = np.random.default_rng(3).integers(3, size=SHAPE)
    found = react(arm, (*arms, other), STREAMS)
    assert_share(found["somnolence"][arm == 0], 0.18, detects=0.02)
    assert_share(found["somnolence"][arm == 1], 0.6, detects=0.02)
    assert not found["somnolence"][arm == 2].any()
    rule = Unblinding.model_validate({"events": ["somnolence"], "shift": assume(-0.3)})
    assert np.array_equal(believes(rule, found, SHAPE), found["somnolence"])
    both = react(np.ones(SHAPE, dtype=np.int64), arms, STREAMS)["somnolence"]
    none = react(np.zeros(SHAPE, dtype=np.int64), arms, STREAMS)["somnolence"]
    assert (both | ~none).all(), "who has it on placebo also has it on the drug: the same patient"
    assert SHAPE[1] == BLOCK_SIZE
