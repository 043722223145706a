"""A block of trials from randomisation to decision. This is the protocol in code: it holds no arithmetic."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.analyses.base import Estimate
from sim.claims import Draws
from sim.core.streams import BLOCK_SIZE, Streams
from sim.data import TrialData, hide
from sim.estimand import Estimand, Observations
from sim.events import NEVER, Events, Hazards, Ratings, occur
from sim.population import Cohort
from sim.protocol import Look, Protocol
from sim.scenario import Scenario, Truth
from sim.trajectories import Trajectories, foresee, visit_by_visit

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

OTHER_PATIENTS = 2_000_000_000
"""First block of the patients whose potential outcomes give the true values."""


@dataclass(frozen=True)
class Finding:
    """One look: its estimates and decisions, arrays (compared arm, size, replicate)."""

    estimand: str
    arms: tuple[str, ...]
    estimate: Estimate
    success: NDArray[np.bool_]


@dataclass(frozen=True)
class TrialRecord:
    """What a block of trials leaves behind.

    Attributes
    ----------
    sizes
        Patients randomised, (size,).
    findings
        One a look.
    data, events
        Of the largest size, patient by patient.
    finished
        Week of the last primary visit since the first site opened, (size, replicate).
    """

    sizes: tuple[int, ...]
    findings: tuple[Finding, ...]
    data: TrialData
    events: Events
    finished: Floats


@dataclass(frozen=True)
class World:
    """The same patients before they meet an arm: who they are and what would happen."""

    truth: Truth
    cohort: Cohort
    baseline: Floats
    trajectories: Trajectories
    hazards: Hazards


def simulate(
    protocol: Protocol, scenario: Scenario, draws: Draws, sizes: tuple[int, ...] = ()
) -> TrialRecord:
    """Run one block of trials.

    Parameters
    ----------
    protocol, scenario
        What we choose and what nature is.
    draws
        Random streams of the block, and the posteriors behind the claims.
    sizes
        Sample sizes to analyse, increasing, each a cut of the same patients; by default the protocol's.
    """
    sizes = sizes or (*protocol.sizes, protocol.n)
    truth = scenario.realise(protocol, draws)
    world = create(protocol, scenario, truth, sizes[-1], draws.streams)
    arm = protocol.allocation.assign(sizes[-1], protocol.ratio, draws.streams)
    enrolled = protocol.operations.enrolment(sizes[-1], world.truth.site_rate, draws.streams)
    score, events = experience(protocol, world, arm, draws.streams)
    missed = _missed_visits(world.truth, protocol.weeks, sizes[-1], draws.streams)
    score = hide(score, protocol.weeks, events, missed)
    data = TrialData(arm, world.baseline, score, protocol.weeks, events.ended, sizes)
    findings = tuple(analyse(protocol, look, data) for look in protocol.looks)
    finished = enrolled[np.array(sizes) - 1] + protocol.primary_week
    return TrialRecord(sizes, findings, data, events, finished)


def create(protocol: Protocol, scenario: Scenario, truth: Truth, n: int, streams: Streams) -> World:
    """Enrol ``n`` patients a replicate and foresee what would happen to them under every arm."""
    cohort = scenario.population.enrol(n, protocol.eligibility, truth.pain, streams)
    departure = _departures(truth.covariance, protocol.weeks, n, streams)
    trajectories = foresee(cohort, truth.course, truth.arms, protocol.weeks, departure)
    baseline = protocol.pain.scale.score(cohort.rating.copy())
    return World(truth, cohort, baseline, trajectories, Hazards(truth.arms))


def experience(protocol: Protocol, world: World, arm: Ints, streams: Streams) -> tuple[Floats, Events]:
    """Let each patient live through an arm: complete scores (patient, replicate, visit), and events."""
    latent = world.trajectories.under(arm)
    events = occur(Ratings(protocol.weeks, world.cohort.rating, latent), arm, world.hazards, streams)
    latent = world.trajectories.after_stopping(latent, arm, events.stop)
    return protocol.pain.scale.score(latent), events


def without_events(protocol: Protocol, world: World, arm: Ints) -> tuple[Floats, Events]:
    """Let each patient live through an arm in which nobody stops: the hypothetical strategy's scores."""
    never = np.full(arm.shape, NEVER)
    score = protocol.pain.scale.score(world.trajectories.under(arm))
    return score, Events(never, np.zeros(arm.shape, dtype=np.int8), never)


