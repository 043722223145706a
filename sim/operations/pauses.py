"""Weeks in which sites recruit less than usual, or nobody at all, as a change of the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.core.parts import Part

Floats = NDArray[np.float64]


class Pause(Part):
    """A planned pause of recruitment at all sites; treatment and visits go on."""

    at: float = Field(ge=0, description="week since the first site opened")
    weeks: float = Field(gt=0)

    def words(self) -> str:
        """Say when."""
        return f"Nobody is randomised for {self.weeks:g} weeks from week {self.at:g}."


@dataclass(frozen=True)
class Slack:
    """A stretch of the calendar in which a share of the usual goes on, one number or (replicate,)."""

    at: float
    weeks: float
    share: float | Floats


def overlap(pauses: Sequence[Pause]) -> bool:
    """Whether a pause begins before the one that precedes it has ended."""
    return any(one.at + one.weeks > other.at for one, other in pairwise(pauses))


def working(week: Floats, slacks: Sequence[Slack]) -> Floats:
    """Count the weeks of usual recruitment before a week of the calendar; slacks apart and in order."""
    for slack in reversed(slacks):
        week = week - np.clip(week - slack.at, 0.0, slack.weeks) * (1 - slack.share)
    return week


def calendar(week: Floats, slacks: Sequence[Slack]) -> Floats:
    """Week of the calendar in which so many weeks of usual recruitment have passed."""
    for slack in slacks:
        since, inside = week - slack.at, slack.weeks * slack.share
        with np.errstate(divide="ignore", invalid="ignore"):
            slowly = np.where(since > 0, slack.at + since / slack.share, week)
        week = np.where(since >= inside, week + (slack.weeks - inside), slowly)
    return week
