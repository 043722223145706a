"""Potential outcomes: what would happen to the same patients under every arm."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.core.loops import add_by_arm
from sim.core.same import Same
from sim.core.streams import Streams
from sim.effects.base import Shape
from sim.treatments import TreatmentLevels

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def visit_by_visit(patients: int, replicates: int, visits: int) -> Floats:
    """Make an empty (patient, replicate, visit) array whose visits lie apart in memory.

    Work goes visit by visit; with this layout each visit is one contiguous (patient, replicate) array.
    """
    return np.empty((visits, patients, replicates)).transpose(1, 2, 0)


def look_up(table: Floats, place: Ints, out: Floats) -> Floats:
    """Take entries of a short table at valid places into ``out``; not checked, which would need a copy."""
    return np.take(table, place, out=out, mode="clip")


NEVER_BEGUN = 1e9
"""Weeks that stand for a treatment that never begins: a difference of infinities would be undefined."""


@dataclass(frozen=True)
class MeanCourse:
    """Mean fall of true pain under placebo, −change × (1 − 2^(−t / half_weeks)).

    Attributes
    ----------
    change
        At the plateau, points, (replicate,); positive is improvement.
    half_weeks
        Weeks to half of it, (replicate,).
    """

    change: Floats
    half_weeks: Floats

    def at(self, weeks: Floats) -> Floats:
        """Mean change since baseline, points; negative is improvement.

        ``weeks`` are (visit,), or (patient, replicate, visit); the shape is (replicate, visit), or theirs.
        """
        return np.asarray(self.change[:, None] * np.expm1(-np.log(2) * weeks / self.half_weeks[:, None]))

    def planned(self, weeks: Floats) -> Floats:
        """Mean change at the planned visits, (replicate, visit): the same array whenever it is asked for."""
        key = weeks.tobytes()
        if key not in self._planned:
            self._planned[key] = self.at(weeks)
        return self._planned[key]

    @cached_property
    def _planned(self) -> dict[bytes, Floats]:
        """Changes that were asked for."""
        return {}


@dataclass(frozen=True)
class ArmEffect:
    """What one arm does to pain.

    Attributes
    ----------
    size
        Effect at the end of a completed course: (replicate,), or (patient, replicate) where patients differ.
    shape
        Share of it through time since the treatment began.
    length, start
        Planned length, and week in which the treatment begins, (replicate,), weeks.
    """

    size: Floats
    shape: Shape
    length: Floats
    start: Floats

    @property
    def is_personal(self) -> bool:
        """Whether patients differ in the size of the effect."""
        return self.size.ndim == 2

    def share(self, weeks: Any, stop: Any, replicate: Any, start: Any = None) -> Floats:
        """Share of the size at ``weeks`` since randomisation, of a treatment stopped at week ``stop``.

        ``start`` is when it began, where that is not the arm's own.
        """
        start = self.start[replicate] if start is None else np.minimum(start, NEVER_BEGUN)
        treated = np.minimum(np.maximum(stop - start, 0.0), self.length[replicate])
        return self.shape(np.maximum(weeks - start, 0.0), treated, replicate)

    def planned(self, weeks: Floats) -> Floats:
        """Share of the size at the visits while treated as planned, (replicate, visit)."""
        key = weeks.tobytes()
        if key not in self._planned:
            replicate = np.arange(len(self.length))[:, None]
            self._planned[key] = self.share(weeks[None, :], np.inf, replicate)
        return self._planned[key]

    @cached_property
    def _planned(self) -> dict[bytes, Floats]:
        """Shares that were asked for."""
        return {}


@dataclass(frozen=True)
class Trajectories:
    """Ratings before rounding, for every patient, under every arm.

    Attributes
    ----------
    weeks
        Follow-up visits, (visit,), weeks since randomisation, increasing, the first above 0.
    own
        Baseline true pain plus a patient's own departure and rating error, (patient, replicate, visit).
    course
        Mean change under placebo, (replicate, visit).
    effects
        Of each arm.
    start
        Week in which each patient's treatment begins, (patient, replicate); None: as the arm's effect has it.
    """

    weeks: Floats
    own: Floats
    course: Floats
    effects: tuple[ArmEffect, ...]
    start: Floats | None = None

    def under(self, arm: Ints, therapists: Floats | None = None) -> Floats:
        """Unrounded ratings, (patient, replicate, visit), under each patient's arm, treated as planned.

        ``therapists`` adds to the size of each patient's effect, (patient, replicate).
        """
        latent = visit_by_visit(*self.own.shape)
        personal = therapists is not None or any(effect.is_personal for effect in self.effects)
        if personal:
            shift = np.repeat(self.course.T[:, None], len(self.effects), axis=1)
        else:
            effects = tuple(Same(effect) for effect in self.effects)
            shift = _mean_shift(Same(self.course), effects, self.weeks.tobytes())
        add_by_arm(self.own.transpose(2, 0, 1), arm, shift, latent.transpose(2, 0, 1))
        if personal:
            shares = np.stack([effect.planned(self.weeks) for effect in self.effects])
            self._add_personal(latent, arm, therapists, shares)
        if self.start is not None:
            self._begin_late(latent, arm, self.start, therapists)
        return latent

    def _add_personal(self, latent: Floats, arm: Ints, therapists: Floats | None, shares: Floats) -> None:
        """Add each patient's own effect to ``latent``; ``shares`` are (arm, replicate, visit)."""
        size, place = self.size(arm, therapists), self._place(arm)
        by_place = shares.reshape(-1, len(self.weeks))
        part = np.empty_like(size)
        for visit in range(len(self.weeks)):
            look_up(by_place[:, visit], place, out=part)
            part *= size
            latent[:, :, visit] += part

    def _begin_late(self, latent: Floats, arm: Ints, start: Floats, therapists: Floats | None) -> None:
        """Move the effect of who waits for treatment; overwrites ``latent``."""
        size = self.size(arm, therapists)
        for k, effect in enumerate(self.effects):
            where = np.nonzero((arm == k) & (start != effect.start))
            replicate = where[1][:, None]
            moved = effect.share(self.weeks[None, :], np.inf, replicate, start[where][:, None])
            latent[where] += size[where][:, None] * (moved - effect.planned(self.weeks)[where[1]])

    def _starts(self, where: tuple[Ints, ...]) -> Floats | None:
        """When the treatment of these patients begins, (chosen, 1)."""
        return None if self.start is None else self.start[where][:, None]

    def after_stopping(
        self, latent: Floats, arm: Ints, stop: Floats, therapists: Floats | None = None
    ) -> Floats:
        """Let the effect fade from the week of stopping, (patient, replicate); overwrites ``latent``."""
        stops = stop < self.weeks[-1]
        if not stops.any():
            return latent
        early = np.nonzero(stops)
        arms, size = arm[early], self.size(arm, therapists)[early]
        for k, effect in enumerate(self.effects):
            mine = np.flatnonzero(arms == k)
            where = (early[0][mine], early[1][mine])
            replicate = where[1][:, None]
            begun = self._starts(where)
            lost = effect.share(self.weeks[None, :], stop[where][:, None], replicate, begun)
            if begun is None:
                lost -= effect.planned(self.weeks)[where[1]]
            else:
                lost -= effect.share(self.weeks[None, :], np.inf, replicate, begun)
            latent[where] += size[mine][:, None] * lost
        return latent

    def shares(self, arm: Ints, stop: Floats, held: Floats | None = None) -> Floats:
        """Share of each patient's effect, (patient, replicate, visit), faded after stopping.

        ``held`` are weeks of the visits, of the same shape; None: the planned ones.
        """
        found = np.empty(self.own.shape)
        for k, effect in enumerate(self.effects):
            mine = np.nonzero(arm == k)
            stopped, replicate = stop[mine][:, None], mine[1][:, None]
            weeks = self.weeks[None, :] if held is None else held[mine]
            found[mine] = effect.share(weeks, stopped, replicate, self._starts(mine))
        return found

    def size(self, arm: Ints, therapists: Floats | None = None) -> Floats:
        """Size of each patient's effect under their arm, (patient, replicate), points."""
        if not any(effect.is_personal for effect in self.effects):
            size = self._mean_sizes().ravel()[self._place(arm)]
        else:
            own = [np.broadcast_to(effect.size, arm.shape) for effect in self.effects]
            size = np.choose(arm, own)
        return size if therapists is None else size + therapists

    def _mean_sizes(self) -> Floats:
        """Size of each arm's effect where patients do not differ, (arm, replicate)."""
        return np.stack([effect.size for effect in self.effects])

    def _place(self, arm: Ints) -> Ints:
        replicates = self.course.shape[0]
        return np.asarray(arm * replicates + np.arange(replicates))


