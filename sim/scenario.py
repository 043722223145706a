"""A scenario: what nature is. Its claims, given values, are the truth of a block of trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
from pydantic import Field

from sim.claims import AboveZero, Claim, Draws, Floats, Posterior, PosteriorClaim, Read, Share, claims_in
from sim.core.parts import Family, Part, suggest, wrong
from sim.core.streams import BLOCK_SIZE
from sim.eligibility import EntryRule
from sim.population import Population
from sim.protocol import Protocol
from sim.screening import PainLevels
from sim.trajectories import MeanCourse
from sim.treatments import Treatment, TreatmentLevels


class Evaluation(Family):
    """How claims become numbers."""

    def reader(self, draws: Draws) -> Read:
        """Return what gives a claim its value in each replicate."""
        raise NotImplementedError

    @property
    def is_drawn(self) -> bool:
        """Whether replicates differ in their truth (assurance) or share it (power)."""
        return False

    def words(self) -> str:
        """Say it in words."""
        raise NotImplementedError


class Drawn(Evaluation):
    """Every replicate draws its own truth: success averaged over it is assurance.

    O'Hagan, Stevens & Campbell 2005, doi:10.1002/pst.175.
    """

    kind: Literal["drawn"] = "drawn"

    def reader(self, draws: Draws) -> Read:
        """Draw each claim."""
        return lambda name, claim: claim.draw(name, draws)

    @property
    def is_drawn(self) -> bool:
        """Yes."""
        return True

    def words(self) -> str:
        """Say it in words."""
        return "each simulated trial draws its own truth from the claims (assurance)"


class AtMean(Evaluation):
    """Every claim is at its mean: success is power."""

    kind: Literal["at_mean"] = "at_mean"

    def reader(self, draws: Draws) -> Read:
        """Take each claim's mean."""
        return lambda name, claim: np.full(BLOCK_SIZE, claim.mean(draws.posteriors))

    def words(self) -> str:
        """Say it in words."""
        return "every claim is at its mean (power)"


class Sceptical(Evaluation):
    """Claims at their means, every treatment's effect multiplied by ``factor``."""

    kind: Literal["sceptical"] = "sceptical"
    factor: Share

    def reader(self, draws: Draws) -> Read:
        """Take each claim's mean, effects shrunk towards placebo."""
        shrunk = self.factor.mean(draws.posteriors)

        def read(name: str, claim: Claim) -> Floats:
            factor = shrunk if name.endswith(".effect.plateau") else 1.0
            return np.full(BLOCK_SIZE, factor * claim.mean(draws.posteriors))

        return read

    def words(self) -> str:
        """Say it in words."""
        factor = f"{self.factor.words()}, because {self.factor.because}" if self.factor.because else ""
        return f"claims at their means, effects against placebo times {factor or self.factor.words()}"


class Course(Part):
    """Mean change of pain under placebo, as trials report it: from the baseline rating.

    ``reported_under`` is the entry rule of the trials that the response comes from. The regression
    to the mean that it causes in this population is taken out of the reported response, since the
    simulation produces its own from the protocol's rule.
    """

    response: Claim = Field(description="points at the plateau; positive is improvement")
    half_weeks: AboveZero
    reported_under: EntryRule = EntryRule()


class Missing(Part):
    """Visits that are missed by patients who stay in the study."""

    missed_visit: Share | None = None


