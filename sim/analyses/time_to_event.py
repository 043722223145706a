"""Where an analysis takes times to an event from."""

import numpy as np
from numpy.typing import NDArray

from sim.analyses.data_set import DataSet
from sim.analyses.survival import Times
from sim.core.errors import InputError
from sim.estimand import Observations

Ints = NDArray[np.integer]


def times_of(observed: Observations, cuts: tuple[float, ...]) -> Times:
    """Times of a block, in strata of baseline pain.

    Raises
    ------
    InputError
        The estimand's endpoint is no time.
    """
    event = observed.event
    if event is None:
        raise InputError("the endpoint is no time to an event")
    return Times(observed.value, event, np.digitize(observed.baseline, cuts))


def times_at(data: DataSet, place: int, stratum: Ints) -> Times:
    """Times of a real data set, one replicate, in strata (patient,).

    Raises
    ------
    InputError
        No column of events, a value in it that is neither 0 nor 1, or a negative time.
    """
    if data.event is None:
        raise InputError("columns.event: required by a time to an event, but not given")
    time, event = data.value[:, place], data.event[:, place]
    if np.any(time < 0):
        raise InputError(f"columns.value: {np.nanmin(time):g} is no time; allowed: 0 and more")
    other = event[~np.isin(event, (0.0, 1.0)) & ~np.isnan(time)]
    if len(other):
        raise InputError(
            f"columns.event: {other[0]:g} is not allowed; allowed: 1 for an event, 0 for censored"
        )
    return Times(time[:, None], np.nan_to_num(event)[:, None], stratum[:, None])


def ratio_name(difference: str) -> str:
    """Name of a log hazard ratio by that of the difference of the same arms."""
    return difference.replace("difference", "log_hazard_ratio")
