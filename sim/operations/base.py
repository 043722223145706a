"""What a model of operations is told, and what it has to answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.core.parts import Family
from sim.core.streams import Streams
from sim.operations.conditions import ConditionLevels, Conditions
from sim.operations.visits import Visits

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Course:
    """What one arm's treatment asks of a clinic.

    Attributes
    ----------
    sessions
        Of a whole course; None or 0: nobody has to be there.
    weeks, ready
        Length of the course, and weeks from randomisation until a patient is ready for it, (replicate,).
    """

    sessions: int | None
    weeks: Floats
    ready: Floats


@dataclass(frozen=True)
class Stays:
    """How long patients would stay if nobody waited, (patient, replicate), ``inf`` is never.

    Attributes
    ----------
    treated
        Weeks from the start of treatment until the patient stops it.
    leave
        Weeks from randomisation until the patient leaves the study for another reason than stopping.
    """

    treated: Floats
    leave: Floats


@dataclass(frozen=True)
class Intake:
    """What operations are told about the trial and about nature.

    Attributes
    ----------
    arm
        Of each patient in the order of enrolment, (patient, replicate).
    names
        Of the arms.
    courses
        Of each arm's treatment.
    site_rate
        Patients randomised a week and site, (replicate,).
    eligible
        Share of those who present whom the entry rules admit, (replicate,).
    conditions
        The levels of what we do not control.
    stays
        How long patients would stay; None: nobody asked, or all stay.
    weeks
        Planned visits after randomisation, (visit,).
    """

    arm: Ints
    names: tuple[str, ...]
    courses: tuple[Course, ...]
    site_rate: Floats
    eligible: Floats
    conditions: ConditionLevels
    stays: Stays | None = None
    weeks: Floats = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class Kits:
    """What the sites' supply with the drug came to.

    Attributes
    ----------
    used
        Kits that each patient got, (patient, replicate).
    gap
        Weeks that each patient waited for later kits, (patient, replicate).
    shipped
        Kits sent to all sites, (replicate,).
    """

    used: Floats
    gap: Floats
    shipped: Floats

    @property
    def sent(self) -> Floats:
        """Kits sent for each patient, those that nobody took shared out by the kits taken."""
        taken = self.used.sum(axis=0)
        return np.asarray(self.used * (self.shipped / np.maximum(taken, 1.0)))


@dataclass(frozen=True)
class Conduct:
    """What happened in the trial besides outcomes, and when. Times are in weeks; ``inf`` is never.

    Attributes
    ----------
    enrolled
        Randomisation of each patient since the first site opened, (patient, replicate).
    start
        From randomisation to the start of treatment; None: as the treatment has it for everybody.
    gave_up
        From randomisation to the patient's giving up the wait for it; None: nobody does.
    waited
        Weeks for a therapist or the drug once the patient was ready for treatment; None: nobody waits.
    screened
        People screened up to each patient's randomisation, that patient included; None: not counted.
    opened, closed
        Opening and closing of each site, (site, replicate); None: all at 0, and none closes.
    site
        Of each patient, (patient, replicate); None: not told.
    kits
        Of the drug; None: the drug is always there.
    visits
        When they are held; None: on the planned days.
    held_up, lost
        Weeks that each patient waited for appointments before randomisation, and how many people up to each
        patient gave up that wait; None: there are none.
    appointments
        Week of the trial in which each patient had each appointment, by its name.
    """

    enrolled: Floats
    start: Floats | None = None
    gave_up: Floats | None = None
    waited: Floats | None = None
    screened: Floats | None = None
    opened: Floats | None = None
    closed: Floats | None = None
    site: Ints | None = None
    kits: Kits | None = None
    visits: Visits | None = None
    held_up: Floats | None = None
    lost: Floats | None = None
    appointments: dict[str, Floats] = field(default_factory=dict)


class Operations(Family):
    """How patients come into the trial through time, and how long they wait for treatment."""

    home: ClassVar[str] = "sim.operations"
    screens: ClassVar[bool] = False
    """Whether the share of eligible people is asked for."""

    sites: int

    @property
    def latest(self) -> float:
        """Week after which the trial is stopped, finished or not."""
        return float(np.inf)

    @property
    def treats(self) -> bool:
        """Whether patients may wait for treatment, so that it is asked how long they would stay."""
        return False

    def check(self, arms: Sequence[str], primary_week: float) -> None:
        """Refuse what the protocol's arms and its primary visit make impossible."""

    def check_conditions(self, conditions: Conditions) -> None:
        """Refuse a scenario's conditions that these operations would not meet."""

    def check_courses(self, courses: Mapping[str, tuple[int | None, float | None]]) -> None:
        """Refuse what the treatments' sessions and weeks (None: not known yet) make impossible, by arm."""

    @property
    def appointed(self) -> tuple[str, ...]:
        """Names of the appointments that patients keep."""
        return ()

    @property
    def windowed(self) -> bool:
        """Whether it matters if a visit is held in its window."""
        return False

    @property
    def shares_time(self) -> bool:
        """Whether a therapist's time for a patient depends on who else is in the trial."""
        return False

    def therapist_weeks(self, arm: str, begins: Floats, weeks: Floats) -> Floats:
        """Weeks of a therapist's time that each patient's weeks of treatment take, (patient, replicate)."""
        return weeks

    def words(self) -> str:
        """Say how the trial is run; nothing where there is nothing to say."""
        return ""

    def conduct(self, intake: Intake, streams: Streams) -> Conduct:
        """Say when each patient is randomised and treated."""
        raise NotImplementedError
