"""What a network meta-analysis asks: stage, classes, priors, and which evidence answers."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.core.parts import Part, wrong
from sim.evidence import Evidence, load_evidence
from sim.evidence.vocabulary import TREATMENTS
from sim.synthesis.base import Synthesis
from sim.synthesis.covariates import Covariate
from sim.synthesis.discounting import discounted
from sim.synthesis.exchange import OtherStage
from sim.synthesis.harmonise import Harmonised, harmonise
from sim.synthesis.priors import LogNormalPrior, NormalPrior, Positive, Reason, SharePrior
from sim.synthesis.responders import Responders
from sim.synthesis.screening import Choices


class EvidenceUse(Part):
    """Which evidence is read beside the shipped tables."""

    add: str | None = None


class Omission(Part):
    """A study (or one arm of it) that stays out."""

    study: str
    arm: str | None = None
    because: Reason


class Admission(Part):
    """A study treated otherwise than its row says."""

    study: str
    because: Reason


class Discount(Part):
    """A study whose likelihood counts with a power: 1 is whole, 0.5 as if half its patients had been seen."""

    study: str
    factor: Annotated[float, Field(gt=0, le=1)]
    because: Reason


class ScaleRange(Part):
    """Which two values of a scale are the ends of 0 to 10; overrides the range that a row prints."""

    ends: tuple[float, float]
    because: Reason


class Week(Part):
    """A week that the tables do not give; ``note_has`` picks among several rows of one study."""

    study: str
    note_has: str = ""
    weeks: Annotated[float, Field(ge=0)]
    because: Reason


class Lump(Part):
    """Treatments that count as one: rows of ``treatments`` are read as rows of ``into``. Without it all are
    split."""

    treatments: Annotated[tuple[str, ...], Field(min_length=1)]
    into: str
    because: Reason


class Members(Part):
    """Treatments that borrow from each other."""

    treatments: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = [t for t in self.treatments if t not in TREATMENTS]
        if unknown:
            raise wrong(f"unknown treatment {', '.join(unknown)}; allowed: {', '.join(TREATMENTS)}")
        return self


class TreatmentClass(Members):
    """Treatments that borrow from each other, with the priors of their class."""

    effect: NormalPrior
    effect_half_weeks: LogNormalPrior
    persistence_half_weeks: LogNormalPrior


def one_class_each(classes: Mapping[str, Members], reference: str) -> list[str]:
    """Return every treatment of the classes, or refuse one that is in two, and a reference in none."""
    every = [t for c in classes.values() for t in c.treatments]
    twice = sorted({t for t in every if every.count(t) > 1})
    if twice:
        raise wrong(f"classes: in two classes: {', '.join(twice)}")
    if reference not in every:
        raise wrong(f"reference '{reference}' is in no class")
    return every


class Priors(Part):
    """Priors of everything that is not a class; points of 0 to 10, weeks."""

    baseline: NormalPrior
    response: NormalPrior
    tau_response: LogNormalPrior
    tau_effect: LogNormalPrior
    omega: LogNormalPrior
    response_half_weeks: LogNormalPrior


class Correlation(Part):
    """Correlation of one arm's mean at two weeks: ``floor + rise * 2 ** (-gap / half_weeks)``."""

    floor: Annotated[float, Field(ge=0, lt=1)]
    rise: Annotated[float, Field(ge=0, lt=1)]
    half_weeks: Positive
    because: Reason

    def at(self, gap: float) -> float:
        """Correlation over a gap of weeks; 1 for no gap."""
        return 1.0 if gap == 0 else self.floor + self.rise * float(2 ** (-abs(gap) / self.half_weeks))

    @model_validator(mode="after")
    def _below_one(self) -> "Correlation":
        if self.floor + self.rise >= 1:
            raise wrong("floor + rise must be below 1: two weeks are never the same measurement")
        return self


class SdSource(Part):
    """Stages whose reported SDs are pooled, where the stage's own are too few."""

    stages: Annotated[tuple[Literal["acute", "subacute", "chronic", "mixed"], ...], Field(min_length=1)]
    because: Reason


class Patients(Part):
    """How pain spreads between patients of one trial: estimated, and what it is estimated from.

    Where this is stated, reported SDs (and responder counts) enter beside means: one latent rating behind
    all. ``log sd = sd_level + sd_growth · log(1 + week) + deviation of the study``; ``reliability`` is the
    share of the variance at baseline that is true, so that baseline and week t correlate reliability · (1 +
    t)^−growth.
    """

    sd_level: NormalPrior
    sd_growth: LogNormalPrior
    tau_sd: LogNormalPrior
    reliability: SharePrior
    responders: Responders | None = None


