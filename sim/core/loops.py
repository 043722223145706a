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
Ints = NDArray[np.integer[Any]]
Arguments = ParamSpec("Arguments")


@cache
def _compiled(loop: Callable[..., None]) -> Callable[..., None]:
    from numba import njit

    try:
        compiled: Callable[..., None] = njit(loop, cache=True, error_model="numpy")
    except RuntimeError:  # no folder can be written: compile in each process
        compiled = njit(loop, error_model="numpy")
    return compiled


def compiled(loop: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Compile a loop when it is first called; the plain loop is ``__wrapped__``."""

    def call(*arguments: Any) -> None:
        _compiled(loop)(*arguments)

    call.__wrapped__ = loop  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


@compiled
def correlate(factor: Floats, start: Floats, normal: Floats) -> None:
    """Write ``start`` + ``factor`` · ``normal`` over ``normal``, the last visit first.

    Parameters
    ----------
    factor
        Lower triangular, (visit, visit, replicate).
    start, normal
        (patient, replicate) and (visit, patient, replicate).
    """
    visits, patients, replicates = normal.shape
    total = np.empty(replicates)
    for patient in range(patients):
        for visit in range(visits - 1, -1, -1):
            total[:] = 0.0
            for earlier in range(visit):
                for r in range(replicates):
                    total[r] += factor[visit, earlier, r] * normal[earlier, patient, r]
            for r in range(replicates):
                own = factor[visit, visit, r] * normal[visit, patient, r]
                normal[visit, patient, r] = total[r] + own + start[patient, r]


@compiled
def put_where_before(week: Floats, limit: float, value: float, out: Floats) -> None:
    """Put a value into ``out`` where the week is before the limit, both (patient, replicate)."""
    patients, replicates = out.shape
    for patient in range(patients):
        for r in range(replicates):
            if week[patient, r] < limit:
                out[patient, r] = value


@compiled
def combine(weights: Floats, first: Floats, second: Floats, third: Floats) -> None:
    """Write three sums of two (patient, replicate) arrays over the two and into a third.

    Parameters
    ----------
    weights
        Of the first array, of the second, and a constant, for each sum, (sum, 3, replicate).
    """
    patients, replicates = first.shape
    for patient in range(patients):
        for r in range(replicates):
            a, b = first[patient, r], second[patient, r]
            first[patient, r] = weights[0, 0, r] * a + weights[0, 1, r] * b + weights[0, 2, r]
            second[patient, r] = weights[1, 0, r] * a + weights[1, 1, r] * b + weights[1, 2, r]
            third[patient, r] = weights[2, 0, r] * a + weights[2, 1, r] * b + weights[2, 2, r]


@compiled
def deal(orders: Ints, chosen: Ints, out: Ints) -> None:
    """Write the chosen order of each block into ``out``.

    Parameters
    ----------
    orders
        Arms of a block's places, (order, place).
    chosen
        (block, replicate).
    out
        (patient, replicate); the last block may be cut.
    """
    size = orders.shape[1]
    for patient in range(len(out)):
        for r in range(out.shape[1]):
            out[patient, r] = orders[np.uint64(chosen[patient // size, r]), patient % size]


@compiled
def add_by_arm(own: Floats, arm: Ints, shift: Floats, out: Floats) -> None:
    """Write what is a patient's own plus a shift by arm into ``out``.

    Parameters
    ----------
    own, out
        (visit, patient, replicate).
    arm
        (patient, replicate).
    shift
        (visit, arm, replicate).
    """
    visits, patients, replicates = own.shape
    for visit in range(visits):
        for patient in range(patients):
            for r in range(replicates):
                out[visit, patient, r] = own[visit, patient, r] + shift[visit, np.uint64(arm[patient, r]), r]


@compiled
def round_to_grid(values: Floats, low: float, high: float, step: float) -> None:
    """Round each of a flat array to the nearest of ``low``, ``low`` + ``step``, … ``high``, in place."""
    if step == 1.0:
        for i in range(len(values)):
            score = np.rint(values[i] - low) + low
            values[i] = low if score < low else high if score > high else score
    else:
        for i in range(len(values)):
            score = np.rint((values[i] - low) / step) * step + low
            values[i] = low if score < low else high if score > high else score


@compiled
def reach(
    scores: tuple[Floats, Floats], sign: float, needed: tuple[float, float, float], out: Floats
) -> None:
    """Write 1 where a score improves on the baseline enough, else 0, nan where it is missing; flat arrays.

    Parameters
    ----------
    scores
        Baselines, and scores after.
    sign
        1 where lower is better, −1 where higher is.
    needed
        Share of the baseline and points that it takes together, and what the baseline has to be above.
    """
    baseline, after = scores
    share, points, above = needed
    for i in range(len(out)):
        enough = sign * (baseline[i] - after[i]) >= share * baseline[i] + points
        reached = 1.0 if enough & (baseline[i] > above) else 0.0
        out[i] = reached if after[i] == after[i] else np.nan


@compiled
def hide_after(leave: Floats, weeks: Floats, scores: Floats) -> None:
    """Make scores nan at visits after patients left.

    Parameters
    ----------
    leave, weeks
        Week of leaving, (patient, replicate), and of the visits, (visit,).
    scores
        (visit, patient, replicate).
    """
    visits, patients, replicates = scores.shape
    for visit in range(visits):
        for patient in range(patients):
            for r in range(replicates):
                if leave[patient, r] < weeks[visit]:
                    scores[visit, patient, r] = np.nan


@compiled
def run_up(values: Floats) -> None:
    """Sum from the first patient on, (patient, replicate), in place."""
    patients, replicates = values.shape
    for patient in range(1, patients):
        for r in range(replicates):
            values[patient, r] += values[patient - 1, r]


@compiled
def count_until(week: Floats, sizes: Ints, last: Floats, counts: Ints) -> None:
    """Count the weeks up to a last one among the first patients up to each size.

    Parameters
    ----------
    week
        (patient, replicate).
    sizes
        (size,).
    last, counts
        (size, replicate); ``counts`` are added to.
    """
    for s in range(len(sizes)):
        for patient in range(sizes[s]):
            for r in range(week.shape[1]):
                counts[s, r] += week[patient, r] <= last[s, r]


@compiled
def find_rows(group: Ints, step: Floats, levels: int, rows: Ints) -> None:
    """Write where each patient's row of a table by (group, replicate, step, score) begins into ``rows``.

    Parameters
    ----------
    group, step, rows
        (patient, replicate); a step is a whole number below ``levels``, a score one up to it.
    """
    patients, replicates = group.shape
    for patient in range(patients):
        for r in range(replicates):
            of = (group[patient, r] * replicates + r) * levels + np.int64(step[patient, r])
            rows[patient, r] = of * (levels + 1)


@compiled
def tally(row: Ints, steps: Floats, missing: int, counts: Floats) -> None:
    """Count patients by row of a table and by score.

    Parameters
    ----------
    row
        Where each patient's row of ``counts`` begins, (patient, replicate).
    steps
        Position of the score in the row, (patient, replicate), whole numbers.
    missing
        Position of a score that is nan.
    counts
        The table, all rows one after the other, added to.
    """
    patients, replicates = row.shape
    for patient in range(patients):
        for r in range(replicates):
            step = steps[patient, r]
            place = row[patient, r] + (np.int64(step) if step == step else missing)
            counts[np.uint64(place)] += 1  # unsigned: no check for a place counted from the end


@compiled
def tally_weeks(week: Floats, group: Ints, visits: Floats, counts: Ints) -> None:
    """Count patients by group and by the first visit after their week.

    Parameters
    ----------
    week, group
        (patient, replicate).
    visits
        Increasing weeks.
    counts
        (visit or after the last, group, replicate), added to.
    """
    patients, replicates = week.shape
    after = np.empty(replicates, dtype=np.int64)
    for patient in range(patients):
        after[:] = 0
        for visit in range(len(visits)):
            for r in range(replicates):
                after[r] += week[patient, r] >= visits[visit]
        for r in range(replicates):
            counts[np.uint64(after[r]), np.uint64(group[patient, r]), r] += 1


@compiled
def add_moments(arm: Ints, scores: tuple[Floats, Floats], centre: float, sizes: Ints, sums: Floats) -> None:
    """Sum 1, x, y, x², xy, y² by arm over the first patients up to each size; without y they are left out.

    Parameters
    ----------
    arm, scores
        Of each patient, (patient, replicate); x and y are the two scores less ``centre``.
    sizes
        Increasing.
    sums
        (moment, arm, size, replicate), zeros to begin with.
    """
    before, after = scores
    arms, replicates = sums.shape[1], arm.shape[1]
    begin = 0
    for s in range(len(sizes)):
        if s > 0:
            sums[:, :, s] = sums[:, :, s - 1]
        for patient in range(begin, sizes[s]):
            for k in range(arms):
                for r in range(replicates):
                    x, y = before[patient, r] - centre, after[patient, r] - centre
                    counted = (arm[patient, r] == k) & (y == y)
                    x, y = x if counted else 0.0, y if counted else 0.0
                    sums[0, k, s, r] += counted
                    sums[1, k, s, r] += x
                    sums[2, k, s, r] += y
                    sums[3, k, s, r] += x * x
                    sums[4, k, s, r] += x * y
                    sums[5, k, s, r] += y * y
        begin = sizes[s]


@compiled
def add_responders(arm: Ints, value: Floats, sizes: Ints, counts: Ints) -> None:
    """Count patients, those observed, and those with a value above 0, by arm up to each size.

    Parameters
    ----------
    arm, value
        (patient, replicate).
    sizes
        Increasing.
    counts
        (count, arm, size, replicate), zeros to begin with.
    """
    arms, replicates = counts.shape[1], arm.shape[1]
    begin = 0
    for s in range(len(sizes)):
        if s > 0:
            counts[:, :, s] = counts[:, :, s - 1]
        for patient in range(begin, sizes[s]):
            for k in range(arms):
                for r in range(replicates):
                    mine, y = arm[patient, r] == k, value[patient, r]
                    counts[0, k, s, r] += mine
                    counts[1, k, s, r] += mine & (y == y)
                    counts[2, k, s, r] += mine & (y > 0)
        begin = sizes[s]
