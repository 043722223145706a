"""Standard errors and degrees of freedom of contrasts in a fitted model of repeated measures."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.analyses.covariance import CHOLESKY, UNSTRUCTURED, Structure
from sim.analyses.information import bilinear, observed_information, spread_out
from sim.analyses.inverse import invert
from sim.analyses.moments import Measurements, place_of
from sim.analyses.reml import Fit

Floats = NDArray[np.float64]

METHODS = ("satterthwaite", "kenward_roger", "kenward_roger_linear", "between_within", "residual", "normal")


@dataclass(frozen=True)
class Information:
    """What the data say about the covariance parameters of each data set.

    Attributes
    ----------
    slopes, curvature
        First and second derivatives of the covariance, (data set or 1, visit × visit, parameter) and
        (data set, visit × visit, parameter, parameter); no curvature where it is zero.
    variance
        Inverse of the observed information, (data set, parameter, parameter).
    """

    slopes: Floats
    curvature: Floats | None
    variance: Floats


@dataclass(frozen=True)
class Contrasts:
    """Linear functions of the effects, arrays (contrast, data set)."""

    estimate: Floats
    se: Floats
    df: Floats


def information(fit: Fit, structure: Structure | None = None) -> Information:
    """Invert the observed information about the covariance parameters.

    Parameters
    ----------
    fit
        A fitted model.
    structure
        The parametrisation, if another than that of the fit.
    """
    visits = fit.covariance.shape[1]
    model = fit.model if structure is None else replace(fit.model, structure=structure)
    theta = fit.theta if structure is None else _parameters(structure, fit.covariance)
    curvature = None if model.structure.linear else model.structure.curvature(theta, visits)
    observed = observed_information(fit.moments, fit.state, model, theta)
    return Information(model.structure.slopes(theta, visits), curvature, invert(observed)[0])


def _parameters(structure: Structure, covariance: Floats) -> Floats:
    good = np.asarray(np.isfinite(covariance).all(axis=(1, 2)))
    safe = np.where(good[:, None, None], covariance, np.eye(covariance.shape[1]))
    return np.where(good[:, None], structure.guess(safe), np.nan)


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # a fit without answer is nan, not a warning
def contrasts(
    fit: Fit, weights: Floats, method: str = "satterthwaite", df: Floats | None = None
) -> Contrasts:
    """Estimate linear functions of the effects.

    Satterthwaite's degrees of freedom are 2v²/var(v), v = cᵀΦc, by the delta method with the observed
    information (Giesbrecht & Burns 1985, Biometrics 41: 477-486). Kenward & Roger (1997,
    doi:10.2307/2533558) have the same for one contrast and add to its variance; ``kenward_roger_linear``
    is their form without second derivatives of the covariance, as in SAS. ``kenward_roger`` keeps them,
    which depends on the parametrisation: that of R's mmrm if unstructured, else that of the structure.

    Parameters
    ----------
    fit
        A fitted model.
    weights
        (contrast, column × visit).
    method
        One of ``METHODS``; the last three take ``df``, which is infinite if not given.
    df
        Given degrees of freedom, broadcastable to (contrast, data set).
    """
    estimate = weights @ fit.state.effects.reshape(len(fit.theta), -1).T
    half = projections(fit, weights)
    variance = np.einsum("crb,cb->cr", half, weights)
    if method in METHODS[3:]:
        given = np.broadcast_to(np.inf if df is None else df, estimate.shape)
        return Contrasts(estimate, np.sqrt(variance), given)
    known = information(fit)
    slope = np.stack([_variance_slope(fit, known, row) for row in half])
    degrees = 2 * variance**2 / np.einsum("crj,rjk,crk->cr", slope, known.variance, slope)
    if method != "satterthwaite":
        form = _kenward_roger_form(fit, known, method)
        variance = variance + np.stack([_adjustment(fit, form, row) for row in half])
    return Contrasts(estimate, np.sqrt(variance), degrees)


def projections(fit: Fit, weights: Floats) -> Floats:
    """Φc for each contrast c, (contrast, data set, column × visit)."""
    return np.asarray(np.einsum("ca,rab->crb", weights, fit.state.variance))


def empirical_se(fit: Fit, weights: Floats, measured: Measurements) -> Floats:
    """Sandwich standard errors, (contrast, data set), valid whatever the covariance is.

    cᵀΦ [Σ XᵢᵀWᵢrᵢrᵢᵀWᵢXᵢ] Φc over patients i (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13), without
    a correction for small samples.

    Parameters
    ----------
    fit, weights
        As for ``contrasts``.
    measured
        The data of the fit, one data set a replicate.
    """
    seen = ~np.isnan(measured.value)
    place = place_of(seen, fit.moments.seen)
    nobody = np.zeros_like(fit.state.weight[:, :1])
    weight = np.concatenate([fit.state.weight, nobody], axis=1)[np.arange(len(fit.theta)), place]
    design = np.stack(measured.columns, axis=-1)
    expected = np.einsum("nrq,rqv->nrv", design, fit.state.effects)
    residual = np.where(seen, measured.value - expected, 0.0)
    scaled = np.einsum("nrvw,nrw->nrv", weight, residual)
    half = projections(fit, weights).reshape(len(weights), len(fit.theta), design.shape[2], -1)
    share = np.einsum("nrq,crqv,nrv->cnr", design, half, scaled, optimize=True)
    return np.asarray(np.sqrt((share**2).sum(axis=1)))


def _kenward_roger_form(fit: Fit, known: Information, method: str) -> Information:
    if method == "kenward_roger_linear":
        return Information(known.slopes, None, known.variance)
    return information(fit, CHOLESKY) if fit.model.structure is UNSTRUCTURED else known


def _patient_spread(fit: Fit, half: Floats) -> Floats:
    """Σ over patients of (X Φc)(X Φc)ᵀ between inverse covariances, (data set, pattern, visit, visit)."""
    sets, _, q, visits = fit.moments.xy.shape
    effect = half.reshape(sets, 1, q, visits)
    inner = np.swapaxes(effect, 2, 3) @ fit.moments.xx @ effect
    return np.asarray(fit.state.weight @ inner @ fit.state.weight)


def _variance_slope(fit: Fit, known: Information, half: Floats) -> Floats:
    """Slope of cᵀΦc in each covariance parameter, (data set, parameter)."""
    spread = _patient_spread(fit, half).sum(axis=1).reshape(len(half), 1, -1)
    return np.asarray((spread @ known.slopes)[:, 0])


def _adjustment(fit: Fit, known: Information, half: Floats) -> Floats:
    """Kenward and Roger's addition to cᵀΦc, (data set,)."""
    sets, _, q, visits = fit.moments.xy.shape
    spread = _patient_spread(fit, half)
    second = bilinear(fit.state.weight, spread, known.slopes)
    left = fit.moments.xx @ half.reshape(sets, 1, q, visits) @ fit.state.weight
    moved = spread_out(left, fit.state.weight, known.slopes)
    second -= np.swapaxes(moved, 1, 2) @ fit.state.variance @ moved
    if known.curvature is not None:
        second -= 0.25 * np.einsum("rv,rvjk->rjk", spread.sum(axis=1).reshape(sets, -1), known.curvature)
    return np.asarray(2 * (known.variance * second).sum(axis=(1, 2)))
