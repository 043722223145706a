"""How patients of one arm differ: adherence, own size of the effect, modification, therapists, waiting."""

import numpy as np
import pytest

from sim.adherence import Adherence
from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import dump, load, validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.lives import create, experience, see_therapists
from sim.population import Population
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.study import Study
from sim.trajectories import ArmEffect, MeanCourse, Trajectories, effects_of
from sim.treatments import Treatment
from tests.montecarlo import assert_mc, assert_mean, assert_share

N = 1000
SHAPE = (N, BLOCK_SIZE)
WEEKS = np.array([2.0, 6.0, 12.0])


def assume(value: float) -> dict[str, object]:
    return {"assume": value, "because": "test"}


def at_mean(name: str, claim) -> np.ndarray:
    return np.full(BLOCK_SIZE, claim.mean({}))


def drug(**tree) -> Treatment:
    effect = {
        "kind": "exponential_onset",
        "plateau": assume(-1.5),
        "half_weeks": assume(1.5),
        "persistence_half_weeks": assume(4),
    }
    return Treatment.model_validate({"label": "drug", "effect": effect, **tree})


def sizes(scores=None, **tree) -> np.ndarray:
    levels = drug(**tree).levels("drug", at_mean, 12.0)
    (effect,) = effects_of((levels,), scores or {}, SHAPE, Streams(3, 0))
    return effect.size


ATTENDANCE = {
    "kind": "attendance",
    "sessions": 8,
    "slope": assume(0.4),
    "never": assume(0.11),
    "mean": assume(0.70),
    "concentration": assume(3),
}


def test_attendance_gives_back_what_group_programmes_report():
    """11 % never come, 53 % attend six or more of eight (population notes, section 6)."""
    part = Adherence.model_validate(ATTENDANCE)
    share, mean = part.taken(np.random.default_rng(1).random(SHAPE), "a", at_mean)
    assert_share(share == 0, 0.11, detects=0.02)
    assert abs(np.mean(share >= 0.75) - 0.53) < 0.01
    assert np.median(share) == 0.75
    assert_mean(share.ravel(), float(mean[0]), detects=0.01)


def test_a_share_of_tablets_has_its_mean_and_sd():
    tree = {"kind": "share_taken", "slope": assume(1), "mean": assume(0.55), "sd": assume(0.25)}
    share, mean = Adherence.model_validate(tree).taken(np.random.default_rng(1).random(SHAPE), "a", at_mean)
    assert_mean(share.ravel(), 0.55, detects=0.01)
    assert share.std() == pytest.approx(0.25, abs=0.005)
    assert (mean == 0.55).all()
    part = Adherence.model_validate({**tree, "sd": assume(0.6)})
    with pytest.raises(InputError, match=r"no beta distribution has mean 0\.55 and SD 0\.6"):
        part.taken(np.full(SHAPE, 0.5), "a", at_mean)


@pytest.mark.parametrize("slope", [0.4, 1.0])
def test_adherence_keeps_the_mean_effect_and_scales_around_it(slope):
    size = sizes(adherence={**ATTENDANCE, "slope": assume(slope)})
    assert_mean(size.ravel(), -1.5, detects=0.05)
    never = -1.5 * (1 - slope)
    assert size.max() == pytest.approx(never)
    assert sizes(adherence={**ATTENDANCE, "slope": assume(0)}) == pytest.approx(-1.5)


def test_the_size_of_an_effect_differs_between_patients_and_by_a_covariate():
    covariate = np.random.default_rng(2).standard_normal(SHAPE)
    size = sizes(
        {"disability": covariate}, heterogeneity=assume(0.8), modification={"disability": assume(-0.3)}
    )
    assert_mean(size.ravel(), -1.5, detects=0.05)
    slope = np.cov(size.ravel(), covariate.ravel())[0, 1] / covariate.var()
    assert_mc(slope, -0.3, 0.8 / np.sqrt(size.size), detects=0.05)
    assert (size + 0.3 * covariate).std() == pytest.approx(0.8, abs=0.01)


def test_waiting_moves_the_whole_effect():
    zero, replicate = np.zeros(BLOCK_SIZE), np.arange(BLOCK_SIZE)
    levels = drug(waiting=assume(3), weeks=assume(6)).levels("drug", at_mean, 12.0)
    now = drug(weeks=assume(6)).levels("drug", at_mean, 12.0)
    late = ArmEffect(levels.size, levels.shape, levels.weeks, zero + 3)
    soon = ArmEffect(now.size, now.shape, now.weeks, zero)
    for week in (1.0, 2.0, 5.0, 9.0):
        assert late.share(week + 3, np.inf, replicate) == pytest.approx(soon.share(week, np.inf, replicate))
    assert not late.share(2.9, np.inf, replicate).any()
    assert not late.share(8.0, 2.0, replicate).any(), "who stops before the beginning has no effect"


