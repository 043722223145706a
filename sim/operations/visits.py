"""Visits on another day than planned, and the window in which they count."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from sim.core.parts import Part, wrong
from sim.core.streams import Streams

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

DAYS_A_WEEK = 7.0
ROUNDING = 1e-9

NO_SPREAD = 1e-300
"""Weeks: stands for 0 where it divides."""


class VisitWindow(Part):
    """Days around the planned one in which a visit counts, and what is done with one that is outside."""

    days: float = Field(ge=0, description="before and after the planned day")
    until: float | None = Field(None, gt=0, description="week of the last visit with this window; none: all")
    later_days: float | None = Field(None, ge=0, description="of the visits after that")
    outside: Literal["missing", "kept"] = Field(
        "kept", description="what a visit outside the window counts as"
    )

    @model_validator(mode="after")
    def _knows_every_visit(self) -> Self:
        if (self.until is None) != (self.later_days is None):
            raise wrong("until, later_days: go together")
        return self

    def words(self) -> str:
        """Say how far a visit may be from its day."""
        later = (
            f" to week {self.until:g}, {self.later_days:g} days later" if self.later_days is not None else ""
        )
        counts = "is missing" if self.outside == "missing" else "counts all the same"
        return f"A visit may be {self.days:g} days from its day{later}; what is measured outside {counts}."

    def misses(self, weeks: Floats, held: Floats) -> Mask:
        """Whether each visit is outside its window, (patient, replicate, visit)."""
        days = np.full(weeks.shape, self.days)
        if self.until is not None and self.later_days is not None:
            days[weeks > self.until] = self.later_days
        return np.asarray(np.abs(held - weeks) * DAYS_A_WEEK > days + ROUNDING)


@dataclass(frozen=True)
class Visits:
    """When visits are held, (patient, replicate, visit), weeks since randomisation.

    Attributes
    ----------
    outside
        Whether each is outside its window; None: there is none.
    missing
        Whether what is measured outside counts as missing.
    """

    held: Floats
    outside: Mask | None = None
    missing: bool = False


def hold(
    weeks: Floats, sd_days: Floats, window: VisitWindow | None, patients: int, streams: Streams
) -> Visits | None:
    """Draw the day of every visit, normal about the planned one and cut off; None: each is held on its day.

    A day is off by less than half of the way to the nearest visit before or after it: visits keep
    their order and are neither early nor late on average. Their SD is that of the normal so cut off: less
    than ``sd_days`` where visits are close (Johnson, Kotz & Balakrishnan 1994, chapter 13).
    """
    if not sd_days.any():
        return None
    gaps = np.diff(weeks, prepend=0.0)
    half = np.minimum(gaps, np.append(gaps[1:], np.inf)) / 2
    spread = np.maximum(sd_days / DAYS_A_WEEK, NO_SPREAD)
    held = np.empty((len(weeks), patients, len(sd_days)))
    for visit, week in enumerate(weeks):
        unit = streams(f"day of the visit in week {week:g}").random(held.shape[1:])
        below = ndtr(-half[visit] / spread)
        late = spread * ndtri(below + unit * (1 - 2 * below))
        held[visit] = week + np.clip(late, -half[visit], half[visit])  # rounding
    held = held.transpose(1, 2, 0)
    if window is None:
        return Visits(held)
    return Visits(held, window.misses(weeks, held), window.outside == "missing")
