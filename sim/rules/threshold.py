"""A decision threshold from simulated null trials, with how uncertain the simulation leaves it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, betaincinv

from sim.core.errors import InputError
from sim.rules.crossing import Floats


@dataclass(frozen=True)
class Calibration:
    """A calibrated threshold: success is a posterior probability above it.

    Attributes
    ----------
    threshold
        The smallest simulated value above which at most the target share of null trials lies.
    low, high
        Confidence limits of the true threshold.
    error, error_high
        Type I error of ``threshold`` in these trials, and its upper confidence limit.
    """

    threshold: float
    low: float
    high: float
    error: float
    error_high: float


def calibrate(null: Floats, target: float, confidence: float = 0.95) -> Calibration:
    """Find the threshold that holds a type I error at ``target``.

    Parameters
    ----------
    null
        What is compared with the threshold, one value a simulated null trial, (replicate,): a posterior
        probability, or the largest over the looks. A missing one is no success.
    confidence
        Of the two-sided limits. Take ``high`` for a threshold that holds the error with confidence
        (1 + ``confidence``)/2.

    Notes
    -----
    Limits are order statistics, whatever the distribution (David & Nagaraja, Order Statistics, 2003,
    section 7.1); that of the error is Clopper & Pearson's (1934, doi:10.1093/biomet/26.4.404).

    Raises
    ------
    InputError
        Too few trials for a limit.
    """
    values = np.sort(np.where(np.isnan(null), -np.inf, null))
    n = len(values)
    if not 0 < target < 1 or not 0 < confidence < 1:
        raise InputError(f"target, confidence: must lie between 0 and 1 (given: {target:g}, {confidence:g})")
    beyond = int(np.floor(n * target + 1e-9))
    tail = (1 - confidence) / 2
    # The number of null trials above the true threshold is binomial; its central range gives the ranks.
    counts = bdtr(np.arange(n + 1), n, target)
    fewest, most = int(np.searchsorted(counts, tail)), int(np.searchsorted(counts, 1 - tail))
    if fewest < 1:
        raise InputError(
            f"null: {n} trials are too few for limits at target {target:g}; "
            f"{int(np.ceil(np.log(tail) / np.log1p(-target)))} are needed at least"
        )
    threshold = float(values[n - 1 - beyond])
    hits = int((values > threshold).sum())
    error_high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return Calibration(
        threshold, float(values[n - 1 - min(most, n - 1)]), float(values[n - fewest]), hits / n, error_high
    )
