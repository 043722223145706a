"""Responder rows: each enters or says why not, and counts of one arm weigh as one sample of patients."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.core.errors import InputError
from sim.core.loading import dump, load, validate
from sim.synthesis import Synthesis
from sim.synthesis.network import Network, build
from sim.synthesis.question import NetworkQuestion
from sim.synthesis.responders import COUNT, DEFINITIONS
from sim.synthesis.results import network_of
from tests.synthesis.small_network import plan, rows

CONFIGS = Path(__file__).parents[2] / "configs" / "syntheses"


@cache
def chronic() -> NetworkQuestion:
    config = load(CONFIGS / "chronic.yaml", Synthesis)
    assert isinstance(config, NetworkQuestion)
    return config


def changed(responders: dict[str, object] | None) -> NetworkQuestion:
    """The chronic synthesis with other responder rows."""
    tree = dump(chronic())
    tree["patients"]["responders"] = responders
    made = validate(tree, Synthesis, "test")
    assert isinstance(made, NetworkQuestion)
    return made


def test_every_responder_row_is_a_count_or_an_exclusion() -> None:
    harmonised, outcomes = chronic().harmonised, chronic().tables.outcomes
    every = outcomes[outcomes["outcome"].isin(list(DEFINITIONS))]
    placed = pd.concat([part[["file", "row"]] for part in (harmonised.counts, harmonised.exclusions)])
    pain = outcomes.loc[outcomes["outcome"] == "pain", ["file", "row"]]
    assert not placed.duplicated().any()
    kept = placed.merge(every[["file", "row"]], on=["file", "row"])
    assert len(kept) == len(every)
    assert not kept.merge(pain, on=["file", "row"]).size


def test_counts_as_the_tables_print_them() -> None:
    counts = chronic().harmonised.counts
    row = counts[(counts["study_id"] == "ashar2022") & (counts["unit"] == "prt") & (counts["weeks"] == 5)]
    told = row.set_index("outcome")[["value", "n", "reduction", "at_most"]]
    assert list(told.loc["pain_free"][["value", "n", "at_most"]]) == [33, 44, 1]
    assert list(told.loc["responder_30"][["value", "n", "reduction"]]) == [39, 44, 0.3]


def test_a_percentage_becomes_patients_and_a_stricter_limit_is_kept() -> None:
    counts = chronic().harmonised.counts
    row = counts[(counts["study_id"] == "donnino2021") & (counts["unit"] == "mbsr")].iloc[0]
    assert (row["value"], row["n"], row["at_most"]) == (3, 12, 0)


@pytest.mark.parametrize(
    ("study", "why"),
    [
        ("miki2016", "enters by its contrast"),
        ("markman2019", "enriched"),
        ("keitel2001", "no denominator"),
        ("frerick2003", "compound score"),
        ("alev2017", "pools"),
        ("oapcapsaicin8", "one arm"),
        ("goldie1968", "stage: acute"),
        ("cherkin2016", "provenance: unverified"),
    ],
)
def test_responders_left_out_say_why(study: str, why: str) -> None:
    outcomes = chronic().tables.outcomes
    mine = outcomes.loc[outcomes["outcome"].isin(list(DEFINITIONS)), ["file", "row"]]
    found = chronic().harmonised.exclusions.merge(mine, on=["file", "row"])
    assert found.loc[found["study_id"] == study, "reason"].str.contains(why).any()


def test_names_that_match_no_row_are_input_errors() -> None:
    lost = {"exclude": [{"study": "nobody2000", "because": "test"}]}
    with pytest.raises(InputError, match=r"responders.exclude: study 'nobody2000' has no such responder row"):
        _ = changed(lost).harmonised
    lost = {"limits": [{"study": "saper2017", "at_most": 0, "because": "test"}]}
    with pytest.raises(InputError, match=r"responders.limits: study 'saper2017' has no row of pain_free"):
        _ = changed(lost).harmonised


def test_without_responders_the_rows_are_those_of_the_means() -> None:
    bare = changed(None)
    assert bare.harmonised.counts.empty
    assert bare.harmonised.entries.equals(chronic().harmonised.entries)
    assert network_of(bare).counts is None
    assert bare.digest() != chronic().digest()


def small(weeks: list[float]) -> Network:
    """One study with SDs at every week, and two counts of its active arm."""
    entries = rows(0, ["placebo", "nsaid"], [0.0, *weeks], n=101).assign(value=5.0, sd_reported=2.0)
    told = {
        "study_id": "s0",
        "unit": "nsaid",
        "treatment": "nsaid",
        "weeks": weeks[-1],
        "file": "f",
        "row": 0,
    }
    one = {**told, "outcome": "pain_free", "at_most": 1.0, "reduction": np.nan, "value": 9.0, "n": 40.0}
    two = {**told, "outcome": "responder_30", "at_most": np.nan, "reduction": 0.3, "value": 18.0, "n": 40.0}
    counts = pd.DataFrame([one, two]).assign(note="")[COUNT]
    return build(entries, replace(plan(12.0, 1), estimate_sd=True), counts)


def test_log_sds_have_normal_theory_covariance() -> None:
    made = small([4.0, 12.0])
    assert made.spreads is not None
    root = np.linalg.inv(made.spreads.whiten)
    covariance = root @ root.T
    cells, at = made.cells, made.spreads.cell
    week, arm = cells.week[at], cells.arm[at]
    for i in range(len(at)):
        for j in range(len(at)):
            gap = abs(week[i] - week[j])
            r = 1.0 if gap == 0 else 0.5 + 0.25 * 2 ** (-gap / 13)
            expected = r**2 / 200 if arm[i] == arm[j] else 0.0
            assert covariance[i, j] == pytest.approx(expected, abs=1e-12)


def test_squared_correlation_is_what_simulated_log_sds_have() -> None:
    """Twin: 4,000 samples of 100 patients whose two ratings correlate 0.7."""
    r, rng = 0.7, np.random.default_rng(2)
    first = rng.standard_normal((4000, 100))
    second = r * first + np.sqrt(1 - r**2) * rng.standard_normal((4000, 100))
    logs = np.log([first.std(axis=1, ddof=1), second.std(axis=1, ddof=1)])
    assert np.corrcoef(logs)[0, 1] == pytest.approx(r**2, abs=5 * (1 - r**4) / np.sqrt(4000))
    assert logs[0].var() == pytest.approx(1 / 198, rel=5 * np.sqrt(2 / 4000))


def test_counts_of_one_arm_share_its_patients() -> None:
    made = small([4.0])
    assert made.counts is not None
    assert made.counts.weight == pytest.approx([1 / (1 + 0.5)] * 2)
    cell = made.counts.cell
    assert (made.cells.week[cell] == 4.0).all()
    assert {made.treatments[made.arm_treatment[a]] for a in made.cells.arm[cell]} == {"nsaid"}


def test_a_study_held_out_takes_its_sds_and_counts_with_it() -> None:
    made = small([4.0, 12.0])
    left = made.without_spread("s0")
    assert left.counts is not None
    assert left.spreads is not None
    assert (left.counts.weight == 0).all()
    later = left.cells.week[left.spreads.cell] > 0
    assert (left.spreads.whiten[:, later] == 0).all()
    assert np.allclose(np.diag(left.spreads.whiten)[~later], np.sqrt(200))
    assert {name: value.shape for name, value in left.data().items()} == {
        name: value.shape for name, value in made.data().items()
    }
