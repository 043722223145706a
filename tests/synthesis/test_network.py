"""The layout of observations and their covariance, against closed forms."""

import numpy as np
import pandas as pd
import pytest

from sim.synthesis.network import covariance
from tests.synthesis.small_network import CLASSES, network, plan, question, rows

R0 = 0.5 + 0.25 * 2 ** (-12 / 13)
"""Correlation over 12 weeks, from the configuration's formula by hand."""


def test_correlation_of_the_configuration() -> None:
    at = question().correlation.at
    assert at(0.0) == 1.0
    assert at(4.0) == pytest.approx(0.70, abs=0.005)
    assert at(52.0) == pytest.approx(0.5156, abs=1e-4)


def test_two_weeks_of_one_arm_are_correlated_and_arms_are_not() -> None:
    entries = rows(0, ["placebo", "nsaid"], [0.0, 12.0])
    found = covariance(entries, plan(12.0, 1))
    v = 4 / 200
    arm = np.array([[v, R0 * v], [R0 * v, v]])
    assert found == pytest.approx(np.block([[arm, np.zeros((2, 2))], [np.zeros((2, 2)), arm]]))


def test_a_change_is_correlated_with_its_mean_as_a_difference_is() -> None:
    """corr(Y, Y − X) = (1 − r) / sqrt(2 (1 − r)) for equal SDs: the sign and size follow from the algebra."""
    entries = rows(0, ["nsaid"], [12.0, 12.0])
    entries.loc[1, "form"] = "change"
    found = covariance(entries, plan(12.0, 1))
    assert found[0, 1] / (4 / 200) == pytest.approx((1 - R0) / np.sqrt(2 * (1 - R0)))


def test_contrasts_that_share_an_arm_are_correlated_by_half() -> None:
    entries = rows(0, ["a", "b"], [12.0]).assign(form="contrast", unit="contrasts", treatment="nsaid",
                                                 comparator="placebo")  # fmt: skip
    found = covariance(entries, plan(12.0, 1))
    assert found[0, 1] == pytest.approx(0.5 * 4 / 200)


def test_contrasts_with_a_shared_arm_match_simulation_of_three_arms() -> None:
    """Twin: means of three arms of equal size; the two differences from the third correlate 0.5."""
    means = np.random.default_rng(1).standard_normal((200_000, 3))
    r = np.corrcoef(means[:, 0] - means[:, 2], means[:, 1] - means[:, 2])[0, 1]
    assert r == pytest.approx(0.5, abs=5 * 0.75 / np.sqrt(200_000))


def test_combine_says_what_was_reported() -> None:
    mean = rows(0, ["placebo"], [0.0, 12.0])
    change = rows(0, ["nsaid"], [12.0]).assign(form="change")
    contrast = rows(1, ["x"], [12.0]).assign(form="contrast", treatment="nsaid", comparator="placebo")
    entries = pd.concat([mean, change, contrast], ignore_index=True)
    made = network(entries.assign(value=0.0))
    cells = made.cells
    told = {
        (made.studies[s], made.treatments[made.arm_treatment[a]], w): i
        for i, (s, a, w) in enumerate(zip(cells.study, cells.arm, cells.week, strict=True))
    }
    value = np.zeros(len(told))
    value[told["s0", "placebo", 0.0]], value[told["s0", "placebo", 12.0]] = 6.0, 4.5
    value[told["s0", "nsaid", 0.0]], value[told["s0", "nsaid", 12.0]] = 6.1, 4.0
    value[told["s1", "nsaid", 12.0]], value[told["s1", "placebo", 12.0]] = 3.0, 3.4
    assert made.combine @ value == pytest.approx([6.0, 4.5, -2.1, -0.4])
    assert made.treatments[made.reference] == "placebo"
    assert [made.classes[c] for c in made.class_of] == [CLASSES[t] for t in made.treatments]


def test_whitening_gives_unit_covariance() -> None:
    entries = rows(0, ["placebo", "nsaid"], [0.0, 4.0, 12.0]).assign(value=0.0)
    made = network(entries)
    assert made.whiten @ covariance(entries, plan(12.0, 1)) @ made.whiten.T == pytest.approx(
        np.eye(6), abs=1e-9
    )


def test_a_review_of_k_trials_carries_one_over_root_k_of_the_spread() -> None:
    contrast = rows(0, ["x"], [12.0]).assign(form="contrast", treatment="nsaid", comparator="placebo", k=9.0)
    made = network(
        pd.concat([contrast, rows(1, ["placebo", "nsaid"], [12.0])], ignore_index=True).assign(value=0.0)
    )
    share = {made.studies[s]: x for s, x in zip(made.arm_study, made.arm_share, strict=True)}
    assert share == pytest.approx({"s0": 1 / 3, "s1": 1.0})
