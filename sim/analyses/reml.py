"""Restricted maximum likelihood for repeated measures, many data sets at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.analyses.information import main_information, observed_information
from sim.analyses.inverse import invert
from sim.analyses.likelihood import Model, State, evaluate, gradient
from sim.analyses.moments import Moments

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST_STEPS = 60
QUICK_STEPS = 6
"""Steps by the leading part of the information; the rest matters only in small data sets."""
PRECISION = 1e-11
"""Twice the log likelihood still to be gained, by the quadratic approximation, at which a fit is done."""


@dataclass(frozen=True)
class Fit:
    """The fitted model of each data set; what did not converge is nan, and ``converged`` says so."""

    model: Model
    moments: Moments
    theta: Floats
    covariance: Floats
    state: State
    converged: Bools

    @property
    def log_likelihood(self) -> Floats:
        """With all its constants, (data set,)."""
        coefficients = self.moments.xx.shape[2] * self.covariance.shape[1]
        if self.model.restriction is not None:
            coefficients = self.model.restriction.shape[1]
        free = self.moments.values - (coefficients if self.model.reml else 0)
        return np.asarray(-0.5 * (self.state.deviance + free * np.log(2 * np.pi)))


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # a fit without answer is nan, not a warning
def fit(moments: Moments, model: Model | None = None, start: Floats | None = None) -> Fit:
    """Maximise the likelihood of each data set by scoring, with halved steps where one goes too far.

    The first step uses the expected information, the next the leading part of the observed, which is
    quick, later ones all of it (Jennrich & Schluchter 1986, doi:10.2307/2530695, compare scoring and
    Newton's method). A data set is done when the gain still to be had is below ``PRECISION``.

    Parameters
    ----------
    moments
        Of any number of data sets.
    model
        By default unstructured covariance, REML.
    start
        Parameters to start from, (data set, parameter); by default from residuals.
    """
    model = model or Model()
    visits = moments.seen.shape[1]
    point = _Point.start(model.structure.guess(_start(moments)) if start is None else start)
    theta = np.full_like(point.theta, np.nan)
    active, left = np.arange(len(theta)), moments
    for step in range(MOST_STEPS):
        point, done = _improve(left, model, point, step if start is None else step + 1)
        theta[active[done]] = point.theta[done]
        if done.any():
            # what is done leaves the batch: one slow data set must not hold up the others
            rest = np.flatnonzero(~done)
            active, left, point = active[rest], left.take(rest), point.take(rest)
        if not len(active):
            break
    covariance = model.structure.matrix(theta, visits)
    state = evaluate(moments, covariance, model)
    return Fit(model, moments, theta, covariance, state, np.isfinite(state.deviance))


def _start(moments: Moments) -> Floats:
    """Covariance from residuals by pairs of visits; variances alone where that is not definite."""
    visits = moments.seen.shape[1]
    flat = np.broadcast_to(np.eye(visits), (len(moments.n), visits, visits))
    residual = evaluate(moments, flat, Model(reml=False)).residual * moments.together
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = residual.sum(axis=1) / np.einsum("rp,pvw->rvw", moments.n, moments.together)
    covariance = np.where(np.isfinite(covariance), covariance, 0.0)
    _, log_determinant = invert(covariance)
    return np.where(np.isnan(log_determinant)[:, None, None], covariance * np.eye(visits), covariance)


@dataclass(frozen=True)
class _Point:
    """The search: ``theta`` is to be tried, ``step`` led there from the best so far, of that ``deviance``."""

    theta: Floats
    step: Floats
    deviance: Floats

    @classmethod
    def start(cls, theta: Floats) -> "_Point":
        return cls(theta, np.zeros_like(theta), np.full(len(theta), np.inf))

    def take(self, which: NDArray[np.integer]) -> "_Point":
        return _Point(self.theta[which], self.step[which], self.deviance[which])


def _improve(moments: Moments, model: Model, point: _Point, count: int) -> tuple[_Point, Bools]:
    """Step on from each point, or half-way back from a worse one; say which need no further step."""
    state = evaluate(moments, model.structure.matrix(point.theta, moments.seen.shape[1]), model)
    slack = np.where(np.isfinite(point.deviance), 1e-10 * np.abs(point.deviance) + 1e-10, 0.0)
    better = state.deviance <= point.deviance + slack
    step, gain = _ascent(moments, state, model, point.theta, count)
    half = 0.5 * point.step
    theta = np.where(better[:, None], point.theta + step, point.theta - half)
    best = np.where(better, state.deviance, point.deviance)
    return _Point(theta, np.where(better[:, None], step, half), best), better & (gain < PRECISION)


def _ascent(moments: Moments, state: State, model: Model, theta: Floats, count: int) -> tuple[Floats, Floats]:
    """Step from each point and the gain that it promises, by the information for this count of steps."""
    slopes = model.structure.slopes(theta, moments.seen.shape[1])
    score = (gradient(moments, state)[:, None] @ slopes)[:, 0]
    if count > QUICK_STEPS:
        step, gain = _step(observed_information(moments, state, model, theta), score)
    else:
        step, gain = _step(main_information(moments, state, slopes, expected=count == 0), score)
    lost = ~(gain >= 0)
    if lost.any() and count:
        safe_step, safe_gain = _step(main_information(moments, state, slopes, expected=True), score)
        step, gain = np.where(lost[:, None], safe_step, step), np.where(lost, safe_gain, gain)
    return step, gain


def _step(information: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Newton step and the gain in twice the log likelihood that it promises; nan if not definite."""
    inverse, _ = invert(information)
    step = (inverse @ score[:, :, None])[:, :, 0]
    return step, np.asarray((step * score).sum(axis=1))
