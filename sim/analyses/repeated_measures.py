"""What models of repeated measures share."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from sim.analyses.base import Analysis, Estimate
from sim.analyses.covariance import STRUCTURES
from sim.analyses.data_set import DataSet, Result, Row, difference_name, mean_name
from sim.analyses.likelihood import Model
from sim.analyses.moments import Measurements, Moments, summarise
from sim.analyses.reml import Fit, fit
from sim.analyses.small_sample import Contrasts, contrasts, empirical_se
from sim.analyses.terms import Terms
from sim.core.errors import RunError
from sim.estimand import Observations

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SHORT = {
    "us": "unstructured",
    "cs": "compound_symmetry",
    "csh": "heterogeneous_compound_symmetry",
    "toep": "toeplitz",
    "toeph": "heterogeneous_toeplitz",
    "ar1h": "heterogeneous_ar1",
}
"""The names of R's mmrm are understood too."""


class RepeatedMeasures(Analysis):
    """Difference in means at the estimand's visit from a normal model of all visits.

    Covariance within patients, restricted maximum likelihood; degrees of freedom by Satterthwaite,
    Kenward and Roger (with their variance), between and within patients, from residuals, or none
    (normal); standard errors from the model or empirical (sandwich). A data set whose fit does not
    converge has no estimate and counts as failed.
    """

    summary: ClassVar[str | None] = "mean_difference"
    covariance: Literal[
        "unstructured", "toeplitz", "ar1", "compound_symmetry",
        "heterogeneous_toeplitz", "heterogeneous_ar1", "heterogeneous_compound_symmetry",
    ] = "unstructured"  # fmt: skip
    df: Literal[
        "satterthwaite", "kenward_roger", "kenward_roger_linear", "between_within", "residual", "normal"
    ] = "satterthwaite"
    errors: Literal["model", "empirical"] = "model"
    likelihood: Literal["reml", "ml"] = "reml"

    @field_validator("covariance", "df", "errors", "likelihood", mode="before")
    @classmethod
    def _plain_name(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        name = value.lower().replace("-", "_")
        return SHORT.get(name, name)

    def _options(self) -> str:
        """Say the options in words."""
        covariance, df = self.covariance.replace("_", " "), self.df.replace("_", " ")
        parts = (self.likelihood.upper(), f"{covariance} covariance", f"{self.errors} standard errors")
        return f"{', '.join(parts)}, {df} degrees of freedom"

    def _plan(self, observed: Observations) -> "Plan":
        """Arrange a block."""
        raise NotImplementedError

    def _terms(self, data: DataSet) -> Terms:
        """Effects for a real data set."""
        raise NotImplementedError

    def estimate(self, observed: Observations) -> Estimate:
        """Fit all replicates of a size together."""
        plan = self._plan(observed)
        sizes, replicates = observed.data.sizes, observed.arm.shape[1]
        moments = summarise(plan.measured, sizes)
        found = [
            self._contrasts(
                _Fitted(self._fit(part, plan.terms), plan.terms, plan.measured.first(size)), plan.weights
            )
            for size, part in zip(sizes, moments.split(replicates), strict=True)
        ]
        estimate, se, df = (
            np.stack([getattr(part, name) for part in found], axis=1) for name in ("estimate", "se", "df")
        )
        return Estimate.by_t(estimate, se, df, moments.patients.reshape(len(sizes), replicates))

    def _fit(self, moments: Moments, terms: Terms) -> Fit:
        model = Model(STRUCTURES[self.covariance], terms.restriction, self.likelihood == "reml")
        return fit(moments, model)

    def _contrasts(self, fitted: "_Fitted", weights: Floats, within: Bools | None = None) -> Contrasts:
        """Estimate contrasts; ``within`` marks those that only change over visits."""
        df = self._given_df(fitted, np.zeros(len(weights), np.bool_) if within is None else within)
        found = contrasts(fitted.fit, weights, self.df, df)
        if self.errors == "model":
            return found
        return replace(found, se=empirical_se(fitted.fit, weights, fitted.measured))

    def _given_df(self, fitted: "_Fitted", within: Bools) -> Floats | None:
        """Degrees of freedom that need no fit, (contrast, data set).

        Between patients: patients less columns; within: values less patients and the effects of
        visits (Schluchter & Elashoff 1990, Journal of Statistical Computation and Simulation 37: 69-87).
        """
        moments, coefficients = fitted.fit.moments, fitted.terms.coefficients
        if self.df == "residual":
            return np.asarray(moments.values - coefficients)
        if self.df != "between_within":
            return None
        columns = moments.xx.shape[2]
        inside = moments.values - moments.patients - (coefficients - columns)
        return np.asarray(np.where(within[:, None], inside, moments.patients - columns))

    def analyse(self, data: DataSet) -> Result:
        """Fit one data set and tabulate adjusted means, differences and coefficients."""
        design, names = data.design()
        measured = Measurements(tuple(design[:, :, None].transpose(1, 0, 2)), data.value[:, None, :])
        terms = self._terms(data)
        fitted = _Fitted(self._fit(summarise(measured), terms), terms, measured)
        if not fitted.fit.converged[0]:
            raise RunError(f"the {self.covariance} fit did not converge, or the design is singular")
        means, weights = _means_and_differences(data, terms)
        coefficients, coding, within = _treatment_coding(data.visits, names, terms)
        return Result(
            _rows(means, self._contrasts(fitted, weights), fitted),
            _rows(coefficients, self._contrasts(fitted, coding, within), fitted),
            _summary(fitted.fit),
        )


@dataclass(frozen=True)
class Plan:
    """A block arranged for the model.

    Attributes
    ----------
    measured, terms
        Data and effects.
    weights
        Contrast of each compared arm, (compared arm, column × visit).
    """

    measured: Measurements
    terms: Terms
    weights: Floats


def compared_arms(observed: Observations) -> tuple[list[Floats], Floats]:
    """Indicators of all arms but the control, and the place of the compared ones, (compared arm, column)."""
    arms = [arm for arm in range(observed.arms) if arm != observed.to]
    indicators = [(observed.arm == arm).astype(np.float64) for arm in arms]
    return indicators, np.eye(1 + len(arms))[[1 + arms.index(of) for of in observed.of]]


@dataclass(frozen=True)
class _Fitted:
    """A fit with what it was made from."""

    fit: Fit
    terms: Terms
    measured: Measurements


def _means_and_differences(data: DataSet, terms: Terms) -> tuple[list[str], Floats]:
    """Names and weights of adjusted means by visit and arm, then of differences from the reference."""
    used = np.asarray(~np.isnan(data.value).all(axis=1))
    typical = np.stack([data.typical(arm, used) for arm in range(len(data.arms))])
    visits = data.reported
    names = [mean_name(arm, visit) for _, visit in visits for arm in data.arms]
    names += [difference_name(arm, data.arms[0], visit) for _, visit in visits for arm in data.arms[1:]]
    means = [terms.at(typical, place) for place, _ in visits]
    differences = [terms.at(typical[1:] - typical[0], place) for place, _ in visits]
    return names, np.vstack(means + differences)


def _treatment_coding(
    visits: tuple[str, ...], columns: tuple[str, ...], terms: Terms
) -> tuple[list[str], Floats, Bools]:
    """Names and weights of the coefficients, first visit as reference, and which are within patients."""
    names, weights, within = [], [], []
    for name, span, row in zip(columns, terms.spans, np.eye(len(columns)), strict=True):
        first = terms.at(row[None], 0)
        if span != "later":
            names.append(name)
            weights.append(first)
            within.append(name == "intercept")
        for visit in range(1, 1 if span == "one" else len(visits)):
            change = f"visit[{visits[visit]}]"
            names.append(change if name == "intercept" else f"{name}:{change}")
            weights.append(terms.at(row[None], visit) - first)
            within.append(True)
    return names, np.vstack(weights), np.array(within)


def _rows(names: list[str], found: Contrasts, fitted: _Fitted) -> tuple[Row, ...]:
    n = int(fitted.fit.moments.patients[0])
    numbers = zip(names, found.estimate[:, 0], found.se[:, 0], found.df[:, 0], strict=True)
    return tuple(Row.by_t(name, (estimate, se, df), n) for name, estimate, se, df in numbers)


def _summary(fitted: Fit) -> dict[str, object]:
    """Likelihood, information criteria (parameters of the covariance counted) and the covariance."""
    log_likelihood = float(fitted.log_likelihood[0])
    parameters = fitted.theta.shape[1]
    return {
        "log_likelihood": log_likelihood,
        "deviance": -2 * log_likelihood,
        "aic": -2 * log_likelihood + 2 * parameters,
        "bic": -2 * log_likelihood + float(np.log(fitted.moments.patients[0])) * parameters,
        "covariance": fitted.covariance[0].tolist(),
        "covariance_parameters": fitted.theta[0].tolist(),
        "patients": int(fitted.moments.patients[0]),
        "values": int(fitted.moments.values[0]),
    }
