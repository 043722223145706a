"""A block of trials from randomisation to decision. This is the protocol in code: it holds no arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.claims import Draws
from sim.conduct import each_alone, usage
from sim.core.loops import count_until
from sim.data import TrialData
from sim.events import Events
from sim.findings import End, Finding, decide
from sim.lives import create
from sim.observation import Ground, Lived, analyse, observe
from sim.operations.base import Conduct
from sim.operations.costs import Spent, Usage, together
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.stages import pass_through

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TrialRecord:
    """What a block of trials leaves behind.

    Attributes
    ----------
    sizes
        Patients randomised, (size,).
    findings
        One a look of the protocol.
    ended
        Position of the look at which the trial ended, (size, replicate).
    data, events, adverse_events
        Of the largest size, patient by patient.
    finished
        Week of that look since the first site opened, (size, replicate).
    randomised, analysed
        Patients randomised by then, and those of them with the primary visit, (size, replicate).
    unfinished
        Trials that were stopped before that look, at the operations' latest week, (size, replicate).
    conduct
        When patients of the largest size were randomised and treated.
    cost
        In the scenario's currency; None: it has no prices.
    """

    sizes: tuple[int, ...]
    findings: tuple[Finding, ...]
    data: TrialData
    events: Events
    adverse_events: Mapping[str, Mask]
    ended: Ints
    finished: Floats
    randomised: Ints
    analysed: Ints
    unfinished: Mask
    conduct: Conduct
    cost: Spent | None


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
    world = create(protocol, scenario, truth, protocol.most(sizes[-1]), draws.streams)
    ground = Ground(protocol, scenario, world, draws.streams)
    return (stage_by_stage if protocol.is_staged else all_at_once)(ground, sizes)


def all_at_once(ground: Ground, sizes: tuple[int, ...]) -> TrialRecord:
    """Run trials in which nothing that is seen at a look changes what comes later."""
    protocol = ground.protocol
    arm = protocol.allocation.assign(sizes[-1], protocol.ratio, ground.streams)
    lived = ground.live(arm)
    cuts, looks = protocol.looks_of(sizes)
    data = observe(ground, lived, arm, cuts)
    analysed = [analyse(protocol, look, data) for look in protocol.looks]
    verdict = protocol.looks[0].rule.monitor(*analysed[0], looks)
    findings, ended = decide(protocol, analysed, verdict, looks)
    seen = looks.at(ended, cuts)
    finished, randomised, unfinished = calendar(lived.conduct.enrolled, protocol, seen, sizes)
    end = End(findings, ended, finished, randomised, seen, unfinished)
    return record(ground, sizes, (data, lived), (end, spent(ground, (data, lived), randomised, finished)))


def stage_by_stage(ground: Ground, sizes: tuple[int, ...]) -> TrialRecord:
    """Run trials whose later patients depend on what was seen at a look, each size by itself."""
    passages = [pass_through(ground, size) for size in sizes]
    end = End.of_sizes([passage.end for passage in passages])
    costs = [spent(ground, (p.data, p.lived), p.end.randomised, p.end.finished) for p in passages]
    return record(ground, sizes, (passages[-1].data, passages[-1].lived), (end, together(costs)))


def spent(
    ground: Ground, passed: tuple[TrialData, Lived], randomised: Ints, finished: Floats
) -> Spent | None:
    """Price what patients used until trials ended, both (size, replicate); None: there are no prices."""
    (data, lived), costs = passed, ground.world.truth.costs
    if costs is None:
        return None

    def used(arm: NDArray[np.integer]) -> Usage:
        return usage(ground.protocol, lived.world, arm, lived.life, lived.conduct)

    if not ground.protocol.operations.shares_time:
        return costs.spent(used(data.arm), randomised, finished)
    alone = enumerate(each_alone(data.arm, randomised))
    return together([costs.spent(used(arm), randomised[[k]], finished[[k]]) for k, arm in alone])


def record(
    ground: Ground, sizes: tuple[int, ...], last: tuple[TrialData, Lived], how: tuple[End, Spent | None]
) -> TrialRecord:
    """Write down what a block of trials leaves behind; ``last`` are the patients of the largest size."""
    (data, lived), (end, cost) = last, how
    life = lived.life
    return TrialRecord(
        sizes=sizes,
        findings=tuple(found.without(end.unfinished) for found in end.findings),
        data=data,
        events=life.events,
        adverse_events=life.adverse_events,
        ended=end.ended,
        finished=end.finished,
        randomised=end.randomised,
        analysed=end.analysed,
        unfinished=end.unfinished,
        conduct=lived.conduct,
        cost=cost,
    )


def calendar(
    enrolled: Floats, protocol: Protocol, analysed: Ints, sizes: tuple[int, ...]
) -> tuple[Floats, Ints, Mask]:
    """Week of the last look, patients randomised by then, and whether it came too late, (size, replicate).

    Parameters
    ----------
    enrolled
        Week of randomisation, (patient, replicate).
    analysed
        Patients with the primary visit at that look, (size, replicate).
    """
    due = enrolled[analysed - 1, np.arange(enrolled.shape[1])] + protocol.last_week
    late = due > protocol.operations.latest
    week = np.where(late, protocol.operations.latest, due)
    randomised = np.zeros(week.shape, dtype=np.int64)
    count_until(np.ascontiguousarray(enrolled), np.array(sizes), week, randomised)
    return week, randomised, late
