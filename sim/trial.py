"""A block of trials from randomisation to decision. This is the protocol in code: it holds no arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.analyses.base import Estimate
from sim.claims import Draws
from sim.data import Scores, TrialData, hide
from sim.estimand import Observations
from sim.events import Events
from sim.lives import Life, World, create, experience, lose
from sim.protocol import Look, Protocol
from sim.scenario import Scenario

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]


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
    data, events, adverse_events
        Of the largest size, patient by patient.
    finished
        Week of the last primary visit since the first site opened, (size, replicate).
    """

    sizes: tuple[int, ...]
    findings: tuple[Finding, ...]
    data: TrialData
    events: Events
    adverse_events: Mapping[str, Mask]
    finished: Floats


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
    enrolled = protocol.operations.enrolment(sizes[-1], truth.site_rate, draws.streams)
    life = lose(experience(protocol, world, arm, draws.streams), world, protocol.weeks, draws.streams)
    data = replace(observe(protocol, world, arm, life, sizes), streams=draws.streams)
    findings = tuple(analyse(protocol, look, data) for look in protocol.looks)
    finished = enrolled[np.array(sizes) - 1] + protocol.primary_week
    return TrialRecord(sizes, findings, data, life.events, life.adverse_events, finished)


def observe(protocol: Protocol, world: World, arm: Ints, life: Life, sizes: tuple[int, ...]) -> TrialData:
    """See what is measured of the patients' lives: nothing after they left, nor at a missed visit."""
    weeks, leave, missed = protocol.weeks, life.events.leave, life.missed
    return TrialData(
        arm=arm,
        baseline=world.baseline,
        score=hide(life.score, weeks, leave, missed),
        weeks=weeks,
        stopped=life.events.ended,
        sizes=sizes,
        others={k: Scores(v.baseline, hide(v.visits, weeks, leave, missed)) for k, v in life.others.items()},
        rescued=life.rescued,
        therapist=life.therapist,
        reason=life.events.reason,
    )


def analyse(protocol: Protocol, look: Look, data: TrialData) -> Finding:
    """Estimate a look's estimand and decide."""
    estimand = protocol.estimands[look.analysis.estimand]
    endpoint = protocol.endpoints[estimand.endpoint]
    observed = Observations(
        value=estimand.variable(data, endpoint),
        baseline=data.of(endpoint.instrument).baseline,
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
