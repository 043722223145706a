"""How trials run by week: who is randomised, who waits, how busy clinics are; and one trial in full.

To the last patient, as if no look ended a trial early.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.conduct import intake_of
from sim.execution import Plan, draws_of
from sim.lives import create
from sim.observation import Ground, Lived
from sim.operations.base import Intake
from sim.operations.clinics import Clinic
from sim.operations.sites import Sites
from sim.protocol import Protocol
from sim.results import write_csv
from sim.study import Study

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Row = dict[str, Any]

WEEKS = 160
"""Weeks at most that a timeline has; a longer trial is told in longer steps."""
SHOWN = 60
"""Patients of the one trial at most: every so many of a larger one."""


@dataclass(frozen=True)
class Timeline:
    """A block of trials through the weeks since the first site opened.

    Attributes
    ----------
    intake
        What the operations were told.
    lived
        Who was enrolled when, what they waited for, and their lives.
    """

    protocol: Protocol
    intake: Intake
    lived: Lived

    @classmethod
    def of(cls, study: Study, names: tuple[str, str], plan: Plan) -> "Timeline":
        """Let the first block of a study's trials run; ``names`` are of the protocol and the scenario."""
        protocol = study.protocols[names[0]]
        scenario = study.scenarios[names[1]].only(protocol)
        draws = draws_of(study.seed, 0, plan.files)
        world = create(protocol, scenario, scenario.realise(protocol, draws), protocol.n, draws.streams)
        arm = protocol.allocation.assign(protocol.n, protocol.ratio, draws.streams)
        intake = intake_of(protocol, scenario, world, arm, draws.streams)
        return cls(protocol, intake, Ground(protocol, scenario, world, draws.streams).live(arm))

    @property
    def finished(self) -> Floats:
        """Week of the last visit, (replicate,)."""
        due = self.lived.conduct.enrolled[-1] + self.protocol.last_week
        return np.asarray(np.minimum(due, self.protocol.operations.latest))

    @property
    def weeks(self) -> Floats:
        """Weeks that are told."""
        last = float(np.quantile(self.finished, 0.95))
        return np.arange(0.0, last + 1, max(1, round(last / WEEKS)))

    def spans(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Week in which each patient is ready, stops waiting, begins and ends treatment; ``inf`` is never."""
        conduct, events = self.lived.conduct, self.lived.life.events
        wait = _each(self.intake, "ready")
        start = wait if conduct.start is None else conduct.start
        gave_up = np.inf if conduct.gave_up is None else conduct.gave_up
        ends = np.minimum(start + _each(self.intake, "weeks"), events.ended)
        waits = np.where(np.isinf(start), np.minimum(gave_up, events.leave), start)
        enrolled = conduct.enrolled
        return enrolled + wait, enrolled + np.maximum(waits, wait), enrolled + start, enrolled + ends

    def rows(self) -> Iterator[Row]:
        """Yield quantities by week: mean, and 5 to 95 % of the trials.

        ``randomised`` patients; patients ``waiting`` for treatment; for each clinic its ``load``, the share
        of its therapists' sessions that is given, and for each scanner or physician that of the appointments.
        """
        enrolled = self.lived.conduct.enrolled
        yield from self._by_week("randomised", lambda week: (enrolled <= week).sum(axis=0))
        operations = self.protocol.operations
        if not isinstance(operations, Sites):
            return
        if operations.treats:
            ready, waits, _, _ = self.spans()
            yield from self._by_week("waiting", lambda week: ((ready <= week) & (week < waits)).sum(axis=0))
        for appointment in operations.appointments:
            week = self.lived.conduct.appointments[appointment.name]
            kept = (week, week + 1.0, np.full(enrolled.shape, 1 / appointment.a_week))
            yield from self._by_week(f"load {appointment.name}", lambda w, t=kept: _at(w, *t))
        for clinic in operations.clinics:
            yield from self._load(clinic)

    def _load(self, clinic: Clinic) -> Iterator[Row]:
        """Yield the share of a clinic's sessions that is given."""
        _, _, begins, ends = self.spans()
        need = np.array([course.sessions or 0 for course in self.intake.courses])[self.intake.arm]
        need = need / _each(self.intake, "weeks")
        mine = np.isin(self.intake.arm, [self.intake.names.index(name) for name in clinic.arms])
        share, until = np.where(mine, need / clinic.capacity, 0.0), ends
        if clinic.groups:
            share, until = _shared(share, begins, clinic), begins + _each(self.intake, "weeks")
        treated = (begins, until, share)
        yield from self._by_week(f"load {' and '.join(clinic.arms)}", lambda w, t=treated: _at(w, *t))

    def _by_week(self, quantity: str, count: Any) -> Iterator[Row]:
        for week in self.weeks:
            values = count(week)
            low, high = np.quantile(values, [0.05, 0.95])
            summary = {"mean": float(np.mean(values)), "low": float(low), "high": float(high)}
            yield {"quantity": quantity, "week": float(week)} | summary

    def patients(self) -> Iterator[Row]:
        """Yield every few patients of the first trial, in the order of randomisation; None is never."""
        conduct, leave = self.lived.conduct, self.lived.life.events.leave
        _, _, begins, ends = self.spans()
        for i in range(0, self.protocol.n, -(-self.protocol.n // SHOWN)):
            enrolled, week = conduct.enrolled[i, 0], self.protocol.last_week
            if enrolled == np.inf:
                return
            begun = begins[i, 0] < np.inf
            yield {
                "patient": i + 1,
                "arm": self.intake.names[self.intake.arm[i, 0]],
                "site": None if conduct.site is None else int(conduct.site[i, 0]) + 1,
                "randomised": float(enrolled),
                "begins": float(begins[i, 0]) if begun else None,
                "ends": float(min(ends[i, 0], enrolled + week)) if begun else None,
                "last": float(enrolled + min(week, leave[i, 0])),
                "left": bool(leave[i, 0] < week),
            }


def _each(intake: Intake, name: str) -> Floats:
    levels = np.stack([getattr(course, name) for course in intake.courses])
    return np.asarray(np.take_along_axis(levels, intake.arm, axis=0), dtype=np.float64)


def _at(week: float, begins: Floats, ends: Floats, share: Floats) -> Floats:
    """Sum the shares of those in treatment, (replicate,)."""
    return np.asarray((share * ((begins <= week) & (week < ends))).sum(axis=0))


def _shared(share: Floats, begins: Floats, clinic: Clinic) -> Floats:
    """Share the sessions of each group out to its patients: of one date, in as few groups as they fill."""
    assert clinic.groups is not None
    found = np.zeros_like(share)
    for replicate in range(share.shape[1]):
        mine = np.flatnonzero((share[:, replicate] > 0) & np.isfinite(begins[:, replicate]))
        dates = clinic.groups.date(begins[mine, replicate])
        _, date, number = np.unique(dates, return_inverse=True, return_counts=True)
        groups = np.ceil(number / clinic.groups.size)
        found[mine, replicate] = share[mine, replicate] * (groups / number)[date]
    return found


def write(folder: Path, study: Study, plan: Plan) -> None:
    """Write ``timeline.csv`` and ``patients.csv`` for protocols with sites; nothing where there is none.

    Under the study's main scenario; the patients are those of its main protocol or else the first with sites.
    """
    protocol, scenario = study.main
    names = [name for name, one in study.protocols.items() if isinstance(one.operations, Sites)]
    if not names:
        return
    lines = {name: Timeline.of(study, (name, scenario), plan) for name in names}
    rows = [{"protocol": name, "scenario": scenario} | row for name in names for row in lines[name].rows()]
    write_csv(folder / "timeline.csv", rows)
    shown = protocol if protocol in lines else names[0]
    head = {"protocol": shown, "scenario": scenario, "replicate": 0}
    write_csv(folder / "patients.csv", [head | row for row in lines[shown].patients()])
