"""The few loops that run over every patient of a block, compiled by numba when first called.

Each makes one pass where numpy makes several, and gives the same bytes as the plain numpy in its test:
nothing is reordered or fused into one rounding. Compiled code is kept beside this file, or where numba keeps
it if that folder cannot be written. Importing this module does not load numba.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, ParamSpec

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Arguments = ParamSpec("Arguments")


@cache
def _compiled(loop: Callable[..., None]) -> Callable[..., None]:
    from numba import njit

    try:
        compiled: Callable[..., None] = njit(loop, cache=True)
    except RuntimeError:  # no folder can be written: compile in each process
        compiled = njit(loop)
    return compiled


def compiled(loop: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Compile a loop when it is first called; the plain loop is ``__wrapped__``."""

    def call(*arguments: Any) -> None:
        _compiled(loop)(*arguments)

    call.__wrapped__ = loop  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


@compiled
def correlate(factor: Floats, normal: Floats, start: Floats, first: int, out: Floats) -> None:
    """Write ``start`` + ``factor`` · ``normal`` of the patients from ``first`` on into ``out``.

    Parameters
    ----------
    factor
        Lower triangular, (visit, visit, replicate).
    normal
        Of these patients, (visit, patient, replicate).
    start, out
        Of all patients, (patient, replicate) and (visit, patient, replicate).
    """
    visits, patients, replicates = normal.shape
    for patient in range(min(patients, len(start) - first)):
        for visit in range(visits):
            for r in range(replicates):
                out[visit, first + patient, r] = factor[visit, 0, r] * normal[0, patient, r]
            for earlier in range(1, visit + 1):
                for r in range(replicates):
                    out[visit, first + patient, r] += factor[visit, earlier, r] * normal[earlier, patient, r]
            for r in range(replicates):
                out[visit, first + patient, r] += start[first + patient, r]


@compiled
def put_where_before(week: Floats, limit: float, value: float, out: Floats) -> None:
    """Put a value into ``out`` where the week is before the limit, both (patient, replicate)."""
    patients, replicates = out.shape
    for patient in range(patients):
        for r in range(replicates):
            if week[patient, r] < limit:
                out[patient, r] = value


@compiled
def tally(place: Ints, start: Ints, steps: Floats, counts: Floats) -> None:
    """Count patients by place and by pair of scores.

    Parameters
    ----------
    place, start
        Row of ``counts``, and position of the baseline score, (patient, replicate).
    steps
        Position of the score, (patient, replicate), whole numbers; nan has the last position.
    counts
        (place, baseline, score), added to.
    """
    patients, replicates = place.shape
    last = counts.shape[2] - 1
    for patient in range(patients):
        for r in range(replicates):
            step = steps[patient, r]
            score = last if np.isnan(step) else int(step)
            counts[place[patient, r], start[patient, r], score] += 1


@compiled
def add_moments(arm: Ints, x: Floats, y: Floats, sizes: Ints, sums: Floats) -> None:
    """Sum 1, x, y, x², xy, y² by arm over the first patients up to each size; without y they are left out.

    Parameters
    ----------
    arm, x, y
        (patient, replicate); ``sizes`` increase.
    sums
        (moment, arm, size, replicate), zeros to begin with.
    """
    arms, replicates = sums.shape[1], arm.shape[1]
    begin = 0
    for s in range(len(sizes)):
        if s > 0:
            sums[:, :, s] = sums[:, :, s - 1]
        for patient in range(begin, sizes[s]):
            for k in range(arms):
                for r in range(replicates):
                    a, c = x[patient, r], y[patient, r]
                    counted = 1.0 if arm[patient, r] == k and not np.isnan(c) else 0.0
                    a, c = counted * a, c if counted == 1.0 else 0.0
                    sums[0, k, s, r] += counted
                    sums[1, k, s, r] += a
                    sums[2, k, s, r] += c
                    sums[3, k, s, r] += a * a
                    sums[4, k, s, r] += a * c
                    sums[5, k, s, r] += c * c
        begin = sizes[s]
