"""Treatments as nature has them: effect, length, and what makes patients stop."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.claims import Assume, Positive, Read, Share
from sim.core.parts import Part
from sim.core.streams import BLOCK_SIZE
from sim.effects.base import Course, Effect

Floats = NDArray[np.float64]


class WeeklyHazard(Part):
    """A hazard a week, with a level for the first weeks and one for later."""

    kind: Literal["weekly_hazard"] = "weekly_hazard"
    early: Positive
    later: Positive
    early_weeks: Positive = Assume(
        assume=4, because="patients who stop for an adverse event mostly do so in weeks 1 to 4"
    )


class PainHazard(Part):
    """A hazard a week that depends on the current pain rating and starts after ``from_week``.

    At a rating of r the hazard is ``at_five`` × ``ratio_per_point``^(r − 5).
    """

    kind: Literal["pain_hazard"] = "pain_hazard"
    at_five: Positive
    ratio_per_point: Positive
    from_week: Positive


class Discontinuation(Part):
    """Why patients stop the treatment, as competing hazards, and whether they then leave the study."""

    adverse_event: WeeklyHazard | None = None
    inefficacy: PainHazard | None = None
    leaves_study: Share | None = Field(None, description="probability of leaving the study on stopping")


class Treatment(Part):
    """One treatment."""

    label: str
    effect: Effect
    weeks: Positive | None = Field(None, description="length; without it, treated until the primary visit")
    sessions: int | None = Field(None, ge=0)
    discontinuation: Discontinuation = Discontinuation()
    withdrawal: Positive | None = Field(
        None, description="weekly hazard of leaving the study for other reasons"
    )
    note: str | None = None

    def levels(self, name: str, read: Read, until: float) -> "TreatmentLevels":
        """Give every claim of the treatment its value in each replicate of the block.

        A treatment without a length of its own goes on until the week ``until``.
        """
        zero = np.zeros(BLOCK_SIZE)
        weeks = read(f"{name}.weeks", self.weeks) if self.weeks else zero + until
        stop = self.discontinuation
        event, pain = stop.adverse_event, stop.inefficacy
        path = f"{name}.discontinuation"
        return TreatmentLevels(
            effect=self.effect.course(f"{name}.effect", read, weeks),
            weeks=weeks,
            event_early=read(f"{path}.adverse_event.early", event.early) if event else zero,
            early_weeks=read(f"{path}.adverse_event.early_weeks", event.early_weeks) if event else zero,
            event_later=read(f"{path}.adverse_event.later", event.later) if event else zero,
            pain_at_five=read(f"{path}.inefficacy.at_five", pain.at_five) if pain else zero,
            pain_ratio=read(f"{path}.inefficacy.ratio_per_point", pain.ratio_per_point) if pain else zero + 1,
            pain_from=read(f"{path}.inefficacy.from_week", pain.from_week) if pain else zero,
            leaves=read(f"{path}.leaves_study", stop.leaves_study) if stop.leaves_study else zero + 1,
            withdrawal=read(f"{name}.withdrawal", self.withdrawal) if self.withdrawal else zero,
        )


@dataclass(frozen=True)
class TreatmentLevels:
    """A treatment's values in a block; every array has shape (replicate,).

    Hazards are per week, ``weeks`` and ``pain_from`` in weeks, ``leaves`` a probability.
    """

    effect: Course
    weeks: Floats
    event_early: Floats
    event_later: Floats
    early_weeks: Floats
    pain_at_five: Floats
    pain_ratio: Floats
    pain_from: Floats
    leaves: Floats
    withdrawal: Floats
