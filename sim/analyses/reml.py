"""Restricted maximum likelihood for repeated measures, many data sets at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.analyses.covariance import UNSTRUCTURED, Structure
from sim.analyses.inverse import invert
from sim.analyses.moments import Moments

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST_STEPS = 60
PRECISION = 1e-11
"""Twice the log likelihood still to be gained, by the quadratic approximation, at which a fit is done."""


@dataclass(frozen=True)
class Model:
    """A normal model of repeated measures.

    Attributes
    ----------
    structure
        Covariance within a patient.
    restriction
        Effects of each column at each visit as a linear function of fewer coefficients,
        (column × visit, coefficient); None: an effect of each column at each visit.
    reml
        Restricted likelihood; else the plain one.
    """

    structure: Structure = UNSTRUCTURED
    restriction: Floats | None = None
    reml: bool = True


@dataclass(frozen=True)
class State:
    """The likelihood and its parts at given covariances.

    Attributes
    ----------
    deviance
        −2 log likelihood without its constant, (data set,); nan outside the parameter space.
    weight
        Inverse covariance of what each pattern observes, 0 elsewhere, (data set, pattern, visit, visit).
    effects
        Generalised least squares, (data set, column, visit).
    variance
        Of the effects, (data set, column × visit, column × visit).
    residual, spread
        Sums over patients of rrᵀ and of X var(effects) Xᵀ, (data set, pattern, visit, visit).
    cross
        Sum over patients of xrᵀ, (data set, pattern, column, visit).
    """

    deviance: Floats
    weight: Floats
    effects: Floats
    variance: Floats
    residual: Floats
    spread: Floats
    cross: Floats


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


def evaluate(moments: Moments, covariance: Floats, model: Model) -> State:
    """Evaluate the likelihood at covariances (data set, visit, visit); Harville 1977
    (doi:10.1080/01621459.1977.10480998)."""
    together = moments.together
    sets, patterns, q, visits = moments.xy.shape
    masked = covariance[:, None] * together + np.eye(visits) * (1 - moments.seen[:, :, None])
    inverse, log_determinant = invert(masked)
    weight = inverse * together
    flat = weight.reshape(sets, patterns, -1)
    # Σ over patterns of xx ⊗ weight, with columns outside and visits inside
    blocks = np.swapaxes(moments.xx.reshape(sets, patterns, -1), 1, 2) @ flat
    blocks = blocks.reshape(sets, q, q, visits, visits).transpose(0, 1, 3, 2, 4)
    information = blocks.reshape(sets, q * visits, q * visits)
    variance, information_log_determinant = _restricted_inverse(information, model.restriction)
    score = (moments.xy @ weight).sum(axis=1).reshape(sets, q * visits, 1)
    effects = (variance @ score).reshape(sets, q, visits)
    cross = moments.xy - moments.xx @ effects[:, None]
    fitted = np.swapaxes(effects, 1, 2)[:, None]
    residual = moments.yy - np.swapaxes(moments.xy, 2, 3) @ effects[:, None] - fitted @ cross
    deviance = (moments.n * log_determinant).sum(axis=1) + (weight * residual).sum(axis=(1, 2, 3))
    spread = np.zeros_like(residual)
    if model.reml:
        by_column = variance.reshape(sets, q, visits, q, visits).transpose(0, 1, 3, 2, 4)
        by_column = by_column.reshape(sets, q * q, visits**2)
        spread = (moments.xx.reshape(sets, patterns, -1) @ by_column).reshape(residual.shape)
        deviance = deviance + information_log_determinant
    return State(deviance, weight, effects, variance, residual, spread, cross)


def _restricted_inverse(information: Floats, restriction: Floats | None) -> tuple[Floats, Floats]:
    if restriction is None:
        return invert(information)
    inverse, log_determinant = invert(restriction.T @ information @ restriction)
    return restriction @ inverse @ restriction.T, log_determinant


def gradient(moments: Moments, state: State) -> Floats:
    """Slope of the log likelihood in each element of the covariance, (data set, visit × visit)."""
    inner = state.weight @ (state.residual + state.spread) @ state.weight
    slope = 0.5 * (inner - moments.n[:, :, None, None] * state.weight).sum(axis=1)
    return np.asarray(slope.reshape(len(slope), -1))


def bilinear(left: Floats, right: Floats, slopes: Floats) -> Floats:
    """Σ over patterns of tr(Dⱼ left Dₖ right) for slopes D, symmetric, (data set, parameter, parameter)."""
    sets, patterns, visits, _ = left.shape
    outer = np.swapaxes(left.reshape(sets, patterns, -1), 1, 2) @ right.reshape(sets, patterns, -1)
    # rows (b, c) and columns (d, a) to rows (a, b) and columns (c, d)
    outer = outer.reshape(sets, visits, visits, visits, visits).transpose(0, 4, 1, 2, 3)
    outer = outer.reshape(sets, visits**2, visits**2)
    form = np.swapaxes(slopes, 1, 2) @ outer @ slopes
    return 0.5 * (form + np.swapaxes(form, 1, 2))


def main_information(moments: Moments, state: State, slopes: Floats, expected: bool) -> Floats:
    """Leading part of the information about the covariance parameters, (data set, parameter, parameter).

    Expected: ½ Σ tr(W Dⱼ W Dₖ). Observed: the same with W (2R + 2S − nΣ) W for the second W, which
    leaves out what the estimated effects take away; it is for steps, not for standard errors.
    """
    plain = moments.n[:, :, None, None] * state.weight
    if expected:
        return 0.5 * bilinear(state.weight, plain, slopes)
    inner = state.weight @ (state.residual + state.spread) @ state.weight
    return 0.5 * bilinear(state.weight, 2 * inner - plain, slopes)


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # a fit without answer is nan, not a warning
def fit(moments: Moments, model: Model | None = None, start: Floats | None = None) -> Fit:
    """Maximise the likelihood of each data set by scoring, with halved steps where one goes too far.

    The first step uses the expected information and later ones the observed (Jennrich & Schluchter
    1986, doi:10.2307/2530695, compare the two); a data set is done when the gain still to be had is
    below ``PRECISION``.

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
        point, done = _improve(left, model, point, expected=step == 0 and start is None)
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


