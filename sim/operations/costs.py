"""What a trial costs: prices are claims about the world, quantities are counted in each simulated trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.claims import Positive, Read
from sim.core.parts import Part
from sim.core.streams import BLOCK_SIZE

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

WEEKS_A_MONTH = 365.25 / 12 / 7


class Costs(Part):
    """Prices, all in one currency; what is left out costs nothing."""

    currency: str = "USD"
    fixed: Positive | None = Field(None, description="of the trial")
    per_site: Positive | None = None
    per_site_month: Positive | None = Field(None, description="from the site's opening to the last look")
    per_screened: Positive | None = Field(None, description="person screened, the randomised included")
    per_patient: Positive | None = Field(None, description="patient randomised")
    per_visit: Positive | None = Field(None, description="visit attended, the one at week 0 included")
    per_session: Positive | None = Field(None, description="session of treatment given")
    per_kit: Positive | None = Field(None, description="kit of a drug sent to a site, used or not")
    per_treated_week: dict[str, Positive] = Field(
        {}, description="of treatment (its doses), by the treatment's name"
    )
    per_appointment: dict[str, Positive] = Field(
        {}, description="with a scanner or a physician, by the name in the protocol's operations"
    )

    def levels(self, read: Read) -> "CostLevels":
        """Give every price its value in each replicate; what is left out is 0."""
        zero = np.zeros(BLOCK_SIZE)
        names = [name for name in type(self).model_fields if name.startswith(("fixed", "per_"))]
        prices = {
            name: zero if (price := getattr(self, name)) is None else read(f"costs.{name}", price)
            for name in names
            if not isinstance(getattr(self, name), dict)
        }
        weeks, appointments = (
            {key: read(f"costs.{name}.{key}", price) for key, price in getattr(self, name).items()}
            for name in ("per_treated_week", "per_appointment")
        )
        return CostLevels(**prices, per_treated_week=weeks, per_appointment=appointments)


@dataclass(frozen=True)
class Usage:
    """What a block of trials used.

    Attributes
    ----------
    arm, arms
        Of each patient, (patient, replicate), and how many there are.
    visits, sessions
        Of each patient, (patient, replicate); a group's sessions are shared by those who are there.
    treated
        Weeks of treatment of each patient by treatment, (patient, replicate).
    screened
        People screened up to each patient, (patient, replicate).
    opened, closed
        Opening and closing of each site, (site, replicate), weeks; ``inf``: open to the end.
    kits
        Kits sent for each patient, those that nobody took shared out by the kits taken, (patient, replicate).
    appointments
        Kept by each patient, (patient, replicate), by their name.
    """

    arm: Ints
    arms: int
    visits: Floats
    sessions: Floats
    treated: Mapping[str, Floats]
    screened: Floats
    opened: Floats
    closed: Floats
    kits: Floats
    appointments: Mapping[str, Floats]


@dataclass(frozen=True)
class Spent:
    """What a block of trials cost, in the scenario's currency.

    Attributes
    ----------
    total
        Of each trial, (size, replicate).
    by_arm
        Of the patients of each arm, (arm, size, replicate): without screening and sites.
    """

    total: Floats
    by_arm: Floats


def together(sizes: Sequence[Spent | None]) -> Spent | None:
    """Put what trials of each size cost side by side."""
    known = [one for one in sizes if one is not None]
    if not known:
        return None
    total, by_arm = np.concatenate([one.total for one in known]), [one.by_arm for one in known]
    return Spent(total, np.concatenate(by_arm, axis=1))


@dataclass(frozen=True)
class CostLevels:
    """The prices in a block, each (replicate,)."""

    fixed: Floats
    per_site: Floats
    per_site_month: Floats
    per_screened: Floats
    per_patient: Floats
    per_visit: Floats
    per_session: Floats
    per_kit: Floats
    per_treated_week: Mapping[str, Floats]
    per_appointment: Mapping[str, Floats]

    def spent(self, used: Usage, randomised: Ints, finished: Floats) -> Spent:
        """Add up what was used for the patients randomised by the week when each trial finished.

        Parameters
        ----------
        randomised, finished
            (size, replicate); weeks since the first site opened.
        """
        patients = self.per_patient + used.visits * self.per_visit + used.sessions * self.per_session
        patients += used.kits * self.per_kit
        for name, price in self.per_treated_week.items():
            patients += used.treated.get(name, 0.0) * price
        for name, price in self.per_appointment.items():
            patients += used.appointments.get(name, 0.0) * price
        last = rows_of_last(used.arm, randomised)
        by_arm = np.stack([_by_size(np.where(used.arm == k, patients, 0.0), last) for k in range(used.arms)])
        months = np.minimum(finished[:, None, :], used.closed) - used.opened
        sites = len(used.opened) * self.per_site
        sites = sites + np.maximum(months, 0.0).sum(axis=1) / WEEKS_A_MONTH * self.per_site_month
        screening = up_to(used.screened, last) * self.per_screened
        return Spent(self.fixed + sites + screening + by_arm.sum(axis=0), by_arm)


def rows_of_last(arm: Ints, randomised: Ints) -> Ints:
    """Row of the last patient randomised, (size, replicate); −1: nobody was.

    Who enters and is not randomised has a row too, and a negative arm.
    """
    number = np.cumsum(arm >= 0, axis=0)
    rows = np.stack([(number < many).sum(axis=0) for many in randomised])
    return np.where(randomised > 0, np.minimum(rows, len(arm) - 1), -1)


def up_to(so_far: Floats, last: Ints) -> Floats:
    """What had come together at these rows, (size, replicate), of a running count, (patient, replicate)."""
    return np.where(last >= 0, np.take_along_axis(so_far, np.maximum(last, 0), axis=0), 0.0)


def _by_size(each: Floats, last: Ints) -> Floats:
    """Sum of what patients cost, (patient, replicate), over those up to these rows, (size, replicate)."""
    return up_to(np.cumsum(each, axis=0), last)
