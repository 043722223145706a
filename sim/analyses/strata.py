"""Strata of a real data set."""

import numpy as np
from numpy.typing import NDArray

from sim.analyses.data_set import DataSet
from sim.core.errors import InputError

Ints = NDArray[np.integer]


def classes_of(data: DataSet, cuts: tuple[float, ...]) -> Ints:
    """Number of each patient's class of the baseline, (patient,).

    Raises
    ------
    InputError
        ``cuts`` without a baseline.
    """
    if not cuts:
        return np.zeros(len(data.arm), dtype=np.int64)
    if data.baseline is None:
        raise InputError("columns.baseline: required by 'cuts', but not given")
    return np.asarray(np.digitize(data.baseline.values[:, 0], cuts))


def strata_of(data: DataSet, cuts: tuple[float, ...]) -> Ints:
    """Number of each patient's stratum, (patient,): classes of the baseline by levels of all factors.

    Raises
    ------
    InputError
        ``cuts`` without a baseline, or a covariate of numbers.
    """
    numbers = [covariate.name for covariate in data.covariates if not covariate.levels]
    if numbers:
        raise InputError(
            f"columns.covariates: '{numbers[0]}' holds numbers; strata need a factor (give its reference)"
        )
    parts = [classes_of(data, cuts)[:, None], *(each.values for each in data.covariates)]
    return np.asarray(np.unique(np.hstack(parts), axis=0, return_inverse=True)[1].reshape(-1))
