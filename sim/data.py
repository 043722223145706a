"""What the sponsor sees: scores at visits, with what is missing missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.events import Events

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class TrialData:
    """The data of one block of trials, patients in the order of enrolment.

    Attributes
    ----------
    arm
        Position of the arm in the protocol, (patient, replicate).
    baseline
        Baseline score, (patient, replicate), points.
    score
        Score at each follow-up visit, (patient, replicate, visit), points; nan is missing.
    weeks
        Follow-up visits, (visit,), weeks since randomisation.
    stopped
        Week in which treatment was discontinued or the study left, (patient, replicate); inf is never.
    sizes
        Sample sizes at which the data are analysed: each is a cut of the first patients.
    """

    arm: Ints
    baseline: Floats
    score: Floats
    weeks: Floats
    stopped: Floats
    sizes: tuple[int, ...]

    def visit(self, week: float) -> int:
        """Position of the follow-up visit at ``week``."""
        return int(np.flatnonzero(self.weeks == week)[0])

    def totals(self, values: Floats) -> Floats:
        """Sum over the first patients up to each size, (size, replicate), of values (patient, replicate)."""
        if len(self.sizes) == 1:
            return np.asarray(values[: self.sizes[0]].sum(axis=0, dtype=np.float64)[None])
        starts = [0, *self.sizes[:-1]]
        parts = np.add.reduceat(values[: self.sizes[-1]], starts, axis=0, dtype=np.float64)
        return np.asarray(parts.cumsum(axis=0))

    def one(self, replicate: int) -> "TrialData":
        """Return a single trial, with a replicate axis of length 1."""
        r = slice(replicate, replicate + 1)
        return replace(
            self,
            arm=self.arm[:, r],
            baseline=self.baseline[:, r],
            score=self.score[:, r],
            stopped=self.stopped[:, r],
        )


def hide(score: Floats, weeks: Floats, events: Events, missed: Sequence[NDArray[np.bool_]] = ()) -> Floats:
    """Make missing what was not measured: visits after leaving, and single visits missed; in place.

    Parameters
    ----------
    score
        (patient, replicate, visit).
    missed
        At most one mask of the same shape.
    """
    for visit, week in enumerate(weeks):
        np.copyto(score[:, :, visit], np.nan, where=events.leave < week)
    for mask in missed:
        score[mask] = np.nan
    return score
