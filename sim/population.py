"""Who comes to the clinic, who is eligible, and how one patient's pain varies over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from sim.claims import AboveZero, Claim, Positive, Share
from sim.core.parts import Part, wrong
from sim.core.streams import BLOCK_SIZE, Streams

Floats = NDArray[np.float64]

WEEKS_OF_VARIATION = 12.0
"""Week at which ``Variation.sd`` is stated."""


class EntryRule(Part):
    """Pain ratings that a protocol admits, both ends included, in points of the scale."""

    at_least: float | None = Field(None, ge=0, le=10)
    at_most: float | None = Field(None, ge=0, le=10)
    occasion: Literal["baseline", "screening"] = Field(
        "baseline", description="whether the rating that admits is the baseline itself or an earlier one"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise wrong(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self

    def limits(self, step: float) -> tuple[float, float]:
        """Limits of the unrounded rating: a rating of 4 on a step of 1 is anything from 3.5."""
        low = -np.inf if not self.at_least else self.at_least - step / 2
        high = np.inf if self.at_most is None or self.at_most >= 10 else self.at_most + step / 2
        return float(low), float(high)


class Range(Part):
    """An age range, both ends included, in years."""

    between: tuple[float, float]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 <= self.between[0] < self.between[1] <= 120:
            raise wrong(f"between {list(self.between)}: expected two ages in order within 0 to 120 years")
        return self


class Eligibility(Part):
    """Who may enter the trial."""

    pain: EntryRule = EntryRule()
    age: Range | None = None


class Pain(Part):
    """True pain before screening and the error of its rating, in points on 0–10."""

    mean: Claim
    sd: Positive
    rating_error: Positive = Field(description="SD of a single rating about the true pain")
    diary_error: Positive = Field(description="SD of a seven-day mean about the true pain")


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


class Margin(Part):
    """Distribution of one baseline covariate in the clinic, and its units."""

    shape: Literal["normal", "lognormal", "binary"] = "normal"
    mean: Claim
    sd: Claim | None = None
    units: str
    bounds: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _has_a_spread(self) -> Self:
        if (self.sd is None) != (self.shape == "binary"):
            raise wrong("'sd' is needed for normal and lognormal, and only there")
        return self

    def quantile(self, z: Floats, mean: float, sd: float) -> Floats:
        """Turn standard normal scores into values of the covariate."""
        if self.shape == "binary":
            value = (ndtr(z) > 1 - mean).astype(np.float64)
        elif self.shape == "lognormal":
            log_sd = np.sqrt(np.log1p((sd / mean) ** 2))
            value = np.exp(np.log(mean) - log_sd**2 / 2 + log_sd * z)
        else:
            value = mean + sd * z
        return np.clip(value, *self.bounds) if self.bounds else np.asarray(value)


Correlation = Annotated[float, Field(ge=-1, le=1)]


class Copula(Part):
    """Gaussian copula between pain and the covariates in a clinic without entry rule."""

    names: tuple[str, ...]
    matrix: tuple[tuple[Correlation, ...], ...]
    source: str | None = None
    because: str | None = None

    @model_validator(mode="after")
    def _is_a_correlation_matrix(self) -> Self:
        values = np.array([list(row) for row in self.matrix]) if self._is_square() else None
        if values is None:
            raise wrong(f"the matrix must be {len(self.names)} × {len(self.names)}, a row for each of names")
        if not np.allclose(values, values.T) or not np.allclose(np.diag(values), 1):
            raise wrong("the matrix must be symmetric with ones on its diagonal")
        if np.linalg.eigvalsh(values).min() <= 0:
            raise wrong("the matrix is not positive definite: no set of variables has these correlations")
        if "pain" not in self.names:
            raise wrong("'pain' must be among the names")
        if not (self.source or self.because):
            raise wrong("a matrix needs 'source' or 'because'")
        return self

    def _is_square(self) -> bool:
        return len(self.matrix) == len(self.names) and all(len(row) == len(self.names) for row in self.matrix)

    @cached_property
    def pain_first(self) -> tuple[list[str], Floats]:
        """The names with pain first, and the Cholesky factor in that order."""
        order = sorted(range(len(self.names)), key=lambda i: self.names[i] != "pain")
        values = np.array(self.matrix)[np.ix_(order, order)]
        return [self.names[i] for i in order], np.linalg.cholesky(values)


@dataclass(frozen=True)
class PainLevels:
    """Values of the pain claims for each replicate, shape (replicate,), points on 0–10.

    ``step`` is that of the scale on which the rating is given.
    """

    mean: Floats
    sd: Floats
    error: Floats
    step: float = 1.0

    @property
    def reliability(self) -> Floats:
        """Share of the rating's variance that is true, shape (replicate,)."""
        return self.sd**2 / (self.sd**2 + self.error**2)


@dataclass(frozen=True)
class Cohort:
    """Enrolled patients, in the order of their enrolment.

    Attributes
    ----------
    true
        True pain at baseline, (patient, replicate), points on 0–10, unbounded.
    rating
        Unrounded baseline rating, same shape and units.
    screening_score
        Standard normal score of the true pain in the clinic, for the copula.
    """

    true: Floats
    rating: Floats
    screening_score: Floats


