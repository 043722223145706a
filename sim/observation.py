"""What the sponsor sees of patients' lives, and what is estimated from it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.analyses.base import Estimate
from sim.conduct import after_waiting, operate
from sim.core.streams import Streams
from sim.data import ABSENT, Scores, TrialData, hide
from sim.estimand import Observations
from sim.lives import Life, World, experience, lose
from sim.operations.base import Conduct
from sim.protocol import Look, Protocol
from sim.scenario import Scenario

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ground:
    """What a block of trials stands on: a protocol, a scenario, its patients, and their random streams."""

    protocol: Protocol
    scenario: Scenario
    world: World
    streams: Streams

    def live(self, arm: Ints) -> "Lived":
        """Let the patients be enrolled and live through these arms, (patient, replicate).

        Who is in no arm lives through the first one; what happens to them is never seen.
        """
        arm, world, streams = np.maximum(arm, 0), self.world, self.streams
        conduct = operate(self.protocol, self.scenario, world, arm, streams)
        world = after_waiting(world, conduct)
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
    life, weeks = lived.life, ground.protocol.weeks
    leave, missed = life.events.leave, life.missed
    score = hide(life.score, weeks, leave, missed)
    return TrialData(
        arm=arm,
        baseline=ground.world.baseline,
        score=score,
        weeks=weeks,
        stopped=life.events.ended,
        sizes=sizes,
        others={k: Scores(v.baseline, hide(v.visits, weeks, leave, missed)) for k, v in life.others.items()},
        rescued=None if life.rescued is None else life.rescued & ~np.isnan(score),
        therapist=life.therapist,
        reason=life.events.reason,
        streams=ground.streams,
    )


def analyse(protocol: Protocol, look: Look, data: TrialData) -> tuple[Estimate, str]:
    """Estimate a look's estimand at every cut, and say which direction is better."""
    estimand = protocol.estimands[look.analysis.estimand]
    endpoint = protocol.endpoints[estimand.endpoint]
    value = estimand.variable(data, endpoint)
    observed = Observations(
        value=np.where(data.arm == ABSENT, np.nan, value) if data.arm.min() == ABSENT else value,
        baseline=data.of(endpoint.instrument).baseline,
        arm=data.arm,
        of=tuple(protocol.position(arm) for arm in estimand.contrast.of),
        to=protocol.position(estimand.contrast.to),
        arms=len(protocol.arms),
        data=data,
        estimand=estimand,
        endpoint=endpoint,
    )
    return look.analysis.estimate(observed), estimand.better(endpoint)
