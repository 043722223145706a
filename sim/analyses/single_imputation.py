"""One value in place of a missing one."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.analyses.data_set import Covariate
from sim.core.errors import InputError
from sim.estimand import Observations

Floats = NDArray[np.float64]

Fill = Literal["complete_case", "last_observation", "last_or_baseline", "baseline_observation"]

FILL_WORDS = {
    "complete_case": "patients with the outcome",
    "last_observation": "the last value after baseline carried forward",
    "last_or_baseline": "the last value carried forward, the baseline where there is no later one",
    "baseline_observation": "the baseline carried forward",
}


def carry(course: Floats, baseline: Floats, how: Fill) -> Floats:
    """Fill the last of several visits.

    Of the last value after baseline (LOCF) some patients have none and stay missing, unless the
    baseline counts as a value too; the baseline itself (BOCF) everybody has. All give standard errors
    that ignore the filling, and none is valid when values are missing at random (Molenberghs et al.
    2004, Biostatistics 5: 445-464).

    Parameters
    ----------
    course
        (..., visit), nan is missing.
    baseline
        (...).
    how
        The value to carry.
    """
    if how == "complete_case":
        return course[..., -1]
    if how == "baseline_observation":
        return np.where(np.isnan(course[..., -1]), baseline, course[..., -1])
    last = baseline if how == "last_or_baseline" else np.full_like(baseline, np.nan)
    for visit in range(course.shape[-1]):
        last = np.where(np.isnan(course[..., visit]), last, course[..., visit])
    return last


def filled(observed: Observations, how: Fill) -> Observations:
    """Fill the estimand's visit from the visits before it."""
    if how == "complete_case":
        return observed
    course = observed.course[:, :, : observed.visit + 1]
    return replace(observed, value=carry(course, observed.baseline, how))


def fill(value: Floats, baseline: Covariate | None, visit: int, how: Fill) -> Floats:
    """Fill one visit of a real data set, (patient,); value is (patient, visit).

    Raises
    ------
    InputError
        The baseline is to be carried, but there is none.
    """
    if baseline is None and how in ("last_or_baseline", "baseline_observation"):
        raise InputError(f"columns.baseline: required by 'missing: {how}', but not given")
    start = np.full(len(value), np.nan) if baseline is None else baseline.values[:, 0]
    return carry(value[:, : visit + 1], start, how)
