"""What the data say about the covariance parameters of repeated measures."""

import numpy as np
from numpy.typing import NDArray

from sim.analyses.likelihood import Model, State, gradient
from sim.analyses.moments import Moments

Floats = NDArray[np.float64]


def bilinear(left: Floats, right: Floats, slopes: Floats) -> Floats:
    """Σ over patterns of tr(Dⱼ left Dₖ right) for slopes D, symmetric, (data set, parameter, parameter)."""
    sets, patterns, visits, _ = left.shape
    outer = np.swapaxes(left.reshape(sets, patterns, -1), 1, 2) @ right.reshape(sets, patterns, -1)
    # rows (b, c) and columns (d, a) to rows (a, b) and columns (c, d)
    outer = outer.reshape(sets, visits, visits, visits, visits).transpose(0, 4, 1, 2, 3)
    outer = outer.reshape(sets, visits**2, visits**2)
    form = np.swapaxes(slopes, 1, 2) @ outer @ slopes
    return 0.5 * (form + np.swapaxes(form, 1, 2))


def spread_out(left: Floats, right: Floats, slopes: Floats) -> Floats:
    """Σ over patterns of left Dⱼ right for each slope D, (data set, row × visit, parameter)."""
    sets, patterns, rows, visits = left.shape
    outer = np.swapaxes(left.reshape(sets, patterns, -1), 1, 2) @ right.reshape(sets, patterns, -1)
    outer = outer.reshape(sets, rows, visits, visits, visits).transpose(0, 1, 4, 2, 3)
    return np.asarray(outer.reshape(sets, rows * visits, visits**2) @ slopes)


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


def observed_information(moments: Moments, state: State, model: Model, theta: Floats) -> Floats:
    """Observed information about the parameters of the covariance, (data set, parameter, parameter).

    With P = W − WXΦXᵀW: ½ [−tr(P Dⱼ P Dₖ) + 2 yᵀP Dⱼ P Dₖ P y], without the terms of Φ in the trace
    for ML (Harville 1977, doi:10.1080/01621459.1977.10480998), less the slope of the likelihood along
    the second derivatives of a covariance that is not linear.
    """
    visits = moments.seen.shape[1]
    weight, slopes = state.weight, model.structure.slopes(theta, visits)
    shift = spread_out(state.cross @ weight, weight, slopes)
    information = main_information(moments, state, slopes, expected=False)
    information -= np.swapaxes(shift, 1, 2) @ state.variance @ shift
    if model.reml:
        information -= 0.5 * _estimated_effects(moments, state, slopes)
    if not model.structure.linear:
        curvature = model.structure.curvature(theta, visits)
        information -= np.einsum("rv,rvjk->rjk", gradient(moments, state), curvature)
    return information


def _estimated_effects(moments: Moments, state: State, slopes: Floats) -> Floats:
    """tr(Φ Mⱼ Φ Mₖ) with Mⱼ = XᵀW Dⱼ W X, (data set, parameter, parameter)."""
    sets, patterns, q, visits = moments.xy.shape
    parameters = slopes.shape[2]
    weight = state.weight[:, :, None]
    turned = weight @ np.swapaxes(slopes, 1, 2).reshape(-1, 1, parameters, visits, visits) @ weight
    blocks = np.swapaxes(moments.xx.reshape(sets, patterns, -1), 1, 2) @ turned.reshape(sets, patterns, -1)
    blocks = blocks.reshape(sets, q, q, parameters, visits, visits).transpose(0, 3, 1, 4, 2, 5)
    product = state.variance[:, None] @ blocks.reshape(sets, parameters, q * visits, q * visits)
    mirrored = np.swapaxes(product, 2, 3).reshape(sets, parameters, -1)
    return np.asarray(product.reshape(sets, parameters, -1) @ np.swapaxes(mirrored, 1, 2))
