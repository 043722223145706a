"""One value in place of a missing one."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.data_set import DataSet
from sim.core.errors import InputError
from sim.core.parts import Part
from sim.data import ABSENT
from sim.estimand import Observations
from sim.events import REASONS

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

Carry = Literal["complete_case", "last_observation", "last_or_baseline", "baseline_observation"]
Reason = Literal["adverse_event", "inefficacy", "other"]


class ByReason(Part):
    """One value for who stopped treatment for a reason, another one for everybody else."""

    after: dict[Reason, Carry] = Field(
        min_length=1, description="what is carried, by the reason for stopping"
    )
    otherwise: Carry = "last_or_baseline"

    def words(self) -> str:
        """Say it in words."""
        said = [f"after {reason.replace('_', ' ')} {FILL_WORDS[how]}" for reason, how in self.after.items()]
        return "; ".join([*said, f"otherwise {FILL_WORDS[self.otherwise]}"])


Fill = Carry | ByReason

FILL_WORDS = {
    "complete_case": "patients with the outcome",
    "last_observation": "the last value after baseline carried forward",
    "last_or_baseline": "the last value carried forward, the baseline where there is no later one",
    "baseline_observation": "the baseline carried forward",
}


def fill_words(how: Fill) -> str:
    """Say in words whose value stands for a missing one."""
    return how.words() if isinstance(how, ByReason) else FILL_WORDS[how]


def carry(course: Floats, baseline: Floats, how: Carry) -> Floats:
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
    carried = _chosen(course, observed.baseline, observed.data.reason, how)
    return replace(observed, value=np.where(observed.arm == ABSENT, np.nan, carried))


def fill(data: DataSet, visit: int, how: Fill) -> Floats:
    """Fill one visit of a real data set, (patient,).

    Raises
    ------
    InputError
        The baseline is to be carried, but there is none; or a reason decides, but there are none.
    """
    needed = {*how.after.values(), how.otherwise} if isinstance(how, ByReason) else {how}
    if data.baseline is None and needed & {"last_or_baseline", "baseline_observation"}:
        named = "'missing' by reason" if isinstance(how, ByReason) else f"'missing: {how}'"
        raise InputError(f"columns.baseline: required by {named}, but not given")
    start = np.full(len(data.value), np.nan) if data.baseline is None else data.baseline.values[:, 0]
    return _chosen(data.value[:, : visit + 1], start, data.reason, how)


def _chosen(course: Floats, baseline: Floats, reason: Ints | None, how: Fill) -> Floats:
    """Carry what each patient's reason for stopping asks for; other arguments as in ``carry``."""
    if not isinstance(how, ByReason):
        return carry(course, baseline, how)
    if reason is None:
        raise InputError("columns.reason: required by 'missing' by reason, but not given")
    value = carry(course, baseline, how.otherwise)
    for name, other in how.after.items():
        value = np.where(reason == REASONS.index(name), carry(course, baseline, other), value)
    return value
