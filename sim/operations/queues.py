"""Waiting for a therapist, as events of SimPy: everything is drawn before, nothing is drawn here.

A desk is one clinic of one trial while it runs. Its clock can be stopped at any week, more patients sent,
and run on: the same as if all had been known from the start.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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


class Desk:
    """Treats one after another, first come first served, while the sessions of a week suffice.

    Attributes
    ----------
    begin
        When each patient begins, in the order of coming; ``inf``: not up to now.
    """

    def __init__(self, capacity: float, absences: Sequence[Away] = ()):
        from simpy import Container, Environment  # here: reading a study must not load it

        self._clock = Environment()
        self._capacity = capacity
        self._free = Container(self._clock, init=capacity * (1 + SLACK))
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

    def _give_less(self, absences: Sequence[Away]) -> Iterator[Any]:
        """Take sessions out in holidays, as courses end: nobody begins before enough are out."""
        clock, free = self._clock, self._free
        for away in absences:
            yield clock.timeout(max(away.at - clock.now, 0.0))
            taken = free.get(self._capacity * away.share)
            if not taken.triggered:
                free.get_queue.remove(taken)
                free.get_queue.insert(0, taken)
                self._let_next_one_look()
            yield clock.timeout(away.weeks)
            if taken.triggered:
                free.put(self._capacity * away.share)
            else:
                taken.cancel()
                self._let_next_one_look()

    def _let_next_one_look(self) -> None:
        """Put back nothing, which lets the first in the line see whether it fits."""
        self._free.put(self._capacity * SLACK**2)

    def _come(self, line: Line, first: int) -> Iterator[Any]:
        for patient, ready in enumerate(line.ready):
            yield self._clock.timeout(max(ready - self._clock.now, 0.0))
            if line.latest(patient) <= ready:
                continue
            place = self._free.get(line.need[patient])
            if place.triggered:
                self._treat(line, patient, first, ready)
            else:
                self._clock.process(self._wait(line, patient, first, place))

    def _wait(self, line: Line, patient: int, first: int, place: Any) -> Iterator[Any]:
        latest = line.latest(patient)
        yield place | self._clock.timeout(latest - line.ready[patient]) if latest < np.inf else place
        if place.triggered:
            self._treat(line, patient, first, self._clock.now)
        else:
            place.cancel()
            self._let_next_one_look()

    def _treat(self, line: Line, patient: int, first: int, week: float) -> None:
        """Begin in a week, and be free again at the end: a callback, which costs less than a process."""
        self.begin[first + patient] = week
        over = self._clock.timeout(line.stay(patient, week))
        over.callbacks.append(lambda _: self._free.put(line.need[patient]))


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
        clock, free = self._clock, self._free
        while self._coming:
            self._date += 1
            yield clock.timeout(self._date * self._every - clock.now)
            here = [(line, p, f) for line, p, f in self._coming if line.ready[p] <= clock.now]
            later = self._coming[len(here) :]
            here = [(line, p, f) for line, p, f in here if line.latest(p) >= clock.now]
            while here and not free.get_queue and free.level >= here[0][0].need[here[0][1]]:
                group, here = here[: self._size], here[self._size :]
                line, patient, _ = group[0]
                free.get(line.need[patient])
                for _, p, first in group:
                    self.begin[first + p] = clock.now
                clock.process(self._teach(line.need[patient], line.weeks[patient]))
            self._coming = here + later

    def _teach(self, need: float, weeks: float) -> Iterator[Any]:
        yield self._clock.timeout(weeks)
        self._free.put(need)


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
