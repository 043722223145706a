"""Estimates after early stops: the table against exact roots, and what they promise over many trials."""

import numpy as np
import pytest
from scipy.stats import norm

from sim.rules.after_stopping import LEVELS, LIMITS
from sim.rules.crossing import follow
from sim.rules.group_sequential import GroupSequential
from sim.rules.sequential_inference import Ended, conditional_effect, effect_at
from sim.rules.spending import HwangShihDeCani
from tests.montecarlo import assert_mean, assert_share

FRACTIONS = (0.4, 0.7, 1.0)
RULE = GroupSequential.model_validate({"kind": "group_sequential", "spending": {"kind": "ld_pocock"}})
TRIALS = 200_000


FUTILE = RULE.model_copy(update={"futility": HwangShihDeCani(gamma=-2)})


def ended(drift: float, rule: GroupSequential = RULE) -> tuple[np.ndarray, np.ndarray]:
    """Look and z at which trials with this drift end, by independent increments of the score."""
    steps = np.diff(FRACTIONS, prepend=0.0)[:, None]
    noise = np.random.default_rng(3).standard_normal((3, TRIALS))
    z = np.cumsum(noise * np.sqrt(steps) + drift * steps, axis=0) / np.sqrt(FRACTIONS)[:, None]
    bounds = rule.boundaries(FRACTIONS)
    crossed = z >= bounds.efficacy_z[:, None]
    if bounds.futility_z is not None:
        crossed |= z < bounds.futility_z[:, None]
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
@pytest.mark.parametrize("rule", [RULE, FUTILE], ids=["efficacy alone", "futility obeyed"])
def test_half_of_the_estimates_are_above_the_truth(drift, rule):
    look, z = ended(drift, rule)
    estimate, low, high = rule.after_stopping(FRACTIONS, look, z)
    assert_share(estimate > drift, 0.5, detects=0.015)
    assert_share((low <= drift) & (drift <= high), 0.95, detects=0.008)
    naive = z / np.sqrt(np.array(FRACTIONS)[look])
    if drift > 0 and rule is RULE:
        assert naive.mean() - drift > 3 * abs(estimate.mean() - drift) / 2


def path():
    upper = RULE.boundaries(FRACTIONS).efficacy_z
    return follow(np.array(FRACTIONS), np.full(3, -np.inf), upper, LIMITS)


def test_the_first_look_is_a_truncated_normal():
    """E[S | S ≥ c] = θt + √t φ(a)/Φ(−a) with a = (c − θt)/√t; the estimate is the root in θ."""
    bound, t = RULE.boundaries(FRACTIONS).efficacy_z[0], FRACTIONS[0]
    for effect in (0.5, 2.0, 4.0):
        a = bound - effect * np.sqrt(t)
        mean = effect * t + np.sqrt(t) * norm.pdf(a) / norm.sf(a)
        assert conditional_effect(path(), 0, mean / np.sqrt(t), LIMITS) == pytest.approx(effect, abs=1e-9)
    assert conditional_effect(path(), 0, bound, LIMITS) == LIMITS[0]  # no effect makes scores so small


@pytest.mark.parametrize("drift", [1.0, 2.5, 3.2])
def test_scores_at_a_look_are_what_the_estimate_expects_of_them(drift):
    look, z = ended(drift)
    upper = RULE.boundaries(FRACTIONS).efficacy_z
    for k, t in enumerate(FRACTIONS):
        mine = look == k
        bound = -np.inf if k == 2 else upper[k]
        expected = path().before[k].mean_beyond(t, drift, bound)
        assert_mean(z[mine] * np.sqrt(t), expected, detects=0.06)


def less_biased(errors: np.ndarray, than: np.ndarray) -> bool:
    """Whether the mean error is the smaller one in size by more than five Monte Carlo errors (paired)."""
    gain = np.sign(than.mean()) * than - np.sign(errors.mean()) * errors
    return bool(gain.mean() > 5 * gain.std(ddof=1) / np.sqrt(gain.size))


@pytest.mark.parametrize("drift", [1.0, 2.0, 3.2])
def test_conditional_estimates_are_less_biased_where_a_trial_ended(drift):
    """Early the naive estimate is far too good, at the end too poor."""
    look, z = ended(drift)
    found = RULE.after_stopping_there(FRACTIONS, look, z)
    naive = z / np.sqrt(np.array(FRACTIONS)[look])
    for group in (look < 2, look == 2):
        assert less_biased(found[group] - drift, naive[group] - drift)
    for k in range(3):  # the table is that of exact roots
        some = np.flatnonzero(look == k)[:20]
        exact = [conditional_effect(path(), k, float(one), LIMITS) for one in z[some]]
        assert found[some] == pytest.approx(exact if k == 2 else np.maximum(exact, 0), abs=0.01)


def test_trials_that_stop_for_futility_have_no_conditional_estimate():
    found = FUTILE.after_stopping_there(FRACTIONS, np.array([0, 0, 2]), np.array([-1.0, 3.0, 1.0]))
    assert np.isnan(found).tolist() == [True, False, False]
