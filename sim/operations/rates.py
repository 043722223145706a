"""Why a site's rate changes through time: it grows after its opening, and other trials take patients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.claims import AboveZero, Positive, Read, Share
from sim.core.parts import Part

Floats = NDArray[np.float64]


class Growth(Part):
    """A site opens at a share of its rate and comes to the whole on a straight line."""

    at_opening: Share = Field(description="share of the site's full rate in its first week")
    weeks: AboveZero = Field(description="from opening to the full rate, without the weeks of pauses")

    def words(self) -> str:
        """Say how."""
        begins = f"begin at {self.at_opening.words()} of their rate"
        return f"sites {begins} and reach it in {self.weeks.words()} weeks"

    def levels(self, where: str, read: Read) -> "GrowthLevels":
        """Give both their values in each replicate."""
        return GrowthLevels(read(f"{where}.at_opening", self.at_opening), read(f"{where}.weeks", self.weeks))


class Competitor(Part):
    """Another trial that takes a share of those who would present; they never come to be screened here.

    It takes them whether or not they are eligible here, so screen failures become fewer in proportion.
    """

    opens: Positive = Field(description="week since our first site opened")
    weeks: AboveZero | None = Field(None, description="that it recruits; none: to the end of ours")
    takes: Share = Field(description="share of those who would present at a site where it recruits")
    sites: Share | None = Field(None, description="share of our sites where it recruits; none: all")

    def words(self) -> str:
        """Say when and where."""
        length = f" for {self.weeks.words()} weeks" if self.weeks else ""
        where = f" at {self.sites.words()} of the sites" if self.sites else ""
        when = f"from week {self.opens.words()}{length}{where}"
        return f"another trial takes {self.takes.words()} of the patients {when}"

    def levels(self, where: str, read: Read) -> "CompetitorLevels":
        """Give every claim its value in each replicate."""
        weeks, sites = (
            None if claim is None else read(f"{where}.{name}", claim)
            for name, claim in (("weeks", self.weeks), ("sites", self.sites))
        )
        opens, takes = read(f"{where}.opens", self.opens), read(f"{where}.takes", self.takes)
        return CompetitorLevels(opens, weeks, takes, sites)


@dataclass(frozen=True)
class GrowthLevels:
    """Share of its rate at which a site opens, and weeks to the whole, (replicate,)."""

    at_opening: Floats
    weeks: Floats

    def share(self, since: Floats) -> Floats:
        """Share of the rate so many weeks after the opening."""
        grown = self.at_opening + self.slope * since
        return np.clip(grown, self.at_opening, 1.0)

    @property
    def slope(self) -> Floats:
        """Growth of the share, a week."""
        return np.asarray((1 - self.at_opening) / self.weeks)


@dataclass(frozen=True)
class CompetitorLevels:
    """The values of the claims about another trial, (replicate,)."""

    opens: Floats
    weeks: Floats | None
    takes: Floats
    sites: Floats | None


@dataclass(frozen=True)
class Rival:
    """Another trial at our sites: from when to when, and what share of patients it leaves us there.

    ``begins`` and ``ends`` are (replicate,), ``leaves`` is (site, replicate), or of one site.
    """

    begins: Floats
    ends: Floats
    leaves: Floats

    def left(self, week: Floats) -> Floats:
        """Share of its patients that each site keeps in these weeks."""
        return np.where((self.begins <= week) & (week < self.ends), self.leaves, 1.0)