class Sampling(Part):
    """How long the chains run."""

    chains: Annotated[int, Field(ge=2)] = 4
    tune: Annotated[int, Field(ge=100)] = 1000
    draws: Annotated[int, Field(ge=100)] = 1000
    target_accept: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class NetworkQuestion(Synthesis):
    """The question of a network meta-analysis of mean pain; its members say how it is answered."""

    stage: Literal["acute", "subacute", "chronic"]
    outcome: Literal["pain", "disability"] = "pain"
    scales: dict[str, ScaleRange] = {}
    reference: str = "placebo"
    provenance: tuple[Literal["checked", "derived", "unverified"], ...] = ("checked", "derived")
    evidence: EvidenceUse = EvidenceUse()
    include: tuple[Admission, ...] = ()
    indirect: tuple[Admission, ...] = ()
    exclude: tuple[Omission, ...] = ()
    discount: tuple[Discount, ...] = ()
    weeks: tuple[Week, ...] = ()
    treatment_ends: tuple[Week, ...] = ()
    lump: tuple[Lump, ...] = ()
    classes: dict[str, TreatmentClass]
    priors: Priors
    correlation: Correlation
    sd_from: SdSource | None = None
    patients: Patients | None = None
    regression: Annotated[tuple[Covariate, ...], Field(min_length=1)] | None = None
    exchange: Annotated[tuple[OtherStage, ...], Field(min_length=1)] | None = None
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _one_class_each(self) -> "NetworkQuestion":
        every = one_class_each(self.classes, self.reference)
        lumped = [t for lump in self.lump for t in lump.treatments]
        if both := sorted(set(lumped) & {*every, self.reference}):
            raise wrong(f"lump: also in a class, where only the node stays: {', '.join(both)}")
        if lost := sorted({lump.into for lump in self.lump} - set(every)):
            raise wrong(f"lump: into a treatment that is in no class: {', '.join(lost)}")
        if unknown := sorted(set(lumped) - set(TREATMENTS)):
            raise wrong(f"lump: unknown treatment {', '.join(unknown)}; allowed: {', '.join(TREATMENTS)}")
        return self

    @model_validator(mode="after")
    def _options_fit(self) -> "NetworkQuestion":
        inert = next(name for name, c in self.classes.items() if self.reference in c.treatments)
        for covariate in self.regression or ():
            if lost := sorted(set(covariate.classes) - set(self.classes)):
                raise wrong(
                    f"regression: unknown class {', '.join(lost)}; allowed: {', '.join(self.classes)}"
                )
            if inert in covariate.classes:
                raise wrong(f"regression: class '{inert}' holds the reference, whose effect is 0")
        names = [covariate.name for covariate in self.regression or ()]
        if len(set(names)) < len(names):
            raise wrong("regression: each covariate once")
        known = {t for c in self.classes.values() for t in c.treatments} - {self.reference}
        if lost := sorted({other.treatment for other in self.exchange or ()} - known):
            raise wrong(f"exchange: in no class, or the reference: {', '.join(lost)}")
        if any(other.stage == self.stage for other in self.exchange or ()):
            raise wrong(f"exchange: '{self.stage}' is this synthesis' own stage")
        return self

    @cached_property
    def tables(self) -> Evidence:
        """The evidence tables: shipped, and added ones."""
        return load_evidence(*([Path(self.evidence.add)] if self.evidence.add else []))

    @cached_property
    def harmonised(self) -> Harmonised:
        """The rows that enter, on one scale, and why the others do not."""
        found = harmonise(self.tables, self.choices())
        factors = {d.study: d.factor for d in self.discount}
        found = replace(found, entries=discounted(found.entries, factors))
        if self.patients is None or self.patients.responders is None:
            return found
        entries = found.entries
        by_contrast = frozenset(entries.loc[entries["form"] == "contrast", "study_id"])
        rows = self.patients.responders.screen(self.tables, self.choices(), by_contrast)
        return found.with_responders(rows)

    def choices(self) -> Choices:
        """What decides which rows enter."""
        return Choices(
            stage=self.stage,
            outcome=self.outcome,
            scales={name: scale.ends for name, scale in self.scales.items()},
            provenance=self.provenance,
            treatments={t: name for name, c in self.classes.items() for t in c.treatments},
            admitted=frozenset(a.study for a in self.include),
            omitted={(o.study, o.arm): o.because for o in self.exclude},
            weeks=tuple((w.study, w.note_has, w.weeks) for w in self.weeks),
            correlation=self.correlation.at,
            reference=self.reference,
            sd_stages=self.sd_from.stages if self.sd_from else (self.stage,),
            lumped={t: lump.into for lump in self.lump for t in lump.treatments},
        )
