"""Mantel-Haenszel where closed forms exist, and one value in place of a missing one against pandas."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.analyses.ancova import Ancova
from sim.analyses.data_set import Covariate
from sim.analyses.mantel_haenszel import Counts, MantelHaenszel, common_difference
from sim.analyses.responder_difference import ResponderDifference
from sim.analyses.single_imputation import ByReason, carry
from sim.analyses.t import TTest
from sim.core.errors import InputError
from tests.analyses.blocks import MEAN, SHARE, block, observe, single
from tests.analyses.test_one_visit import data_set


def test_one_stratum_of_equal_arms_is_the_plain_difference():
    observed = observe(block(), SHARE)
    strata = MantelHaenszel(estimand="responder").estimate(observed)
    plain = ResponderDifference(estimand="responder", interval="wald").estimate(observed)
    np.testing.assert_allclose(strata.estimate, plain.estimate, atol=1e-14)
    np.testing.assert_allclose(strata.se, plain.se, rtol=1e-12)
    np.testing.assert_allclose(strata.low, plain.low, rtol=1e-9)


def test_pairs_give_the_paired_test():
    """Strata of one patient an arm: the mean difference of pairs and its variance."""
    rng = np.random.default_rng(5)
    x1, x0 = (rng.random(200) < 0.6).astype(float), (rng.random(200) < 0.3).astype(float)
    one = np.ones(200)
    difference, se = common_difference(Counts(x1, one), Counts(x0, one))
    assert difference == pytest.approx(np.mean(x1 - x0))
    assert se == pytest.approx(np.std(x1 - x0) / np.sqrt(200))


def test_a_stratum_without_an_arm_changes_nothing():
    full = (
        Counts(np.array([5.0, 7.0]), np.array([10.0, 20.0])),
        Counts(np.array([3.0, 4.0]), np.array([12.0, 18.0])),
    )
    more = (
        Counts(np.array([5.0, 7.0, 2.0]), np.array([10.0, 20.0, 6.0])),
        Counts(np.array([3.0, 4.0, 0.0]), np.array([12.0, 18.0, 0.0])),
    )
    assert common_difference(*more) == pytest.approx(common_difference(*full))


@pytest.mark.parametrize("missing", ["non_response", "complete_case"])
def test_strata_equal_a_plain_loop(missing):
    data = block()
    found = MantelHaenszel(estimand="responder", cuts=(5.5, 7.0), missing=missing).estimate(
        observe(data, SHARE)
    )
    for at, size in enumerate(data.sizes):
        for replicate in range(6):
            one = single(data, size, replicate)
            y, arm, pain = observe(one, SHARE).value[:, 0], one.arm[:, 0], one.baseline[:, 0]
            y, used = np.nan_to_num(y), ~np.isnan(y) | (missing == "non_response")
            for place in (0, 1):
                above, below = 0.0, 0.0
                for low, high in ((0, 5.5), (5.5, 7.0), (7.0, 99)):
                    inside = used & (pain >= low) & (pain < high)
                    treated, control = inside & (arm == place + 1), inside & (arm == 0)
                    if treated.any() and control.any():
                        weight = treated.sum() * control.sum() / (treated.sum() + control.sum())
                        above += weight * (y[treated].mean() - y[control].mean())
                        below += weight
                assert found.estimate[place, at, replicate] == pytest.approx(above / below)


def test_factors_divide_the_strata_of_real_data():
    data = data_set(single(block(), 90, 0), SHARE)
    sex = Covariate("sex", (np.arange(90)[:, None] % 2).astype(float), ("f", "m"))
    by_sex = MantelHaenszel(estimand="x").analyse(replace(data, covariates=(sex,)))
    halves = replace(data, baseline=Covariate("sex", sex.values))
    by_cut = MantelHaenszel(estimand="x", cuts=(0.5,)).analyse(halves)
    assert by_sex.estimates == by_cut.estimates
    with pytest.raises(InputError, match="strata need a factor"):
        MantelHaenszel(estimand="x").analyse(replace(data, covariates=(Covariate("age", sex.values),)))


def test_carrying_equals_pandas():
    one = single(block(), 90, 2)
    course, baseline = one.score[:, 0], one.baseline[:, 0]
    frame = pd.DataFrame(course)
    np.testing.assert_array_equal(carry(course, baseline, "last_observation"), frame.ffill(axis=1)[2])
    from_baseline = pd.concat([pd.Series(baseline, name="b"), frame], axis=1).ffill(axis=1)[2]
    np.testing.assert_array_equal(carry(course, baseline, "last_or_baseline"), from_baseline)
    np.testing.assert_array_equal(
        carry(course, baseline, "baseline_observation"), frame[2].fillna(pd.Series(baseline))
    )


@pytest.mark.parametrize("how", ["last_observation", "last_or_baseline", "baseline_observation"])
@pytest.mark.parametrize("kind", [Ancova, TTest])
def test_filled_analyses_are_the_analyses_of_filled_values(kind, how):
    data = block()
    found = kind(estimand="primary", missing=how).estimate(observe(data, MEAN))
    score = data.score.copy()
    score[:, :, 2] = carry(score, data.baseline, how)
    expected = kind(estimand="primary").estimate(observe(replace(data, score=score), MEAN))
    for name in ("estimate", "se", "df", "n"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    table = kind(estimand="x", missing=how).analyse(data_set(single(data, 90, 1), MEAN)).estimates
    row = next(row for row in table if row.name == "difference[c - a, w12]")
    assert row.estimate == pytest.approx(found.estimate[1, 1, 1])
    assert row.se == pytest.approx(found.se[1, 1, 1])


def test_another_value_is_carried_by_the_reason_for_stopping():
    """Baseline after an adverse event, left out after inefficacy, the last value for all others: by hand."""
    data = block()
    reason = np.random.default_rng(4).integers(0, 4, data.arm.shape)
    how = ByReason(after={"adverse_event": "baseline_observation", "inefficacy": "complete_case"})
    found = Ancova(estimand="primary", missing=how).estimate(observe(replace(data, reason=reason)))
    score = data.score.copy()
    for i, r in np.argwhere(np.isnan(score[:, :, 2])):
        seen = score[i, r][~np.isnan(score[i, r])]
        last = seen[-1] if len(seen) else data.baseline[i, r]
        score[i, r, 2] = {1: data.baseline[i, r], 2: np.nan}.get(reason[i, r], last)
    expected = Ancova(estimand="primary").estimate(observe(replace(data, score=score)))
    np.testing.assert_array_equal(found.estimate, expected.estimate)
    one = replace(data_set(single(data, 90, 1), MEAN), reason=reason[:90, 1])
    rows = {row.name: row for row in TTest(estimand="x", missing=how).analyse(one).estimates}
    values = score[:90, 1, 2]
    mine = (data.arm[:90, 1] == 2) & ~np.isnan(values)
    assert rows["mean[c, w12]"].estimate == pytest.approx(values[mine].mean())
    with pytest.raises(InputError, match=r"columns\.reason: required by 'missing' by reason"):
        Ancova(estimand="primary", missing=how).estimate(observe(data))
    assert "after adverse event the baseline carried forward" in Ancova(estimand="x", missing=how).words()
