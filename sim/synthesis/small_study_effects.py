"""Do small studies show larger effects? Egger's regression, and trim and fill."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from sim.core.errors import InputError
from sim.synthesis.heterogeneity import Estimator, Floats, Studies
from sim.synthesis.pairwise import Pooled, pool

STEPS = 100


def egger(studies: Studies) -> tuple[float, float]:
    """T statistic and two-sided p-value of Egger's regression test.

    Weighted regression of the estimates on their standard errors with a residual scale
    (Egger et al. 1997, doi:10.1136/bmj.315.7109.629; Sterne & Egger 2005).
    """
    se, w = np.sqrt(studies.variance), 1 / studies.variance
    if len(se) < 3:
        raise InputError("Egger's test needs 3 studies or more")
    x = np.stack([np.ones_like(se), se], axis=1)
    covariance = np.linalg.inv(x.T @ (x * w[:, None]))
    coefficient = covariance @ x.T @ (w * studies.estimate)
    scale = float(np.sum(w * (studies.estimate - x @ coefficient) ** 2)) / (len(se) - 2)
    t = float(coefficient[1] / np.sqrt(scale * covariance[1, 1]))
    return t, float(2 * stdtr(len(se) - 2, -abs(t)))


@dataclass(frozen=True, eq=False)
class Filled:
    """Number of studies filled in, and the meta-analysis with them."""

    missing: int
    pooled: Pooled


def trim_and_fill(studies: Studies, method: Estimator = "REML") -> Filled:
    """Fill in the mirror images of studies that have no counterpart (Duval & Tweedie 2000, estimator L0).

    doi:10.1111/j.0006-341X.2000.00455.x. The side is the one to which the estimates do not lean with their
    standard errors (sign of the slope of the meta-regression on the standard error).
    """
    se = np.sqrt(studies.variance)
    slope = pool(
        Studies(studies.estimate, studies.variance, np.stack([np.ones_like(se), se], axis=1)), method
    )
    sign = 1.0 if slope.coefficient[1] >= 0 else -1.0
    y, v = sign * studies.estimate, studies.variance
    order = np.argsort(y, kind="stable")
    y, v = y[order], v[order]
    missing = _missing(y, v, method)
    if not missing:
        return Filled(0, pool(studies, method))
    centre = pool(Studies(y[: len(y) - missing], v[: len(y) - missing]), method).estimate
    mirrored = 2 * centre - y[len(y) - missing :]
    filled = Studies(sign * np.append(y, mirrored), np.append(v, v[len(y) - missing :]))
    return Filled(missing, pool(filled, method))


def _missing(y: Floats, v: Floats, method: Estimator) -> int:
    """Iterate the L0 estimate of the number of studies trimmed at the upper end until it stays."""
    k, missing = len(y), 0
    for _ in range(STEPS):
        centre = pool(Studies(y[: k - missing], v[: k - missing]), method).estimate
        deviation = y - centre
        rank = np.argsort(np.argsort(abs(deviation), kind="stable"), kind="stable") + 1
        ranks = float(rank[deviation > 0].sum())
        found = max(0, round((4 * ranks - k * (k + 1)) / (2 * k - 1)))
        if found == missing:
            return missing
        missing = min(found, k - 1)
    return missing
