"""How probable each arm is the best, when each mean has a normal posterior."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

REACH, STEP = 8.0, 0.125
"""Reach of the integral and width of its steps, in posterior SDs: the trapezoid is exact to about 1e-12."""


def best_probability(mean: Floats, variance: Floats, among: NDArray[np.bool_]) -> Floats:
    """Return the probability that each arm has the largest mean, all (arm, replicate); 0 outside ``among``.

    Means are independent and normal: the integral over one arm's mean of its density times the distribution
    functions of the others (Bechhofer 1954, doi:10.1214/aoms/1177728845).
    """
    nodes = np.arange(-REACH, REACH + STEP / 2, STEP)
    weight = STEP * np.exp(-0.5 * nodes**2) / np.sqrt(2 * np.pi)
    sd = np.sqrt(variance)
    found = np.zeros(mean.shape)
    for arm in range(len(mean)):
        value = mean[arm][:, None] + sd[arm][:, None] * nodes
        product = np.broadcast_to(weight, value.shape)
        for other in range(len(mean)):
            if other != arm:
                below = ndtr((value - mean[other][:, None]) / sd[other][:, None])
                product = product * np.where(among[other][:, None], below, 1.0)
        found[arm] = np.where(among[arm], product.sum(axis=1), 0.0)
    return found
