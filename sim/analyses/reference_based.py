"""Means of missing visits, after a patient's last value, at random or by a reference arm."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Strategy = Literal["missing_at_random", "jump_to_reference", "copy_reference", "copy_increments"]


def after_last(value: Floats) -> Bools:
    """Visits after the last value, (..., visit); missing values before it are none of them."""
    seen_later = np.flip(np.logical_or.accumulate(np.flip(~np.isnan(value), -1), axis=-1), -1)
    return np.asarray(~seen_later)


def means_after(strategy: Strategy, own: Floats, reference: Floats, left: Bools) -> Floats:
    """Mean of every visit by a strategy (Carpenter, Roger & Kenward 2013, doi:10.1080/10543406.2013.834911).

    Parameters
    ----------
    own, reference
        Means in the patient's own arm and, for the same covariates, in the reference arm, (..., visit).
    left
        Visits after the last value, broadcastable to the means.
    """
    if strategy == "missing_at_random":
        return own
    if strategy == "copy_reference":
        return np.where(left[..., -1:], reference, own)
    if strategy == "copy_increments":
        last = np.maximum((~left).sum(axis=-1, keepdims=True) - 1, 0)
        gap = np.take_along_axis(own - reference, last, axis=-1)
        reference = reference + np.where(left[..., :1], 0.0, gap)
    return np.where(left, reference, own)