def _improve(moments: Moments, model: Model, point: _Point, expected: bool) -> tuple[_Point, Bools]:
    """Step on from each point, or half-way back from a worse one; say which need no further step."""
    visits = moments.seen.shape[1]
    state = evaluate(moments, model.structure.matrix(point.theta, visits), model)
    slack = np.where(np.isfinite(point.deviance), 1e-10 * np.abs(point.deviance) + 1e-10, 0.0)
    better = state.deviance <= point.deviance + slack
    slopes = model.structure.slopes(point.theta, visits)
    score = (gradient(moments, state)[:, None] @ slopes)[:, 0]
    step, gain = _step(main_information(moments, state, slopes, expected), score)
    uphill = better & ~(gain >= 0)
    if uphill.any() and not expected:
        safe_step, safe_gain = _step(main_information(moments, state, slopes, expected=True), score)
        step, gain = np.where(uphill[:, None], safe_step, step), np.where(uphill, safe_gain, gain)
    half = 0.5 * point.step
    theta = np.where(better[:, None], point.theta + step, point.theta - half)
    best = np.where(better, state.deviance, point.deviance)
    return _Point(theta, np.where(better[:, None], step, half), best), better & (gain < PRECISION)


def _step(information: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Newton step and the gain in twice the log likelihood that it promises; nan if not definite."""
    inverse, _ = invert(information)
    step = (inverse @ score[:, :, None])[:, :, 0]
    return step, np.asarray((step * score).sum(axis=1))
