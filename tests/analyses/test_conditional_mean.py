"""Imputation against a plain loop over patients, and where the answer is known."""

import numpy as np
import pytest

from sim.analyses.ancova import Ancova
from sim.analyses.conditional_mean import ConditionalMean, Incomplete
from sim.analyses.moments import Measurements, summarise
from sim.analyses.reml import fit
from sim.analyses.terms import Terms
from tests.analyses.blocks import block, design, observe, single

TERMS = Terms(("each",) * 4, 3)


def trial(replicate: int = 0) -> Incomplete:
    one = single(block(), 60, replicate)
    return Incomplete(design(one), 2, one.score[:, 0], TERMS)


def impute_plainly(one: Incomplete, beta: np.ndarray, covariance: np.ndarray, strategy: str) -> np.ndarray:
    """Carpenter, Roger & Kenward's means, one patient and one visit at a time; beta is (column, visit)."""
    filled = one.value.copy()
    for i, y in enumerate(one.value):
        seen = np.flatnonzero(~np.isnan(y))
        last = seen[-1] if len(seen) else -1
        x = one.design[i]
        own, reference = x @ beta, np.array([x[0], 0, 0, *x[3:]]) @ beta
        mean = own.copy()
        for visit in range(len(y)):
            after = visit > last
            if strategy == "jump_to_reference" and after:
                mean[visit] = reference[visit]
            if strategy == "copy_reference" and last < len(y) - 1:
                mean[visit] = reference[visit]
            if strategy == "copy_increments" and after:
                start = own[last] - reference[last] if last >= 0 else 0.0
                mean[visit] = reference[visit] + start
        for visit in np.flatnonzero(np.isnan(y)):
            filled[i, visit] = mean[visit]
            if len(seen):
                weights = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[seen, visit])
                filled[i, visit] += weights @ (y[seen] - mean[seen])
    return filled


@pytest.mark.parametrize(
    "strategy", ["missing_at_random", "jump_to_reference", "copy_reference", "copy_increments"]
)
def test_imputed_values_equal_the_plain_loop(strategy):
    one = trial()
    fitted = fit(one.moments(), one.model)
    plain = impute_plainly(one, fitted.state.effects[0], fitted.covariance[0], strategy)
    how = ConditionalMean(estimand="x", strategy=strategy)
    for visit in range(3):
        np.testing.assert_allclose(one.complete(fitted, visit, how)[:, 0], plain[:, visit], rtol=1e-9)


def test_leaving_out_equals_reducing_the_rest():
    one = trial()
    group = np.arange(60) % 7
    without = one.leave_out(one.moments(), group)
    for left in range(7):
        keep = group != left
        value = np.where(keep[:, None], one.value, np.nan)
        rest = summarise(Measurements(tuple(one.design.T[:, :, None]), value[:, None, :]))
        at = [next(p for p, seen in enumerate(without.seen) if (seen == row).all()) for row in rest.seen]
        for name in ("n", "xx", "xy", "yy"):
            np.testing.assert_allclose(getattr(without, name)[left, at], getattr(rest, name)[0], atol=1e-9)


def test_jackknife_equals_fresh_fits():
    one = trial(1)
    how = ConditionalMean(estimand="x", strategy="jump_to_reference", groups=12)
    estimate, se = how._jackknife(one, 2, [1, 2])
    others = []
    for left in range(12):
        keep = np.arange(60) % 12 != left
        rest = Incomplete(one.design[keep], 2, one.value[keep], TERMS)
        others.append(how._ancova(rest, fit(rest.moments(), rest.model), 2, None)[[1, 2], 0])
    spread = np.var(others, axis=0) * 11
    np.testing.assert_allclose(se, np.sqrt(spread), rtol=1e-5)
    assert estimate == pytest.approx(np.mean(others, axis=0), abs=0.05)


def test_complete_data_give_ancova():
    """Nothing is imputed: the estimate is ANCOVA's, and the jackknife's error is HC3's up to (n − 1) / n."""
    data = block(missing=False, replicates=2)
    ancova = Ancova(estimand="primary", errors="hc3").estimate(observe(data))
    for strategy in ("missing_at_random", "copy_reference"):
        found = ConditionalMean(estimand="primary", strategy=strategy).estimate(observe(data))
        np.testing.assert_allclose(found.estimate, ancova.estimate, rtol=1e-9)
        np.testing.assert_allclose(found.se, ancova.se, rtol=0.01)


def test_jump_to_reference_is_nearer_zero_and_delta_moves_it():
    data = block(replicates=4, sizes=(90,))
    at_random = ConditionalMean(estimand="primary").estimate(observe(data)).estimate
    jump = ConditionalMean(estimand="primary", strategy="jump_to_reference").estimate(observe(data)).estimate
    shifted = ConditionalMean(estimand="primary", delta=2.0, groups=10).estimate(observe(data)).estimate
    assert abs(jump.mean()) < abs(at_random.mean())
    assert (shifted > at_random).all()