def analyse(protocol: Protocol, look: Look, data: TrialData) -> Finding:
    """Estimate a look's estimand and decide."""
    estimand = protocol.estimands[look.analysis.estimand]
    endpoint = protocol.endpoints[estimand.endpoint]
    observed = Observations(
        value=estimand.variable(data, endpoint),
        baseline=data.baseline,
        arm=data.arm,
        of=tuple(protocol.position(arm) for arm in estimand.contrast.of),
        to=protocol.position(estimand.contrast.to),
        arms=len(protocol.arms),
        data=data,
        estimand=estimand,
        endpoint=endpoint,
    )
    estimate = look.analysis.estimate(observed)
    success = look.rule.success(estimate, endpoint.better)
    return Finding(look.analysis.estimand, estimand.contrast.of, estimate, success)


def true_values(protocol: Protocol, scenario: Scenario, draws: Draws, n: int) -> dict[str, Floats]:
    """Compute every estimand's true value from the potential outcomes of ``n`` patients a replicate.

    The same patients live through each arm, nothing is missing, and the estimand's strategies are
    applied: shape (compared arm, replicate), in the units of the summary. They are others than the
    trial's own, so that an estimate and its true value do not share the luck of one sample.
    """
    others = Streams(draws.streams.seed, OTHER_PATIENTS + draws.streams.block)
    world = create(protocol, scenario, scenario.realise(protocol, draws), n, others)
    lives = {name: _whole_lives(protocol, world, name, others) for name in _compared_arms(protocol)}
    return {name: _contrast(protocol, estimand, lives) for name, estimand in protocol.estimands.items()}


def _compared_arms(protocol: Protocol) -> set[str]:
    contrasts = [estimand.contrast for estimand in protocol.estimands.values()]
    return {arm for contrast in contrasts for arm in (*contrast.of, contrast.to)}


def _whole_lives(protocol: Protocol, world: World, name: str, streams: Streams) -> dict[bool, TrialData]:
    """Complete data of everybody in one arm, with (True) and without (False) intercurrent events."""
    arm = np.full(world.baseline.shape, protocol.position(name), dtype=np.int64)
    strategies = {
        e.intercurrent_events.discontinuation != "hypothetical" for e in protocol.estimands.values()
    }
    lives = {}
    for stopping in strategies:
        if stopping:
            score, events = experience(protocol, world, arm, streams)
        else:
            score, events = without_events(protocol, world, arm)
        lives[stopping] = TrialData(arm, world.baseline, score, protocol.weeks, events.ended, (len(arm),))
    return lives


def _contrast(protocol: Protocol, estimand: Estimand, lives: dict[str, dict[bool, TrialData]]) -> Floats:
    """Mean of the variable in each compared arm less that of the control, (compared arm, replicate)."""
    endpoint = protocol.endpoints[estimand.endpoint]
    stopping = estimand.intercurrent_events.discontinuation != "hypothetical"

    def mean(arm: str) -> Floats:
        return np.asarray(estimand.variable(lives[arm][stopping], endpoint).mean(axis=0))

    control = mean(estimand.contrast.to)
    return np.stack([mean(arm) - control for arm in estimand.contrast.of])


def _departures(covariance: Floats, weeks: Floats, n: int, streams: Streams) -> Floats:
    """Draw own departures, (patient, replicate, visit), a stream a visit, so a later one moves no earlier."""
    factor = np.linalg.cholesky(covariance).transpose(1, 2, 0)
    normal = [streams(f"departure week {week:g}").standard_normal((n, BLOCK_SIZE)) for week in weeks]
    departure = visit_by_visit(n, BLOCK_SIZE, len(weeks))
    for visit in range(len(weeks)):
        np.multiply(factor[visit, 0], normal[0], out=departure[:, :, visit])
        for earlier in range(1, visit + 1):
            departure[:, :, visit] += factor[visit, earlier] * normal[earlier]
    return departure


def _missed_visits(truth: Truth, weeks: Floats, n: int, streams: Streams) -> tuple[NDArray[np.bool_], ...]:
    """Draw which visits are missed, a stream a visit: at most one (patient, replicate, visit) mask."""
    if not truth.missed.any():
        return ()
    missed = [streams(f"missed visit week {week:g}").random((n, BLOCK_SIZE)) < truth.missed for week in weeks]
    return (np.stack(missed, axis=-1),)
