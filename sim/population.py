"""Who comes to the clinic, who of them is enrolled, and how one patient's pain varies over time."""

from collections.abc import Callable, Collection, Mapping
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from sim.claims import AboveZero, Claim, Positive, Read, Share
from sim.copula import Copula
from sim.core.errors import InputError
from sim.core.parts import Part, suggest, wrong
from sim.core.streams import BLOCK_SIZE, Streams
from sim.eligibility import Eligibility, EntryRule
from sim.margins import Margin
from sim.screening import (
    PRESENTING,
    Cohort,
    FlareLevels,
    PainLevels,
    Presenting,
    admission,
    admitted_variance,
    by_inversion,
    one_after_another,
    present,
    regression_to_mean,
)

__all__ = ["Cohort", "Copula", "Eligibility", "EntryRule", "Margin", "Pain", "PainLevels", "Population"]

Floats = NDArray[np.float64]

WEEKS_OF_VARIATION = 12.0
"""Week at which ``Variation.sd`` is stated."""
COUNTED_WAVES = 4
"""Waves of presenting people among whom screen failures are counted."""
FIRST_COUNTED = 1_000_000
"""Number of the first of them: they are others than those who are enrolled."""


class Flare(Part):
    """A passing excess of pain with which people come to a clinic; half of it fades in ``half_weeks``.

    Those who seek treatment improve where those who do not stay as they are (Whitney & Von Korff 1992,
    doi:10.1016/0304-3959(92)90032-7).
    """

    size: Claim = Field(description="mean excess at baseline, points")
    sd: Positive = Field(description="SD of the excess between people, points")
    half_weeks: AboveZero

    def levels(self, read: Read) -> FlareLevels:
        """Read the claims' values in each replicate."""
        where = "population.pain.flare"
        return FlareLevels(
            size=read(f"{where}.size", self.size),
            sd=read(f"{where}.sd", self.sd),
            half_weeks=read(f"{where}.half_weeks", self.half_weeks),
        )


class Pain(Part):
    """True pain before screening and the error of its rating, in points on 0–10."""

    mean: Claim
    sd: Positive
    rating_error: Positive = Field(description="SD of a single rating about the true pain")
    diary_error: Positive = Field(description="SD of a seven-day mean about the true pain")
    flare: Flare | None = None

    def levels(self, days: int, step: float, read: Read) -> PainLevels:
        """Read the claims' values in each replicate, for a rating of ``days`` days on a scale of ``step``."""
        errors = {
            name: read(f"population.pain.{name}", getattr(self, name))
            for name in ("rating_error", "diary_error")
        }
        return PainLevels(
            mean=read("population.pain.mean", self.mean),
            sd=read("population.pain.sd", self.sd),
            error=errors["diary_error" if days == 7 else "rating_error"],
            step=step,
            single=errors["rating_error"],
            weekly=errors["diary_error"],
            flare=self.flare.levels(read) if self.flare else None,
        )


class Variation(Part):
    """How a patient's own true pain departs from the mean course.

    The variance of the departure grows as log(1 + t / growth_weeks) and is ``sd``² at week 12. A share
    of it is lasting (the same at every visit); the rest fades as exp(−lag / fading_weeks).
    """

    sd: Positive
    growth_weeks: AboveZero
    lasting_share: Share
    fading_weeks: AboveZero

    def covariance(self, weeks: Floats, at: Mapping[str, float]) -> Floats:
        """Covariance between visits, shape (visit, visit), points²; ``at`` holds the claims' values."""
        growth = np.log1p(weeks / at["growth_weeks"]) / np.log1p(WEEKS_OF_VARIATION / at["growth_weeks"])
        lag = np.abs(weeks[:, None] - weeks[None, :])
        shape = at["lasting_share"] + (1 - at["lasting_share"]) * np.exp(-lag / at["fading_weeks"])
        return np.asarray(
            at["sd"] ** 2 * np.sqrt(growth[:, None] * growth[None, :]) * shape, dtype=np.float64
        )


class Reported(Part):
    """What a trial of this setting reports of one baseline measure; of a binary one the mean is its share."""

    measure: str
    mean: Claim
    sd: Claim | None = None


