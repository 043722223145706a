"""Treatments as nature has them: effect, length, who takes it, and what makes patients stop."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.adherence import Adherence
from sim.claims import Assume, Claim, Positive, Read, Share, within
from sim.core.parts import Part
from sim.core.streams import BLOCK_SIZE, Streams
from sim.effects.base import Effect, Shape

Floats = NDArray[np.float64]
Correlation = Annotated[Claim, within(0, 0.99)]


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
    other: Positive | None = Field(None, description="weekly hazard of stopping for any other reason")
    leaves_study: Share | None = Field(None, description="probability of leaving the study on stopping")


class ReportedLoss(Part):
    """What a trial of the treatment reports of its losses, to be laid beside the simulated ones."""

    reason: Literal["any", "adverse_event", "inefficacy", "other"] = "any"
    share: Share
    weeks: float = Field(gt=0, description="since randomisation")


class Treatment(Part):
    """One treatment."""

    label: str
    effect: Effect
    weeks: Positive | None = Field(
        None, description="length; without it, treated until the latest visit that an estimand asks for"
    )
    sessions: int | None = Field(None, ge=0)
    waiting: Positive | None = Field(None, description="weeks from randomisation to the start of treatment")
    heterogeneity: Positive | None = Field(
        None, description="SD between patients of the effect at the end of a course, points of 0 to 10"
    )
    modification: dict[str, Claim] = Field(
        {},
        description="points of effect per SD of a baseline covariate above the mean of the patients of whom "
        "effects are reported (course.reported_under); negative is better",
    )
    adherence: Adherence | None = None
    therapist_icc: Correlation | None = Field(
        None, description="share of the outcome's variance between therapists, where the arm has therapists"
    )
    beyond_pain: dict[str, Claim] = Field(
        {}, description="effect on another outcome beyond what follows from pain, in its units"
    )
    adverse_events: dict[str, Share] = Field({}, description="share of patients who have the event")
    discontinuation: Discontinuation = Discontinuation()
    withdrawal: Positive | None = Field(
        None, description="weekly hazard of leaving the study for other reasons"
    )
    reported_losses: tuple[ReportedLoss, ...] = ()
    note: str | None = None

    def levels(self, name: str, read: Read, until: float) -> "TreatmentLevels":
        """Give every claim of the treatment its value in each replicate of the block.

        A treatment without a length of its own goes on until the week ``until``.
        """
        zero = np.zeros(BLOCK_SIZE)
        weeks = read(f"{name}.weeks", self.weeks) if self.weeks else zero + until
        return TreatmentLevels(
            size=self.effect.size(f"{name}.effect", read),
            shape=self.effect.shape(f"{name}.effect", read, weeks),
            weeks=weeks,
            waiting=read(f"{name}.waiting", self.waiting) if self.waiting else None,
            persons=self._persons(name, read),
            hazards=self._hazards(name, read),
            adverse_events=_each(f"{name}.adverse_events", self.adverse_events, read),
            beyond_pain=_each(f"{name}.beyond_pain", self.beyond_pain, read),
            sessions=self.sessions,
        )

    def _persons(self, name: str, read: Read) -> "Persons":
        spread, icc = self.heterogeneity, self.therapist_icc
        return Persons(
            heterogeneity=read(f"{name}.heterogeneity", spread) if spread else None,
            modification=_each(f"{name}.modification", self.modification, read),
            adherence=self.adherence,
            path=f"{name}.adherence",
            read=read,
            therapist_icc=read(f"{name}.therapist_icc", icc) if icc else None,
        )

    def _hazards(self, name: str, read: Read) -> "HazardLevels":
        zero, stop = np.zeros(BLOCK_SIZE), self.discontinuation
        event, pain = stop.adverse_event, stop.inefficacy
        path = f"{name}.discontinuation"
        return HazardLevels(
            event_early=read(f"{path}.adverse_event.early", event.early) if event else zero,
            early_weeks=read(f"{path}.adverse_event.early_weeks", event.early_weeks) if event else zero,
            event_later=read(f"{path}.adverse_event.later", event.later) if event else zero,
            pain_at_five=read(f"{path}.inefficacy.at_five", pain.at_five) if pain else zero,
            pain_ratio=read(f"{path}.inefficacy.ratio_per_point", pain.ratio_per_point) if pain else zero + 1,
            pain_from=read(f"{path}.inefficacy.from_week", pain.from_week) if pain else zero,
            other=read(f"{path}.other", stop.other) if stop.other else zero,
            leaves=read(f"{path}.leaves_study", stop.leaves_study) if stop.leaves_study else zero + 1,
            withdrawal=read(f"{name}.withdrawal", self.withdrawal) if self.withdrawal else zero,
        )


def _each(path: str, claims: Mapping[str, Claim], read: Read) -> dict[str, Floats]:
    return {name: read(f"{path}.{name}", claim) for name, claim in claims.items()}


@dataclass(frozen=True)
class HazardLevels:
    """Why patients stop and leave; every array is (replicate,).

    Hazards are per week, ``early_weeks`` and ``pain_from`` in weeks, ``leaves`` a probability.
    """

    event_early: Floats
    event_later: Floats
    early_weeks: Floats
    pain_at_five: Floats
    pain_ratio: Floats
    pain_from: Floats
    other: Floats
    leaves: Floats
    withdrawal: Floats


@dataclass(frozen=True)
class Persons:
    """How the size of an effect differs between patients; levels are (replicate,) or None for not at all."""

    heterogeneity: Floats | None
    modification: Mapping[str, Floats]
    adherence: Adherence | None
    path: str
    read: Read
    therapist_icc: Floats | None

    @property
    def differ(self) -> bool:
        """Whether patients of the arm differ in the size of their effect, therapists aside."""
        return bool(self.heterogeneity is not None or self.modification or self.adherence)

    def size(
        self, mean: Floats, scores: Mapping[str, Floats], shape: tuple[int, int], streams: Streams
    ) -> Floats:
        """Give each patient the size of the effect at the end of a completed course, (patient, replicate).

        Parameters
        ----------
        mean
            Of the arm, (replicate,), points.
        scores
            Standardised covariates by name, (patient, replicate).
        """
        size = np.broadcast_to(mean, shape).copy()
        if self.heterogeneity is not None:
            size += self.heterogeneity * streams("effect of a patient").standard_normal(shape)
        for name, slope in self.modification.items():
            size += slope * scores[name]
        if self.adherence is not None:
            size *= self.adherence.factor(self.path, self.read, shape, streams)[1]
        return size


@dataclass(frozen=True)
class TreatmentLevels:
    """A treatment's values in a block.

    Attributes
    ----------
    size
        Mean effect at the end of a completed course, (replicate,), points; negative is better.
    shape
        Share of it through time.
    weeks, waiting
        Length, and wait before the start, (replicate,), weeks; no wait is None.
    persons
        How patients differ.
    hazards
        Why they stop.
    adverse_events
        Share of patients with each, (replicate,).
    beyond_pain
        Effect on other outcomes beyond what follows from pain, (replicate,), in their units.
    sessions
        Of a whole course; None: none.
    """

    size: Floats
    shape: Shape
    weeks: Floats
    waiting: Floats | None
    persons: Persons
    hazards: HazardLevels
    adverse_events: Mapping[str, Floats]
    beyond_pain: Mapping[str, Floats]
    sessions: int | None = None

    def with_therapists(self, icc: Floats | None) -> "TreatmentLevels":
        """Return the levels with another share of variance between therapists, (replicate,)."""
        return replace(self, persons=replace(self.persons, therapist_icc=icc))

    def shortened(self, weeks: float | None) -> "TreatmentLevels":
        """Return the levels of a course that ends after ``weeks``; None: as it is."""
        return self if weeks is None else replace(self, weeks=np.minimum(self.weeks, weeks))

    def with_more(self, points: Floats) -> "TreatmentLevels":
        """Return the levels with more effect, (replicate,), points."""
        return replace(self, size=self.size + points)
