"""Compiled loops against plain numpy, to the byte."""

import subprocess
import sys

import numpy as np
import pytest

from sim.core.loops import add_moments, compiled, correlate, put_where_before, tally

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
    visits, first, some = 4, 20, 10
    factor = np.tril(draw.standard_normal((SHAPE[1], visits, visits))).transpose(1, 2, 0).copy()
    normal = draw.standard_normal((visits, some, SHAPE[1]))
    start, out = draw.standard_normal(SHAPE), np.full((visits, *SHAPE), -1.0)
    correlate(factor, normal, start, first, out)
    for visit in range(visits):
        expected = factor[visit, 0] * normal[0]
        for earlier in range(1, visit + 1):
            expected = expected + factor[visit, earlier] * normal[earlier]
        assert np.array_equal(out[visit, first : first + some], expected + start[first : first + some])
    assert (np.delete(out, np.arange(first, first + some), axis=1) == -1).all()


def test_a_tile_that_reaches_beyond_the_last_patient_is_cut(draw):
    factor, start = np.ones((1, 1, SHAPE[1])), np.zeros(SHAPE)
    normal, out = draw.standard_normal((1, 10, SHAPE[1])), np.zeros((1, *SHAPE))
    correlate(factor, normal, start, SHAPE[0] - 3, out)
    assert np.array_equal(out[0, -3:], normal[0, :3])


def test_values_before_a_week_are_replaced(draw):
    week, scores = draw.exponential(5, SHAPE), with_gaps(draw)
    expected = np.where(week < 4.0, np.nan, scores)
    put_where_before(week, 4.0, np.nan, scores)
    assert np.array_equal(scores, expected, equal_nan=True)


def test_a_tally_counts_every_patient_once(draw):
    place = draw.integers(3, size=SHAPE) * SHAPE[1] + np.arange(SHAPE[1])
    start, scores = draw.integers(11, size=SHAPE), with_gaps(draw)
    counts = np.zeros((3 * SHAPE[1], 11, 12))
    tally(place, start, scores, counts)
    expected = np.zeros_like(counts)
    np.add.at(expected, (place, start, np.nan_to_num(scores, nan=11).astype(int)), 1)
    assert np.array_equal(counts, expected)
    assert counts.sum() == place.size


def test_moments_are_sums_by_arm_over_the_first_patients(draw):
    sizes, arm = np.array([9, 20, 37]), draw.integers(2, size=SHAPE)
    x, y = draw.standard_normal(SHAPE), with_gaps(draw)
    sums = np.zeros((6, 2, 3, SHAPE[1]))
    add_moments(arm, x, y, sizes, sums)
    terms = (np.ones(SHAPE), x, y, x * x, x * y, y * y)
    for place, size in enumerate(sizes):
        for k in range(2):
            counted = (arm == k)[:size] & ~np.isnan(y[:size])
            for moment, term in enumerate(terms):
                expected = np.zeros(SHAPE[1])
                for patient in range(size):
                    expected += np.where(counted[patient], term[patient], 0.0)
                assert np.array_equal(sums[moment, k, place], expected)


def test_a_loop_without_a_file_to_keep_it_beside_is_compiled_all_the_same():
    made: dict = {}
    exec("def fill(out, value):\n    for i in range(len(out)):\n        out[i] = value\n", made)
    out = np.zeros(3)
    compiled(made["fill"])(out, 2.0)
    assert out.tolist() == [2, 2, 2]


def test_numba_is_not_loaded_before_a_loop_is_called():
    code = "import sys, sim.core.loops; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
