"""The likelihood of repeated measures, many data sets at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.analyses.covariance import UNSTRUCTURED, Structure
from sim.analyses.inverse import invert
from sim.analyses.moments import Moments

Floats = NDArray[np.float64]


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