def test_personal_effects_move_ratings_as_a_plain_loop_does():
    rng = np.random.default_rng(4)
    shapes = [drug().levels("a", at_mean, 12.0).shape, drug(weeks=assume(4)).levels("b", at_mean, 12.0).shape]
    lengths = [np.full(BLOCK_SIZE, 12.0), np.full(BLOCK_SIZE, 4.0)]
    start = [np.zeros(BLOCK_SIZE), np.full(BLOCK_SIZE, 1.0)]
    size = [rng.normal(-1, 0.5, (20, BLOCK_SIZE)), rng.normal(-1, 0.5, BLOCK_SIZE)]
    effects = tuple(ArmEffect(size[k], shapes[k], lengths[k], start[k]) for k in range(2))
    own, course = rng.normal(5, 1, (20, BLOCK_SIZE, 3)), MeanCourse(np.ones(BLOCK_SIZE), np.ones(BLOCK_SIZE))
    world = Trajectories(WEEKS, own, course.at(WEEKS), effects)
    arm, stop = rng.integers(2, size=(20, BLOCK_SIZE)), rng.choice([1.5, 3.0, 7.0, np.inf], (20, BLOCK_SIZE))
    shift = rng.normal(0, 0.3, (20, BLOCK_SIZE))
    found = world.after_stopping(world.under(arm, shift), arm, stop, shift)
    for i, r in ((0, 0), (7, 100), (19, 127), (3, 64)):
        k = arm[i, r]
        mine = size[k][i, r] if size[k].ndim == 2 else size[k][r]
        until = min(max(stop[i, r] - start[k][r], 0), lengths[k][r])
        share = [shapes[k](max(w - start[k][r], 0), until, r) for w in WEEKS]
        plain = own[i, r] + course.at(WEEKS)[r] + (mine + shift[i, r]) * np.array(share)
        assert found[i, r] == pytest.approx(plain, abs=1e-12)


def four_therapists(study: Study, scenario: str) -> tuple[Protocol, Scenario]:
    """A trial of 200 whose active arm has four therapists with a tenth of the variance between them."""
    tree, nature = dump(study.protocols["small"]), dump(study.scenarios[scenario])
    tree["arms"][1]["therapists"] = 4
    nature["treatments"]["drug"]["therapist_icc"] = assume(0.1)
    return validate({**tree, "n": 200, "sizes": []}, Protocol, "t"), validate(nature, Scenario, "t")


@pytest.fixture(scope="module")
def clustered(two_arm) -> tuple[Protocol, Scenario]:
    return four_therapists(two_arm, "expected")


def test_therapists_take_patients_in_turn_and_make_the_stated_correlation(clustered):
    protocol, scenario = clustered
    within, between = [], []
    for block in range(30):
        streams = Streams(5, block)
        truth = scenario.realise(protocol, Draws(streams, {}))
        arm = protocol.allocation.assign(200, (1, 1), streams)
        number, shift = see_therapists(protocol, truth, arm, streams)
        assert number is not None
        assert shift is not None
        assert not shift[arm == 0].any()
        assert len(np.unique(number[:, 0])) == (arm[:, 0] == 0).sum() + 4
        counts = np.bincount(number[:, 0])[200:]
        assert counts.max() - counts.min() <= 1
        latent = create(protocol, scenario, truth, 200, streams).trajectories.under(arm, shift)[:, :, -1]
        for r in range(BLOCK_SIZE):
            groups = [latent[number[:, r] == 200 + k, r] for k in range(4)]
            within.append(np.mean([group.var(ddof=1) for group in groups]))
            between.append(np.var([group.mean() for group in groups], ddof=1))
    within, between = np.array(within), np.array(between)
    excess = between - within / 25
    icc = excess.mean() / (excess.mean() + within.mean())
    se = excess.std(ddof=1) / np.sqrt(len(excess)) / (excess.mean() + within.mean())
    assert_mc(icc, 0.1, se, detects=0.03)


def test_more_patients_keep_the_therapists_of_the_earlier_ones(clustered):
    protocol, scenario = clustered
    streams = Streams(5, 0)
    truth = scenario.realise(protocol, Draws(streams, {}))
    found = []
    for n in (100, 200):
        world = create(protocol, scenario, truth, n, streams)
        arm = protocol.allocation.assign(n, (1, 1), streams)
        found.append(experience(protocol, world, arm, streams).score[:100])
    assert np.array_equal(*found)


def test_the_mean_effect_is_that_of_the_reporting_trials_and_stricter_rules_enrich(two_arm, configs):
    """−1 point among those rated 4 or more, −0.5 by SD of disability: who is rated 7 or more has more."""
    population = load(configs / "populations" / "chronic_drug_trial.yaml", Population)
    tree = dump(two_arm.scenarios["expected"])
    tree["treatments"]["drug"]["modification"] = {"disability": assume(-0.5)}
    scenario = validate({**tree, "population": dump(population)}, Scenario, "t")
    draws, mean = Draws(Streams(9, 0), {}), {}
    for least in (4, 7):
        protocol = validate(
            {**dump(two_arm.protocols["small"]), "eligibility": {"pain": {"at_least": least}}}, Protocol, "t"
        )
        world = create(protocol, scenario, scenario.realise(protocol, draws), 400, draws.streams)
        mean[least] = world.trajectories.effects[1].size
    assert_mean(mean[4].ravel(), -1.0, detects=0.02)
    assert mean[7].mean() < -1.1
