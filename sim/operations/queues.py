"""Waiting for a therapist, as events of SimPy: everything is drawn before, nothing is drawn here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    """

    ready: list[float]
    weeks: list[float]
    need: list[float]
    patience: list[float]


def serve(line: Line, capacity: float) -> list[float]:
    """Treat one after another, first come first served, while the sessions of a week suffice.

    Returns
    -------
    list
        When each begins; ``inf`` for those who gave up.
    """
    from simpy import Container, Environment  # here: reading a study must not load it

    clock = Environment()
    free = Container(clock, init=capacity * (1 + SLACK))
    begin = [np.inf] * len(line.ready)

    def treat(patient: int) -> Iterator[Any]:
        place = free.get(line.need[patient])
        begins = line.ready[patient]
        if not place.triggered:
            if line.patience[patient] < np.inf:
                yield place | clock.timeout(line.patience[patient])
            else:
                yield place
            if not place.triggered:
                place.cancel()
                free.put(capacity * SLACK**2)  # nothing, but lets the next one look whether it fits
                return
            begins = clock.now
        begin[patient] = begins
        yield clock.timeout(line.weeks[patient])
        free.put(line.need[patient])

    def come() -> Iterator[Any]:
        for patient, ready in enumerate(line.ready):
            yield clock.timeout(max(ready - clock.now, 0.0))
            clock.process(treat(patient))

    clock.process(come())
    clock.run()
    return begin


def serve_groups(line: Line, capacity: float, size: int, every: float) -> list[float]:
    """Treat in groups of up to ``size`` that start every so many weeks, with whoever waits then.

    Returns
    -------
    list
        When each begins; ``inf`` for those who gave up.
    """
    from simpy import Container, Environment  # here: reading a study must not load it

    clock = Environment()
    free = Container(clock, init=capacity * (1 + SLACK))
    begin = [np.inf] * len(line.ready)

    def teach(need: float, weeks: float) -> Iterator[Any]:
        yield clock.timeout(weeks)
        free.put(need)

    def start_waves() -> Iterator[Any]:
        waiting: list[int] = []
        come = 0
        while waiting or come < len(line.ready):
            yield clock.timeout(every)
            while come < len(line.ready) and line.ready[come] <= clock.now:
                waiting.append(come)
                come += 1
            waiting = [p for p in waiting if line.ready[p] + line.patience[p] >= clock.now]
            while waiting and free.level >= line.need[waiting[0]]:
                group, waiting = waiting[:size], waiting[size:]
                free.get(line.need[group[0]])
                for patient in group:
                    begin[patient] = clock.now
                clock.process(teach(line.need[group[0]], line.weeks[group[0]]))

    clock.process(start_waves())
    clock.run()
    return begin
