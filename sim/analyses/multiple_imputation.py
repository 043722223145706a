"""Multiple imputation, at random or by a reference arm, and any analysis of the completed visit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from sim.analyses.ancova import Ancova
from sim.analyses.base import Analysis, Estimate, as_observations
from sim.analyses.data_set import DataSet, Result, difference_name
from sim.analyses.imputation import Imputer, Noise
from sim.analyses.moments import Measurements
from sim.analyses.reference_based import Strategy
from sim.analyses.repeated_measures import compared_arms
from sim.analyses.rubin import pool
from sim.core.errors import InputError
from sim.core.parts import suggest, wrong
from sim.core.streams import BLOCK_SIZE, Streams
from sim.estimand import Observations
from sim.events import REASONS

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

FARTHEST = 20.0
"""Largest shift that the search for a tipping point tries, in SDs of the visit's values."""


CENTRE = 5.0
"""Near the middle of the pain scale; a constant, so that a smaller size is a cut of a larger one."""


class MultipleImputation(Analysis):
    """Rubin's rules over completed data sets, drawn from the posterior of a model of all visits.

    The model has arm and baseline effects at each visit and an unstructured covariance. After a patient's
    last value the mean follows the patient's own arm (missing at random) or a reference-based strategy
    of Carpenter, Roger & Kenward (2013, doi:10.1080/10543406.2013.834911); values missing before it are
    always at random. ``delta`` is added to what is imputed after the last value in arms other than the
    reference. ``by_reason`` takes another strategy for patients who stopped treatment for that reason, or
    carries their baseline forward.
    ``then`` analyses each completed visit (ANCOVA by default), pooled by Rubin's rules (1987) with the
    degrees of freedom of Barnard & Rubin (1999, doi:10.1093/biomet/86.4.948), which overstate the error
    after reference-based imputation (Cro, Carpenter & Kenward 2019, doi:10.1111/rssa.12423).
    ``tipping_point`` asks for the delta at which a real trial's two-sided p passes that level.
    """

    kind: Literal["multiple_imputation"] = "multiple_imputation"
    summary: ClassVar[str | None] = "mean_difference"
    imputations: int = Field(20, ge=2, le=10_000)
    strategy: Strategy = "missing_at_random"
    by_reason: dict[str, Strategy | Literal["baseline_observation"]] = Field(
        {}, description="another strategy after stopping for this reason"
    )
    delta: float = 0.0
    then: Analysis = Ancova(estimand="completed")
    tipping_point: float | None = Field(None, gt=0, lt=1, description="two-sided level, on real data")
    seed: int = Field(1, ge=0, description="of the imputations")

    @field_validator("then", mode="before")
    @classmethod
    def _of_the_completed_data(cls, value: Any) -> Any:
        return {"estimand": "completed", **value} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _takes_one_visit(self) -> Self:
        for reason in self.by_reason:
            if reason not in REASONS[1:]:
                raise wrong(f"by_reason: unknown reason '{reason}':{suggest(reason, REASONS[1:])}")
        if self.then.kind not in ("ancova", "t"):  # type: ignore[attr-defined]
            raise wrong("then.kind: only an analysis of one visit is allowed: ancova, t")
        return self

    def estimate(self, observed: Observations) -> Estimate:
        """Complete, analyse and pool, a size at a time."""
        found = [self._at(self._incomplete(observed, size)) for size in observed.data.sizes]
        parts = (
            np.concatenate([getattr(each, name) for each in found], axis=1)
            for name in ("estimate", "se", "df", "low", "high", "n")
        )
        return Estimate(*parts)

    def _incomplete(self, observed: Observations, size: int) -> "_Incomplete":
        baseline = observed.baseline - CENTRE
        columns = (np.ones_like(baseline), *compared_arms(observed)[0], baseline)
        course = observed.course
        middle = CENTRE
        measured = Measurements(columns, course - middle).first(size)
        imputer = Imputer.of(measured, observed.arms - 1, observed.visit)
        return _Incomplete(_cut(observed, size), imputer, middle)

    @np.errstate(
        divide="ignore", invalid="ignore", over="ignore"
    )  # a fit without answer is nan, not a warning
    def _at(self, trial: "_Incomplete", delta: float | None = None) -> Estimate:
        """Estimate one size, (compared arm, 1, replicate)."""
        found = [self.then.estimate(each) for each in self._completed(trial, delta)]
        estimates, errors = (np.stack([getattr(f, name) for f in found]) for name in ("estimate", "se"))
        pooled = pool(estimates, errors**2, found[0].df, np.full(estimates.shape[1:], float(trial.patients)))
        known = trial.imputer.good | (trial.missing_values == 0)
        blank = {
            name: np.where(known, getattr(pooled, name), np.nan) for name in ("estimate", "se", "low", "high")
        }
        return replace(pooled, **blank)

    def _completed(self, trial: "_Incomplete", delta: float | None) -> Iterator[Observations]:
        shift = (self.delta if delta is None else delta) * (trial.imputer.left & trial.imputer.treated)
        chosen, which = (self.strategy, *self.by_reason.values()), self._which(trial)
        carried = np.array([each == "baseline_observation" for each in chosen])[which]
        back = trial.observed.baseline[trial.imputer.missing][carried]
        strategies = tuple("missing_at_random" if each == "baseline_observation" else each for each in chosen)
        for noise in self._noise(trial):
            value = trial.observed.value.copy()
            drawn = trial.imputer.complete(noise, strategies, which)
            completed = drawn + trial.middle + shift
            completed[carried] = back
            value[trial.imputer.missing] = completed
            yield replace(trial.observed, value=value)

    def _which(self, trial: "_Incomplete") -> Ints:
        """Place of each missing value's strategy: 0 for the general one, then those by reason.

        Raises
        ------
        InputError
            ``by_reason`` is asked for, but the data know no reasons.
        """
        which = np.zeros(len(trial.imputer.missing[0]), dtype=np.int64)
        reason = trial.observed.data.reason
        if self.by_reason and reason is None:
            raise InputError("columns.reason: required by 'by_reason', but not given")
        for place, name in enumerate(self.by_reason, start=1):
            which[np.asarray(reason)[trial.imputer.missing] == REASONS.index(name)] = place
        return which

    def _noise(self, trial: "_Incomplete") -> Iterator[Noise]:
        patients, replicates, visits = trial.imputer.measured.value.shape
        shape = (max(replicates, BLOCK_SIZE), len(trial.imputer.measured.columns), visits)
        streams = trial.observed.data.streams or Streams(self.seed, 0)
        for number in range(self.imputations):
            noise = Noise.draw(streams(f"imputation {number} of seed {self.seed}"), patients, shape)
            yield noise.first(patients, replicates)

    def analyse(self, data: DataSet) -> Result:
        """Tabulate the differences of each visit, and the tipping points if asked."""
        rows = self.differences(data)
        if self.tipping_point is None:
            return Result(rows)
        return Result(rows, model={"tipping_point": self._tipping_points(data)})

    def _tipping_points(self, data: DataSet) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for place, visit in data.reported:
            observed = as_observations(data, place)
            trial = self._incomplete(observed, len(data.arm))
            for arm, label in enumerate(data.arms[1:]):
                name = difference_name(label, data.arms[0], visit)
                found[name] = self._tips_at(trial, arm)
        return found

    def _tips_at(self, trial: "_Incomplete", arm: int) -> float | None:
        """The smallest shift towards no effect at which the level is passed; None where there is none."""
        from scipy.optimize import brentq

        level = self.tipping_point or 0.0

        def above(delta: float) -> float:
            return self._at(trial, delta).row("", arm).p - level

        direction = -np.sign(self._at(trial, 0.0).estimate[arm, 0, 0])
        if above(0.0) > 0:
            return 0.0
        step = float(np.nanstd(trial.observed.value)) / 8
        tried = np.arange(1, int(8 * FARTHEST) + 1) * step * direction
        before = 0.0
        for delta in tried:
            if above(delta) > 0:
                return float(brentq(above, before, delta, xtol=1e-8))
            before = float(delta)
        return None

    def words(self) -> str:
        """Say the analysis in words."""
        delta = f", shifted by {self.delta:g}" if self.delta else ""
        strategy = self.strategy.replace("_", " ")
        for reason, other in self.by_reason.items():
            strategy += f", after {reason.replace('_', ' ')} {other.replace('_', ' ')}"
        return (
            f"{self.imputations} imputations ({strategy}{delta}) pooled by Rubin's rules, each analysed by "
            f"{self.then.words()}"
        )


@dataclass(frozen=True)
class _Incomplete:
    """One size of a block, its imputation model, and what was taken off the values to fit it."""

    observed: Observations
    imputer: Imputer
    middle: float

    @property
    def patients(self) -> int:
        """Number of patients."""
        return len(self.observed.arm)

    @property
    def missing_values(self) -> Ints:
        """Number of values to impute, (replicate,)."""
        return np.asarray(np.isnan(self.observed.value).sum(axis=0))


def _cut(observed: Observations, size: int) -> Observations:
    """The first patients, at this size alone."""
    return replace(
        observed,
        value=observed.value[:size],
        baseline=observed.baseline[:size],
        arm=observed.arm[:size],
        data=replace(observed.data, sizes=(size,)),
    )
