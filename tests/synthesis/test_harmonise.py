"""Harmonisation: hand-computed rows, and every pain row in exactly one place."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import brentq

from sim.core.errors import InputError
from sim.core.loading import dump, load, validate
from sim.evidence import Evidence, load_evidence
from sim.synthesis import Synthesis
from sim.synthesis.harmonise import Harmonised, harmonise
from sim.synthesis.question import NetworkQuestion
from tests.synthesis.small_network import seen

CONFIGS = Path(__file__).parents[2] / "configs" / "syntheses"


@cache
def question(name: str) -> NetworkQuestion:
    config = load(CONFIGS / f"{name}.yaml", Synthesis)
    assert isinstance(config, NetworkQuestion)
    return config


@cache
def tables() -> Evidence:
    return load_evidence()


def entry(name: str, **where: object) -> pd.Series:
    """The one entry that fits."""
    rows = question(name).harmonised.entries
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, rows
    return rows.iloc[0]


def reason(harmonised: Harmonised, study: str) -> set[str]:
    rows = harmonised.exclusions
    return set(rows.loc[rows["study_id"] == study, "reason"])


@pytest.mark.parametrize("name", ["chronic", "acute"])
def test_every_pain_row_is_in_exactly_one_place(name: str) -> None:
    harmonised = question(name).harmonised
    parts = (harmonised.entries, harmonised.checks, harmonised.exclusions)
    placed = pd.concat([part[["file", "row"]] for part in parts])
    pain = [t.loc[t["outcome"] == "pain", ["file", "row"]] for t in (tables().outcomes, tables().contrasts)]
    assert not placed.duplicated().any()
    assert set(map(tuple, pd.concat(pain).to_numpy())) <= set(map(tuple, placed.to_numpy()))


def test_sd_over_root_n() -> None:
    row = entry("chronic", study_id="ashar2022", unit="prt", weeks=5.0)
    assert row["value"] == pytest.approx(1.182)
    assert row["se"] == pytest.approx(1.244 / np.sqrt(44))


def test_the_latent_sd_gives_back_the_reported_sd() -> None:
    """Twin: quadrature of a clipped normal whose mean is solved for, not the package's closed form."""
    row = entry("chronic", study_id="ashar2022", unit="prt", weeks=5.0)
    latent = brentq(lambda m: seen(m, row["sd"]) - 1.182, -5, 5)
    grid = np.linspace(0, 10, 20001)
    square = np.trapezoid(grid**2 * stats.norm.pdf(grid, latent, row["sd"]), grid)
    square += 100 * stats.norm.sf(10, latent, row["sd"])
    assert np.sqrt(square - 1.182**2) == pytest.approx(1.244, abs=1e-4)


def test_change_with_an_interval_uses_t() -> None:
    row = entry("chronic", study_id="saper2017", unit="yoga", form="change")
    assert row["value"] == pytest.approx(-1.7)
    assert row["se"] == pytest.approx((2.1 - 1.4) / 2 / stats.t.ppf(0.975, 126))


def test_a_hundred_point_scale_shrinks_tenfold() -> None:
    assert entry("chronic", study_id="peloso2004", unit="placebo", form="mean")["value"] == pytest.approx(
        6.29
    )
    assert entry("acute", study_id="williams2014", weeks=12.0)["value"] == pytest.approx(1.3)


def test_positive_favouring_contrasts_change_sign_and_twenty_points_halve() -> None:
    row = entry("chronic", study_id="atkinson1998")
    assert row["value"] == pytest.approx(-1.68 / 2)
    assert row["se"] == pytest.approx((3.36 + 0.001) / 2 / 2 / stats.t.ppf(0.975, 76))


def test_an_smd_takes_the_pooled_sd_and_both_uncertainties() -> None:
    spread = question("chronic").harmonised.spread
    row, sd = entry("chronic", study_id="strijkers2021"), float(spread.sd(8.0))
    assert row["value"] == pytest.approx(-0.37 * sd)
    own = (0.55 - 0.18) / 2 / stats.norm.ppf(0.975) * sd
    assert row["se"] == pytest.approx(np.hypot(own, 0.37 * sd * spread.residual))


