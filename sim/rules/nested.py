"""All patients and a subgroup of them: p-values of "neither is helped"."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from sim.rules.crossing import Floats

NODES, WEIGHTS = np.polynomial.legendre.leggauss(32)
"""Of the integral over the angle of the correlation; at 32 it is exact to 1e-10."""


def both_below(bound: ArrayLike, correlation: ArrayLike) -> Floats:
    """Return the probability that two standard normals with this correlation (0 to 1) are below ``bound``.

    Φ(h)² + ∫ exp(−h²/(1 + sin θ)) dθ / 2π for θ from 0 to asin ρ (Owen 1956, doi:10.1214/aoms/1177728074).
    """
    h, angle = np.asarray(bound, dtype=float), np.arcsin(np.asarray(correlation, dtype=float))
    total = np.zeros(np.broadcast_shapes(h.shape, angle.shape))
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        theta = angle * (node + 1) / 2
        total += weight * np.exp(-(h**2) / (1 + np.sin(theta)))
    return np.asarray(ndtr(h) ** 2 + total * angle / 2 / (2 * np.pi))


def nested_correlation(patients: ArrayLike, se: ArrayLike) -> Floats:
    """Return the correlation of the estimates in all patients and in the subgroup, (…).

    The difference in all is that in the subgroup times its share of the patients, and a rest that does not
    depend on it: so the covariance is share × se², and the correlation share × se of the subgroup / se of
    all. With equal variances it is the root of the share (Spiessens & Debois 2010,
    doi:10.1016/j.cct.2010.08.011). At most 1; nan where either standard error is.

    Parameters
    ----------
    patients, se
        Of all patients and of the subgroup, (2, …).
    """
    n, error = np.asarray(patients, dtype=float), np.asarray(se, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip(n[1] / np.maximum(n[0], 1) * error[1] / error[0], 0.0, 1.0))


def nested_intersection_p(z: ArrayLike, correlation: ArrayLike) -> Floats:
    """Return the p-value of each intersection, (subset, …) in the order of ``multiplicity.subsets``.

    That of both is the probability of a larger maximum of two correlated normals.

    Parameters
    ----------
    z
        Of all patients and of the subgroup, (2, …); nan is not tested; an intersection without any is nan.
    correlation
        See ``nested_correlation``, (…).
    """
    given = np.asarray(z, dtype=float)
    alone = ndtr(-given)
    with np.errstate(invalid="ignore"):
        both = 1 - both_below(given.max(axis=0), correlation)
    smallest = np.fmin(*alone)  # far out, where the difference from 1 is lost in rounding
    return np.stack([*alone, np.where(np.isnan(alone).any(axis=0), smallest, np.maximum(both, smallest))])
