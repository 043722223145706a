"""When the trial's patients are randomised and treated, what waiting does to them, and what is used."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import Streams
from sim.data import ABSENT
from sim.lives import Life, World, experience, lose
from sim.operations.base import Conduct, Course, Intake, Stays
from sim.operations.costs import Usage, rows_of_last
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.treatments import TreatmentLevels
from sim.truth import Truth

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def operate(protocol: Protocol, scenario: Scenario, world: World, arm: Ints, streams: Streams) -> Conduct:
    """Let the protocol's operations enrol and treat the patients of these arms."""
    return protocol.operations.conduct(intake_of(protocol, scenario, world, arm, streams), streams)


def intake_of(protocol: Protocol, scenario: Scenario, world: World, arm: Ints, streams: Streams) -> Intake:
    """Tell operations what they have to know of these patients."""
    truth = world.truth
    return Intake(
        arm=arm,
        names=tuple(chosen.name for chosen in protocol.arms),
        courses=tuple(_course(levels) for levels in truth.arms),
        site_rate=truth.site_rate,
        eligible=_eligible(protocol, scenario, truth, streams),
        conditions=truth.conditions,
        stays=stays_of(protocol, world, arm, streams) if protocol.operations.treats else None,
        weeks=protocol.weeks,
    )


def stays_of(protocol: Protocol, world: World, arm: Ints, streams: Streams) -> Stays:
    """How long patients would stay if nobody waited: drawn once, not again with the waits that follow."""
    life = lose(experience(protocol, world, arm, streams), world, protocol.weeks, streams)
    events, start = life.events, world.hazards.start(arm)
    return Stays(events.stop - start, np.where(events.leave < events.stop, events.leave, np.inf))


def _course(levels: TreatmentLevels) -> Course:
    ready = np.zeros_like(levels.weeks) if levels.waiting is None else levels.waiting
    return Course(levels.sessions, levels.weeks, ready)


def _eligible(protocol: Protocol, scenario: Scenario, truth: Truth, streams: Streams) -> Floats:
    """Share of those who present whom the entry rules admit, (replicate,); 1 where nobody asks."""
    if not protocol.operations.screens:
        return np.ones_like(truth.site_rate)
    failed = scenario.population.screened(protocol.eligibility, truth.pain, streams)
    return 1 - failed["any"] if failed else np.ones_like(truth.site_rate)


def after_waiting(world: World, conduct: Conduct) -> World:
    """Let treatment begin when the patient's turn comes: before that it has no effect and no hazards.

    What is measured is measured when the visits are held.
    """
    world = replace(world, visits=conduct.visits)
    if conduct.start is None:
        return world
    return replace(
        world,
        trajectories=replace(world.trajectories, start=conduct.start),
        hazards=replace(world.hazards, begun=conduct.start, gave_up=conduct.gave_up),
    )


def usage(protocol: Protocol, world: World, arm: Ints, life: Life, conduct: Conduct) -> Usage:
    """Count the visits, sessions and weeks of treatment of each patient, and the sites."""
    truth, events = world.truth, life.events
    visits = np.ones(arm.shape)
    for place, week in enumerate(protocol.weeks):
        seen = events.leave > (week if conduct.visits is None else conduct.visits.held[:, :, place])
        visits += seen if life.missed is None else seen & ~life.missed[:, :, place]
    sessions, treated = (
        np.zeros(arm.shape),
        {chosen.treatment: np.zeros(arm.shape) for chosen in protocol.arms},
    )
    for k, (chosen, levels) in enumerate(zip(protocol.arms, truth.arms, strict=True)):
        course = _course(levels)
        start = course.ready if conduct.start is None else conduct.start
        begun = np.minimum(start, events.ended)  # who leaves or gives up before has no treatment
        weeks = np.where(arm == k, np.minimum(events.ended - begun, course.weeks), 0.0)
        treated[chosen.treatment] += weeks
        given = protocol.operations.therapist_weeks(chosen.name, conduct.enrolled + begun, weeks)
        sessions += (course.sessions or 0) * given / course.weeks
    count = np.broadcast_to(np.arange(1.0, len(arm) + 1)[:, None], arm.shape)
    opened = conduct.opened
    if opened is None:
        opened = np.zeros((protocol.operations.sites, arm.shape[1]))
    return Usage(
        arm=arm,
        arms=len(protocol.arms),
        visits=visits,
        sessions=sessions,
        treated=treated,
        screened=count if conduct.screened is None else conduct.screened,
        opened=opened,
        closed=np.full_like(opened, np.inf) if conduct.closed is None else conduct.closed,
        kits=np.zeros(arm.shape) if conduct.kits is None else conduct.kits.sent,
        appointments={
            name: (np.isfinite(week) & (week <= conduct.enrolled + events.leave)).astype(float)
            for name, week in conduct.appointments.items()
        },
    )


def each_alone(arm: Ints, randomised: Ints) -> list[Ints]:
    """Leave out who is not in the trial of each size, (size, replicate): they take no part in its groups."""
    rows = np.arange(len(arm))[:, None]
    return [np.where(rows <= last, arm, ABSENT) for last in rows_of_last(arm, randomised)]
