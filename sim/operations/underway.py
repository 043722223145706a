"""A block of trials while they run: paused at any week, the later patients' arms decided, run on."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import Streams
from sim.operations.appointments import Appointment, line_of
from sim.operations.base import Conduct, Intake, Kits
from sim.operations.clinics import Clinic
from sim.operations.holidays import Away, absences
from sim.operations.people import People
from sim.operations.queues import Desk, Line
from sim.operations.supply import Shelf, Supply, Takers

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Places:
    """Where patients may wait once they are randomised, and the week in which every trial is stopped."""

    appointments: tuple[Appointment, ...]
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
    sent, through
        Whether each patient has come, and has been sent on to the clinic or site, which is after the
        appointment where there is one, (patient, replicate).
    """

    places: Places
    conduct: Conduct
    patience: Floats
    sent: Mask
    through: Mask
    desks: dict[tuple[str, int], tuple[Desk, list[int]]] = field(default_factory=dict)
    shelves: dict[tuple[int, int, int], tuple[Shelf, list[int]]] = field(default_factory=dict)

    def go_on(self, intake: Intake, until: Floats) -> Conduct:
        """Treat who is randomised by a week of each trial, (replicate,), and say what has happened by then.

        The intake's arms and stays count for those who have not been sent before.
        """
        enrolled = self.conduct.enrolled
        new = ~self.sent & (enrolled <= until) & (enrolled < np.inf)
        self.sent |= new
        people = People(intake, enrolled, self.patience)
        kept = self._appoint(people, intake, new, until)
        new = self.sent & ~self.through & np.isfinite(people.ready)
        self.through |= new
        self._treat(people, intake, new)
        for (_, replicate), (desk, _) in self.desks.items():
            desk.run(float(until[replicate]))
        for (_, _, replicate), (shelf, _) in self.shelves.items():
            shelf.run(float(until[replicate]))
        return replace(self._so_far(people, until), appointments=self.conduct.appointments | kept)

    def _appoint(self, people: People, intake: Intake, new: Mask, until: Floats) -> dict[str, Floats]:
        """Let new patients come for their appointments; who has had it by then is ready for treatment."""
        kept = {}
        for one in self.places.appointments:
            arms = [intake.names.index(name) for name in one.arms or intake.names]
            mine = np.isin(intake.arm, arms)
            for replicate in np.flatnonzero((new & mine).any(axis=0)).tolist():
                here = people.in_order((new & mine)[:, replicate], replicate)
                ready, latest = (values[here, replicate] for values in (people.ready, people.latest))
                line = line_of(ready.tolist(), (latest - ready).tolist())
                self._send((f"appointment {one.name}", replicate), one.desk, (line, here), people)
            begin = np.full(people.ready.shape, np.inf)
            for (name, replicate), (desk, known) in self.desks.items():
                if name == f"appointment {one.name}":
                    desk.run(float(until[replicate]))
                    begin[known, replicate] = desk.begin
            people.come_from(begin, mine)
            kept[one.name] = np.where(mine, begin, np.inf)
        return kept

    def _treat(self, people: People, intake: Intake, new: Mask) -> None:
        for place, clinic in enumerate(self.places.clinics):
            arms = [intake.names.index(name) for name in clinic.arms]
            self._send_to_clinic(place, clinic, people, new & np.isin(intake.arm, arms))
        if self.places.supply is not None:
            for arm in (intake.names.index(name) for name in self.places.supply.arms):
                self._send_to_sites(self.places.supply, arm, people, new & (intake.arm == arm))

    def _send(
        self,
        key: tuple[str, int],
        desk: Callable[[list[Away]], Desk],
        coming: tuple[Line, Ints],
        people: People,
    ) -> None:
        """Send patients to a desk, which is opened when the first ones come."""
        if key not in self.desks:
            self.desks[key] = (desk(absences(people.holidays, self.places.latest, key[1])), [])
        self.desks[key][0].send(coming[0])
        self.desks[key][1].extend(coming[1].tolist())

    def _send_to_clinic(self, place: int, clinic: Clinic, people: People, new: Mask) -> None:
        if not people.need.any():
            return  # under the null scenario nobody is treated
        for replicate in np.flatnonzero(new.any(axis=0)).tolist():
            here = people.in_order(new[:, replicate], replicate)
            length = "course" if clinic.groups else "weeks"
            asked = ("ready", length, "need", "left", "gone")
            line = Line(*people.of(here, replicate, asked))
            self._send((f"clinic {place}", replicate), clinic.desk, (line, here), people)

    def _send_to_sites(self, supply: Supply, arm: int, people: People, new: Mask) -> None:
        assert self.conduct.site is not None
        assert self.conduct.opened is not None
        for replicate in np.flatnonzero(new.any(axis=0)).tolist():
            mine = people.in_order(new[:, replicate], replicate)
            site = self.conduct.site[mine, replicate]
            for at in np.unique(site).tolist():
                key = (arm, at, replicate)
                if key not in self.shelves:
                    opened = float(self.conduct.opened[at, replicate])
                    self.shelves[key] = (Shelf(supply, people.parcels(replicate), opened), [])
                shelf, known = self.shelves[key]
                here = mine[site == at]
                shelf.send(Takers(*people.of(here, replicate, ("ready", "weeks", "latest", "gone"))))
                known += here.tolist()

    def _so_far(self, people: People, until: Floats) -> Conduct:
        """Write down what desks and shelves say, in weeks from randomisation."""
        begin = people.ready.copy()
        used, gap = np.zeros((2, *begin.shape))
        for (name, replicate), (desk, known) in self.desks.items():
            if name.startswith("clinic"):
                begin[known, replicate] = desk.begin
        for (_, _, replicate), (shelf, known) in self.shelves.items():
            begin[known, replicate] = shelf.begin
            used[known, replicate], gap[known, replicate] = shelf.kits, shelf.gap
        waited, here = np.zeros_like(begin), self.sent
        waited[here] = np.maximum(begin[here] - people.due[here], 0.0)
        start = people.wait + waited
        tired = self._tired(people, waited, until)
        gave_up = np.where(tired, people.wait + people.patience, np.inf)
        kits = None
        if self.places.supply is not None and self.conduct.opened is not None:
            at_first = self.places.supply.stock * len(self.conduct.opened) * len(self.places.supply.arms)
            shipped = np.full(begin.shape[1], float(at_first))
            for (_, _, replicate), (shelf, _) in self.shelves.items():
                shipped[replicate] += shelf.shipped - self.places.supply.stock
            kits = Kits(used, gap, shipped)
        return replace(self.conduct, start=start, gave_up=gave_up, waited=start - people.wait, kits=kits)

    def _tired(self, people: People, waited: Floats, until: Floats) -> Mask:
        """Who has given up the wait by a week of each trial, before leaving the study."""
        tired = self.sent & np.isinf(waited)
        due, patience = people.due[tired], people.patience[tired]
        by_then = np.broadcast_to(until, waited.shape)[tired]
        tired[tired] = (patience < people.gone[tired] - due) & (due + patience <= by_then)
        return tired


def begin(places: Places, conduct: Conduct, intake: Intake, streams: Streams) -> Underway:
    """Open the clinics and sites of a block of trials whose recruitment is known."""
    shape = conduct.enrolled.shape
    patience = np.full(shape, np.inf)
    if intake.conditions.patience is not None:
        patience = intake.conditions.patience * streams("patience").standard_exponential(shape)
    nobody = np.zeros(shape, dtype=bool)
    return Underway(places, conduct, patience, nobody, nobody.copy())
