"""What we do not control about a trial's operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.claims import AboveZero, Claim, Positive, Read, Share
from sim.core.parts import Part
from sim.operations.holidays import Holiday, HolidayLevels, refuse_overlap
from sim.operations.rates import Competitor, CompetitorLevels, Growth, GrowthLevels

Floats = NDArray[np.float64]


class Conditions(Part):
    """Sites, those who present and those who wait, as ``operations: {kind: sites}`` meets them.

    Rates differ between sites by a gamma distribution of mean 1 (Anisimov & Fedorov 2007,
    doi:10.1002/sim.2956).
    """

    between_sites: AboveZero | None = Field(None, description="gamma shape of the sites' rates; none: alike")
    never_recruits: Share | None = Field(
        None, description="share of sites without a patient; the others' rates rise to keep the mean"
    )
    activation: Positive | None = Field(
        None, description="mean weeks from a site's planned opening to its opening, exponential"
    )
    presenting: AboveZero | None = Field(
        None, description="people who present a week and site: who of them is randomised replaces recruitment"
    )
    consent: Share | None = Field(None, description="share of the eligible who consent; none: all")
    screening: Positive | None = Field(None, description="weeks from presenting to randomisation; none: 0")
    patience: AboveZero | None = Field(
        None, description="mean weeks, exponential, that a patient waits for treatment; none: for ever"
    )

    delivery: Positive | None = Field(None, description="weeks from an order of kits to its arrival; none: 0")
    shelf_life: AboveZero | None = Field(
        None, description="weeks from a kit's arrival until it expires; none: never"
    )

    visit_days: Positive | None = Field(
        None,
        description="SD of the days from a visit's planned day to its own, normal, cut off half-way to the "
        "nearest other visit; none: 0",
    )
    growth: Growth | None = Field(None, description="of a site's rate after its opening; none: full at once")
    holidays: tuple[Holiday, ...] = Field((), description="weeks in which less goes on")
    competing: tuple[Competitor, ...] = Field((), description="other trials that take patients")

    @model_validator(mode="after")
    def _holidays_apart(self) -> Self:
        refuse_overlap(self.holidays)
        return self

    def words(self) -> str:
        """Say what is not as planned or changes through time; nothing where nothing is."""
        days = (
            f"visits lie SD {self.visit_days.words()} days from their day, cut off half-way to the nearest "
            "other visit"
            if self.visit_days
            else ""
        )
        parts: Sequence[Growth | Holiday | Competitor | None] = (self.growth, *self.holidays, *self.competing)
        said = "; ".join([*(part.words() for part in parts if part), *([days] if days else [])])
        return said[:1].upper() + said[1:]

    def levels(self, read: Read) -> "ConditionLevels":
        """Give every claim its value in each replicate."""
        growth = None if self.growth is None else self.growth.levels("conditions.growth", read)
        holidays, competing = (
            tuple(part.levels(f"conditions.{name}[{k}]", read) for k, part in enumerate(getattr(self, name)))
            for name in ("holidays", "competing")
        )
        values = {
            name: read(f"conditions.{name}", claim)
            for name in type(self).model_fields
            if isinstance(claim := getattr(self, name), Claim)
        }
        return ConditionLevels(**values, growth=growth, holidays=holidays, competing=competing)


@dataclass(frozen=True)
class ConditionLevels:
    """The conditions' values in a block, claims (replicate,) or None, in the same units."""

    between_sites: Floats | None = None
    never_recruits: Floats | None = None
    activation: Floats | None = None
    presenting: Floats | None = None
    consent: Floats | None = None
    screening: Floats | None = None
    patience: Floats | None = None
    delivery: Floats | None = None
    shelf_life: Floats | None = None
    visit_days: Floats | None = None
    growth: GrowthLevels | None = None
    holidays: tuple[HolidayLevels, ...] = ()
    competing: tuple[CompetitorLevels, ...] = ()
