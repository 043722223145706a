"""Sites that open late and differ, people who are screened, and clinics with few therapists."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sim.core.parts import Part, suggest, wrong
from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.base import Conduct, Course, Floats, Intake, Operations
from sim.operations.queues import Line, serve, serve_groups
from sim.operations.recruitment import OpenSites


class Groups(Part):
    """Treatment in groups that start together; a group takes the time of one patient's sessions."""

    size: int = Field(ge=1, le=200, description="most patients in a group")
    every: float = Field(gt=0, description="weeks between the dates at which groups start")


class Clinic(Part):
    """Therapists who treat the patients of one or more arms, of all sites, from one list.

    A course of s sessions in w weeks takes s / w of the clinic's sessions a week while it lasts. Who stops
    early does not free them.
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

    def begin(self, line: Line) -> list[float]:
        """Say when each patient of the line is treated."""
        if self.groups:
            return serve_groups(line, self.capacity, self.groups.size, self.groups.every)
        return serve(line, self.capacity)


class Sites(Operations):
    """Sites with rates of their own that open late, screening, and waiting for treatment.

    Recruitment is the gamma–Poisson model of Anisimov & Fedorov 2007, doi:10.1002/sim.2956, with the
    rates and delays of the scenario's ``conditions``; clinics are queues, first come first served.
    """

    kind: Literal["sites"] = "sites"
    screens: ClassVar[bool] = True
    sites: int = Field(1, ge=1, le=1000)
    open_every: float = Field(0, ge=0, description="weeks between the planned openings of two sites")
    clinics: tuple[Clinic, ...] = ()
    max_weeks: float = Field(
        1040, gt=0, description="the trial is stopped then, without a result if it is not finished"
    )

    @property
    def latest(self) -> float:
        """Week after which the trial is stopped."""
        return self.max_weeks

    def check(self, arms: Sequence[str], primary_week: float) -> None:
        """Refuse clinics of unknown arms, an arm in two clinics, and a trial that cannot finish."""
        seen: set[str] = set()
        for place, clinic in enumerate(self.clinics):
            for arm in clinic.arms:
                if arm not in arms:
                    raise wrong(f"operations.clinics[{place}].arms: unknown arm '{arm}':{suggest(arm, arms)}")
                if arm in seen:
                    raise wrong(f"operations.clinics[{place}].arms: arm '{arm}' is in two clinics")
                seen.add(arm)
        if self.latest <= primary_week:
            raise wrong(
                f"operations.max_weeks: no patient reaches the primary visit at week {primary_week:g} "
                f"within {self.latest:g} weeks"
            )

    def check_courses(self, courses: Mapping[str, tuple[int | None, float | None]]) -> None:
        """Refuse treatments that their clinic cannot give."""
        for place, clinic in enumerate(self.clinics):
            for arm in clinic.arms:
                clinic.refuse(f"operations.clinics[{place}]: arm '{arm}'", *courses[arm])

    def words(self) -> str:
        """Say how the trial is run."""
        every = f", planned to open every {self.open_every:g} weeks" if self.open_every else ""
        clinics = "".join(f" {clinic.words()}" for clinic in self.clinics)
        return f"{self.sites} sites{every}; stopped after {self.max_weeks:g} weeks at the latest.{clinics}"

    def conduct(self, intake: Intake, streams: Streams) -> Conduct:
        """Open the sites, screen and randomise, and let patients wait for their clinic."""
        at = intake.conditions
        admitted = intake.eligible * (1.0 if at.consent is None else at.consent)
        rate = intake.site_rate if at.presenting is None else at.presenting * admitted
        sites = OpenSites.draw(self.sites, self.open_every, rate, at, streams)
        gaps = streams("arrival").standard_exponential((len(intake.arm), BLOCK_SIZE))
        enrolled = sites.arrivals(gaps)
        if at.screening is not None:
            enrolled = enrolled + at.screening
        enrolled[enrolled > self.latest] = np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.where(admitted > 0, (1 - admitted) / admitted, 0.0)
        failures = streams("screen failure").poisson(gaps * odds)
        screened = np.cumsum(failures + 1.0, axis=0)
        if not self.clinics:
            return Conduct(enrolled, screened=screened, opened=sites.opened)
        start, gave_up = self._wait(intake, enrolled, streams)
        return Conduct(enrolled, start, gave_up, screened, sites.opened)

    def _wait(self, intake: Intake, enrolled: Floats, streams: Streams) -> tuple[Floats, Floats]:
        """Weeks from randomisation to the start of treatment, and to giving up, (patient, replicate)."""
        arm, shape = intake.arm, intake.arm.shape
        ready = np.choose(arm, [np.broadcast_to(course.ready, shape) for course in intake.courses])
        patience = np.full(shape, np.inf)
        if intake.conditions.patience is not None:
            patience = intake.conditions.patience * streams("patience").standard_exponential(shape)
        start, gave_up = ready.copy(), np.full(shape, np.inf)
        for clinic in self.clinics:
            places = [intake.names.index(name) for name in clinic.arms]
            need, weeks = (np.choose(arm, table) for table in _demand(intake.courses))
            if not need.any():
                continue  # under the null scenario nobody is treated
            for replicate in range(shape[1]):
                mine = np.isin(arm[:, replicate], places) & (enrolled[:, replicate] < np.inf)
                here = np.flatnonzero(mine)
                comes = enrolled[here, replicate] + ready[here, replicate]
                order = np.argsort(comes, kind="stable")
                here, comes = here[order], comes[order]
                own = (values[here, replicate].tolist() for values in (weeks, need, patience))
                waited = np.maximum(np.array(clinic.begin(Line(comes.tolist(), *own))) - comes, 0.0)
                start[here, replicate] += waited
                never = here[np.isinf(waited)]
                gave_up[never, replicate] = ready[never, replicate] + patience[never, replicate]
        return start, gave_up


def _demand(courses: Sequence[Course]) -> tuple[Floats, Floats]:
    """Sessions a week of a course, and its weeks, both (arm, replicate)."""
    weeks = np.stack([course.weeks for course in courses])
    sessions = np.array([course.sessions or 0 for course in courses])[:, None]
    return sessions / weeks, weeks
