"""Clinics with few therapists, who treat the patients of all sites from one list."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from sim.core.parts import Part, wrong
from sim.operations.groups import Groups
from sim.operations.holidays import Away
from sim.operations.queues import Desk, GroupDesk


class Clinic(Part):
    """Therapists who treat the patients of one or more arms, of all sites, from one list.

    A course of s sessions in w weeks takes s / w of the clinic's sessions a week while it lasts; who stops
    or leaves frees them, but for groups, which go on to their end.
    """

    arms: tuple[str, ...] = Field(min_length=1)
    therapists: int = Field(le=1000)
    sessions_a_week: float = Field(description="of one therapist")
    groups: Groups | None = None

    @model_validator(mode="after")
    def _can_treat(self) -> Self:
        if self.therapists < 1:
            raise wrong(f"therapists: {self.therapists} therapists can treat nobody; at least 1")
        if self.sessions_a_week <= 0:
            raise wrong(f"sessions_a_week: nobody is treated in {self.sessions_a_week:g} sessions; above 0")
        if len(set(self.arms)) < len(self.arms):
            raise wrong(f"arms: an arm is named twice ({', '.join(self.arms)})")
        if self.groups and len(self.arms) > 1:
            raise wrong("groups: a clinic with groups treats one arm; give each arm a clinic")
        return self

    @property
    def capacity(self) -> float:
        """Sessions a week of all therapists."""
        return self.therapists * self.sessions_a_week

    def words(self) -> str:
        """Say who treats whom."""
        groups = self.groups
        how = f", in groups of up to {groups.size} every {groups.every:g} weeks" if groups else ""
        each = f"{self.sessions_a_week:g} sessions a week each"
        return f"{self.therapists} therapists with {each} treat {' and '.join(self.arms)}{how}."

    def refuse(self, where: str, sessions: int | None, weeks: float | None) -> None:
        """Refuse a course that no therapist here can give."""
        if not sessions:
            raise wrong(f"{where}: its treatment has no sessions, so no clinic can give it; set 'sessions'")
        if weeks is not None and (weeks <= 0 or sessions / weeks > self.capacity * (1 + 1e-9)):
            raise wrong(
                f"{where}: {sessions} sessions in {weeks:g} weeks are more than the "
                f"{self.capacity:g} a week that its clinic gives"
            )

    def desk(self, absences: Sequence[Away] = ()) -> Desk:
        """Open the clinic for one trial."""
        if self.groups:
            return GroupDesk(self.capacity, self.groups.size, self.groups.every, absences)
        return Desk(self.capacity, absences)
