"""Conditional mean imputation, at random or after a reference arm."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.base import Analysis, Estimate
from sim.analyses.data_set import DataSet, Result, Row, difference_name
from sim.analyses.likelihood import Model
from sim.analyses.linear_model import least_squares
from sim.analyses.moments import Measurements, Moments, place_of, summarise
from sim.analyses.reference_based import Strategy, after_last, means_after
from sim.analyses.reml import Fit, fit
from sim.analyses.terms import EACH, Terms
from sim.estimand import Observations

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class ConditionalMean(Analysis):
    """Difference in means after missing values are replaced by their conditional means.

    A model of all visits (unstructured, REML, arm and baseline by visit) gives the mean of each
    missing value given what was observed of the patient; the completed visit is analysed by ANCOVA,
    and the standard error is the jackknife's over everything (Wolbers et al. 2022,
    doi:10.1002/pst.2234), with a normal reference. After a patient's last value the mean is that of
    the patient's own arm (missing at random), or by a reference-based strategy of Carpenter, Roger &
    Kenward (2013, doi:10.1080/10543406.2013.834911); values missing before it are always at random.
    ``delta`` is added to what is imputed after the last value in arms other than the reference.
    ``groups`` leaves out that many groups of patients in turn, not every patient: faster, less exact.
    """

    kind: Literal["conditional_mean"] = "conditional_mean"
    summary: ClassVar[str | None] = "mean_difference"
    strategy: Strategy = "missing_at_random"
    delta: float = 0.0
    groups: int | None = Field(None, ge=2)

    def estimate(self, observed: Observations) -> Estimate:
        """Jackknife each replicate and size by itself."""
        arms = [arm for arm in range(observed.arms) if arm != observed.to]
        places = [1 + arms.index(of) for of in observed.of]
        course = observed.course
        terms = Terms((EACH,) * (len(arms) + 2), course.shape[2])
        found = np.full((2, len(places), len(observed.data.sizes), course.shape[1]), np.nan)
        for at, size in enumerate(observed.data.sizes):
            for replicate in range(course.shape[1]):
                indicators = [observed.arm[:size, replicate] == arm for arm in arms]
                baseline = observed.baseline[:size, replicate]
                design = np.column_stack([np.ones(size), *indicators, baseline])
                trial = Incomplete(design, len(arms), course[:size, replicate], terms)
                found[:, :, at, replicate] = self._jackknife(trial, observed.visit, places)
        n = np.broadcast_to(np.asarray(observed.data.sizes, dtype=np.float64)[:, None], found.shape[2:])
        return Estimate.by_t(found[0], found[1], np.full(found.shape[1:], np.inf), n)

    def _jackknife(self, trial: "Incomplete", visit: int, places: list[int]) -> Floats:
        """Estimate and standard error of columns of the design at a visit, (2, place)."""
        n = len(trial.value)
        group = np.arange(n) % min(self.groups or n, n)
        whole = trial.moments()
        first = fit(whole, trial.model)
        without = trial.leave_out(whole, group)
        refits = fit(without, trial.model, np.repeat(first.theta, len(without.n), axis=0))
        estimate = self._ancova(trial, first, visit, None)[places, 0]
        others = self._ancova(trial, refits, visit, group)[places]
        sets = others.shape[1]
        spread = ((others - others.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        return np.stack([estimate, np.sqrt((sets - 1) / sets * spread)])

    def _ancova(
        self, trial: "Incomplete", fitted: Fit, visit: int, group: NDArray[np.integer] | None
    ) -> Floats:
        """Coefficients at a visit of each completed data set without its group, (column, data set)."""
        value = trial.complete(fitted, visit, self)
        if group is not None:
            value = np.where(group[:, None] == np.arange(value.shape[1]), np.nan, value)
        columns = tuple(np.broadcast_to(column[:, None], value.shape) for column in trial.design.T)
        return least_squares(Measurements(columns, value[:, :, None])).coefficients.T

    def analyse(self, data: DataSet) -> Result:
        """Tabulate the differences at each visit."""
        design, _ = data.design()
        trial = Incomplete(design, len(data.arms) - 1, data.value, Terms.of_data(data))
        rows = []
        for place, visit in data.reported:
            found = self._jackknife(trial, place, list(range(1, len(data.arms))))
            for arm, (estimate, se) in zip(data.arms[1:], found.T, strict=True):
                name = difference_name(arm, data.arms[0], visit)
                rows.append(Row.by_t(name, (estimate, se, np.inf), len(data.value)))
        return Result(tuple(rows))

    def words(self) -> str:
        """Say the analysis in words."""
        delta = f", shifted by {self.delta:g}" if self.delta else ""
        strategy = self.strategy.replace("_", " ")
        return (
            f"analysis of covariance after conditional mean imputation ({strategy}{delta}), "
            "standard errors by the jackknife"
        )


@dataclass(frozen=True)
class Incomplete:
    """One trial with missing values.

    Attributes
    ----------
    design
        (patient, column): intercept, an indicator for each arm but the reference, covariates.
    arms
        Number of indicators.
    value
        (patient, visit), nan is missing.
    terms
        Effects of the columns in the model of all visits.
    """

    design: Floats
    arms: int
    value: Floats
    terms: Terms

    @property
    def model(self) -> Model:
        """The imputation model."""
        return Model(restriction=self.terms.restriction)

    @property
    def left(self) -> Bools:
        """Visits after the last value, (patient, visit)."""
        return after_last(self.value)

    @property
    def reference_design(self) -> Floats:
        """The design if everybody were in the reference arm."""
        design = self.design.copy()
        design[:, 1 : 1 + self.arms] = 0.0
        return design

    def moments(self) -> Moments:
        """Of the whole trial, one data set."""
        return summarise(Measurements(tuple(self.design.T[:, :, None]), self.value[:, None, :]))

    def leave_out(self, whole: Moments, group: NDArray[np.integer]) -> Moments:
        """Moments without each group in turn, (group, …)."""
        place = place_of(~np.isnan(self.value[:, None, :]), whole.seen)
        some = place[:, 0] < len(whole.seen)
        x, y, at = self.design[some], np.nan_to_num(self.value[some]), (group[some], place[some, 0])
        parts = []
        sums = (whole.n, whole.xx, whole.xy, whole.yy)
        products = (np.ones(len(x)), *(np.einsum("na,nb->nab", a, b) for a, b in ((x, x), (x, y), (y, y))))
        for total, own in zip(sums, products, strict=True):
            part = np.repeat(total, group.max() + 1, axis=0)
            np.subtract.at(part, at, own)
            parts.append(part)
        return Moments(whole.seen, *parts)

    def complete(self, fitted: Fit, visit: int, how: ConditionalMean) -> Floats:
        """Observed value at a visit or its conditional mean under each fit, (patient, data set)."""
        mean = self._means(fitted, how.strategy)
        place = place_of(~np.isnan(self.value[:, None, :]), fitted.moments.seen)
        nobody = np.zeros_like(fitted.state.weight[:, :1])
        weight = np.concatenate([fitted.state.weight, nobody], axis=1)
        slope = np.einsum("rv,rpvw->prw", fitted.covariance[:, visit], weight)[place[:, 0]]
        residual = np.where(np.isnan(self.value)[:, None], 0.0, self.value[:, None] - mean)
        imputed = mean[:, :, visit] + np.einsum("nrv,nrv->nr", slope, residual)
        treated = self.design[:, 1 : 1 + self.arms].any(axis=1)
        imputed += how.delta * (self.left[:, visit] & treated)[:, None]
        own = self.value[:, visit, None]
        return np.where(np.isnan(own), imputed, own)

    def _means(self, fitted: Fit, strategy: Strategy) -> Floats:
        """Mean of every patient's visits under each fit, (patient, data set, visit)."""
        effects, left = fitted.state.effects, self.left
        own = np.asarray(np.einsum("nq,rqv->nrv", self.design, effects))
        if strategy == "missing_at_random":
            return own
        reference = np.asarray(np.einsum("nq,rqv->nrv", self.reference_design, effects))
        return means_after(strategy, own, reference, left[:, None, :])
