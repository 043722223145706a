"""What is seen of a latent pain: rated with error, rounded and clipped to the scale."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]


def _density(z: Any) -> Any:
    return np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def clipped_mean(mean: Any, sd: Any, bounds: tuple[float, float], cdf: Callable[[Any], Any] = ndtr,
                 pdf: Callable[[Any], Any] = _density) -> Any:
    """Mean of a normal variable clipped to a scale: the mean that a trial reports.

    Parameters
    ----------
    mean, sd
        Of the latent variable, in points of the scale; any broadcastable shape.
    bounds
        Lowest and highest score of the scale.
    cdf, pdf
        Of the standard normal; PyTensor's twins make this the likelihood of the synthesis.

    Notes
    -----
    The two-limit Tobit mean (Greene, Econometric Analysis, 2012, section 19.3):
    E[clip(X)] = low + (mean − low)[Φ(b) − Φ(a)] + (high − low)[1 − Φ(b)] + sd[φ(a) − φ(b)],
    a = (low − mean)/sd, b = (high − mean)/sd.
    """
    low, high = bounds
    a, b = (low - mean) / sd, (high - mean) / sd
    inside = cdf(b) - cdf(a)
    return low + (mean - low) * inside + (high - low) * (1 - cdf(b)) + sd * (pdf(a) - pdf(b))
