"""The patients of a block of trials as clinics and sites meet them."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sim.operations.base import Course, Intake
from sim.operations.holidays import HolidayLevels
from sim.operations.supply import Parcels

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]


class People:
    """Quantities of each patient, (patient, replicate), weeks.

    Attributes
    ----------
    wait, due, ready
        From randomisation until ready for treatment, the week of the trial in which that is, and the one in
        which the patient comes to be treated: later, where there is an appointment before.
    course, weeks
        Of a whole course, and until the patient stops it.
    need
        Sessions a week of the course.
    patience, left, gone, latest
        Weeks that the patient would wait, and those of them that are left when ready, the week of the trial
        in which the patient leaves the study, and the last one in which the patient would begin.
    """

    def __init__(self, intake: Intake, enrolled: Floats, patience: Floats):
        arm, courses = intake.arm, intake.courses
        self.wait = _each(courses, arm, "ready")
        self.due = self.ready = enrolled + self.wait
        self.course = self.weeks = _each(courses, arm, "weeks")
        sessions = np.choose(arm, [course.sessions or 0 for course in courses])
        self.need = sessions / self.course
        self.patience = self.left = patience
        self.gone = np.full(arm.shape, np.inf)
        if intake.stays is not None:
            self.weeks = np.minimum(self.course, intake.stays.treated)
            self.gone = enrolled + intake.stays.leave
        self.latest = np.minimum(self.ready + patience, self.gone)
        self._conditions = intake.conditions

    def come_from(self, appointment: Floats, mine: Mask) -> None:
        """Let patients be ready in the week of their appointment; ``inf``: not up to now."""
        with np.errstate(invalid="ignore"):
            left = self.due + self.patience - appointment
        self.ready = np.where(mine, appointment, self.ready)
        self.left = np.where(mine, left, self.left)

    @property
    def holidays(self) -> tuple[HolidayLevels, ...]:
        """Weeks in which clinics give less."""
        return self._conditions.holidays

    def in_order(self, chosen: Mask, replicate: int) -> Ints:
        """Patients in the order in which they are ready."""
        here = np.flatnonzero(chosen)
        return here[np.argsort(self.ready[here, replicate], kind="stable")]

    def of(self, here: Ints, replicate: int, names: Iterable[str]) -> list[list[float]]:
        """Take some patients' quantities by name."""
        return [getattr(self, name)[here, replicate].tolist() for name in names]

    def parcels(self, replicate: int) -> Parcels:
        """Say how long orders take in one trial, and how long kits last."""
        at = self._conditions
        return Parcels(
            delivery=0.0 if at.delivery is None else float(at.delivery[replicate]),
            shelf_life=np.inf if at.shelf_life is None else float(at.shelf_life[replicate]),
        )


def _each(courses: Iterable[Course], arm: Ints, name: str) -> Floats:
    levels = [np.broadcast_to(getattr(course, name), arm.shape) for course in courses]
    return np.asarray(np.choose(arm, levels), dtype=np.float64)
