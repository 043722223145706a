"""Kits of a drug at the sites: dispensed, sent again when few are left, expired.

Everything random is drawn before. The events are kept in a heap of our own: a trial has thousands, and a
process of SimPy for each takes several times as long.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from sim.core.parts import Part, wrong

DELIVERY, RENEWAL, ASK, GIVING_UP = range(4)
"""What happens, in the order of what happens first in one moment."""

Ask = tuple[int, int]
"""A patient and which kit it is, from 0; of a delivery, the number of kits."""


class Supply(Part):
    """How sites are supplied with a drug and its placebo: every arm has kits of its own, packed for blinding.

    When a kit is asked for and no more than ``reorder_at`` are left or on their way, less those that are
    waited for, the site is filled up to ``stock`` kits of the arm (an (s, S) policy: Scarf 1960). Kits are
    there when a site opens, and are replaced when they expire.
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
    """The kits of one arm at one site of one trial, while it runs: events in the order of time.

    A kit that would expire before an order could replace it does not count as being there, so that it is
    replaced in time (the days not counted of a trial's supply system).

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
        self._supply, self._parcels = supply, parcels
        self._ahead = parcels.delivery if parcels.delivery < parcels.shelf_life else 0.0
        self._expiry: deque[float] = deque()
        self._on_the_way = self.shipped = supply.stock
        self._waiting: dict[Ask, float] = {}
        self._events: list[tuple[float, int, int, Ask]] = []
        self._number = self._asks = 0
        self._patients: list[tuple[float, float, float]] = []
        self._end: list[float] = []
        self.begin: list[float] = []
        self.gap: list[float] = []
        self.kits: list[int] = []
        self._plan(opened, DELIVERY, (supply.stock, 0))

    def send(self, takers: Takers) -> None:
        """Let more patients come, each when ready."""
        for ready, weeks, latest, gone in zip(
            takers.ready, takers.weeks, takers.latest, takers.gone, strict=True
        ):
            patient = len(self.begin)
            self._patients.append((weeks, latest, gone))
            self.begin.append(np.inf)
            self._end.append(np.inf)
            self.gap.append(0.0)
            self.kits.append(0)
            if latest > ready:
                self._plan(ready, ASK, (patient, 0))

    def run(self, until: float = np.inf) -> None:
        """Let the weeks pass; nothing happens once nobody asks or waits."""
        happen = (self._deliver, self._renew, self._ask, self._give_up)
        while (self._asks or self._waiting) and self._events[0][0] < until:
            week, kind, _, what = heappop(self._events)
            self._asks -= kind == ASK
            happen[kind](week, what)

    def _plan(self, week: float, kind: int, what: "Ask") -> None:
        if week < np.inf:
            self._number += 1
            self._asks += kind == ASK
            heappush(self._events, (week, kind, self._number, what))

    def _deliver(self, week: float, kits: "Ask") -> None:
        self._on_the_way -= kits[0]
        expires = week + self._parcels.shelf_life
        self._expiry.extend([expires] * kits[0])
        self._plan(expires - self._ahead, RENEWAL, (0, 0))
        while self._waiting and self._expiry:
            ask, due = next(iter(self._waiting.items()))
            del self._waiting[ask]
            self._give(week, ask, due)

    def _renew(self, week: float, _: "Ask") -> None:
        """Order what is missing, where so few are left that more are wanted."""
        while self._expiry and self._expiry[0] < week:
            self._expiry.popleft()
        spoiling = 0
        for expires in self._expiry:
            if expires > week + self._ahead + 1e-9:
                break
            spoiling += 1
        there = len(self._expiry) - spoiling + self._on_the_way - len(self._waiting)
        if there <= self._supply.reorder_at:
            missing = self._supply.stock - there
            self._on_the_way += missing
            self.shipped += missing
            self._plan(week + self._parcels.delivery, DELIVERY, (missing, 0))

    def _ask(self, week: float, ask: "Ask") -> None:
        while self._expiry and self._expiry[0] < week:
            self._expiry.popleft()
        if self._expiry:
            self._give(week, ask, week)
        else:
            self._waiting[ask] = week
            patient, number = ask
            self._plan(self._end[patient] if number else self._patients[patient][1], GIVING_UP, ask)
        self._renew(week, ask)

    def _give(self, week: float, ask: "Ask", due: float) -> None:
        """Give a kit, and plan the next one for the day on which this one should be empty."""
        self._expiry.popleft()
        patient, number = ask
        weeks, _, gone = self._patients[patient]
        if number == 0:
            self.begin[patient], self._end[patient] = week, min(week + weeks, gone)
        else:
            self.gap[patient] += week - due
        self.kits[patient] = number + 1
        following = self.begin[patient] + (number + 1) * self._supply.weeks_a_kit
        if following < self._end[patient] - 1e-9:
            self._plan(max(following, week), ASK, (patient, number + 1))

    def _give_up(self, week: float, ask: "Ask") -> None:
        due = self._waiting.pop(ask, None)
        if due is not None and ask[1]:
            self.gap[ask[0]] += week - due