def effects_of(
    arms: tuple[TreatmentLevels, ...], scores: Mapping[str, Floats], shape: tuple[int, int], streams: Streams
) -> tuple[ArmEffect, ...]:
    """Give every arm its effect on each of these patients.

    Parameters
    ----------
    scores
        Standardised covariates that modify an effect, (patient, replicate).
    shape
        Patients and replicates.
    """
    found = []
    for levels in arms:
        effect = _mean_effect(Same(levels))
        if levels.persons.differ:
            effect = replace(effect, size=levels.persons.size(levels.size, scores, shape, streams))
        found.append(effect)
    return tuple(found)


@lru_cache(maxsize=64)
def _mean_shift(course: Same[Floats], effects: tuple[Same[ArmEffect], ...], weeks: bytes) -> Floats:
    """Mean change under every arm where patients do not differ, (visit, arm, replicate), points."""
    shares = np.stack([effect.value.planned(np.frombuffer(weeks)) for effect in effects])
    sizes = np.stack([effect.value.size for effect in effects])
    return np.ascontiguousarray((course.value + sizes[:, :, None] * shares).transpose(2, 0, 1))


@lru_cache(maxsize=64)
def _mean_effect(levels: Same[TreatmentLevels]) -> ArmEffect:
    """Effect of a treatment where patients do not differ."""
    one = levels.value
    start = np.zeros_like(one.weeks) if one.waiting is None else one.waiting
    return ArmEffect(one.size, one.shape, one.weeks, start)