class Population(Part):
    """Patients of one setting.

    ``described_at: clinic``: pain and covariates are those of all who present; the protocol's entry
    rules are applied to them, so that regression to the mean and screen failure emerge.
    ``described_at: enrolment``: they are those of the patients already admitted, as a trial reports its
    baseline; no rule is applied again, but a range of ages outside the copula.
    """

    setting: str
    described_at: Literal["clinic", "enrolment"] = "clinic"
    pain: Pain
    variation: Variation
    covariates: dict[str, Margin] = {}
    copula: Copula | None = None
    calibrate_to: str | None = Field(
        None, description="CSV beside the study with name, mean, sd or share of the enrolled, to be fitted"
    )
    reported: tuple[Reported, ...] = Field(
        (), description="reported baseline, to be laid beside the simulated one"
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = {"pain", *self.covariates}
        unknown = set(self.copula.names) - names if self.copula else set()
        if unknown:
            raise wrong(f"the copula names {sorted(unknown)}, which are not among the covariates")
        for row in self.reported:
            if row.measure not in names:
                raise wrong(f"reported: unknown measure '{row.measure}':{suggest(row.measure, names)}")
        if self.pain.flare and self.described_at == "enrolment":
            raise wrong("pain.flare: people present on a flare, so it needs described_at: clinic")
        return self

    def check(self, eligibility: Eligibility) -> None:
        """Refuse entry rules on covariates that this population does not have."""
        for name in eligibility.covariates:
            if name not in self.covariates:
                raise wrong(f"eligibility.covariates.{name}: unknown:{suggest(name, self.covariates)}")

    def words(self) -> str:
        """Say who the patients are, and whether entry rules still apply to them."""
        if self.described_at == "clinic":
            return f"{self.setting}, as they present; the entry rules choose among them"
        return (
            f"{self.setting}, as they were already admitted; the entry rules on pain and covariates are "
            "not applied again"
        )

    def applied(self, eligibility: Eligibility) -> Eligibility:
        """The rules that choose among these patients: a population without ages knows no rule on age."""
        age = eligibility.age if "age" in self.covariates else None
        if self.described_at == "clinic":
            known = age is eligibility.age
            return eligibility if known else eligibility.model_copy(update={"age": age})
        return Eligibility(age=None if self._hangs_on_pain("age") else age)

    def _hangs_on_pain(self, name: str) -> bool:
        return self.copula is not None and name in self.copula.names

    def enrol(self, n: int, eligibility: Eligibility, levels: PainLevels, streams: Streams) -> Cohort:
        """Enrol ``n`` eligible patients a replicate.

        Where the rules are on one rating of pain and on an independent age, by inversion; rules on two
        ratings or on covariates by screening people in the order in which they present.
        """
        if self.calibrate_to:
            raise InputError(f"population.calibrate_to: {self.calibrate_to} is fitted when a study is loaded")
        rules = self.applied(eligibility)
        if rules.pain.occasion != "both" and not self._screened_for(rules):
            return by_inversion(rules.pain, levels, n, streams)
        columns = one_after_another(n, lambda wave: self.wave(rules, levels, wave, streams))
        known = ("score", "true", "rating", "flare")
        return Cohort(
            columns["true"],
            columns["rating"],
            columns["score"],
            columns.get("flare"),
            levels.flare.half_weeks if levels.flare else None,
            {name: column for name, column in columns.items() if name not in known},
        )

    def _screened_for(self, rules: Eligibility) -> list[str]:
        """Covariates whose values must be known at screening: all with a rule, but an independent age."""
        age = ["age"] if rules.age and self._hangs_on_pain("age") else []
        return [*dict.fromkeys([*age, *rules.covariates])]

    def wave(self, rules: Eligibility, levels: PainLevels, wave: int, streams: Streams) -> Presenting:
        """Draw a wave of people with their ratings and the covariates that are looked at."""
        people = present(rules.pain, levels, wave, streams)
        needed = self._screened_for(rules)

        def normal(name: str) -> Floats:
            shape = (PRESENTING, BLOCK_SIZE)
            return streams(f"presenting {wave}: covariate:{name}").standard_normal(shape)

        known = {"pain": people.columns["score"]}
        scores = self._scores(needed, known, self._order(needed), normal, streams)
        passes = {name: rules.limits[name].admit(self._covariate(name, scores[name])) for name in needed}
        return Presenting({**people.columns, **scores}, {**people.passes, **passes})

    def _order(self, first: Collection[str]) -> list[str]:
        """Pain, then those in ``first``, then the other names of the copula."""
        return self.copula.ordered(first) if self.copula else ["pain"]

    def _scores(
        self,
        wanted: Collection[str],
        known: Mapping[str, Floats],
        order: list[str],
        normal: Callable[[str], Floats],
        streams: Streams,
    ) -> dict[str, Floats]:
        """Standard normal scores of the wanted covariates, given the known ones, which lead the order.

        Along the order, a row of the Cholesky factor gives each score from the independent parts of those
        before it and a part of its own.
        """
        scores, own = dict(known), {"pain": known["pain"]}
        last = max((order.index(name) for name in wanted if name in order), default=0)
        factors = self.copula.factors(order, streams) if self.copula and last else np.ones((1, 1, 1))
        for row, name in enumerate(order[1 : last + 1], start=1):
            before = sum(factors[:, row, i] * own[order[i]] for i in range(row))
            if name in known:
                own[name] = np.asarray((known[name] - before) / factors[:, row, row])
            else:
                own[name] = normal(name)
                scores[name] = np.asarray(before + factors[:, row, row] * own[name])
        return {name: scores[name] if name in scores else normal(name) for name in wanted}

    def scores(self, known: Mapping[str, Floats], streams: Streams) -> dict[str, Floats]:
        """Standard normal scores of every covariate, given those of ``pain`` and of others, any shape."""

        def normal(name: str) -> Floats:
            return streams(f"covariate:{name}").standard_normal(known["pain"].shape)

        return self._scores(self.covariates, known, self._order(known), normal, streams)

    def screened(self, eligibility: Eligibility, levels: PainLevels, streams: Streams) -> dict[str, Floats]:
        """Share of those who present whom each rule turns away, and whom any does (``any``), (replicate,).

        Counted among other people than those who are enrolled; empty where no rule is applied. A person
        may fail several rules.
        """
        rules = self.applied(eligibility)
        if self.described_at == "enrolment" or (rules.pain.is_open and not rules.limits):
            return {}
        explicit = rules.model_copy(update={"age": None, "covariates": rules.limits})
        shares: dict[str, list[Floats]] = {}
        for wave in range(COUNTED_WAVES):
            people = self.wave(explicit, levels, FIRST_COUNTED + wave, streams)
            for name, passes in {**people.passes, "any": people.admitted}.items():
                shares.setdefault(name, []).append(1 - passes.mean(axis=0))
        return {name: np.mean(share, axis=0) for name, share in shares.items()}

    def regression_to_mean(self, rule: EntryRule, levels: PainLevels) -> Floats:
        """Expected fall after the baseline rating while lasting pain stays, (replicate,), points."""
        if self.described_at == "enrolment":
            return np.zeros(BLOCK_SIZE)
        return regression_to_mean(rule, levels)

    def standard(self, name: str, rule: EntryRule, levels: PainLevels) -> tuple[Floats, Floats]:
        """Mean and SD of a covariate among those whom a rule on pain admits, each (replicate,), in its units.

        Correlations are those stated, whatever their uncertainty.
        """
        margin = self.covariates[name]
        correlation = self.copula.with_pain(name) if self.copula else 0.0
        if self.described_at == "enrolment" or rule.is_open or not correlation:
            mean, sd = margin.moments(*margin.values())
            return np.full(BLOCK_SIZE, mean), np.full(BLOCK_SIZE, sd)
        edges = np.linspace(-8.0, 8.0, 1601)
        middle = (edges[1:] + edges[:-1]) / 2
        weight = np.diff(ndtr(edges)) * admission(rule, levels, correlation, middle)
        weight /= weight.sum(axis=1, keepdims=True)
        value = margin.quantile(middle, *margin.values())
        first = weight @ value
        return first, np.sqrt((weight * (value - first[:, None]) ** 2).sum(axis=1))

    def true_variance(self, rule: EntryRule, levels: PainLevels) -> Floats:
        """Variance of true pain among the enrolled, (replicate,), points²."""
        return levels.sd**2 if self.described_at == "enrolment" else admitted_variance(rule, levels)

    def describe(
        self,
        cohort: Cohort,
        eligibility: Eligibility,
        streams: Streams,
        only: Collection[str] | None = None,
    ) -> dict[str, Floats]:
        """Give the enrolled patients their covariates, each (patient, replicate) in its units.

        Covariates follow the copula given true pain and what screening has looked at; those outside it
        are independent. An independent age lies in its range by inversion. ``only`` names those wanted;
        by default all.
        """
        wanted = [name for name in self.covariates if only is None or name in only]
        if not wanted:
            return {}
        rules = self.applied(eligibility)

        def normal(name: str) -> Floats:
            return streams(f"covariate:{name}").standard_normal(cohort.true.shape)

        low, high = self._age_limits(rules)
        free = [name for name in wanted if not (name == "age" and (low, high) != (0.0, 1.0))]
        known = {"pain": cohort.screening_score, **cohort.scores}
        scores = self._scores(free, known, self._order(cohort.scores), normal, streams)
        values = {name: self._covariate(name, scores[name]) for name in free}
        if len(free) < len(wanted):
            uniform = streams("covariate:age").random(cohort.true.shape)
            values["age"] = self._covariate("age", ndtri(low + uniform * (high - low)))
        return {name: values[name] for name in wanted}

    def _covariate(self, name: str, z: Floats) -> Floats:
        margin = self.covariates[name]
        return margin.quantile(z, *margin.values())

    def _age_limits(self, rules: Eligibility) -> tuple[float, float]:
        """Shares of an independent age below and up to the top of its range; 0 and 1 where it has none."""
        if rules.age is None or self._hangs_on_pain("age"):
            return 0.0, 1.0
        margin = self.covariates["age"]
        youngest, oldest = margin.bounds or (-np.inf, np.inf)
        low, high = rules.age.between
        below = 0.0 if low <= youngest else float(ndtr(margin.score(low)))
        return below, 1.0 if high >= oldest else float(ndtr(margin.score(high)))
