"""Patients before they meet an arm, and what they live through in it, whether it is seen or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim.adverse_events import believes, react
from sim.core.loops import correlate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.data import Scores
from sim.estimand import Estimand
from sim.events import NEVER, Events, Hazards, Ratings, occur
from sim.operations.visits import Visits
from sim.other_outcomes import OwnWay, PainChange, rate
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.screening import Cohort
from sim.steps import LaterEffect, Patients, Steps
from sim.trajectories import Trajectories, effects_of
from sim.truth import Truth

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """The same patients before they meet an arm: who they are and what would happen.

    ``starts`` are the latent baselines of the protocol's other instruments, ``covariates`` the baseline
    measures that choose its estimands' populations, (patient, replicate); ``visits`` is when visits are
    held, where that is not as planned.
    """

    truth: Truth
    cohort: Cohort
    baseline: Floats
    starts: Mapping[str, Floats]
    trajectories: Trajectories
    hazards: Hazards
    steps: tuple[LaterEffect, ...] = ()
    covariates: Mapping[str, Floats] = field(default_factory=dict)
    visits: Visits | None = None


@dataclass(frozen=True)
class Life:
    """What patients live through in their arms, whether it is seen or not.

    Attributes
    ----------
    arm
        Position of each patient's arm, (patient, replicate).
    score
        Pain scores, complete, (patient, replicate, visit).
    others
        Scores on the other instruments.
    events
        Stopping and leaving.
    adverse_events
        Who has each, (patient, replicate).
    rescued
        Rescue medication before each visit, (patient, replicate, visit); None: nobody.
    therapist
        Number of each patient's therapist; None: no arm has therapists.
    missed
        Visits missed, (patient, replicate, visit); None: none.
    """

    arm: Ints
    score: Floats
    others: Mapping[str, Scores]
    events: Events
    adverse_events: Mapping[str, Mask]
    rescued: Mask | None
    therapist: Ints | None
    missed: Mask | None = None


@dataclass(frozen=True)
class Possible:
    """What can happen: the hypothetical strategies ask for lives without an event.

    True values ask for a therapist for each patient, since they are not those of a few therapists.
    """

    stopping: bool = True
    rescue: bool = True
    therapists_shared: bool = True

    @classmethod
    def under(cls, estimand: Estimand) -> "Possible":
        """Say what happens in the lives that an estimand asks about."""
        events = estimand.intercurrent_events
        return cls(events.discontinuation != "hypothetical", events.rescue != "hypothetical", False)


WHATEVER = Possible()


def create(protocol: Protocol, scenario: Scenario, truth: Truth, n: int, streams: Streams) -> World:
    """Enrol ``n`` patients a replicate and foresee what would happen to them under every arm."""
    population = scenario.population
    cohort = population.enrol(n, protocol.eligibility, truth.pain, streams)
    wanted = truth.covariates | protocol.chosen_by
    covariates = population.describe(cohort, protocol.eligibility, streams, wanted)
    scores = {name: standard.score(covariates[name]) for name, standard in truth.standards.items()}
    effects = effects_of(truth.arms, scores, cohort.true.shape, streams)
    own = _departures(truth.departure_factor, protocol.weeks, cohort.true, streams)
    cohort.add_flare(own, protocol.weeks)
    _let_clusters_differ(own, protocol, truth, streams)
    trajectories = Trajectories(protocol.weeks, own, truth.course.planned(protocol.weeks), effects)
    baseline = protocol.pain.scale.score(cohort.rating.copy())
    starts = {
        name: levels.start(covariates, baseline.shape, OwnWay(name, streams))
        for name, levels in truth.outcomes.items()
    }
    steps = tuple(
        LaterEffect(later, *effects_of((later.levels,), scores, cohort.true.shape, streams))
        for later in truth.later
    )
    chosen_by = {name: covariates[name] for name in protocol.chosen_by}
    return World(truth, cohort, baseline, starts, trajectories, truth.hazards, steps, chosen_by)


def _let_clusters_differ(departure: Floats, protocol: Protocol, truth: Truth, streams: Streams) -> None:
    """Add what the patients of a cluster share after baseline to (patient, replicate, visit), in place."""
    cluster = protocol.allocation.cluster(len(departure))
    if cluster is not None:
        shared = truth.cluster_sd * streams("cluster").standard_normal((cluster.max() + 1, BLOCK_SIZE))
        departure += shared[cluster][:, :, None]


def experience(
    protocol: Protocol, world: World, arm: Ints, streams: Streams, possible: Possible = WHATEVER
) -> Life:
    """Let each patient live through an arm."""
    truth, trajectories = world.truth, world.trajectories
    therapist, shift = see_therapists(protocol, truth, arm, streams)
    if shift is not None and not possible.therapists_shared:
        shift = _own_therapists(truth, arm, streams)
    latent = trajectories.under(arm, shift)
    adverse = react(arm, truth.arms, streams)
    belief = truth.belief * believes(truth.unblinding, adverse, arm.shape) if truth.unblinding else None
    if belief is not None:
        latent += belief[:, :, None]
    if world.steps:
        patients = Patients(arm, world.baseline, shift, belief)
        steps = Steps(protocol, trajectories, world.steps, patients)
        passing = steps.plan()
        stops = possible.stopping
        events = (
            steps.stops(world.cohort.rating, passing, world.hazards, streams) if stops else _no_events(arm)
        )
        latent = steps.latent(passing, events.stop)
    elif possible.stopping:
        events = occur(Ratings(protocol.weeks, world.cohort.rating, latent), arm, world.hazards, streams)
        latent = trajectories.after_stopping(latent, arm, events.stop, shift)
    else:
        events = _no_events(arm)
    if (held := _held(world)) is not None:
        latent += _moved(world, arm, (events.stop, shift), held)
    others = _follow(protocol, world, arm, (latent, events), streams)
    rescued = (
        truth.rescue.taken(latent, protocol.weeks, streams) if truth.rescue and possible.rescue else None
    )
    if truth.rescue and rescued is not None:
        latent += truth.rescue.relief[:, None] * rescued
    return Life(arm, protocol.pain.scale.score(latent), others, events, adverse, rescued, therapist)


def _held(world: World) -> Floats | None:
    """Weeks on which outcomes are measured, (patient, replicate, visit); None: the planned ones."""
    return None if world.visits is None or world.steps else world.visits.held


def _moved(world: World, arm: Ints, treated: tuple[Floats, Floats | None], held: Floats) -> Floats:
    """What the course and the treatment do between the planned and the actual day of each visit.

    A patient's own departure is that of the planned day: it changes little in a few days.
    """
    stop, therapists = treated
    moves, course = world.trajectories, world.truth.course
    share = moves.shares(arm, stop, held) - moves.shares(arm, stop)
    size = moves.size(arm, therapists)[:, :, None]
    return np.asarray(course.at(held) - course.at(moves.weeks) + size * share)


def lose(life: Life, world: World, weeks: Floats, streams: Streams) -> Life:
    """Let visits be missed and patients be lost, by the scores of the lives they lead."""
    missing, score = world.truth.missing.under(life.arm), life.score
    missed = missing.missed(world.baseline, score, weeks, streams)
    lost = missing.leave(world.baseline, score, weeks, missed, streams)
    leave = life.events.leave if lost is None else np.minimum(life.events.leave, lost)
    return replace(life, missed=missed, events=life.events.until(leave))


def see_therapists(
    protocol: Protocol, truth: Truth, arm: Ints, streams: Streams
) -> tuple[Ints | None, Floats | None]:
    """Give patients of arms with therapists one in turn: therapist's number, and shift of the effect's size.

    Both (patient, replicate), or None where no arm has therapists; a patient without one is a cluster alone.
    """
    if not any(a.therapists for a in protocol.arms):
        cluster = protocol.allocation.cluster(len(arm))
        return None if cluster is None else np.broadcast_to(cluster[:, None], arm.shape), None
    number = np.broadcast_to(np.arange(len(arm))[:, None], arm.shape).copy()
    shift, first = np.zeros(arm.shape), len(arm)
    for k, chosen in enumerate(protocol.arms):
        if not chosen.therapists:
            continue
        mine = arm == k
        turn = (np.cumsum(mine, axis=0) - 1) % chosen.therapists
        own = streams(f"therapists of arm {k}").standard_normal((chosen.therapists, arm.shape[1]))
        shift += np.where(mine, truth.therapist_sd(k) * np.take_along_axis(own, turn, axis=0), 0.0)
        number = np.where(mine, first + turn, number)
        first += chosen.therapists
    return number, shift


def _own_therapists(truth: Truth, arm: Ints, streams: Streams) -> Floats:
    """Shift of each patient's effect as if nobody shared a therapist, (patient, replicate)."""
    spread = np.stack([truth.therapist_sd(k) for k in range(len(truth.arms))])
    place = arm * arm.shape[1] + np.arange(arm.shape[1])
    each = np.asarray(np.take(spread.ravel(), place), dtype=np.float64)
    return each * streams("own therapist").standard_normal(arm.shape)


