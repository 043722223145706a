"""Analysis of covariance at one visit."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sim.analyses.base import Analysis, Estimate, Floats
from sim.analyses.clusters import CLUSTERED, ClusterErrors, Contrasted, clustered, clusters_of
from sim.analyses.data_set import DataSet, Result, Row, difference_name, mean_name
from sim.analyses.linear_model import Errors, least_squares
from sim.analyses.moments import Measurements
from sim.analyses.single_imputation import Fill, fill, fill_words, filled
from sim.core.errors import InputError, RunError
from sim.core.loops import add_moments
from sim.estimand import Observations

Ints = NDArray[np.integer]

CENTRE = 5.0
"""Taken from scores before their squares are summed, so that no digits are lost."""


class Ancova(Analysis):
    """Difference in means adjusted for baseline, a common slope and variance over all arms.

    Ordinary least squares in closed form from sums by arm: slope = Sxy / Sxx pooled within arms,
    difference = (ȳ₁ − ȳ₀) − slope (x̄₁ − x̄₀), its variance s² [1/n₁ + 1/n₀ + (x̄₁ − x̄₀)² / Sxx] on
    N − arms − 1 degrees of freedom (Senn 2006, doi:10.1002/sim.2682). Patients without the outcome
    are left out, which is valid when outcomes are missing at random given baseline and arm. With
    robust ``errors`` (HC0 to HC3; CR0 to CR2 within therapists, or the clusters of real data) and on real
    data, with further covariates, the same model is fitted by general least squares. ``missing`` may
    instead carry an observation forward, as older trials did.
    """

    kind: Literal["ancova"] = "ancova"
    summary: ClassVar[str | None] = "mean_difference"
    errors: Errors | ClusterErrors = "classical"
    missing: Fill = "complete_case"

    def estimate(self, observed: Observations) -> Estimate:
        """Estimate from sums of the observed patients."""
        observed = filled(observed, self.missing)
        if self.errors != "classical":
            return self._robust(observed)
        n, means, squares = _moments(observed)
        return _contrasts(observed, n, (means[0], means[1]), squares.sum(axis=1))

    def _robust(self, observed: Observations) -> Estimate:
        arms = [arm for arm in range(observed.arms) if arm != observed.to]
        indicators = [(observed.arm == arm).astype(np.float64) for arm in arms]
        columns = (np.ones_like(observed.baseline), *indicators, observed.baseline)
        measured = Measurements(columns, observed.value[:, :, None])
        weights = np.eye(len(columns))[[1 + arms.index(of) for of in observed.of]]
        cluster = clusters_of(observed)
        sizes = observed.data.sizes
        found = [self._contrast(measured.first(size), cluster[:size], weights) for size in sizes]
        estimate, se, df = (
            np.stack([getattr(fitted, name) for fitted in found], axis=1) for name in ("estimate", "se", "df")
        )
        return Estimate.by_t(estimate, se, df, np.stack([fitted.n for fitted in found]))

    def _contrast(self, measured: Measurements, cluster: Ints, weights: Floats) -> Contrasted:
        """Estimate contrasts of the columns with the standard errors asked for."""
        if self.errors == "cr0" or self.errors == "cr1" or self.errors == "cr2":
            return clustered(measured, cluster, weights, self.errors)
        fitted = least_squares(measured, self.errors)
        estimate, se = fitted.contrast(weights)
        return Contrasted(estimate, se, np.broadcast_to(fitted.df, estimate.shape), fitted.n)

    def analyse(self, data: DataSet) -> Result:
        """Fit each visit on arm, baseline and covariates; tabulate adjusted means and differences."""
        if self.errors in CLUSTERED and data.cluster is None:
            raise InputError(f"columns.cluster: required by errors '{self.errors}', but not given")
        cluster = np.zeros(len(data.arm), dtype=np.int64) if data.cluster is None else data.cluster
        design, names = data.design()
        columns = tuple(design[:, :, None].transpose(1, 0, 2))
        means, differences, coefficients, model = [], [], [], {}
        for place, visit in data.reported:
            value = fill(data, place, self.missing)
            measured = Measurements(columns, value[:, None, None])
            fitted = least_squares(measured)
            if np.isnan(fitted.variance).any():
                raise RunError(f"ancova, visit {visit}: columns linearly dependent, or too few patients")
            typical = np.stack([data.typical(arm, ~np.isnan(value)) for arm in range(len(data.arms))])
            weights = np.vstack([typical, typical[1:] - typical[0], np.eye(len(names))])
            labels = [mean_name(arm, visit) for arm in data.arms]
            labels += [difference_name(arm, data.arms[0], visit) for arm in data.arms[1:]]
            labels += [f"{name}, {visit}" for name in names]
            rows = _rows(self._contrast(measured, cluster[:, None], weights), labels)
            arms = len(data.arms)
            means += rows[:arms]
            differences += rows[arms : 2 * arms - 1]
            coefficients += rows[2 * arms - 1 :]
            model[visit] = {
                "sigma": float(fitted.sigma[0]),
                "r_squared": float(fitted.r_squared[0]),
                "df": float(fitted.df[0]),
            }
        return Result((*means, *differences), tuple(coefficients), model)

    def words(self) -> str:
        """Say the analysis in words."""
        errors = "" if self.errors == "classical" else f" ({self.errors.upper()} standard errors)"
        return f"analysis of covariance with baseline pain{errors}, {fill_words(self.missing)}"


def _rows(found: Contrasted, names: list[str]) -> list[Row]:
    numbers = zip(names, found.estimate[:, 0], found.se[:, 0], found.df[:, 0], strict=True)
    return [Row.by_t(name, (estimate, se, df), int(found.n[0])) for name, estimate, se, df in numbers]


def _moments(observed: Observations) -> tuple[Floats, Floats, Floats]:
    """Count, means (x, y), centred squares and products (xx, xy, yy), each (…, arm, size, replicate)."""
    sizes = observed.data.sizes
    sums = np.zeros((6, observed.arms, len(sizes), observed.arm.shape[1]))
    scores = np.ascontiguousarray(observed.baseline), np.ascontiguousarray(observed.value)
    add_moments(np.ascontiguousarray(observed.arm, dtype=np.int64), scores, CENTRE, np.array(sizes), sums)
    n, x, y = sums[:3]
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = sums[3:] - np.array([x * x, x * y, y * y]) / n
        squares = np.where(n > 0, squares, 0.0)  # an arm that recruits no more has nobody in a later stage
        return n, sums[1:3] / n, squares


def _contrasts(observed: Observations, n: Floats, means: tuple[Floats, Floats], within: Floats) -> Estimate:
    mean_x, mean_y = means
    of, to = list(observed.of), observed.to
    sxx, sxy, syy = within
    total = n.sum(axis=0)
    df = total - (n > 0).sum(axis=0) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = sxy / sxx
        variance = (syy - slope * sxy) / df
        gap = mean_x[of] - mean_x[to]
        estimate = mean_y[of] - mean_y[to] - slope * gap
        se = np.sqrt(variance * (1 / n[of] + 1 / n[to] + gap**2 / sxx))
    return Estimate.by_t(estimate, se, df, total)
