"""Weeks in which nobody is randomised."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.core.parts import Part

Floats = NDArray[np.float64]


class Pause(Part):
    """A planned pause of recruitment at all sites, as over holidays; treatment and visits go on."""

    at: float = Field(ge=0, description="week since the first site opened")
    weeks: float = Field(gt=0)

    def words(self) -> str:
        """Say when."""
        return f"Nobody is randomised for {self.weeks:g} weeks from week {self.at:g}."


def overlap(pauses: Sequence[Pause]) -> bool:
    """Whether a pause begins before the one that precedes it has ended."""
    return any(one.at + one.weeks > other.at for one, other in pairwise(pauses))


def working(week: Floats, pauses: Sequence[Pause]) -> Floats:
    """Count the weeks of recruitment before a week of the calendar."""
    for pause in reversed(pauses):
        week = week - np.clip(week - pause.at, 0.0, pause.weeks)
    return week


def calendar(week: Floats, pauses: Sequence[Pause]) -> Floats:
    """Week of the calendar in which so many weeks of recruitment have passed."""
    for pause in pauses:
        week = np.where(week >= pause.at, week + pause.weeks, week)
    return week