def test_missing_dispersion_takes_the_pooled_sd_and_says_so() -> None:
    spread = question("chronic").harmonised.spread
    row = entry("chronic", study_id="skljarevski2010a")
    correlation = question("chronic").correlation.at(13.0)
    assert row["se"] == pytest.approx(spread.change_sd(13.0, correlation) / np.sqrt(121))
    assert row["se_from"] == "pooled sd"


def test_arm_sizes_that_are_not_printed_are_an_equal_split() -> None:
    row = entry("chronic", study_id="sanga2016", unit="placebo")
    assert (row["n"], row["n_from"]) == (389 / 5, "equal split of N")


@pytest.mark.parametrize(
    ("study", "why"),
    [
        ("konno2019", "one arm"),
        ("cherkin2016", "provenance: unverified"),
        ("ashar2024", "same participants"),
        ("markman2019", "enriched"),
        ("alev2017", "pools"),
        ("juch2017", "no class for treatment|not a randomised arm|role: context"),
        ("saper2013", "same treatment on both sides|one treatment left"),
        ("bramberg2017", "enters by its arms"),
        ("vibefersum2013", "unverified|one treatment left"),
        ("zgierska2025", "only a baseline"),
    ],
)
def test_exclusions_say_why(study: str, why: str) -> None:
    assert any(pd.Series(list(reason(question("chronic").harmonised, study))).str.contains(why))


def test_no_study_enters_by_arms_and_by_its_contrast() -> None:
    for name in ("chronic", "acute"):
        entries = question(name).harmonised.entries
        followed = set(entries.loc[(entries["form"] != "contrast") & (entries["weeks"] > 0), "study_id"])
        assert not followed & set(entries.loc[entries["form"] == "contrast", "study_id"])


def test_unverified_rows_enter_only_when_asked_for() -> None:
    config = question("chronic")
    asked = replace(config.choices(), provenance=("checked", "derived", "unverified"))
    entered = set(harmonise(tables(), asked).entries["study_id"])
    assert {"cherkin2016", "costa2009"} <= entered
    assert not {"cherkin2016", "costa2009"} & set(config.harmonised.entries["study_id"])


def test_unknown_studies_and_arms_are_input_errors() -> None:
    choices = question("chronic").choices()
    wrong = replace(choices, omitted={("ashar2222", None): "why", ("ashar2022", "xyz"): "why"})
    with pytest.raises(InputError) as caught:
        harmonise(tables(), wrong)
    assert [line.split(":")[0] for line in caught.value.problems] == [
        "study 'ashar2222' is not in the evidence",
        "exclude",
    ]


def test_a_stage_without_rows_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no row of stage 'subacute'"):
        harmonise(tables(), replace(question("chronic").choices(), stage="subacute", admitted=frozenset()))


def lumped(**lump: object) -> NetworkQuestion:
    """The chronic synthesis with placebos that count as one."""
    tree = dump(question("chronic"))
    gone = {"sham", "open_label_placebo"}
    tree["classes"]["inert"]["treatments"] = ["placebo"]
    tree["lump"] = [{"treatments": sorted(gone), "into": "placebo", "because": "test"} | lump]
    made = validate(tree, Synthesis, "test")
    assert isinstance(made, NetworkQuestion)
    return made


def test_lumped_controls_are_one_node_and_nothing_else_moves() -> None:
    split, one = question("chronic").harmonised.entries, lumped().harmonised.entries
    both = split.merge(one, on=["file", "row", "form"], suffixes=("", "_one"))
    changed = both[
        (both["treatment"] != both["treatment_one"]) | (both["comparator"] != both["comparator_one"])
    ]
    assert {"sham", "open_label_placebo"} == {
        name
        for name in (*changed["treatment"], *changed["comparator"])
        if name in ("sham", "open_label_placebo")
    }
    assert not {"sham", "open_label_placebo"} & {*one["treatment"], *one["comparator"]}
    assert (both["value"] == both["value_one"]).all()
    assert len(both) == len(split) == len(one)


def test_a_lumped_treatment_is_in_no_class_and_goes_into_one() -> None:
    with pytest.raises(InputError, match="lump: into a treatment that is in no class: sham"):
        lumped(treatments=["open_label_placebo"], into="sham")
    with pytest.raises(InputError, match=r"lump: also in a class.*placebo"):
        lumped(treatments=["placebo"])
    with pytest.raises(InputError, match="lump: unknown treatment pla"):
        lumped(treatments=["pla"])
