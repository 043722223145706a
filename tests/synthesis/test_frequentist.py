"""Differences as reported, and the frequentist answer over them."""

import numpy as np
import pandas as pd
import pytest

from sim.synthesis.direct import reported_differences
from sim.synthesis.frequentist import NETWORK, ONE, PAIRWISE, Check
from sim.synthesis.heterogeneity import Studies
from sim.synthesis.network_check import Study
from sim.synthesis.pairwise import pool
from tests.synthesis.small_network import network, rows


def entries_of(*studies: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(studies, ignore_index=True)


def contrast(study: int, week: float, value: float, se: float) -> pd.DataFrame:
    row = rows(study, ["nsaid"], [week])
    return row.assign(form="contrast", unit="contrasts", comparator="placebo", value=value, se=se, sd=np.nan)


def test_arms_are_differenced_at_the_week_nearest_to_the_end() -> None:
    arms = rows(0, ["placebo", "nsaid"], [0.0, 4.0, 12.0, 24.0])
    arms = arms.assign(value=[6, 5, 4, 4.5, 6, 4.4, 3.2, 4.4])
    (found,) = reported_differences(network(arms, end=12.0), arms)
    assert found.week == 12.0
    assert found.difference("nsaid", "placebo", arms["value"].to_numpy()) == pytest.approx(-0.8)
    assert found.se("nsaid", "placebo") == pytest.approx(np.hypot(2, 2) / np.sqrt(200))


def test_arms_of_one_treatment_are_averaged_by_precision() -> None:
    arms = entries_of(rows(0, ["placebo", "nsaid"], [12.0]), rows(0, ["nsaid"], [12.0], n=50))
    arms.loc[2, "unit"] = "low dose"
    arms = arms.assign(value=[4.0, 3.0, 3.5])
    (found,) = reported_differences(network(arms), arms)
    assert found.difference("nsaid", "placebo", arms["value"].to_numpy()) == pytest.approx(
        (200 * 3.0 + 50 * 3.5) / 250 - 4.0
    )
    assert found.se("nsaid", "placebo") == pytest.approx(2 * np.sqrt(1 / 200 + 1 / 250))


def test_a_contrast_stands_for_itself() -> None:
    entries = entries_of(contrast(0, 6.0, -0.5, 0.2), contrast(1, 12.0, -0.9, 0.3))
    made = network(entries)
    studies = [one.contrasts(made.observed) for one in reported_differences(made, entries)]
    assert [s.treatments for s in studies] == [("nsaid", "placebo")] * 2
    assert [float(s.effect[0]) for s in studies] == pytest.approx([0.5, 0.9])
    assert [float(s.covariance()[0, 0]) for s in studies] == pytest.approx([0.04, 0.09])


PAIRS = [(-0.9, 0.04), (-0.2, 0.09), (-0.6, 0.02), (-1.4, 0.16)]


def of_pairs(treatment: str, pairs: list[tuple[float, float]]) -> tuple[Study, ...]:
    """Studies against placebo; the first arm is placebo, so effects stand as they are."""
    return tuple(Study(("placebo", treatment), np.array([y]), np.full(2, v / 2)) for y, v in pairs)


def test_one_comparison_is_its_meta_analysis_pairwise_and_as_network() -> None:
    """A network of one comparison is a pairwise meta-analysis; that is held to metafor elsewhere."""
    table = Check(of_pairs("snri", PAIRS), ("placebo", "snri")).table().set_index("method")
    made = pool(Studies(*np.array(PAIRS).T), "REML", "knapp_hartung")
    assert table.loc[PAIRWISE, "estimate"] == pytest.approx(made.estimate)
    assert tuple(table.loc[PAIRWISE, ["low", "high"]]) == pytest.approx(made.interval())
    assert table.loc[PAIRWISE, "predict_low"] < table.loc[PAIRWISE, "low"]
    assert table.loc[NETWORK, "estimate"] == pytest.approx(made.estimate, abs=1e-4)
    assert table.loc[NETWORK, "tau2"] == pytest.approx(made.tau2, abs=1e-3)


def test_a_study_alone_is_told_as_it_is() -> None:
    table = Check(of_pairs("snri", PAIRS[:1]), ("placebo", "snri")).table()
    assert list(table["method"]) == [ONE, NETWORK]
    assert list(table["estimate"]) == pytest.approx([-0.9, -0.9])
    assert table["low"].to_numpy() == pytest.approx(-0.9 - 1.96 * 0.2, abs=1e-4)


def test_what_no_path_joins_to_the_reference_is_told_pairwise_only() -> None:
    island = Study(("heat", "massage"), np.array([0.3]), np.full(2, 0.05))
    table = Check((*of_pairs("snri", PAIRS), island), ("placebo", "snri", "heat", "massage")).table()
    told = table[table["treatment"] == "massage"]
    assert list(told["method"]) == [ONE]
    assert told["estimate"].iloc[0] == pytest.approx(0.3)


def test_a_closed_loop_that_disagrees_is_shown() -> None:
    """Direct −1 against an indirect 0, standard errors 0.2 and 0.28: z = 2.9."""
    direct = Study(("nsaid", "placebo"), np.array([1.0]), np.full(2, 0.02))
    first = Study(("nsaid", "snri"), np.array([0.5]), np.full(2, 0.02))
    second = Study(("placebo", "snri"), np.array([0.5]), np.full(2, 0.02))
    told = Check((direct, first, second), ("placebo", "nsaid", "snri")).inconsistency()
    whole = told[told["what"] == "between designs (common effect)"].iloc[0]
    assert whole["df"] == 1
    assert whole["p"] == pytest.approx(0.00389, abs=1e-4)  # chi-squared 1²/0.12 = 8.33 on 1 df
    split = told[(told["treatment"] == "nsaid") & (told["comparator"] == "placebo")].iloc[0]
    assert split["direct"] == pytest.approx(-1.0)
    assert split["indirect"] == pytest.approx(0.0, abs=1e-6)
