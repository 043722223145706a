"""Potential outcomes: what would happen to the same patients under every arm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.effects.base import Course
from sim.screening import Cohort
from sim.treatments import TreatmentLevels

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def visit_by_visit(patients: int, replicates: int, visits: int) -> Floats:
    """Make an empty (patient, replicate, visit) array whose visits lie apart in memory.

    Work goes visit by visit; with this layout each visit is one contiguous (patient, replicate) array.
    """
    return np.empty((visits, patients, replicates)).transpose(1, 2, 0)


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
        """Mean change since baseline, shape (replicate, visit), points; negative is improvement."""
        return np.asarray(self.change[:, None] * np.expm1(-np.log(2) * weeks / self.half_weeks[:, None]))


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
    planned
        Effect of each arm while treated as planned, (arm, replicate, visit).
    effects, lengths
        Effect of each arm at any week, and its planned length (arm, replicate) in weeks.
    """

    weeks: Floats
    own: Floats
    course: Floats
    planned: Floats
    effects: tuple[Course, ...]
    lengths: Floats

    def under(self, arm: Ints) -> Floats:
        """Unrounded ratings, (patient, replicate, visit), under each patient's arm, treated as planned."""
        replicates = self.course.shape[0]
        place = arm * replicates + np.arange(replicates)
        shift = (self.course + self.planned).reshape(-1, len(self.weeks))
        latent = visit_by_visit(*self.own.shape)
        for visit in range(len(self.weeks)):
            np.add(self.own[:, :, visit], np.take(shift[:, visit], place), out=latent[:, :, visit])
        return latent

    def after_stopping(self, latent: Floats, arm: Ints, stop: Floats) -> Floats:
        """Let the effect fade from the week of stopping, (patient, replicate); overwrites ``latent``."""
        early = np.nonzero(stop < self.weeks[-1])
        arms, replicates, stopped = arm[early], early[1], stop[early]
        for k, effect in enumerate(self.effects):
            mine = arms == k
            where = (early[0][mine], early[1][mine])
            chosen = replicates[mine][:, None]
            planned = self.planned[k, replicates[mine]]
            end = np.minimum(stopped[mine], self.lengths[k, replicates[mine]])[:, None]
            latent[where] += effect(self.weeks[None, :], end, chosen) - planned
        return latent


def foresee(
    cohort: Cohort,
    course: MeanCourse,
    treatments: tuple[TreatmentLevels, ...],
    weeks: Floats,
    departure: Floats,
) -> Trajectories:
    """Lay the mean course and each arm's effect on the patients' own courses.

    Parameters
    ----------
    weeks
        Follow-up visits, (visit,).
    departure
        Own departures from the mean course with rating error, (patient, replicate, visit), points;
        overwritten.
    """
    cohort.add_to(departure, weeks)
    replicate = np.arange(cohort.true.shape[1])[:, None]
    lengths = np.stack([levels.weeks for levels in treatments])
    planned = [t.effect(weeks[None, :], t.weeks[:, None], replicate) for t in treatments]
    return Trajectories(
        weeks=weeks,
        own=departure,
        course=course.at(weeks),
        planned=np.stack(planned),
        effects=tuple(levels.effect for levels in treatments),
        lengths=lengths,
    )
