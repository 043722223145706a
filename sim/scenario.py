"""A scenario: what nature is. Its claims, given values, are the truth of a block of trials."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
from pydantic import Field

from sim.adverse_events import Unblinding
from sim.arms import Arm
from sim.claims import AboveZero, Claim, Draws, Floats, Posterior, PosteriorClaim, Read, Share, claims_in
from sim.core.parts import Part, suggest, wrong
from sim.core.same import Same
from sim.core.streams import BLOCK_SIZE, Streams
from sim.eligibility import EntryRule
from sim.endpoints import PAIN
from sim.evaluation import Drawn, Evaluation
from sim.missingness import Missing
from sim.operations.conditions import Conditions
from sim.operations.costs import Costs
from sim.other_outcomes import OtherOutcome
from sim.population import Population
from sim.protocol import Protocol
from sim.rescue import Rescue
from sim.screening import PainLevels
from sim.trajectories import MeanCourse
from sim.treatments import Treatment, TreatmentLevels
from sim.truth import Later, Standard, Truth


class Course(Part):
    """Mean change of pain under placebo, as trials report it: from the baseline rating.

    ``reported_under`` is the entry rule of the trials that the response comes from. The regression
    to the mean that it causes in this population is taken out of the reported response, since the
    simulation produces its own from the protocol's rule.
    """

    response: Claim = Field(description="points at the plateau; positive is improvement")
    half_weeks: AboveZero
    reported_under: EntryRule = EntryRule()


class Interaction(Part):
    """Points of effect that two treatments given together have beyond their sum; negative is better."""

    between: tuple[str, str]
    points: Claim


class Scenario(Part):
    """Nature: patients, their course, what treatments do, and how claims are evaluated."""

    population: Population
    course: Course
    treatments: dict[str, Treatment] = Field(min_length=1)
    other_outcomes: dict[str, OtherOutcome] = Field({}, description="by measure of measures.csv")
    rescue: Rescue | None = None
    unblinding: Unblinding | None = None
    missing: Missing = Missing()
    recruitment: AboveZero = Field(description="patients randomised a week and site")
    conditions: Conditions = Conditions()
    costs: Costs | None = None
    claims: Evaluation = Drawn()
    null: bool = Field(False, description="every arm is the control treatment under another name")
    interactions: tuple[Interaction, ...] = ()
    cluster_icc: Share | None = Field(
        None, description="share of the outcome's variance between the clusters that a protocol randomises"
    )
    drift: Claim | None = Field(
        None, description="points a year by which later patients rate their pain after baseline differently"
    )
    because: str | None = Field(None, description="why this scenario is looked at")

    def check(self, protocol: Protocol) -> None:
        """Refuse a protocol that names a treatment or a covariate unknown to this scenario."""
        self.population.check(protocol.eligibility)
        for place, arm in enumerate(protocol.arms):
            for number, name in enumerate(arm.treatments):
                if name not in self.treatments:
                    where = f"then[{number - 1}].treatment" if number else "treatment"
                    hint = suggest(name, self.treatments)
                    raise wrong(f"arms[{place}].{where}: unknown treatment '{name}':{hint}")
            self._check_steps(f"arms[{place}]", arm)
        for name in protocol.instruments:
            if name not in self.other_outcomes:
                hint = suggest(name, self.other_outcomes)
                raise wrong(f"other_outcomes: the protocol measures '{name}', which is not described:{hint}")
        used = self.only(protocol)
        self._check_covariates(used, protocol)
        self._check_names(used)
        protocol.operations.check_conditions(self.conditions)
        self._check_courses(protocol)
        self._check_treatments()

    def _check_steps(self, where: str, arm: Arm) -> None:
        """Refuse what is known of an arm's first treatment alone."""
        if arm.then and self.costs:
            raise wrong(f"{where}.then: costs are counted for one treatment an arm; leave the costs out")
        if arm.then and self.unblinding:
            raise wrong(f"{where}.then: adverse events are those of the first treatment; no 'unblinding'")
        for name in arm.treatments if arm.then else ():
            if self.treatments[name].beyond_pain:
                raise wrong(f"{where}.then: '{name}' has 'beyond_pain', which would not end with it")
        for name in arm.treatments[1:]:
            if self.treatments[name].waiting:
                raise wrong(f"{where}.then: '{name}' has 'waiting'; allowed: in a first treatment")
            if self.treatments[name].adverse_events:
                raise wrong(f"{where}.then: '{name}' has 'adverse_events'; allowed: in a first treatment")

    def _check_names(self, used: Self) -> None:
        """Refuse adverse events and outcomes that are named but nowhere described."""
        events = {name for treatment in self.treatments.values() for name in treatment.adverse_events}
        for name in self.unblinding.events if self.unblinding else ():
            if name not in events:
                raise wrong(f"unblinding.events: no treatment has the event '{name}':{suggest(name, events)}")
        for key, treatment in used.treatments.items():
            for name in treatment.beyond_pain:
                if name not in self.other_outcomes:
                    hint = suggest(name, self.other_outcomes)
                    raise wrong(f"treatments.{key}.beyond_pain: unknown outcome '{name}':{hint}")

    def _check_treatments(self) -> None:
        """Refuse treatments that are named by prices or dropout but nowhere described."""
        priced = self.costs.per_treated_week if self.costs else ()
        lost = self.missing.dropout.ratio_by_treatment if self.missing.dropout else ()
        named = [("costs.per_treated_week", name) for name in priced]
        named += [("missing.dropout.ratio_by_treatment", name) for name in lost]
        for where, name in named:
            if name not in self.treatments:
                raise wrong(f"{where}: unknown treatment '{name}':{suggest(name, self.treatments)}")

    def _check_courses(self, protocol: Protocol) -> None:
        """Let operations refuse courses that cannot be given; a length from a synthesis is not known yet."""
        courses: dict[str, tuple[int | None, float | None]] = {}
        for arm in protocol.arms:
            treatment = self.treatments[arm.treatment]
            weeks = treatment.weeks
            known = weeks is None or not weeks.synthesis_names()
            length = weeks.mean({}) if weeks and known else protocol.primary_week if known else None
            courses[arm.name] = (treatment.sessions, length)
        protocol.operations.check_courses(courses)

    def _check_covariates(self, used: Self, protocol: Protocol) -> None:
        known = self.population.covariates
        wanted = [
            (f"estimands.{key}.population.measure", estimand.population.measure)
            for key, estimand in protocol.estimands.items()
            if estimand.population and estimand.population.measure != PAIN
        ]
        for name in protocol.instruments:
            wanted.append((f"other_outcomes.{name}.covariate", self.other_outcomes[name].covariate or ""))
        for key, treatment in used.treatments.items():
            wanted += [(f"treatments.{key}.modification", name) for name in treatment.modification]
        for where, covariate in wanted:
            if covariate and covariate not in known:
                hint = suggest(covariate, known)
                raise wrong(f"{where}: the population has no covariate '{covariate}':{hint}")

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
        run = f" {said}." if (said := self.conditions.words()) else ""
        return f"{why}{self.population.words()}; {self.claims.words()}{null}.{run}"

    def only(self, protocol: Protocol) -> Self:
        """Return the scenario with just the treatments that the protocol uses."""
        used = {name for arm in protocol.arms for name in arm.treatments}
        return self.model_copy(update={"treatments": {k: v for k, v in self.treatments.items() if k in used}})

    def realise(self, protocol: Protocol, draws: Draws) -> "Truth":
        """Give every claim that the protocol meets its value in each replicate of the block.

        Where claims are not drawn, blocks have one truth, which is kept for the next block.
        """
        if self.claims.is_drawn:
            return self._evaluate(protocol, draws)
        posteriors = tuple((name, Same(posterior)) for name, posterior in draws.posteriors.items())
        return _evaluated(Same(self), Same(protocol), posteriors)

    def _evaluate(self, protocol: Protocol, draws: Draws) -> "Truth":
        read = self.claims.reader(draws)
        levels = self.population.pain.levels(protocol.pain.days, protocol.pain.scale.step, read)
        shown = read("course.response", self.course.response)
        artefact = self.population.regression_to_mean(self.course.reported_under, levels)
        half = read("course.half_weeks", self.course.half_weeks)
        arms, covariance = self._arms(protocol, read), self._departure(protocol, levels, read)
        later = self._later(protocol, read)
        every = (*arms, *(one.levels for one in later))
        modifiers = {name for treatment in every for name in treatment.persons.modification}
        believed = self.unblinding if protocol.blinding == "double_blind" else None
        return Truth(
            pain=levels,
            course=MeanCourse(shown - artefact, half),
            covariance=covariance,
            arms=arms,
            later=later,
            cluster_icc=read("cluster_icc", self.cluster_icc) if self.cluster_icc else None,
            drift=read("drift", self.drift) if self.drift else None,
            site_rate=read("recruitment", self.recruitment),
            conditions=self.conditions.levels(read),
            costs=self.costs.levels(read) if self.costs else None,
            missing=self.missing.levels(read, [arm.treatment for arm in self._given(protocol)]),
            rescue=self.rescue.levels(read) if self.rescue and protocol.rescue_allowed else None,
            unblinding=believed,
            belief=read("unblinding.shift", believed.shift) if believed else np.zeros(BLOCK_SIZE),
            outcomes={
                name: self.other_outcomes[name].levels(f"other_outcomes.{name}", read)
                for name in protocol.instruments
            },
            standards={
                name: Standard(*self.population.standard(name, self.course.reported_under, levels))
                for name in modifiers
            },
            outcome_variance=self.population.true_variance(protocol.eligibility.pain, levels)
            + covariance[:, protocol.primary_visit, protocol.primary_visit],
        )

    def _arms(self, protocol: Protocol, read: Read) -> tuple[TreatmentLevels, ...]:
        until = max(estimand.visit for estimand in protocol.estimands.values())
        levels = [
            self.treatments[arm.treatment]
            .levels(f"treatments.{arm.treatment}", read, until)
            .shortened(arm.weeks)
            for arm in self._given(protocol)
        ]
        if not self.null:
            return tuple(levels)
        # who treats is no effect: therapists of an arm differ as they do without the null hypothesis
        own = [self.treatments[arm.treatment].therapist_icc for arm in protocol.arms]
        icc = [
            read(f"treatments.{arm.treatment}.therapist_icc", claim) if claim else None
            for arm, claim in zip(protocol.arms, own, strict=True)
        ]
        return tuple(level.with_therapists(each) for level, each in zip(levels, icc, strict=True))

    def _given(self, protocol: Protocol) -> list[Arm]:
        """What each arm really gets: under the null hypothesis what the control gets."""
        if not self.null:
            return list(protocol.arms)
        control = protocol.members(next(iter(protocol.estimands.values())).contrast.to)[0]
        return [protocol.arms[control]] * len(protocol.arms)

    def _later(self, protocol: Protocol, read: Read) -> tuple[Later, ...]:
        """Levels of every later step of the arms, in the order of their weeks."""
        found = []
        for place, arm in enumerate(self._given(protocol)):
            for number, step in enumerate(arm.then):
                until = step.weeks or protocol.visits[-1] - step.at
                name = step.treatment
                levels = self.treatments[name].levels(f"treatments.{name}", read, until).shortened(step.weeks)
                if step.beside:
                    levels = levels.with_more(self._interaction(arm.treatments[: number + 1], name, read))
                found.append(Later(place, step, levels))
        return tuple(sorted(found, key=lambda later: later.step.at))

    def _interaction(self, given: tuple[str, ...], name: str, read: Read) -> Floats:
        """Points that a treatment has beside the ``given`` ones, (replicate,)."""
        points = np.zeros(BLOCK_SIZE)
        for number, one in enumerate(self.interactions):
            if any({name, other} == set(one.between) for other in given):
                points = points + read(f"interactions.{number}.points", one.points)
        return points

    def _departure(self, protocol: Protocol, levels: PainLevels, read: Read) -> Floats:
        """Covariance of own departure and rating error, (1 or replicate, visit, visit), points²."""
        variation = self.population.variation
        fields = ("sd", "growth_weeks", "lasting_share", "fading_weeks")
        values = {name: read(f"population.variation.{name}", getattr(variation, name)) for name in fields}
        values["error"] = levels.error
        rows = np.stack(list(values.values()), axis=1)
        chosen = rows[:1] if (rows == rows[0]).all() else rows
        weeks = protocol.weeks
        return np.stack(
            [
                variation.covariance(weeks, dict(zip(values, row, strict=True)))
                + row[-1] ** 2 * np.eye(len(weeks))
                for row in chosen
            ]
        )


@lru_cache(maxsize=32)
def _evaluated(
    scenario: Same[Scenario], protocol: Same[Protocol], posteriors: tuple[tuple[str, Same[Posterior]], ...]
) -> Truth:
    """Evaluate claims that are not drawn, for which any streams will do."""
    draws = Draws(Streams(0, 0), {name: posterior.value for name, posterior in posteriors})
    return scenario.value._evaluate(protocol.value, draws)
