"""Estimates after early stops: the table against exact roots, and what they promise over many trials."""

import numpy as np
import pytest

from sim.rules.after_stopping import LEVELS
from sim.rules.group_sequential import GroupSequential
from sim.rules.sequential_inference import Ended, effect_at
from tests.montecarlo import assert_share

FRACTIONS = (0.4, 0.7, 1.0)
RULE = GroupSequential.model_validate({"kind": "group_sequential", "spending": {"kind": "ld_pocock"}})
TRIALS = 200_000


def ended(drift: float) -> tuple[np.ndarray, np.ndarray]:
    """Look and z at which trials with this drift end, by independent increments of the score."""
    steps = np.diff(FRACTIONS, prepend=0.0)[:, None]
    noise = np.random.default_rng(3).standard_normal((3, TRIALS))
    z = np.cumsum(noise * np.sqrt(steps) + drift * steps, axis=0) / np.sqrt(FRACTIONS)[:, None]
    crossed = z >= RULE.boundaries(FRACTIONS).efficacy_z[:, None]
    crossed[-1] = True
    look = crossed.argmax(axis=0)
    return look, z[look, np.arange(TRIALS)]


@pytest.mark.parametrize("look", [0, 1, 2])
def test_the_table_is_that_of_exact_roots(look):
    upper = RULE.boundaries(FRACTIONS).efficacy_z
    z = np.array([-2.13, 0.4, 1.71, 2.3, 2.57, 3.33, 4.9])
    found = RULE.after_stopping(FRACTIONS, np.full(len(z), look), z)
    for place, value in enumerate(z):
        exact = Ended(np.array(FRACTIONS[: look + 1]), upper[:look], float(value))
        for level, p in enumerate(LEVELS):
            assert found[level, place] == pytest.approx(effect_at(exact, p), abs=2e-3)


@pytest.mark.parametrize("drift", [0.0, 2.0, 3.2])
def test_half_of_the_estimates_are_above_the_truth(drift):
    look, z = ended(drift)
    estimate, low, high = RULE.after_stopping(FRACTIONS, look, z)
    assert_share(estimate > drift, 0.5, detects=0.015)
    assert_share((low <= drift) & (drift <= high), 0.95, detects=0.008)
    naive = z / np.sqrt(np.array(FRACTIONS)[look])
    if drift > 0:
        assert naive.mean() - drift > 3 * abs(estimate.mean() - drift) / 2
