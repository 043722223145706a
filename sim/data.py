"""What the sponsor sees: scores at visits, with what is missing missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from sim.core.loops import hide_after
from sim.core.streams import Streams
from sim.endpoints import PAIN

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]

ABSENT = -1
"""Arm of a patient who is not in the data: not randomised, or not yet seen at a look."""


@dataclass(frozen=True)
class Scores:
    """Scores on one instrument, (patient, replicate) at baseline and (patient, replicate, visit) after."""

    baseline: Floats
    visits: Floats

    def one(self, replicate: int) -> "Scores":
        """Return those of a single trial, with a replicate axis of length 1."""
        r = slice(replicate, replicate + 1)
        return Scores(self.baseline[:, r], self.visits[:, r])


@dataclass(frozen=True)
class TrialData:
    """The data of one block of trials, patients in the order of enrolment.

    Attributes
    ----------
    arm
        Position of the arm in the protocol, (patient, replicate), or ``ABSENT``.
    baseline
        Baseline pain score, (patient, replicate), points.
    score
        Pain score at each follow-up visit, (patient, replicate, visit), points; nan is missing.
    weeks
        Follow-up visits, (visit,), weeks since randomisation.
    stopped
        Week in which treatment was discontinued or the study left, (patient, replicate); inf is never.
    sizes
        Sample sizes at which the data are analysed: each is a cut of the first patients.
    others
        Scores on the other instruments of the protocol, by measure.
    rescued
        Whether rescue medication was taken before each visit, (patient, replicate, visit); None: nobody.
    therapist
        Number of each patient's therapist, (patient, replicate); a patient without one has a number of their
        own; None: no arm has therapists.
    reason
        Why treatment was stopped, position in ``REASONS``, (patient, replicate).
    enrolled
        Week of randomisation, (patient, replicate); None: not known.
    covariates
        Baseline measures that choose an estimand's population, by name, (patient, replicate).
    streams
        Of the block, for an analysis that draws; a single trial taken out of its block has none.
    """

    arm: Ints
    baseline: Floats
    score: Floats
    weeks: Floats
    stopped: Floats
    sizes: tuple[int, ...]
    others: Mapping[str, Scores] = field(default_factory=dict)
    rescued: Mask | None = None
    therapist: Ints | None = None
    reason: Ints | None = None
    enrolled: Floats | None = None
    covariates: Mapping[str, Floats] = field(default_factory=dict)
    streams: Streams | None = None

    def visit(self, week: float) -> int:
        """Position of the follow-up visit at ``week``."""
        return int(np.flatnonzero(self.weeks == week)[0])

    def of(self, instrument: str) -> Scores:
        """Scores on one instrument."""
        return Scores(self.baseline, self.score) if instrument == PAIN else self.others[instrument]

    def totals(self, *factors: Floats | Mask) -> Floats:
        """Sum products of (patient, replicate) over the first patients up to each size, (size, replicate)."""
        if len(self.sizes) == 1:
            first, *rest = (factor[: self.sizes[0]] for factor in factors)
            if first.dtype == bool and not rest:
                return np.asarray(
                    np.add.reduce(first.view(np.int8), axis=0, dtype=np.int32)[None], np.float64
                )
            if not rest:
                return np.asarray(first.sum(axis=0, dtype=np.float64)[None])
            terms = ",".join(["pr"] * len(factors))
            return np.asarray(np.einsum(f"{terms}->r", first, *rest)[None])
        values = reduce(np.multiply, factors)
        counted = values.view(np.int8) if values.dtype == bool else values
        starts = [0, *self.sizes[:-1]]
        parts = np.add.reduceat(counted[: self.sizes[-1]], starts, axis=0, dtype=np.float64)
        return np.asarray(parts.cumsum(axis=0))

    def only(self, seen: Mask) -> "TrialData":
        """Return the data of some patients, (patient, replicate); the others are absent."""

        def kept(scores: Floats) -> Floats:
            return np.where(seen[:, :, None], scores, np.nan)

        return replace(
            self,
            arm=np.where(seen, self.arm, ABSENT),
            score=kept(self.score),
            others={name: Scores(s.baseline, kept(s.visits)) for name, s in self.others.items()},
        )

    def since(self, week: float) -> "TrialData":
        """Return the data with the scores at a visit as baseline, and the visits after it."""
        at = self.visit(week)

        def later(scores: Scores) -> Scores:
            seen = scores.visits[:, :, at]
            start = np.where(
                np.isnan(seen), scores.baseline, seen
            )  # who has none is absent, or not seen later
            return Scores(start, scores.visits[:, :, at + 1 :])

        pain = later(Scores(self.baseline, self.score))
        return replace(
            self,
            baseline=pain.baseline,
            score=pain.visits,
            weeks=self.weeks[at + 1 :],
            others={name: later(scores) for name, scores in self.others.items()},
            rescued=None if self.rescued is None else self.rescued[:, :, at + 1 :],
        )

    def one(self, replicate: int) -> "TrialData":
        """Return a single trial, with a replicate axis of length 1."""
        r = slice(replicate, replicate + 1)
        return replace(
            self,
            arm=self.arm[:, r],
            baseline=self.baseline[:, r],
            score=self.score[:, r],
            stopped=self.stopped[:, r],
            others={name: scores.one(replicate) for name, scores in self.others.items()},
            rescued=None if self.rescued is None else self.rescued[:, r],
            therapist=None if self.therapist is None else self.therapist[:, r],
            reason=None if self.reason is None else self.reason[:, r],
            enrolled=None if self.enrolled is None else self.enrolled[:, r],
            covariates={name: values[:, r] for name, values in self.covariates.items()},
            streams=None,
        )


def hide(scores: Floats, weeks: Floats, leave: Floats, missed: Mask | None = None) -> Floats:
    """Make missing what was not measured: visits after leaving, and single visits missed; in place.

    Parameters
    ----------
    scores
        (patient, replicate, visit).
    weeks
        Of the visits, (visit,), or where patients differ of the shape of ``scores``.
    leave
        Week in which each patient left the study, (patient, replicate).
    missed
        Of the shape of ``scores``.
    """
    if weeks.ndim == 1:
        hide_after(leave, weeks, scores.transpose(2, 0, 1))
    else:
        scores[leave[:, :, None] < weeks] = np.nan
    if missed is not None:
        scores[missed] = np.nan
    return scores
