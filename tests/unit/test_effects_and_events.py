import numpy as np
import pytest

from sim.claims import Assume
from sim.core.streams import BLOCK_SIZE, Streams
from sim.effects.exponential_onset import ExponentialOnset
from sim.effects.linear_onset import LinearOnset
from sim.effects.none import NoEffect
from sim.events import NEVER, Hazards, Ratings, occur
from sim.treatments import Treatment
from tests.montecarlo import assert_share

N = 2000
WEEKS = np.array([1.0, 2.0, 4.0, 8.0, 12.0])


def assume(value: float) -> dict[str, object]:
    return {"assume": value, "because": "test"}


def at_mean(name: str, claim) -> np.ndarray:
    return np.full(BLOCK_SIZE, claim.mean({}))


def treatment(**tree) -> Treatment:
    return Treatment.model_validate({"label": "t", "effect": {"kind": "none"}, **tree})


def events(latent=None, until=12.0, **tree):
    hazards = Hazards((treatment(**tree).levels("t", at_mean, until),))
    arm = np.zeros((N, BLOCK_SIZE), dtype=np.int64)
    latent = np.full((N, BLOCK_SIZE, len(WEEKS)), 5.0) if latent is None else latent
    return occur(Ratings(WEEKS, latent[:, :, 0], latent), arm, hazards, Streams(2, 0))


def test_an_effect_rises_by_half_lives_and_fades_after_the_end():
    exponential = ExponentialOnset(
        plateau=Assume(assume=-2, because="t"),
        half_weeks=Assume(assume=2, because="t"),
        persistence_half_weeks=Assume(assume=10, because="t"),
    )
    assert (exponential.size("e", at_mean) == -2).all()
    shape = exponential.shape("e", at_mean, np.full(BLOCK_SIZE, 4.0))

    def effect(weeks: float, stop: float, replicate: np.ndarray) -> np.ndarray:
        return -2 * shape(weeks, stop, replicate)

    everyone = np.arange(BLOCK_SIZE)
    assert effect(0.0, 4.0, everyone) == pytest.approx(0)
    assert effect(2.0, 4.0, everyone) == pytest.approx(-2 * 0.5 / 0.75)
    assert effect(4.0, 4.0, everyone) == pytest.approx(-2)
    assert effect(14.0, 4.0, everyone) == pytest.approx(-2 * 0.5)
    assert effect(12.0, 2.0, everyone) == pytest.approx(-2 * 0.5 / 0.75 * 0.5)
    assert not NoEffect().size("e", at_mean).any()
    assert not NoEffect().shape("e", at_mean, np.full(BLOCK_SIZE, 4.0))(WEEKS, 4.0, 0).any()


def test_a_linear_effect_is_earned_week_by_week():
    linear = LinearOnset(
        plateau=Assume(assume=-2, because="t"), persistence_half_weeks=Assume(assume=10, because="t")
    )
    shape, everyone = linear.shape("e", at_mean, np.full(BLOCK_SIZE, 8.0)), np.arange(BLOCK_SIZE)
    assert (linear.size("e", at_mean) == -2).all()
    assert shape(np.array([0.0, 2.0, 8.0, 18.0]), 8.0, 0) == pytest.approx([0, 0.25, 1, 0.5])
    assert shape(12.0, 2.0, everyone) == pytest.approx(0.25 * 0.5)


def test_nobody_stops_a_treatment_before_it_has_begun():
    found = events(waiting=assume(3), discontinuation={"other": assume(0.05)})
    assert found.stop.min() >= 3
    assert set(np.unique(found.reason)) == {0, 3}
    assert_share(found.stop < 9, 1 - np.exp(-0.05 * 6), detects=0.01)
    assert ((found.stop < 15) | (found.stop == NEVER)).all(), "the course of 12 weeks ends in week 15"


@pytest.mark.parametrize("week", [2.0, 4.0, 9.0])
def test_adverse_events_follow_their_two_hazards(week):
    found = events(discontinuation={"adverse_event": {"early": assume(0.02), "later": assume(0.005)}})
    cumulated = 0.02 * min(week, 4) + 0.005 * max(week - 4, 0)
    assert_share(found.stop < week, 1 - np.exp(-cumulated), detects=0.005)
    assert np.array_equal(found.leave, found.stop)
    assert ((found.reason == 1) == (found.stop < 12)).all()
    assert ((found.stop < 12) | (found.stop == NEVER)).all(), "a course that has ended cannot be stopped"


@pytest.mark.parametrize("rating", [3.0, 5.0, 8.0])
def test_inefficacy_depends_on_pain_and_begins_late(rating):
    latent = np.full((N, BLOCK_SIZE, len(WEEKS)), rating)
    found = events(
        latent,
        discontinuation={
            "inefficacy": {"at_five": assume(0.01), "ratio_per_point": assume(1.5), "from_week": assume(4)},
            "leaves_study": assume(0.25),
        },
    )
    hazard = 0.01 * 1.5 ** (rating - 5)
    assert found.stop.min() >= 4
    assert_share(found.stop < 10, 1 - np.exp(-hazard * 6), detects=0.01)
    stopped = found.stop < NEVER
    assert_share(found.leave[stopped] < NEVER, 0.25, detects=0.05)


def test_withdrawal_is_exponential_and_no_discontinuation():
    found = events(withdrawal=assume(0.03))
    assert_share(found.leave < 10, 1 - np.exp(-0.3), detects=0.01)
    assert (found.stop == NEVER).all()


def test_causes_compete():
    found = events(
        discontinuation={
            "adverse_event": {"early": assume(0.02), "later": assume(0.02)},
            "inefficacy": {"at_five": assume(0.06), "ratio_per_point": assume(1.0), "from_week": assume(4)},
        }
    )
    late = found.stop[(found.stop > 4) & (found.stop < 12)]
    reasons = found.reason[(found.stop > 4) & (found.stop < 12)]
    assert late.size
    assert_share(reasons == 2, 0.75, detects=0.03)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"discontinuation": {"leaves_study": assume(1.4)}}, "can leave the allowed range 0 to 1"),
        ({"withdrawal": assume(-0.1)}, "can leave the allowed range 0 to inf"),
        (
            {"withdrawal": {"kind": "normal", "mean": 0.1, "sd": 0.1, "because": "t"}},
            "can leave the allowed range",
        ),
        ({"sessions": -1}, "greater than or equal to 0"),
    ],
)
def test_impossible_probabilities_and_hazards_are_refused(tree, message):
    with pytest.raises(ValueError, match=message):
        treatment(**tree)
