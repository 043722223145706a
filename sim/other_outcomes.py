"""Outcomes beside pain: disability, interference, mood, sleep. They follow pain in part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.claims import Claim, Positive, Read, within
from sim.core.parts import Part, wrong
from sim.core.streams import Streams
from sim.endpoints import Scale
from sim.trajectories import visit_by_visit

Floats = NDArray[np.float64]

Correlation = Annotated[Claim, within(-1, 1)]

LASTING = 0.5
"""Share of an outcome's own variance of change that is the same at every visit; the rest is the visit's."""


class OtherOutcome(Part):
    """How one instrument's score moves with pain, and how far it goes its own way.

    A patient's score is baseline + ``per_point`` × (change of pain by course and treatment) + own change,
    where own change has SD ``change_sd`` and correlates ``correlation`` with the patient's own change of
    pain; it is then rounded and clipped to the instrument.
    """

    covariate: str | None = Field(None, description="baseline covariate of the population that is this score")
    baseline: Claim | None = Field(None, description="mean score at baseline, where no covariate is")
    baseline_sd: Positive | None = Field(None, description="SD at baseline, where no covariate is")
    per_point: Claim = Field(description="points of the instrument for a point of pain, on average")
    change_sd: Positive = Field(description="SD between patients of the change, points of the instrument")
    correlation: Correlation = Field(description="of a patient's change with the change of pain")

    @model_validator(mode="after")
    def _begins_somewhere(self) -> "OtherOutcome":
        if (self.covariate is None) == (self.baseline is None) or bool(self.baseline) != bool(
            self.baseline_sd
        ):
            raise wrong("the score at baseline is either a 'covariate' or has 'baseline' and 'baseline_sd'")
        return self

    def levels(self, name: str, read: Read) -> "OutcomeLevels":
        """Give the claims their values in each replicate of the block."""
        return OutcomeLevels(
            covariate=self.covariate,
            baseline=read(f"{name}.baseline", self.baseline) if self.baseline else None,
            baseline_sd=read(f"{name}.baseline_sd", self.baseline_sd) if self.baseline_sd else None,
            per_point=read(f"{name}.per_point", self.per_point),
            change_sd=read(f"{name}.change_sd", self.change_sd),
            correlation=read(f"{name}.correlation", self.correlation),
        )


@dataclass(frozen=True)
class PainChange:
    """What an outcome follows: arrays are (patient, replicate, visit), points of pain.

    Attributes
    ----------
    mean
        Change by the course and the treatment.
    own
        A patient's own departure in units of its SD.
    """

    mean: Floats
    own: Floats


@dataclass(frozen=True)
class OutcomeLevels:
    """An outcome's values in a block; arrays are (replicate,), in points of its instrument."""

    covariate: str | None
    baseline: Floats | None
    baseline_sd: Floats | None
    per_point: Floats
    change_sd: Floats
    correlation: Floats

    def start(self, covariates: Mapping[str, Floats], shape: tuple[int, int], draw: "OwnWay") -> Floats:
        """Latent score at baseline, (patient, replicate)."""
        if self.covariate is not None or self.baseline is None or self.baseline_sd is None:
            return covariates[str(self.covariate)]
        return np.asarray(self.baseline + self.baseline_sd * draw.at(0.0, shape))

    def follow(self, start: Floats, pain: PainChange, weeks: Floats, draw: "OwnWay") -> Floats:
        """Latent scores at the visits, (patient, replicate, visit)."""
        latent = visit_by_visit(*pain.mean.shape)
        apart = np.sqrt(1 - self.correlation**2)
        lasting = draw.lasting(start.shape)
        for visit, week in enumerate(weeks):
            own = np.sqrt(LASTING) * lasting + np.sqrt(1 - LASTING) * draw.at(week, start.shape)
            change = self.correlation * pain.own[:, :, visit] + apart * own
            latent[:, :, visit] = start + self.per_point * pain.mean[:, :, visit] + self.change_sd * change
        return latent


@dataclass(frozen=True)
class OwnWay:
    """The random part of one outcome that pain does not explain: a stream for the patient, one a visit."""

    name: str
    streams: Streams

    def lasting(self, shape: tuple[int, ...]) -> Floats:
        """Standard normal of each patient."""
        return self.streams(f"outcome {self.name}").standard_normal(shape)

    def at(self, week: float, shape: tuple[int, ...]) -> Floats:
        """Standard normal of each patient at one visit."""
        return self.streams(f"outcome {self.name} week {week:g}").standard_normal(shape)


def rate(latent: Floats, scale: Scale) -> Floats:
    """Round and clip latent scores, any shape, to the instrument; a copy."""
    return scale.score(np.array(latent, dtype=np.float64))
