"""Weeks in which fewer patients come and clinics give fewer sessions, as over Christmas or in summer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.claims import Read, Share
from sim.core.parts import Part, wrong
from sim.operations.pauses import Pause, Slack

Floats = NDArray[np.float64]

LONGEST = 5200.0
"""Weeks up to which holidays come again."""


class Holiday(Part):
    """Weeks, once or each year, in which a share of the usual recruitment and treatment goes on.

    In a clinic courses under way go on; new ones begin while what is given is within that share of the
    clinic's sessions.
    """

    at: float = Field(ge=0, description="week since the first site opened in which it first begins")
    weeks: float = Field(gt=0)
    every: float | None = Field(None, gt=0, description="weeks until it comes again, 52 for each year")
    recruitment: Share = Field(description="share of the usual recruitment that goes on")
    treatment: Share | None = Field(
        None, description="share of clinics' sessions and of appointments that are given; none: all"
    )

    @model_validator(mode="after")
    def _ends_before_it_comes_again(self) -> Self:
        if self.every is not None and self.every < self.weeks:
            raise wrong(f"every: {self.weeks:g} weeks cannot come again every {self.every:g} weeks")
        return self

    def words(self) -> str:
        """Say when, and what goes on."""
        again = f", again every {self.every:g} weeks" if self.every else ""
        clinics = f", clinics at {self.treatment.words()}" if self.treatment else ""
        when = f"{self.weeks:g} weeks from week {self.at:g}{again}"
        return f"holidays of {when} with recruitment at {self.recruitment.words()} of the usual{clinics}"

    def levels(self, where: str, read: Read) -> "HolidayLevels":
        """Give the shares their values in each replicate."""
        treatment = None if self.treatment is None else read(f"{where}.treatment", self.treatment)
        return HolidayLevels(
            self.at, self.weeks, self.every, read(f"{where}.recruitment", self.recruitment), treatment
        )


@dataclass(frozen=True)
class HolidayLevels:
    """A holiday and what goes on in it; shares (replicate,)."""

    at: float
    weeks: float
    every: float | None
    recruitment: Floats
    treatment: Floats | None

    def dates(self, until: float) -> Iterator[tuple[float, float]]:
        """Yield the first and last week of each time that it comes."""
        at = self.at
        while at < min(until, LONGEST):
            yield at, at + self.weeks
            if self.every is None:
                return
            at += self.every


def refuse_overlap(holidays: Sequence[Holiday]) -> None:
    """Refuse holidays that fall together at any time."""
    one = np.ones(1)
    spans = sorted(
        span
        for holiday in holidays
        for span in HolidayLevels(holiday.at, holiday.weeks, holiday.every, one, None).dates(LONGEST)
    )
    for (_, end), (begin, _) in pairwise(spans):
        if begin < end - 1e-9:
            raise wrong(f"holidays: one begins in week {begin:g}, before another has ended in week {end:g}")


def slacks(pauses: Sequence[Pause], holidays: Sequence[HolidayLevels], until: float) -> list[Slack]:
    """Lay pauses and holidays out in order of time; where they fall together the pause holds."""
    found = [Slack(pause.at, pause.weeks, 0.0) for pause in pauses]
    for holiday in holidays:
        for begin, end in holiday.dates(until):
            found += [Slack(a, b - a, holiday.recruitment) for a, b in _beside(pauses, begin, end)]
    return sorted(found, key=lambda slack: slack.at)


def _beside(pauses: Sequence[Pause], begin: float, end: float) -> Iterator[tuple[float, float]]:
    """Yield the parts of a holiday in which there is no pause."""
    for pause in pauses:
        if begin < pause.at < end:
            yield begin, pause.at
        if pause.at < end and pause.at + pause.weeks > begin:
            begin = pause.at + pause.weeks
    if begin < end:
        yield begin, end


@dataclass(frozen=True)
class Away:
    """A stretch of weeks in which a share of a clinic's sessions is not given."""

    at: float
    weeks: float
    share: float


def absences(holidays: Sequence[HolidayLevels], until: float, replicate: int) -> list[Away]:
    """Say when a clinic gives less in one trial, and how much less."""
    return sorted(
        (
            Away(begin, holiday.weeks, 1 - float(holiday.treatment[replicate]))
            for holiday in holidays
            if holiday.treatment is not None and holiday.treatment[replicate] < 1
            for begin, _ in holiday.dates(until)
        ),
        key=lambda away: away.at,
    )
