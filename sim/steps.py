"""Patients who pass through several treatments: in sequence, side by side, or by how they respond.

What an earlier treatment leaves behind (carry-over) is its own effect after its end. Who stops a treatment,
for whatever reason, gets none of the later ones.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import Streams
from sim.events import NEVER, Events, Hazards, Ratings, occur
from sim.protocol import Protocol
from sim.trajectories import ArmEffect, Trajectories
from sim.truth import Later

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class LaterEffect:
    """A later step of an arm and what it does to pain."""

    later: Later
    effect: ArmEffect


@dataclass(frozen=True)
class Patients:
    """Patients in their arms, before it is known which steps they take.

    Attributes
    ----------
    arm, baseline
        (patient, replicate); the baseline is the score.
    therapists
        What therapists add to the size of the first treatment's effect; None: nothing.
    belief
        Shift of the rating by believing to know the treatment, (patient, replicate); None: nobody does.
    """

    arm: Ints
    baseline: Floats
    therapists: Floats | None
    belief: Floats | None


@dataclass(frozen=True)
class Passing:
    """When each treatment begins and makes room for the next, as planned, each (patient, replicate).

    ``begun`` holds the later steps, never for who does not take them; ``ended`` the first treatment, then
    these.
    """

    begun: tuple[Floats, ...]
    ended: tuple[Floats, ...]


@dataclass(frozen=True)
class Steps:
    """The later steps of a protocol's arms, for some patients."""

    protocol: Protocol
    trajectories: Trajectories
    taken: tuple[LaterEffect, ...]
    patients: Patients

    def plan(self) -> Passing:
        """Let patients pass from step to step, by their response where a step asks for it."""
        arm = self.patients.arm
        passing = Passing((), (np.full(arm.shape, NEVER),))
        for number, one in enumerate(self.taken):
            step, mine = one.later.step, arm == one.later.arm
            if step.unless is not None:
                mine = mine & ~self._responds(step.unless, step.at, self.latent(passing))
            ended = list(passing.ended)
            if not step.beside:
                before = [0, *(k + 1 for k in range(number) if self.taken[k].later.arm == one.later.arm)]
                for k in before:
                    ended[k] = np.where(mine, np.minimum(ended[k], step.at), ended[k])
            begun = np.where(mine, step.at, NEVER)
            passing = Passing((*passing.begun, begun), (*ended, np.full(arm.shape, NEVER)))
        return passing

    def _responds(self, name: str, week: float, latent: Floats) -> Mask:
        """Whether the score at a visit is a response, stopping and leaving aside."""
        visit = int(np.flatnonzero(self.protocol.weeks == week)[0])
        score = self.protocol.pain.scale.score(latent[:, :, visit].copy())
        return np.asarray(self.protocol.endpoints[name].value(self.patients.baseline, score) > 0)

    def latent(self, passing: Passing, stop: Floats | None = None) -> Floats:
        """Unrounded ratings, (patient, replicate, visit), of who stops all treatment in week ``stop``."""
        patients, moves = self.patients, self.trajectories
        stop = np.full(patients.arm.shape, NEVER) if stop is None else stop
        latent = moves.under(patients.arm, patients.therapists)
        first = np.minimum(stop, passing.ended[0])
        latent = moves.after_stopping(latent, patients.arm, first, patients.therapists)
        for one, begun, ended in zip(self.taken, passing.begun, passing.ended[1:], strict=False):
            where = np.nonzero(begun < NEVER)
            until, replicate = np.minimum(stop, ended)[where][:, None], where[1][:, None]
            share = one.effect.share(moves.weeks[None, :], until, replicate, begun[where][:, None])
            size = np.broadcast_to(one.effect.size, begun.shape)[where]
            latent[where] += size[:, None] * share
        return latent if patients.belief is None else latent + patients.belief[:, :, None]

    def stops(self, rating: Floats, passing: Passing, hazards: Hazards, streams: Streams) -> Events:
        """Let the treatments be stopped while they are given; leaving for other reasons goes by the first."""
        arm = self.patients.arm
        ratings = Ratings(self.protocol.weeks, rating, self.latent(passing))
        events = occur(ratings, arm, replace(hazards, ended=passing.ended[0]), streams)
        for number, one in enumerate(self.taken):
            levels = one.later.levels
            levels = replace(levels, hazards=replace(levels.hazards, withdrawal=np.zeros_like(levels.weeks)))
            given = Hazards(
                [levels] * len(hazards.levels), passing.begun[number], None, passing.ended[number + 1]
            )
            events = events.or_earlier(occur(ratings, arm, given, streams.at(f"step {number + 1}")))
        return events
