"""Compiled loops against plain numpy, to the byte."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.special import ndtri

from sim.core import loops
from sim.core.loops import add_moments, compiled, correlate, put_where_before, tally
from sim.core.normal import quantile

SHAPE = (37, 12)


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(20261121)


def with_gaps(draw: np.random.Generator) -> np.ndarray:
    """Scores of 0 to 10, a fifth of them missing."""
    scores = np.rint(10 * draw.random(SHAPE))
    scores[draw.random(SHAPE) < 0.2] = np.nan
    return scores


def test_correlated_numbers_are_the_product_with_the_factor(draw):
    visits = 4
    factor = np.tril(draw.standard_normal((SHAPE[1], visits, visits))).transpose(1, 2, 0).copy()
    normal, start = draw.standard_normal((visits, *SHAPE)), draw.standard_normal(SHAPE)
    found = normal.copy()
    correlate(factor, start, found)
    for visit in range(visits):
        expected = factor[visit, 0] * normal[0]
        for earlier in range(1, visit + 1):
            expected = expected + factor[visit, earlier] * normal[earlier]
        assert np.array_equal(found[visit], expected + start)


def test_values_before_a_week_are_replaced(draw):
    week, scores = draw.exponential(5, SHAPE), with_gaps(draw)
    expected = np.where(week < 4.0, np.nan, scores)
    put_where_before(week, 4.0, np.nan, scores)
    assert np.array_equal(scores, expected, equal_nan=True)


def test_a_tally_counts_every_patient_once(draw):
    group, start, scores = draw.integers(3, size=SHAPE), draw.integers(11, size=SHAPE), with_gaps(draw)
    counts, rows = np.zeros((3, SHAPE[1], 11, 12)), np.empty(SHAPE, dtype=np.int64)
    loops.find_rows(group, start.astype(float), 11, rows)
    tally(rows, scores, 11, counts.reshape(-1))
    expected = np.zeros_like(counts)
    place = group, np.arange(SHAPE[1]), start, np.nan_to_num(scores, nan=11).astype(int)
    np.add.at(expected, place, 1)
    assert np.array_equal(counts, expected)
    assert counts.sum() == group.size


def test_weeks_are_counted_up_to_the_last_of_each_size(draw):
    week, sizes, last = draw.exponential(6, SHAPE), np.array([9, 37]), 4 + draw.random((2, SHAPE[1]))
    counts = np.zeros(last.shape, dtype=np.int64)
    loops.count_until(week, sizes, last, counts)
    expected = [(week[:size] <= end).sum(axis=0) for size, end in zip(sizes, last, strict=True)]
    assert np.array_equal(counts, expected)


def test_weeks_are_counted_at_the_first_visit_after_them(draw):
    week, group = draw.exponential(6, SHAPE), draw.integers(2, size=SHAPE)
    visits, counts = np.array([0.0, 4.0, 12.0]), np.zeros((4, 2, SHAPE[1]), dtype=np.int64)
    week[:3, 0] = 4.0, 12.0, np.inf
    loops.tally_weeks(week, group, visits, counts)
    for visit in range(len(visits)):
        for k in range(2):
            before = (week < visits[visit]) & (group == k)
            assert np.array_equal(counts[: visit + 1, k].sum(axis=0), before.sum(axis=0))


def test_moments_are_sums_by_arm_over_the_first_patients(draw):
    sizes, arm = np.array([9, 20, 37]), draw.integers(2, size=SHAPE)
    before, after = 5 + draw.standard_normal(SHAPE), with_gaps(draw)
    sums = np.zeros((6, 2, 3, SHAPE[1]))
    add_moments(arm, (before, after), 5.0, sizes, sums)
    x, y = before - 5, after - 5
    terms = (np.ones(SHAPE), x, y, x * x, x * y, y * y)
    for place, size in enumerate(sizes):
        for k in range(2):
            counted = (arm == k)[:size] & ~np.isnan(y[:size])
            for moment, term in enumerate(terms):
                expected = np.zeros(SHAPE[1])
                for patient in range(size):
                    expected += np.where(counted[patient], term[patient], 0.0)
                assert np.array_equal(sums[moment, k, place], expected)


def test_responders_are_counted_by_arm_over_the_first_patients(draw):
    sizes, arm, value = np.array([9, 37]), draw.integers(2, size=SHAPE), with_gaps(draw) - 4
    counts = np.zeros((3, 2, 2, SHAPE[1]), dtype=np.int64)
    loops.add_responders(arm, value, sizes, counts)
    for place, size in enumerate(sizes):
        for k in range(2):
            mine, y = (arm == k)[:size], value[:size]
            expected = [(mine & one).sum(axis=0) for one in (True, ~np.isnan(y), y > 0)]
            assert np.array_equal(counts[:, k, place], expected)


def test_a_shift_by_arm_is_added_to_what_is_a_patients_own(draw):
    own, arm, shift = draw.random((3, *SHAPE)), draw.integers(2, size=SHAPE), draw.random((3, 2, SHAPE[1]))
    out = np.empty_like(own)
    loops.add_by_arm(own, arm, shift, out)
    assert np.array_equal(out, own + np.where(arm == 0, shift[:, :1], shift[:, 1:]))


def test_two_arrays_are_combined_into_three(draw):
    weights, first, second = draw.random((3, 3, SHAPE[1])), draw.random(SHAPE), draw.random(SHAPE)
    expected = [w[0] * first + w[1] * second + w[2] for w in weights]
    third = np.empty(SHAPE)
    loops.combine(weights, first, second, third)
    assert np.array_equal([first, second, third], expected)


@pytest.mark.parametrize(("low", "high", "step"), [(0, 10, 1), (0, 10, 0.1), (1, 7, 1), (-5, 5, 0.5)])
def test_scores_lie_on_the_grid_nearest_to_the_values(draw, low, high, step):
    values = 5 + 8 * draw.standard_normal(400)
    values[:3] = np.nan, 0.5, 1.5
    expected = np.clip(np.rint((values - low) / step) * step + low, low, high)
    loops.round_to_grid(values, low, high, step)
    assert np.array_equal(values, expected, equal_nan=True)


def test_what_comes_after_leaving_is_hidden(draw):
    leave, scores, weeks = draw.exponential(5, SHAPE), draw.random((2, *SHAPE)), np.array([4.0, 8.0])
    expected = np.where(leave < weeks[:, None, None], np.nan, scores)
    loops.hide_after(leave, weeks, scores)
    assert np.array_equal(scores, expected, equal_nan=True)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_response_is_an_improvement_by_a_share_and_points(draw, sign):
    before, after = np.rint(10 * draw.random(SHAPE)).ravel(), with_gaps(draw).ravel()
    for share, points, above in ((0.3, -1e-9, 0.0), (0.0, 2 - 1e-9, -np.inf)):
        out = np.empty_like(before)
        loops.reach((before, after), sign, (share, points, above), out)
        reached = (sign * (before - after) >= share * before + points) & (before > above)
        assert np.array_equal(out, np.where(np.isnan(after), np.nan, reached), equal_nan=True)


def test_running_sums_and_dealt_orders_are_those_of_numpy(draw):
    values = draw.random(SHAPE)
    expected = np.cumsum(values, axis=0)
    loops.run_up(values)
    assert np.array_equal(values, expected)
    orders, chosen = draw.integers(3, size=(6, 4)), draw.integers(6, size=(10, SHAPE[1]))
    out = np.empty(SHAPE, dtype=np.int64)
    loops.deal(orders, chosen, out)
    assert np.array_equal(out, orders[chosen].transpose(0, 2, 1).reshape(40, -1)[: SHAPE[0]])


def test_normal_quantiles_are_those_of_scipy(draw):
    p = draw.random((100, 12))
    p[:8] = 10.0 ** -np.arange(1, 97, dtype=float).reshape(8, 12)
    p[8:10] = 1 - p[8:10] / 1e6
    p[10, :6] = 0.0, 1.0, 0.075, 0.925, 0.5, 5e-324
    with np.errstate(invalid="ignore"):
        error = np.abs(quantile(p) - ndtri(p)) / np.maximum(np.abs(ndtri(p)), 1e-300)
    assert np.nanmax(error) < 4e-15
    assert np.array_equal(np.isinf(quantile(p)), np.isinf(ndtri(p)))


def test_a_loop_without_a_file_to_keep_it_beside_is_compiled_all_the_same():
    made: dict = {}
    exec("def fill(out, value):\n    for i in range(len(out)):\n        out[i] = value\n", made)
    out = np.zeros(3)
    compiled(made["fill"])(out, 2.0)
    assert out.tolist() == [2, 2, 2]


def test_numba_is_not_loaded_before_a_loop_is_called():
    code = "import sys, sim.core.loops; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
