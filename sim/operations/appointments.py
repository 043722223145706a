"""Appointments with a scanner or a physician, for which the patients of all sites wait."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from sim.core.parts import Part, wrong
from sim.operations.holidays import Away
from sim.operations.queues import Desk, Line


class Appointment(Part):
    """One appointment that each patient has to keep, first come first served: so many in any seven days.

    The same queue as that of a clinic's therapists, in which a patient takes one of the places for a week.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="of the scanner, or who is seen")
    before: Literal["randomisation", "treatment"]
    a_week: int = Field(ge=1, le=10_000, description="appointments in any seven days")
    arms: tuple[str, ...] = Field((), description="whose patients need it before treatment; none: all")

    @model_validator(mode="after")
    def _does_not_know_arms_before_randomisation(self) -> Self:
        if self.before == "randomisation" and self.arms:
            raise wrong("arms: are not known before randomisation; leave them out")
        return self

    def words(self) -> str:
        """Say who has it and when."""
        whom = f"patients of {' and '.join(self.arms)}" if self.arms else "all patients"
        places = "1 appointment" if self.a_week == 1 else f"{self.a_week} appointments"
        return f"Before {self.before} {whom} wait for '{self.name}', {places} a week."

    def desk(self, absences: Sequence[Away] = ()) -> Desk:
        """Open it for one trial."""
        return Desk(float(self.a_week), absences)


def line_of(ready: Sequence[float], patience: Sequence[float]) -> Line:
    """Let patients come for an appointment; who is to leave is no longer patient then."""
    each = [1.0] * len(ready)
    return Line(ready, each, each, patience)
