"""Waiting for a therapist, as events of SimPy: everything is drawn before, nothing is drawn here.

A desk is one clinic of one trial while it runs. Its clock can be stopped at any week, more patients sent,
and run on: the same as if all had been known from the start.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sim.operations.holidays import Away

SLACK = 1e-9
"""Of the capacity, so that a sum of shares that should be whole is not a rounding error above it."""


@dataclass(frozen=True)
class Line:
    """Patients of one clinic in one trial, in the order in which they are ready; times in weeks.

    Attributes
    ----------
    ready
        When each is ready for treatment.
    weeks
        How long each is treated.
    need
        Sessions a week of each; in groups, of the whole group.
    patience
        How long each waits before giving up.
    gone
        When each leaves the study, and so the line or the treatment; None: nobody does.
    """

    ready: Sequence[float]
    weeks: Sequence[float]
    need: Sequence[float]
    patience: Sequence[float]
    gone: Sequence[float] | None = None

    def latest(self, patient: int) -> float:
        """Last week in which a patient would begin."""
        tired = self.ready[patient] + self.patience[patient]
        return tired if self.gone is None else min(tired, self.gone[patient])

    def stay(self, patient: int, begins: float) -> float:
        """Weeks that a patient who begins then is treated."""
        weeks = self.weeks[patient]
        return weeks if self.gone is None else min(weeks, self.gone[patient] - begins)


@dataclass(eq=False)
class Place:
    """Sessions a week that somebody in the line waits for, and what happens when they are free."""

    need: float
    begins: Callable[[], None]
    taken: bool = False


class Desk:
    """Treats one after another, first come first served, while the sessions of a week suffice.

    Time passes in SimPy; the line is our own, since a process and a request of SimPy's for each patient take
    several times as long.

    Attributes
    ----------
    begin
        When each patient begins, in the order of coming; ``inf``: not up to now.
    """

    def __init__(self, capacity: float, absences: Sequence[Away] = ()):
        from simpy import Environment  # here: reading a study must not load it

        self._clock = Environment()
        self._capacity = capacity
        self._free = capacity * (1 + SLACK)
        self._line: deque[Place] = deque()
        self.begin: list[float] = []
        if absences:
            self._clock.process(self._give_less(absences))

    def send(self, line: Line) -> None:
        """Let more patients come, each when ready."""
        first = len(self.begin)
        self.begin += [np.inf] * len(line.ready)
        self._clock.process(self._come(line, first))

    def run(self, until: float = np.inf) -> None:
        """Let the weeks pass."""
        if until == np.inf:
            self._clock.run()
        elif until > self._clock.now:
            self._clock.run(until)

    def _after(self, weeks: float, happens: Callable[[], None]) -> None:
        self._clock.timeout(weeks).callbacks.append(lambda _: happens())

    def _come(self, line: Line, first: int) -> Iterator[Any]:
        for patient, ready in enumerate(line.ready):
            yield self._clock.timeout(max(ready - self._clock.now, 0.0))
            need, latest = line.need[patient], line.latest(patient)
            if latest <= ready:
                continue
            if not self._line and self._free >= need:
                self._free -= need
                self._treat(line, patient, first, ready)
                continue
            place = Place(need, partial(self._treat, line, patient, first))
            self._line.append(place)
            if latest < np.inf:
                self._after(latest - ready, partial(self._give_up, place))

    def _treat(self, line: Line, patient: int, first: int, week: float | None = None) -> None:
        """Begin now, or in a week that is now but for rounding, and be free again at the end."""
        week = self._clock.now if week is None else week
        self.begin[first + patient] = week
        self._after(line.stay(patient, week), partial(self._give_back, line.need[patient]))

    def _give_back(self, need: float) -> None:
        self._free += need
        self._call()

    def _give_up(self, place: Place) -> None:
        if not place.taken:
            self._line.remove(place)
            self._call()

    def _call(self) -> None:
        """Let those begin who are first in the line and fit."""
        while self._line and self._free >= self._line[0].need:
            place = self._line.popleft()
            self._free -= place.need
            place.taken = True
            place.begins()

    def _give_less(self, absences: Sequence[Away]) -> Iterator[Any]:
        """Take sessions out in holidays, as courses end: nobody begins before enough are out."""
        for away in absences:
            yield self._clock.timeout(max(away.at - self._clock.now, 0.0))
            out = Place(self._capacity * away.share, lambda: None)
            self._line.appendleft(out)
            self._call()
            yield self._clock.timeout(away.weeks)
            if out.taken:
                self._give_back(out.need)
            else:
                self._give_up(out)


class GroupDesk(Desk):
    """Treats in groups of up to ``size`` that start every so many weeks, with whoever waits then."""

    def __init__(self, capacity: float, size: int, every: float, absences: Sequence[Away] = ()):
        super().__init__(capacity, absences)
        self._size, self._every, self._date = size, every, 0
        self._coming: list[tuple[Line, int, int]] = []
        self._waves: Any = None

    def send(self, line: Line) -> None:
        """Let more patients come, each when ready."""
        first = len(self.begin)
        self.begin += [np.inf] * len(line.ready)
        self._coming += [(line, patient, first) for patient in range(len(line.ready))]
        if self._waves is None or not self._waves.is_alive:
            self._date = max(self._date, int(self._clock.now // self._every))
            self._waves = self._clock.process(self._start_waves())

    def _start_waves(self) -> Iterator[Any]:
        clock = self._clock
        while self._coming:
            self._date += 1
            yield clock.timeout(self._date * self._every - clock.now)
            here = [(line, p, f) for line, p, f in self._coming if line.ready[p] <= clock.now]
            later = self._coming[len(here) :]
            here = [(line, p, f) for line, p, f in here if line.latest(p) >= clock.now]
            while here and not self._line and self._free >= here[0][0].need[here[0][1]]:
                group, here = here[: self._size], here[self._size :]
                line, patient, _ = group[0]
                self._free -= line.need[patient]
                for _, p, first in group:
                    self.begin[first + p] = clock.now
                self._after(line.weeks[patient], partial(self._give_back, line.need[patient]))
            self._coming = here + later


def serve(line: Line, capacity: float, absences: Sequence[Away] = ()) -> list[float]:
    """Say when each patient of a whole line begins; ``inf`` for those who gave up."""
    desk = Desk(capacity, absences)
    desk.send(line)
    desk.run()
    return desk.begin


def serve_groups(
    line: Line, capacity: float, size: int, every: float, absences: Sequence[Away] = ()
) -> list[float]:
    """Say when each patient of a whole line begins in a group; ``inf`` for those who gave up."""
    desk = GroupDesk(capacity, size, every, absences)
    desk.send(line)
    desk.run()
    return desk.begin
