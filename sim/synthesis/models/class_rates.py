"""Hierarchical model of counted events: who stops and why, who has an adverse event, who responds."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from sim.core.loading import digest as digest_of
from sim.core.parts import Part, wrong
from sim.evidence import Evidence, load_evidence
from sim.synthesis.base import Synthesis
from sim.synthesis.counts import CountChoices, Counted, count
from sim.synthesis.hazards import Shape
from sim.synthesis.priors import LogNormalPrior, NormalPrior, Positive, Reason
from sim.synthesis.question import Admission, EvidenceUse, Members, Omission, Sampling, one_class_each

MODEL_VERSION = 1
"""Part of the digest: raise it when the model, not the configuration, changes the numbers."""


class Early(Part):
    """How much higher a hazard is before the turn than after it; 0: nothing happens before."""

    ratio: Annotated[float, Field(ge=0)]
    because: Reason


class Pool(Part):
    """A study that pools several trials."""

    study: str
    trials: Annotated[int, Field(ge=2)]
    because: Reason


class Turn(Part):
    """The week at which early hazards give way to later ones."""

    week: Positive
    because: Reason


class Rate(Part):
    """One kind of event.

    ``outcome`` names it in the evidence; ``part_of`` the total in which it competes with other events; an
    event without an outcome is what remains of its total.
    """

    outcome: str | None = None
    part_of: str | None = None
    early: Early | None = None
    reference: NormalPrior

    @model_validator(mode="after")
    def _is_counted(self) -> "Rate":
        if self.outcome is None and self.part_of is None:
            raise wrong("a rate names an 'outcome', or the total that it is 'part_of'")
        return self


class Spreads(Part):
    """Priors of the effect of a class and of how far log hazards (or logits) spread."""

    class_effect: NormalPrior
    between_trials: LogNormalPrior
    tau: LogNormalPrior
    omega: LogNormalPrior


class ClassRates(Synthesis):
    """Network meta-analysis of counts, as weekly hazards that compete (formulas: docs/synthesis.md).

    Complementary log-log in the weeks of follow-up, so that trials of unlike length agree (Dias et al. 2013,
    doi:10.1177/0272989X12458724); baselines are exchangeable, since a trial to come needs one.
    """

    takes: ClassVar[str] = "compiling (about 10 s), then sampling"

    kind: Literal["class_rates"] = "class_rates"
    stage: Literal["acute", "subacute", "chronic"]
    reference: str = "placebo"
    provenance: tuple[Literal["checked", "derived", "unverified"], ...] = ("checked", "derived")
    evidence: EvidenceUse = EvidenceUse()
    include: tuple[Admission, ...] = ()
    indirect: tuple[Admission, ...] = ()
    exclude: tuple[Omission, ...] = ()
    pools: tuple[Pool, ...] = ()
    scale: Literal["weekly", "share"] = Field(
        "weekly", description="hazards a week, or shares of patients whatever the weeks (logit)"
    )
    rates: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Rate] = Field(min_length=1)
    turn: Turn | None = None
    classes: dict[str, Members]
    priors: Spreads
    weeks: Positive = Field(
        12.0, description="weeks for which the tables and figures give shares of patients"
    )
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _holds_together(self) -> "ClassRates":
        one_class_each(self.classes, self.reference)
        remainders = [r.part_of for r in self.rates.values() if r.outcome is None]
        if len(set(remainders)) < len(remainders):
            raise wrong("rates: only one of a total's parts can be what remains of it")
        if self.scale == "share" and any(r.part_of or r.early for r in self.rates.values()):
            raise wrong("rates: a share is neither 'part_of' a total nor 'early'")
        if self.turn is None and any(r.early for r in self.rates.values()):
            raise wrong("turn: required, because a rate is 'early'")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The rates in their order."""
        return tuple(self.rates)

    @property
    def class_of(self) -> dict[str, str]:
        """Class of each treatment."""
        return {t: name for name, c in self.classes.items() for t in c.treatments}

    @cached_property
    def tables(self) -> Evidence:
        """The evidence tables: shipped, and added ones."""
        return load_evidence(*([Path(self.evidence.add)] if self.evidence.add else []))

    @cached_property
    def counted(self) -> Counted:
        """The groups of patients that enter, and why other rows do not."""
        totals = {r.part_of for r in self.rates.values() if r.part_of}
        choices = CountChoices(
            stage=self.stage,
            provenance=self.provenance,
            parts={r.outcome: name for name, r in self.rates.items() if r.outcome},
            totals={t: tuple(n for n, r in self.rates.items() if r.part_of == t) for t in sorted(totals)},
            treatments=self.class_of,
            admitted=frozenset(a.study for a in (*self.include, *self.indirect)),
            omitted={(o.study, o.arm): o.because for o in self.exclude},
            reference=self.reference,
        )
        return count(self.tables, choices)

    @property
    def shape(self) -> Shape:
        """How the rates run through time and compete."""
        totals = [r.part_of or name for name, r in self.rates.items()]
        return Shape(
            turn=self.turn.week if self.turn else np.inf,
            early=np.array([r.early.ratio if r.early else 1.0 for r in self.rates.values()]),
            together=np.array([[float(a == b) for b in totals] for a in totals]),
            timeless=self.scale == "share",
        )

    @property
    def pooled(self) -> dict[str, int]:
        """Number of trials that a study pools."""
        return {pool.study: pool.trials for pool in self.pools}

    def digest(self) -> str:
        """Digest of the configuration, the rows used and the model's version."""
        return digest_of(self, self.counted.entries.astype(str).to_dict("records"), MODEL_VERSION)

    def write(self, folder: Path, progress: bool = False) -> None:
        """Fit and write the result (see ``sim.synthesis.rate_results``)."""
        from sim.synthesis.rate_results import write_rates  # PyMC is loaded only where it is used

        write_rates(self, folder, progress)
