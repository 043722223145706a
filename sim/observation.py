"""What the sponsor sees of patients' lives, and what is estimated from it."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sim.analyses.base import Estimate
from sim.conduct import after_waiting, operate
from sim.core.streams import Streams
from sim.data import ABSENT, Scores, TrialData, hide
from sim.estimand import Estimand, Observations
from sim.lives import Life, World, experience, lose
from sim.look import Look
from sim.operations.base import Conduct
from sim.protocol import Protocol
from sim.scenario import Scenario

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

WEEKS_A_YEAR = 52.0


@dataclass(frozen=True)
class Ground:
    """What a block of trials stands on: a protocol, a scenario, its patients, and their random streams.

    ``put_off``: weeks by which a stop of recruitment put off each patient's coming, (patient, replicate).
    """

    protocol: Protocol
    scenario: Scenario
    world: World
    streams: Streams
    put_off: Floats | None = None

    def live(self, arm: Ints) -> "Lived":
        """Let the patients be enrolled and live through these arms, (patient, replicate).

        Who is in no arm lives through the first one; what happens to them is never seen.
        """
        arm = arm if arm.min() >= 0 else np.maximum(arm, 0)
        world, streams = self.world, self.streams
        conduct = operate(self.protocol, self.scenario, world, arm, streams)
        if self.put_off is not None:
            conduct = replace(conduct, enrolled=conduct.enrolled + self.put_off)
        world = _drifting(after_waiting(world, conduct), conduct)
        life = experience(self.protocol, world, arm, streams)
        return Lived(conduct, world, lose(life, world, self.protocol.weeks, streams))


@dataclass(frozen=True)
class Lived:
    """When patients were enrolled, what they waited for, and their lives."""

    conduct: Conduct
    world: World
    life: Life


def observe(ground: Ground, lived: Lived, arm: Ints, sizes: tuple[int, ...]) -> TrialData:
    """See what is measured of the patients' lives: nothing after they left, nor at a missed visit."""
    life, weeks, visits = lived.life, ground.protocol.weeks, lived.conduct.visits
    leave, missed = life.events.leave, life.missed
    held = weeks if visits is None else visits.held
    if visits is not None and visits.missing and visits.outside is not None:
        missed = visits.outside if missed is None else missed | visits.outside
    score = hide(life.score, held, leave, missed)
    return TrialData(
        arm=arm,
        baseline=ground.world.baseline,
        score=score,
        weeks=weeks,
        stopped=life.events.ended,
        sizes=sizes,
        others={k: Scores(v.baseline, hide(v.visits, held, leave, missed)) for k, v in life.others.items()},
        rescued=None if life.rescued is None else life.rescued & ~np.isnan(score),
        therapist=life.therapist,
        reason=life.events.reason,
        enrolled=lived.conduct.enrolled,
        covariates=ground.world.covariates,
        streams=ground.streams,
    )


def analyse(protocol: Protocol, look: Look, data: TrialData) -> tuple[Estimate, str]:
    """Estimate a look's estimand at every cut, and say which direction is better."""
    name = look.analysis.estimand
    estimand, better = protocol.estimands[name], protocol.better(name)
    if protocol.run_in is not None:
        data = data.since(protocol.run_in.weeks)
    if look.controls == "all":
        return look.analysis.estimate(_observations(protocol, estimand, data)), better
    alone = []
    for arm in estimand.contrast.of:
        pair = estimand.only(arm)
        beside = data.only(_beside(protocol, arm, estimand.contrast.to, data))
        alone.append(look.analysis.estimate(_observations(protocol, pair, beside)))
    return join(0, *alone), better


def _observations(protocol: Protocol, estimand: Estimand, data: TrialData) -> Observations:
    endpoint, data = protocol.endpoints[estimand.endpoint], estimand.of_population(data)
    value = estimand.variable(data, endpoint)
    arm, of, to, arms = _compared(protocol, estimand, data.arm)
    return Observations(
        value=np.where(arm == ABSENT, np.nan, value) if arm.min() == ABSENT else value,
        baseline=data.of(endpoint.instrument).baseline,
        arm=arm,
        of=of,
        to=to,
        arms=arms,
        data=data,
        estimand=estimand,
        endpoint=endpoint,
    )


def _beside(protocol: Protocol, arm: str, control: str, data: TrialData) -> Mask:
    """Patients of an arm, and those of the control who were randomised while it recruited."""
    of, to = protocol.position(arm), protocol.position(control)
    assert data.enrolled is not None
    then = protocol.arms[of].recruits(data.enrolled)
    return np.asarray((data.arm == of) | ((data.arm == to) & then))


def goes_on(protocol: Protocol, data: TrialData) -> Mask:
    """Who is randomised after the run-in, (patient, replicate)."""
    run_in = protocol.run_in
    assert run_in is not None
    score = data.score[:, :, data.visit(run_in.weeks)]
    passes = ~np.isnan(score) & (data.stopped > run_in.weeks)
    for name, wanted in ((run_in.only, True), (run_in.unless, False)):
        if name is not None:
            endpoint = protocol.endpoints[name]
            at = data.of(endpoint.instrument)
            met = endpoint.value(at.baseline, at.visits[:, :, data.visit(run_in.weeks)]) > 0
            passes &= met if wanted else ~met
    return np.asarray(passes)


def _drifting(world: World, conduct: Conduct) -> World:
    """Let later patients rate their pain differently, by calendar time."""
    drift = world.truth.drift
    if drift is None:
        return world
    moved = world.trajectories.own + (drift * conduct.enrolled / WEEKS_A_YEAR)[:, :, None]
    return replace(world, trajectories=replace(world.trajectories, own=moved))


def _compared(
    protocol: Protocol, estimand: Estimand, arm: NDArray[np.integer]
) -> tuple[NDArray[np.integer], tuple[int, ...], int, int]:
    """Arm of each patient as the contrast has it, positions of the compared, that of the control, and arms.

    A contrast of groups knows these groups alone; who is in none of them is absent.
    """
    names = (*estimand.contrast.of, estimand.contrast.to)
    if not any(name in protocol.groups for name in names):
        positions = tuple(protocol.position(name) for name in names)
        return arm, positions[:-1], positions[-1], len(protocol.arms)
    group = np.full(len(protocol.arms) + 1, ABSENT)  # the last is that of the absent
    for number, name in enumerate(names):
        group[list(protocol.members(name))] = number
    return group[arm], tuple(range(len(names) - 1)), len(names) - 1, len(names)


def join(axis: int, *estimates: Estimate) -> Estimate:
    """Lay estimates one after the other along an axis."""
    parts = {f.name: [getattr(estimate, f.name) for estimate in estimates] for f in fields(Estimate)}
    return Estimate(**{name: np.concatenate(values, axis=axis) for name, values in parts.items()})
