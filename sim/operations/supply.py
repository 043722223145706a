"""Kits of a drug at the sites: dispensed, sent again when few are left, expired; as events of SimPy."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from sim.core.parts import Part, wrong


class Supply(Part):
    """How sites are supplied with a drug and its placebo: every arm has kits of its own, packed for blinding.

    When a kit is asked for and no more than ``reorder_at`` are left or on their way, less those that are
    waited for, the site is filled up to ``stock`` kits of the arm (an (s, S) policy: Scarf 1960). Kits are
    there when a site opens; one that has expired is missed when the next is asked for.
    """

    arms: tuple[str, ...] = Field(min_length=1)
    weeks_a_kit: float = Field(gt=0, description="of treatment that one kit holds")
    stock: int = Field(ge=1, le=10_000, description="kits of an arm that a site is filled up to")
    reorder_at: int = Field(ge=0, description="kits left or on their way at which more are sent")

    @model_validator(mode="after")
    def _is_filled(self) -> Self:
        if self.reorder_at >= self.stock:
            raise wrong(f"reorder_at: {self.reorder_at} is not below the stock of {self.stock} kits")
        if len(set(self.arms)) < len(self.arms):
            raise wrong(f"arms: an arm is named twice ({', '.join(self.arms)})")
        return self

    def words(self) -> str:
        """Say how sites are supplied."""
        kits = f"kits of {self.weeks_a_kit:g} weeks, up to {self.stock} of each arm at a site"
        return f"{' and '.join(self.arms)} are given in {kits}, sent again when {self.reorder_at} are left."


@dataclass(frozen=True)
class Parcels:
    """What is not chosen: weeks from an order to its arrival, and weeks until a kit expires."""

    delivery: float
    shelf_life: float


@dataclass(frozen=True)
class Takers:
    """Patients of one arm at one site in one trial, in the order in which they are ready; times in weeks.

    Attributes
    ----------
    ready
        When each is ready for the first kit.
    weeks
        How long each takes the drug.
    latest
        Last week in which each would begin.
    gone
        When each leaves the study.
    """

    ready: Sequence[float]
    weeks: Sequence[float]
    latest: Sequence[float]
    gone: Sequence[float]


class Shelf:
    """The kits of one arm at one site of one trial, while it runs.

    Attributes
    ----------
    begin
        When each patient gets the first kit; ``inf``: not up to now.
    gap
        Weeks that each waited for later kits.
    kits
        That each has got.
    shipped
        Kits sent to the site.
    """

    def __init__(self, supply: Supply, parcels: Parcels, opened: float):
        from simpy import Environment  # here: reading a study must not load it

        self._clock = Environment()
        self._supply, self._parcels = supply, parcels
        self._expiry = deque([opened + parcels.shelf_life] * supply.stock)
        self._waiting: deque[Any] = deque()
        self._on_the_way = 0
        self.shipped = supply.stock
        self.begin: list[float] = []
        self.gap: list[float] = []
        self.kits: list[int] = []

    def send(self, takers: Takers) -> None:
        """Let more patients come, each when ready."""
        first = len(self.begin)
        self.begin += [np.inf] * len(takers.ready)
        self.gap += [0.0] * len(takers.ready)
        self.kits += [0] * len(takers.ready)
        self._clock.process(self._come(takers, first))

    def run(self, until: float = np.inf) -> None:
        """Let the weeks pass."""
        if until == np.inf:
            self._clock.run()
        elif until > self._clock.now:
            self._clock.run(until)

    def _come(self, takers: Takers, first: int) -> Iterator[Any]:
        for patient, ready in enumerate(takers.ready):
            yield self._clock.timeout(max(ready - self._clock.now, 0.0))
            if takers.latest[patient] > ready:
                self._clock.process(self._take(takers, patient, first + patient))

    def _take(self, takers: Takers, patient: int, place: int) -> Iterator[Any]:
        """Take one kit after another until the course is over."""
        clock, ready = self._clock, takers.ready[patient]
        kit = self._ask()
        if not kit.triggered:
            latest = takers.latest[patient]
            yield kit if latest == np.inf else kit | clock.timeout(latest - ready)
            if not kit.triggered:
                self._waiting.remove(kit)
                return
            ready = clock.now
        self.begin[place] = ready
        end = min(ready + takers.weeks[patient], takers.gone[patient])
        for number in range(1, max(ceil((end - ready) / self._supply.weeks_a_kit - 1e-9), 1) + 1):
            self.kits[place] = number
            due = ready + number * self._supply.weeks_a_kit
            if due >= end - 1e-9:
                return
            yield clock.timeout(max(due - clock.now, 0.0))
            kit = self._ask()
            if not kit.triggered:
                yield kit | clock.timeout(end - clock.now)
                self.gap[place] += clock.now - due
                if not kit.triggered:
                    self._waiting.remove(kit)
                    return

    def _ask(self) -> Any:
        """Ask for a kit: an event that has happened where one is on the shelf."""
        kit = self._clock.event()
        self._waiting.append(kit)
        self._hand_out()
        position = len(self._expiry) + self._on_the_way - len(self._waiting)
        if position <= self._supply.reorder_at:
            missing = self._supply.stock - position
            self._on_the_way += missing
            self.shipped += missing
            self._clock.process(self._deliver(missing))
        return kit

    def _deliver(self, kits: int) -> Iterator[Any]:
        yield self._clock.timeout(self._parcels.delivery)
        self._on_the_way -= kits
        self._expiry.extend([self._clock.now + self._parcels.shelf_life] * kits)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._expiry and self._expiry[0] < self._clock.now:
            self._expiry.popleft()
        while self._waiting and self._expiry:
            self._expiry.popleft()
            self._waiting.popleft().succeed()
