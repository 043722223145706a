"""Where a success rate that grows with the sample size reaches a goal, and how sure the trials make it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Decisions = NDArray[np.bool_]

BOOTSTRAPS = 400
SURE = 0.95
"""Probability with which a sample size shall reach its goal, given the error of the simulation."""


@dataclass(frozen=True)
class Crossing:
    """The size at which a success curve reaches a goal; inf where it never does.

    Attributes
    ----------
    low, high
        95 % bootstrap interval over the replicates.
    sure
        Size by which the curve has reached the goal with probability ``SURE``.
    """

    at: float
    low: float
    high: float
    sure: float


def locate(decisions: Decisions, sizes: Ints, goal: float, seed: int) -> Crossing:
    """Find the crossing of decisions (size, replicate); trials of all sizes share their patients.

    The curve is made monotone (isotonic regression) and the crossing interpolated in the square root of n.
    """
    replicates = decisions.shape[1]
    at = crossing(decisions.mean(axis=1), sizes, goal)
    stream = np.random.Generator(np.random.SFC64(seed))
    weights = stream.multinomial(replicates, np.full(replicates, 1 / replicates), BOOTSTRAPS)
    curves = weights @ decisions.T / replicates
    found = [crossing(curve, sizes, goal) for curve in curves]
    low, high, sure = np.quantile(found, [0.025, 0.975, SURE], method="nearest")
    return Crossing(at, float(low), float(high), float(sure))


def crossing(rates: Floats, sizes: Ints, goal: float) -> float:
    """Size at which monotone success rates first reach the goal; inf where they never do."""
    from scipy.optimize import isotonic_regression

    smooth = isotonic_regression(rates).x
    reached = np.flatnonzero(smooth >= goal)
    if not len(reached):
        return np.inf
    first = int(reached[0])
    if first == 0:
        return float(sizes[0])
    below, above = smooth[first - 1], smooth[first]
    share = (goal - below) / (above - below)
    root = np.sqrt(sizes[first - 1]) + share * (np.sqrt(sizes[first]) - np.sqrt(sizes[first - 1]))
    return float(root**2)


def certainty(hits: int, trials: int, goal: float) -> float:
    """Probability that a success rate is at least ``goal``, given its trials, under Jeffreys' prior.

    Brown, Cai & DasGupta 2001, doi:10.1214/ss/1009213286, section 3.2.
    """
    return float(1 - betainc(hits + 0.5, trials - hits + 0.5, goal))


def first_sure(decisions: Decisions, goal: float) -> int | None:
    """Position of the first size whose decisions (size, replicate) make the goal ``SURE``; None: of none."""
    hits, trials = decisions.sum(axis=1), decisions.shape[1]
    sure = [certainty(int(hit), trials, goal) >= SURE for hit in hits]
    return sure.index(True) if any(sure) else None
