"""Counts of a held-out study against a beta-binomial written out by SciPy."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom

from sim.synthesis.backtest import LEVELS
from sim.synthesis.foretold_counts import held_counts, score_counts
from sim.synthesis.network import Counts, Network
from tests.synthesis.small_network import network, rows

N, SEEN, A, B = 40, 22, 12.0, 18.0


def counted() -> Network:
    """Two studies; of the second one count at baseline, which nobody foretells, and one at week 12."""
    entries = pd.concat([rows(i, ["placebo", "nsaid"], [0.0, 12.0]) for i in range(2)], ignore_index=True)
    made = network(entries.assign(value=5.0))
    mine = made.cells.study == 1
    start, end = (int(np.flatnonzero(mine & (made.cells.week == week))[0]) for week in (0.0, 12.0))
    cell = np.array([start, end])
    return replace(
        made,
        counts=Counts(
            cell, np.array([3.0, SEEN]), np.full(2, float(N)), np.ones(2), np.full(2, 0.3), np.full(2, np.nan)
        ),
    )


def test_only_counts_of_the_follow_up_are_foretold() -> None:
    made = counted()
    assert list(held_counts(made, "s1")) == [1]
    assert list(held_counts(made, "s0")) == []
    assert list(held_counts(replace(made, counts=None), "s1")) == []


def test_shares_that_are_beta_make_a_beta_binomial() -> None:
    """Twin: SciPy's beta-binomial; 20,000 draws of the share stand for its beta distribution."""
    draws = np.random.default_rng(1).beta(A, B, (20_000, 2))
    (row,) = score_counts(counted(), "s1", draws, LEVELS).to_dict("records")
    plain = betabinom(N, A, B)
    assert row["log_score"] == pytest.approx(plain.logpmf(SEEN), abs=0.05)
    assert row["pit"] == pytest.approx(plain.cdf(SEEN) - plain.pmf(SEEN) / 2, abs=0.01)
    assert row["mean"] == pytest.approx(plain.mean() / N, abs=0.005)
    assert row["sd"] == pytest.approx(plain.std() / N, rel=0.03)
    assert row["low_95"] == pytest.approx(plain.ppf(0.025) / N, abs=1 / N)
    assert row["high_95"] == pytest.approx(plain.ppf(0.975) / N, abs=1 / N)
    assert (row["form"], row["reported"], row["week"]) == ("responders", SEEN / N, 12.0)
