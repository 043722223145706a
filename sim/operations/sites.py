"""Sites that open late and differ, people who are screened, and those who wait for treatment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sim.core.parts import suggest, wrong
from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.appointments import Appointment
from sim.operations.base import Conduct, Floats, Intake, Ints, Operations
from sim.operations.candidates import Candidates
from sim.operations.clinics import Clinic
from sim.operations.holidays import slacks
from sim.operations.pauses import Pause, Slack, calendar, overlap, working
from sim.operations.recruitment import OpenSites
from sim.operations.supply import Supply
from sim.operations.underway import Places, Underway, begin
from sim.operations.visits import Visits, VisitWindow, hold

SPARE = 1.1
"""Candidates for each patient wanted who come at first, where some give up the wait for the scanner."""


class Sites(Operations):
    """Sites with rates of their own that open late, screening, and waiting for treatment.

    Recruitment is the gamma–Poisson model of Anisimov & Fedorov 2007, doi:10.1002/sim.2956, with the
    rates and delays of the scenario's ``conditions``; clinics are queues, first come first served; sites are
    supplied with kits of the drug.
    """

    kind: Literal["sites"] = "sites"
    screens: ClassVar[bool] = True
    sites: int = Field(1, ge=1, le=1000)
    open_every: float = Field(0, ge=0, description="weeks between the planned openings of two sites")
    close_idle: float | None = Field(
        None, gt=0, description="weeks after which a site is closed that has randomised nobody"
    )
    pauses: tuple[Pause, ...] = Field((), description="weeks without recruitment, in order")
    appointments: tuple[Appointment, ...] = Field((), description="with a scanner or a physician, in turn")
    clinics: tuple[Clinic, ...] = ()
    supply: Supply | None = None
    visit_window: VisitWindow | None = Field(None, description="none: a visit counts whenever it is held")
    max_weeks: float = Field(
        1040, gt=0, description="the trial is stopped then, without a result if it is not finished"
    )

    @model_validator(mode="after")
    def _pauses_in_order(self) -> Self:
        if overlap(self.pauses):
            raise wrong("pauses: must be in order of time, and none may begin before the last has ended")
        return self

    @property
    def latest(self) -> float:
        """Week after which the trial is stopped."""
        return self.max_weeks

    @property
    def treats(self) -> bool:
        """Whether patients may wait for a physician, for a therapist or for the drug."""
        return bool(self.clinics or self.supply or self.before_treatment)

    @property
    def before_treatment(self) -> tuple[Appointment, ...]:
        """Appointments of the randomised."""
        return tuple(one for one in self.appointments if one.before == "treatment")

    def check(self, arms: Sequence[str], primary_week: float) -> None:
        """Refuse unknown arms, an arm that waits in two places, and a trial that cannot finish."""
        self._check_appointments(arms)
        seen: set[str] = set()
        places = [(f"clinics[{place}]", clinic.arms) for place, clinic in enumerate(self.clinics)]
        places += [("supply", self.supply.arms)] if self.supply else []
        for where, named in places:
            for arm in named:
                if arm not in arms:
                    raise wrong(f"operations.{where}.arms: unknown arm '{arm}':{suggest(arm, arms)}")
                if arm in seen:
                    raise wrong(f"operations.{where}.arms: arm '{arm}' is in two clinics, or also supplied")
                seen.add(arm)
        if self.latest <= primary_week:
            raise wrong(
                f"operations.max_weeks: no patient reaches the primary visit at week {primary_week:g} "
                f"within {self.latest:g} weeks"
            )

    def _check_appointments(self, arms: Sequence[str]) -> None:
        """Refuse a name twice, an unknown arm, and two appointments of an arm before its treatment."""
        names, seen = [one.name for one in self.appointments], set[str]()
        for place, one in enumerate(self.appointments):
            where = f"operations.appointments[{place}]"
            if names.count(one.name) > 1:
                raise wrong(f"{where}.name: '{one.name}' is there twice")
            if one.before == "randomisation":
                continue
            for arm in one.arms or arms:
                if arm not in arms:
                    raise wrong(f"{where}.arms: unknown arm '{arm}':{suggest(arm, arms)}")
                if arm in seen:
                    raise wrong(f"{where}: arm '{arm}' has another appointment before treatment")
                seen.add(arm)

    def check_courses(self, courses: Mapping[str, tuple[int | None, float | None]]) -> None:
        """Refuse treatments that their clinic cannot give."""
        for place, clinic in enumerate(self.clinics):
            for arm in clinic.arms:
                clinic.refuse(f"operations.clinics[{place}]: arm '{arm}'", *courses[arm])

    @property
    def appointed(self) -> tuple[str, ...]:
        """Names of the appointments that patients keep."""
        return tuple(one.name for one in self.appointments)

    @property
    def windowed(self) -> bool:
        """Whether there is a window of visits."""
        return self.visit_window is not None

    @property
    def shares_time(self) -> bool:
        """Whether a clinic treats in groups."""
        return any(clinic.groups for clinic in self.clinics)

    def therapist_weeks(self, arm: str, begins: Floats, weeks: Floats) -> Floats:
        """Share a group's weeks out to those who are there."""
        for clinic in self.clinics:
            if arm in clinic.arms and clinic.groups:
                return clinic.groups.shared(begins, weeks)
        return weeks

    def words(self) -> str:
        """Say how the trial is run."""
        every = f", planned to open every {self.open_every:g} weeks" if self.open_every else ""
        idle = f", closed without a patient in {self.close_idle:g} weeks" if self.close_idle else ""
        pauses = "".join(f" {pause.words()}" for pause in self.pauses)
        others = (*self.appointments, *self.clinics, self.supply, self.visit_window)
        waits = "".join(f" {place.words()}" for place in others if place)
        latest = f"stopped after {self.max_weeks:g} weeks at the latest"
        number = "1 site" if self.sites == 1 else f"{self.sites} sites"
        return f"{number}{every}{idle}; {latest}.{pauses}{waits}"

    def conduct(self, intake: Intake, streams: Streams) -> Conduct:
        """Open the sites, screen and randomise, and let patients wait for treatment."""
        recruited = self.recruit(intake, streams)
        if not self.treats:
            return recruited
        whole = np.full(intake.arm.shape[1], np.inf)
        return self.treat(recruited, intake, streams).go_on(intake, whole)

    def recruit(self, intake: Intake, streams: Streams) -> Conduct:
        """Say who is randomised when and where, which does not depend on the arms."""
        wanted = many = len(intake.arm)
        before = [one for one in self.appointments if one.before == "randomisation"]
        if before and intake.conditions.patience is not None:
            many = int(SPARE * wanted) + 20
        here = self._present(many, intake, streams)
        if before:
            seen = here.attend(before, intake.conditions, self.latest, streams)
            while (more := seen.needed(wanted, here.ready)) > many:
                many, here = more, self._present(more, intake, streams)
                seen = here.attend(before, intake.conditions, self.latest, streams)
            here = seen.first(wanted)
        return Conduct(
            here.ready,
            screened=here.screened,
            opened=here.opened,
            closed=here.closed,
            site=here.site,
            visits=self._visits(intake, streams),
            held_up=here.held_up,
            lost=here.lost,
            appointments=here.kept,
        )

    def _present(self, many: int, intake: Intake, streams: Streams) -> Candidates:
        """Let so many who are eligible and consent come to the sites, and pass screening."""
        at, shape = intake.conditions, (many, BLOCK_SIZE)
        admitted = intake.eligible * (1.0 if at.consent is None else at.consent)
        rate = intake.site_rate if at.presenting is None else at.presenting * admitted
        sites = OpenSites.draw(self.sites, self.open_every, rate, at, streams)
        gaps, share = streams("arrival").standard_exponential(shape), streams("site").random(shape)
        less = slacks(self.pauses, at.holidays, self.latest)
        ready, sites, site = self._arrive(sites, gaps, share, less)
        if at.screening is not None:
            ready = ready + at.screening
        ready[ready > self.latest] = np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.where(admitted > 0, (1 - admitted) / admitted, 0.0)
        failures = streams("screen failure").poisson(gaps * odds)
        return Candidates(ready, site, np.cumsum(failures + 1.0, axis=0), sites.opened, sites.closed)

    def _visits(self, intake: Intake, streams: Streams) -> Visits | None:
        days = intake.conditions.visit_days
        if days is None:
            return None
        return hold(intake.weeks, days, self.visit_window, len(intake.arm), streams)

    def treat(self, recruited: Conduct, intake: Intake, streams: Streams) -> Underway:
        """Open the clinics and shelves of trials whose recruitment is known; their clocks stand at 0."""
        places = Places(self.before_treatment, self.clinics, self.supply, self.latest)
        return begin(places, recruited, intake, streams)

    def _arrive(
        self, sites: OpenSites, gaps: Floats, share: Floats, less: Sequence[Slack]
    ) -> tuple[Floats, OpenSites, Ints]:
        """Week and site of each arrival; the sites recruit by a clock that pauses and holidays hold up."""
        rivals = tuple(
            replace(rival, begins=working(rival.begins, less), ends=working(rival.ends, less))
            for rival in sites.rivals
        )
        at_work = replace(sites, opened=working(sites.opened, less), rivals=rivals)
        if self.close_idle is not None:
            at_work = at_work.without_idle(self.close_idle, gaps, share)
        week = at_work.arrivals(gaps)
        site = at_work.place(week, share)
        closed = None if at_work.closed is None else calendar(at_work.closed, less)
        return calendar(week, less), replace(sites, closed=closed), site
