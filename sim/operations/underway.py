"""A block of trials while they run: paused at any week, the later patients' arms decided, run on."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import Streams
from sim.operations.base import Conduct, Intake, Kits
from sim.operations.clinics import Clinic
from sim.operations.holidays import absences
from sim.operations.people import People
from sim.operations.queues import Desk, Line
from sim.operations.supply import Shelf, Supply, Takers

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]


@dataclass
class Waits:
    """What patients of a block have waited for up to now, each (patient, replicate), weeks."""

    start: Floats
    gave_up: Floats
    used: Floats
    gap: Floats


@dataclass(frozen=True)
class Places:
    """Where patients may wait, and the week in which every trial is stopped."""

    clinics: tuple[Clinic, ...]
    supply: Supply | None
    latest: float


@dataclass
class Underway:
    """The clinics and shelves of a block of trials, with their clocks.

    Attributes
    ----------
    conduct
        Who is randomised when and where; nobody is treated yet.
    sent
        Whether each patient has been sent to the clinic or site, (patient, replicate).
    """

    places: Places
    conduct: Conduct
    patience: Floats
    sent: Mask
    desks: dict[tuple[int, int], tuple[Desk, list[int]]] = field(default_factory=dict)
    shelves: dict[tuple[int, int, int], tuple[Shelf, list[int]]] = field(default_factory=dict)

    def go_on(self, intake: Intake, until: Floats) -> Conduct:
        """Treat who is randomised by a week of each trial, (replicate,), and say what has happened by then.

        The intake's arms and stays count for those who have not been sent before.
        """
        enrolled = self.conduct.enrolled
        new = ~self.sent & (enrolled <= until) & (enrolled < np.inf)
        self.sent |= new
        people = People(intake, enrolled, self.patience)
        for place, clinic in enumerate(self.places.clinics):
            arms = [intake.names.index(name) for name in clinic.arms]
            self._send_to_clinic(place, clinic, people, new & np.isin(intake.arm, arms))
        if self.places.supply is not None:
            for arm in (intake.names.index(name) for name in self.places.supply.arms):
                self._send_to_sites(arm, people, new & (intake.arm == arm))
        for (_, replicate), (desk, _) in self.desks.items():
            desk.run(float(until[replicate]))
        for (_, _, replicate), (shelf, _) in self.shelves.items():
            shelf.run(float(until[replicate]))
        return self._so_far(people, until)

    def _send_to_clinic(self, place: int, clinic: Clinic, people: People, new: Mask) -> None:
        if not people.need.any():
            return  # under the null scenario nobody is treated
        for replicate in np.flatnonzero(new.any(axis=0)).tolist():
            here = people.in_order(new[:, replicate], replicate)
            key = (place, replicate)
            if key not in self.desks:
                absent = absences(people.holidays, self.places.latest, replicate)
                self.desks[key] = (clinic.desk(absent), [])
            desk, known = self.desks[key]
            length = "course" if clinic.groups else "weeks"
            asked = ("ready", length, "need", "patience", "gone")
            desk.send(Line(*people.of(here, replicate, asked)))
            known += here.tolist()

    def _send_to_sites(self, arm: int, people: People, new: Mask) -> None:
        assert self.places.supply is not None
        assert self.conduct.site is not None
        assert self.conduct.opened is not None
        for replicate in np.flatnonzero(new.any(axis=0)).tolist():
            mine = people.in_order(new[:, replicate], replicate)
            site = self.conduct.site[mine, replicate]
            for at in np.unique(site).tolist():
                key = (arm, at, replicate)
                if key not in self.shelves:
                    opened = float(self.conduct.opened[at, replicate])
                    self.shelves[key] = (Shelf(self.places.supply, people.parcels(replicate), opened), [])
                shelf, known = self.shelves[key]
                here = mine[site == at]
                shelf.send(Takers(*people.of(here, replicate, ("ready", "weeks", "latest", "gone"))))
                known += here.tolist()

    def _so_far(self, people: People, until: Floats) -> Conduct:
        """Write down what desks and shelves say, in weeks from randomisation."""
        enrolled, opened = self.conduct.enrolled, self.conduct.opened
        waits = Waits(people.wait.copy(), np.full(enrolled.shape, np.inf), *np.zeros((2, *enrolled.shape)))
        for (_, replicate), (desk, known) in self.desks.items():
            self._note(waits, people, known, (replicate, desk.begin), until)
        for (_, _, replicate), (shelf, known) in self.shelves.items():
            self._note(waits, people, known, (replicate, shelf.begin), until)
            waits.used[known, replicate], waits.gap[known, replicate] = shelf.kits, shelf.gap
        kits = None
        if self.places.supply is not None and opened is not None:
            at_first = self.places.supply.stock * len(opened) * len(self.places.supply.arms)
            shipped = np.full(enrolled.shape[1], float(at_first))
            for (_, _, replicate), (shelf, _) in self.shelves.items():
                shipped[replicate] += shelf.shipped - self.places.supply.stock
            kits = Kits(waits.used, waits.gap, shipped)
        waited = waits.start - people.wait
        return replace(self.conduct, start=waits.start, gave_up=waits.gave_up, waited=waited, kits=kits)

    def _note(
        self,
        waits: Waits,
        people: People,
        known: list[int],
        found: tuple[int, list[float]],
        until: Floats,
    ) -> None:
        replicate, begin = found
        ready, patience = people.ready[known, replicate], people.patience[known, replicate]
        waited = np.maximum(np.array(begin) - ready, 0.0)
        waits.start[known, replicate] += waited
        tired = np.isinf(waited) & (patience < people.gone[known, replicate] - ready)
        tired &= ready + patience <= until[replicate]
        never = np.array(known)[tired]
        waits.gave_up[never, replicate] = people.wait[never, replicate] + patience[tired]


def begin(places: Places, conduct: Conduct, intake: Intake, streams: Streams) -> Underway:
    """Open the clinics and sites of a block of trials whose recruitment is known."""
    shape = conduct.enrolled.shape
    patience = np.full(shape, np.inf)
    if intake.conditions.patience is not None:
        patience = intake.conditions.patience * streams("patience").standard_exponential(shape)
    return Underway(places, conduct, patience, np.zeros(shape, dtype=bool))