def _no_events(arm: Ints) -> Events:
    never = np.full(arm.shape, NEVER)
    return Events(never, np.zeros(arm.shape, dtype=np.int8), never)


def _follow(
    protocol: Protocol, world: World, arm: Ints, lived: tuple[Floats, Events], streams: Streams
) -> dict[str, Scores]:
    """Score the protocol's other instruments as pain, the treatment and the patients' own ways have them."""
    if not world.starts:
        return {}
    latent, events = lived
    truth, own = world.truth, world.trajectories.own
    spread = np.sqrt(np.diagonal(truth.covariance, axis1=1, axis2=2))
    lasting = np.zeros_like(own)
    lasting += world.cohort.true[:, :, None]
    world.cohort.add_flare(lasting, protocol.weeks)
    pain = PainChange(mean=latent - own, own=(own - lasting) / spread)
    found = {}
    for name, start in world.starts.items():
        scale = protocol.instruments[name]
        visits = truth.outcomes[name].follow(start, pain, protocol.weeks, OwnWay(name, streams))
        beyond = truth.beyond_pain(name)
        if beyond.any():
            place = arm * arm.shape[1] + np.arange(arm.shape[1])
            shares = world.trajectories.shares(arm, events.stop, _held(world))
            visits += np.take(beyond.ravel(), place)[:, :, None] * shares
        found[name] = Scores(rate(start, scale), scale.score(visits))
    return found


def _departures(factor: Floats, weeks: Floats, lasting: Floats, streams: Streams) -> Floats:
    """Draw own departures about lasting pain, (patient, replicate, visit).

    A stream a visit, so a later one moves no earlier. ``factor`` is that of their covariance,
    (visit, visit, replicate).
    """
    found = np.empty((len(weeks), *lasting.shape))
    for week, own in zip(weeks, found, strict=True):
        streams(f"departure week {week:g}").standard_normal(out=own)
    correlate(factor, lasting, found)
    return found.transpose(1, 2, 0)
