"""Treatment in groups that start together, and what of a group's time falls to each patient."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.core.parts import Part

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


class Groups(Part):
    """Treatment in groups that start together; a group takes the time of one patient's sessions."""

    size: int = Field(ge=1, le=200, description="most patients in a group")
    every: float = Field(gt=0, description="weeks between the dates at which groups start")

    def date(self, begins: Floats) -> Ints:
        """Count the dates up to the one at which a patient begins; the week may be off by rounding."""
        return np.rint(begins / self.every).astype(np.int64)

    def shared(self, begins: Floats, weeks: Floats) -> Floats:
        """Weeks of a therapist's time that fall to each patient, (patient, replicate).

        Each week of a group is shared by those who are there. Who begins on one date fills group after group
        in the order of coming.

        Parameters
        ----------
        begins, weeks
            Week of the trial in which each patient begins, and weeks of treatment; 0 weeks: not treated.
        """
        patient, replicate = np.nonzero(weeks > 0)
        date = self.date(begins[patient, replicate])
        order = np.lexsort((patient, date, replicate))
        patient, replicate, date = patient[order], replicate[order], date[order]
        with_another = (np.diff(replicate, prepend=-1) != 0) | (np.diff(date, prepend=-1) != 0)
        group = np.cumsum(with_another | (_place(with_another) % self.size == 0))
        stays = weeks[patient, replicate]
        order = np.lexsort((stays, group))
        patient, replicate, group, stays = patient[order], replicate[order], group[order], stays[order]
        first = np.diff(group, prepend=0) != 0
        there = np.bincount(group)[group] - _place(first)
        since = np.where(first, stays, np.diff(stays, prepend=0.0))
        total = np.cumsum(since / there)
        before = (total - since / there)[first]
        found = np.zeros_like(weeks)
        found[patient, replicate] = total - np.repeat(before, np.diff(np.flatnonzero([*first, True])))
        return found


def _place(first: NDArray[np.bool_]) -> Ints:
    """Count within runs from 0; ``first`` says where a run begins."""
    where = np.arange(len(first))
    return np.asarray(where - np.maximum.accumulate(np.where(first, where, 0)))
