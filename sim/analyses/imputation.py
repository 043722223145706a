"""Draws of missing values from the posterior of a model of all visits, many data sets at once."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim.analyses.covariance import CHOLESKY
from sim.analyses.likelihood import State, evaluate
from sim.analyses.moments import Measurements, place_of, summarise
from sim.analyses.reference_based import Strategy, after_last, means_after
from sim.analyses.reml import Fit, fit
from sim.analyses.small_sample import information

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Noise:
    """Standard normal numbers behind one imputation.

    Attributes
    ----------
    covariance, effects
        (replicate, parameter) and (replicate, column × visit).
    values
        (patient, replicate, visit).
    """

    covariance: Floats
    effects: Floats
    values: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, patients: int, shape: tuple[int, int, int]) -> "Noise":
        """Draw for (replicate, column, visit); more patients extend fewer."""
        replicates, columns, visits = shape
        covariance = rng.standard_normal((replicates, visits * (visits + 1) // 2))
        effects = rng.standard_normal((replicates, columns * visits))
        return cls(covariance, effects, rng.standard_normal((patients, replicates, visits)))

    def first(self, n: int, replicates: int) -> "Noise":
        """Keep the first patients and replicates."""
        r = slice(replicates)
        return Noise(self.covariance[r], self.effects[r], self.values[:n, r])


@dataclass(frozen=True)
class Imputer:
    """Missing values of one visit of every replicate, and the fitted model that they are drawn from.

    The covariance is drawn on the scale of its Cholesky factor with logarithms on the diagonal, normal
    about the restricted maximum likelihood estimate with the inverse observed information; given it, the
    effects have their exact normal posterior under a flat prior, and missing values theirs given what is
    seen of the patient (Little & Rubin 2002, doi:10.1002/9781119013563, chapters 7 and 10).

    Attributes
    ----------
    measured
        Columns: intercept, an indicator for each arm but the reference, then covariates.
    arms
        Number of indicators.
    visit
        Position of the visit to complete.
    fitted
        Unstructured, each column with an effect at each visit.
    """

    measured: Measurements
    arms: int
    visit: int
    fitted: Fit

    @classmethod
    def of(cls, measured: Measurements, arms: int, visit: int) -> "Imputer":
        """Fit the model to each replicate."""
        return cls(measured, arms, visit, fit(summarise(measured)))

    @cached_property
    def missing(self) -> tuple[Ints, Ints]:
        """Patient and replicate of each missing value."""
        patient, replicate = np.nonzero(np.isnan(self.measured.value[:, :, self.visit]))
        return patient, replicate

    @cached_property
    def _seen(self) -> tuple[Floats, Bools, Ints]:
        """Of each missing value's patient: values, visits after the last, and place of the pattern."""
        value = self.measured.value[self.missing]
        place = place_of(~np.isnan(value)[:, None], self.fitted.moments.seen)[:, 0]
        return value, after_last(value), place

    @cached_property
    def _design(self) -> tuple[Floats, Floats]:
        """Columns of each missing value's patient, and what they would be in the reference arm."""
        own = np.stack([column[self.missing] for column in self.measured.columns], axis=-1)
        reference = own.copy()
        reference[:, 1 : 1 + self.arms] = 0.0
        return own, reference

    @property
    def treated(self) -> Bools:
        """Missing values of patients who are not in the reference arm."""
        return np.asarray(self._design[0][:, 1 : 1 + self.arms].any(axis=1))

    @property
    def left(self) -> Bools:
        """Missing values after the patient's last one."""
        return np.asarray(self._seen[1][:, self.visit])

    @cached_property
    def _spread(self) -> Floats:
        """Variance of the covariance parameters, (replicate, parameter, parameter); nan where unknown."""
        return information(self.fitted, CHOLESKY).variance

    @cached_property
    def good(self) -> Bools:
        """Replicates with a fit and an information that can be inverted, (replicate,)."""
        known = np.isfinite(self._spread).all(axis=(1, 2))
        return np.asarray(self.fitted.converged & known)

    @cached_property
    def _posterior(self) -> tuple[Floats, Floats]:
        """Centre and Cholesky factor of the covariance parameters; the identity where there is no fit."""
        covariance = np.where(self.good[:, None, None], self.fitted.covariance, np.eye(self.visits))
        return CHOLESKY.guess(covariance), _factor(self._spread)

    @property
    def visits(self) -> int:
        """Number of visits."""
        return int(self.measured.value.shape[2])

    def complete(self, noise: Noise, strategies: tuple[Strategy, ...], which: Ints) -> Floats:
        """Draw the missing values of the visit, (missing value,).

        Parameters
        ----------
        noise
            Of this imputation.
        strategies, which
            Strategies after the last value, and the place among them of each missing value's.
        """
        centre, factor = self._posterior
        theta = centre + np.einsum("rab,rb->ra", factor, noise.covariance)
        covariance = CHOLESKY.matrix(theta, self.visits)
        state = evaluate(self.fitted.moments, covariance, replace(self.fitted.model, structure=CHOLESKY))
        effects = state.effects + np.einsum("rab,rb->ra", _factor(state.variance), noise.effects).reshape(
            state.effects.shape
        )
        mean = self._means(effects, strategies, which)
        return self._given(mean, covariance, state, noise.values[self.missing])

    def _means(self, effects: Floats, strategies: tuple[Strategy, ...], which: Ints) -> Floats:
        own, reference = (
            np.einsum("kq,kqv->kv", design, effects[self.missing[1]]) for design in self._design
        )
        mean = np.asarray(own)
        for place, strategy in enumerate(strategies):
            chosen = means_after(strategy, own, reference, self._seen[1])
            mean = np.where((which == place)[:, None], chosen, mean)
        return mean

    def _given(self, mean: Floats, covariance: Floats, state: State, normal: Floats) -> Floats:
        """Add what the seen values say of the missing one, and its noise.

        A draw from the whole patient's normal, corrected by what it misses of the seen values, is a draw
        from the conditional one (Hoffman & Ribak 1991, doi:10.1086/186160).
        """
        value, _, place = self._seen
        at = self.missing[1]
        drawn = mean + np.einsum("kvw,kw->kv", np.linalg.cholesky(covariance)[at], normal)
        nobody = np.zeros_like(state.weight[:, :1])
        weight = np.concatenate([state.weight, nobody], axis=1)[at, place]
        slope = np.einsum("kv,kvw->kw", covariance[at, self.visit], weight)
        missed = np.where(np.isnan(value), 0.0, value - drawn)
        return np.asarray(drawn[:, self.visit] + (slope * missed).sum(axis=1))


def _factor(matrices: Floats) -> Floats:
    """Cholesky factors, (..., n, n); zero where a matrix is not finite."""
    finite = np.isfinite(matrices).all(axis=(-1, -2), keepdims=True)
    safe = np.where(finite, matrices, np.eye(matrices.shape[-1]))
    return np.where(finite, np.linalg.cholesky(safe), 0.0)