class Scenario(Part):
    """Nature: patients, their course, what treatments do, and how claims are evaluated."""

    population: Population
    course: Course
    treatments: dict[str, Treatment] = Field(min_length=1)
    missing: Missing = Missing()
    recruitment: AboveZero = Field(description="patients randomised a week and site")
    claims: Evaluation = Drawn()
    null: bool = Field(False, description="every arm is the control treatment under another name")
    because: str | None = Field(None, description="why this scenario is looked at")

    def check(self, protocol: Protocol) -> None:
        """Refuse a protocol that names a treatment or a covariate unknown to this scenario."""
        self.population.check(protocol.eligibility)
        for place, arm in enumerate(protocol.arms):
            if arm.treatment not in self.treatments:
                hint = suggest(arm.treatment, self.treatments)
                raise wrong(f"arms[{place}].treatment: unknown treatment '{arm.treatment}':{hint}")

    @cached_property
    def every_claim(self) -> dict[str, Claim]:
        """Every claim by its path."""
        return dict(claims_in(self))

    def synthesis_names(self) -> set[str]:
        """Names of the syntheses that the claims rest on."""
        return set().union(*(claim.synthesis_names() for claim in self.every_claim.values()))

    def check_posteriors(self, posteriors: Mapping[str, Posterior]) -> None:
        """Look every posterior claim up once, so that a missing treatment fails before the run."""
        for claim in self.every_claim.values():
            if isinstance(claim, PosteriorClaim):
                claim.mean(posteriors)

    def words(self) -> str:
        """Say the scenario in words."""
        why = f"{self.because[:1].upper()}{self.because[1:]}: " if self.because else ""
        null = ", every arm is the control treatment under another name" if self.null else ""
        return f"{why}{self.population.words()}; {self.claims.words()}{null}."

    def only(self, protocol: Protocol) -> Self:
        """Return the scenario with just the treatments that the protocol uses."""
        used = {arm.treatment for arm in protocol.arms}
        return self.model_copy(update={"treatments": {k: v for k, v in self.treatments.items() if k in used}})

    def realise(self, protocol: Protocol, draws: Draws) -> "Truth":
        """Give every claim that the protocol meets its value in each replicate of the block."""
        read = self.claims.reader(draws)
        levels = self.population.pain.levels(protocol.pain.days, protocol.pain.scale.step, read)
        shown = read("course.response", self.course.response)
        artefact = self.population.regression_to_mean(self.course.reported_under, levels)
        half = read("course.half_weeks", self.course.half_weeks)
        missed = self.missing.missed_visit
        return Truth(
            pain=levels,
            course=MeanCourse(shown - artefact, half),
            covariance=self._departure(protocol, levels, read),
            arms=self._arms(protocol, read),
            site_rate=read("recruitment", self.recruitment),
            missed=read("missing.missed_visit", missed) if missed else np.zeros(BLOCK_SIZE),
        )

    def _arms(self, protocol: Protocol, read: Read) -> tuple[TreatmentLevels, ...]:
        names = [arm.treatment for arm in protocol.arms]
        if self.null:
            control = next(iter(protocol.estimands.values())).contrast.to
            names = [protocol.arms[protocol.position(control)].treatment] * len(names)
        until = protocol.primary_week
        return tuple(self.treatments[name].levels(f"treatments.{name}", read, until) for name in names)

    def _departure(self, protocol: Protocol, levels: PainLevels, read: Read) -> Floats:
        """Covariance of own departure and rating error, (1 or replicate, visit, visit), points²."""
        variation = self.population.variation
        fields = ("sd", "growth_weeks", "lasting_share", "fading_weeks")
        values = {name: read(f"population.variation.{name}", getattr(variation, name)) for name in fields}
        values["error"] = levels.error
        rows = np.unique(np.stack(list(values.values()), axis=1), axis=0)
        chosen = rows if len(rows) == 1 else np.stack(list(values.values()), axis=1)
        weeks = protocol.weeks
        return np.stack(
            [
                variation.covariance(weeks, dict(zip(values, row, strict=True)))
                + row[-1] ** 2 * np.eye(len(weeks))
                for row in chosen
            ]
        )


@dataclass(frozen=True)
class Truth:
    """The values of a scenario's claims in a block; arrays are (replicate,) unless said otherwise.

    Attributes
    ----------
    pain
        Levels of true pain and of its rating error, points.
    course
        Mean change under placebo.
    covariance
        Of own departures with rating error, (1 or replicate, visit, visit), points².
    arms
        Levels of each arm's treatment.
    site_rate
        Patients randomised a week and site.
    missed
        Probability that a visit is missed.
    """

    pain: PainLevels
    course: MeanCourse
    covariance: Floats
    arms: tuple[TreatmentLevels, ...]
    site_rate: Floats
    missed: Floats
