"""What we do not control about a trial's operations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.claims import AboveZero, Positive, Read, Share
from sim.core.parts import Part

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

    def levels(self, read: Read) -> "ConditionLevels":
        """Give every claim its value in each replicate."""
        values = {
            name: read(f"conditions.{name}", claim)
            for name in type(self).model_fields
            if (claim := getattr(self, name)) is not None
        }
        return ConditionLevels(**values)


@dataclass(frozen=True)
class ConditionLevels:
    """The conditions' values in a block, each (replicate,) or None, in the same units."""

    between_sites: Floats | None = None
    never_recruits: Floats | None = None
    activation: Floats | None = None
    presenting: Floats | None = None
    consent: Floats | None = None
    screening: Floats | None = None
    patience: Floats | None = None
    delivery: Floats | None = None
    shelf_life: Floats | None = None
