"""How many patients a prior is worth."""

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, roots_legendre

from sim.core.errors import InputError
from sim.mixtures.base import Floats, Mixture
from sim.mixtures.beta import BetaMixture
from sim.mixtures.gamma import GammaMixture
from sim.mixtures.normal import NormalMixture

TAIL = 7.0
"""Normal deviate at which each component is cut off for integration (probability 1e-12 on a side)."""
FLATTENED = 100.0
"""How many times vaguer than one unit Morita's reference prior is."""

_NODES, _WEIGHTS = roots_legendre(10)


def moment(mixture: Mixture) -> float:
    """Effective sample size of the conjugate distribution with the same mean and variance.

    Conservative for mixtures: heavy tails count against the prior. In units of patients
    (gamma: units of exposure).
    """
    mean, variance = float(mixture.mean()), float(mixture.sd()) ** 2
    match mixture:
        case NormalMixture():
            return mixture.reference_sd() ** 2 / variance
        case BetaMixture():
            return mean * (1 - mean) / variance - 1
        case GammaMixture():
            return mean / variance
    raise InputError(f"no effective sample size for {type(mixture).__name__}")


def elir(mixture: Mixture) -> float:
    """Expected local-information-ratio effective sample size.

    E[i(θ) / i_F(θ)] under the prior, where i is the curvature of minus its log density and i_F the Fisher
    information of one observation. Predictively consistent: n more patients are expected to add n; negative
    where a spike makes the log density convex
    (Neuenschwander et al. 2020, doi:10.1111/biom.13252).

    Raises
    ------
    InputError
        A beta or gamma component has a shape below 1: the integral diverges.
    """
    shapes = {BetaMixture: ("a", "b"), GammaMixture: ("a",)}.get(type(mixture), ())
    if any(np.any(getattr(mixture, name) < 1) for name in shapes):
        raise InputError("the ELIR effective sample size needs shapes of 1 or more in every component")
    return _expectation(mixture, lambda x: _information(mixture, x) / mixture.unit_information(x))


def morita(mixture: Mixture) -> float:
    """Effective sample size by curvature at the prior's mode, against a flattened prior.

    The method of Morita, Thall & Müller 2008 (doi:10.1111/j.1541-0420.2007.00888.x) in the form of
    Neuenschwander et al. 2020 (doi:10.1111/biom.13252, equation 9), at the mode. Liberal for mixtures.
    """
    mode, mean, flat = _mode(mixture), float(mixture.mean()), 1 / FLATTENED
    match mixture:
        case NormalMixture():
            vague, unit = flat / float((mixture.s**2).max()), mixture.reference_sd() ** -2
        case BetaMixture():
            vague = (mode * flat - 1) / mode**2 + ((1 - mode) * flat - 1) / (1 - mode) ** 2
            unit = mean / mode**2 + (1 - mean) / (1 - mode) ** 2
        case _:
            vague, unit = (mode * flat - 1) / mode**2, mean / mode**2
    return (float(_information(mixture, np.array(mode))) - vague) / unit


def _information(mixture: Mixture, x: Floats) -> Floats:
    """Minus the second derivative of the mixture's log density, shape of ``x``."""
    wide = mixture.spread(x)
    share = wide.weight * np.exp(wide.component_log_density(x) - mixture.log_density(x))
    gradient, curvature = wide.slopes(x)
    score = (share * gradient).sum(axis=0)
    return np.asarray(score**2 - (share * (gradient**2 + curvature)).sum(axis=0))


def _grid(mixture: Mixture) -> tuple[Floats, Floats]:
    """Gauss–Legendre nodes and weights on the line, in panels of half a deviate of each component."""
    deviates = np.arange(-TAIL, TAIL + 0.25, 0.5)
    inner = mixture.spread(deviates).component_quantile(ndtr(deviates))
    edges = np.unique(mixture.to_line(inner[np.isfinite(inner)]))
    centre, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    return (centre[:, None] + half[:, None] * _NODES).ravel(), (half[:, None] * _WEIGHTS).ravel()


def _expectation(mixture: Mixture, function: Callable[[Floats], Floats]) -> float:
    nodes, weights = _grid(mixture)
    x, slope = mixture.from_line(nodes)
    return float(np.sum(weights * slope * mixture.density(x) * function(x)))


def _mode(mixture: Mixture) -> float:
    """Highest point of the density: the best node of the grid, refined by bisection of the score."""
    x = np.sort(mixture.from_line(_grid(mixture)[0])[0])
    best = int(np.clip(np.argmax(mixture.log_density(x)), 1, len(x) - 2))
    low, high = x[best - 1], x[best + 1]
    for _ in range(80):
        middle = 0.5 * (low + high)
        share = mixture.weight * np.exp(mixture.component_log_density(middle))
        rising = (share * mixture.slopes(middle)[0]).sum() > 0
        low, high = (middle, high) if rising else (low, middle)
    return float(0.5 * (low + high))