class Population(Part):
    """Patients of one setting.

    ``described_at: clinic``: pain is that of all who present; the protocol's entry rule is applied to
    the rating, so that regression to the mean emerges. ``described_at: enrolment``: pain is that of
    the patients already admitted, as a trial reports its baseline; no rule is applied again.
    """

    setting: str
    described_at: Literal["clinic", "enrolment"] = "clinic"
    pain: Pain
    variation: Variation
    covariates: dict[str, Margin] = {}
    copula: Copula | None = None

    @model_validator(mode="after")
    def _copula_knows_its_names(self) -> Self:
        if self.copula:
            unknown = set(self.copula.names) - {"pain"} - set(self.covariates)
            if unknown:
                raise wrong(f"the copula names {sorted(unknown)}, which are not among the covariates")
        return self

    def enrol(self, n: int, eligibility: Eligibility, levels: PainLevels, streams: Streams) -> Cohort:
        """Enrol ``n`` eligible patients a replicate.

        The rating of an eligible patient is drawn from its distribution given the rule (by inversion),
        and the true pain from its distribution given the rating: the same law as screening one patient
        after another, without the patients who fail.
        """
        spread = np.hypot(levels.sd, levels.error)
        below, above = self._pass_limits(eligibility.pain, levels)
        uniform = streams("screening").random((n, BLOCK_SIZE))
        rating_z = ndtri(below + uniform * (above - below))
        own = streams("true pain").standard_normal((n, BLOCK_SIZE))
        true_z = np.sqrt(levels.reliability) * rating_z + np.sqrt(1 - levels.reliability) * own
        true = levels.mean + levels.sd * true_z
        rating = levels.mean + spread * rating_z
        if eligibility.pain.occasion == "screening" and self.described_at == "clinic":
            rating = true + levels.error * streams("baseline rating").standard_normal((n, BLOCK_SIZE))
        return Cohort(true, rating, true_z)

    def _pass_limits(self, rule: EntryRule, levels: PainLevels) -> tuple[Floats, Floats]:
        """Probabilities below and up to the admitted range, shape (replicate,)."""
        if self.described_at == "enrolment":
            return np.zeros(BLOCK_SIZE), np.ones(BLOCK_SIZE)
        low, high = rule.limits(levels.step)
        spread = np.hypot(levels.sd, levels.error)
        return ndtr((low - levels.mean) / spread), ndtr((high - levels.mean) / spread)

    def screen_failure(self, eligibility: Eligibility, levels: PainLevels) -> Floats:
        """Probability that a patient who presents is not admitted by the pain rule, shape (replicate,)."""
        below, above = self._pass_limits(eligibility.pain, levels)
        return 1 - (above - below)

    def regression_to_mean(self, rule: EntryRule, levels: PainLevels) -> Floats:
        """Expected fall from the baseline rating to the next one without any change in true pain.

        Shape (replicate,), points. (1 − reliability) × (mean of the admitted ratings − clinic mean);
        the mean of a truncated normal is in Johnson, Kotz & Balakrishnan (1994), section 13.10.1.
        """
        if rule.occasion == "screening" or self.described_at == "enrolment":
            return np.zeros(BLOCK_SIZE)
        below, above = self._pass_limits(rule, levels)
        spread = np.hypot(levels.sd, levels.error)
        density = np.exp(-0.5 * ndtri(np.stack([below, above])) ** 2) / np.sqrt(2 * np.pi)
        return np.asarray((1 - levels.reliability) * spread * (density[0] - density[1]) / (above - below))

    def describe(self, cohort: Cohort, eligibility: Eligibility, streams: Streams) -> dict[str, Floats]:
        """Give the enrolled patients their covariates, each (patient, replicate) in its units.

        Covariates follow the copula given true pain; those outside it are independent. An age range
        is met by inversion within the range.
        """
        names, factor = self.copula.pain_first if self.copula else (["pain"], np.eye(1))
        scores = [cohort.screening_score]
        values: dict[str, Floats] = {}
        for row, name in enumerate(names[1:], start=1):
            scores.append(streams(f"covariate:{name}").standard_normal(cohort.true.shape))
            z = sum(factor[row, i] * scores[i] for i in range(row + 1))
            values[name] = self._covariate(name, np.asarray(z))
        for name in [name for name in self.covariates if name not in names]:
            uniform = streams(f"covariate:{name}").random(cohort.true.shape)
            low, high = self._age_limits(eligibility) if name == "age" else (0.0, 1.0)
            values[name] = self._covariate(name, ndtri(low + uniform * (high - low)))
        return values

    def _covariate(self, name: str, z: Floats) -> Floats:
        margin = self.covariates[name]
        sd = margin.sd.mean({}) if margin.sd else 0.0
        return margin.quantile(z, margin.mean.mean({}), sd)

    def _age_limits(self, eligibility: Eligibility) -> tuple[float, float]:
        margin = self.covariates["age"]
        if eligibility.age is None or margin.sd is None:
            return 0.0, 1.0
        mean, sd = margin.mean.mean({}), margin.sd.mean({})
        low, high = ((edge - mean) / sd for edge in eligibility.age.between)
        return float(ndtr(low)), float(ndtr(high))
