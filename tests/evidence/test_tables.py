"""The tables are validated on load: every kind of bad row is named by file, row and column."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sim.cli import evidence as command
from sim.core.errors import InputError
from sim.evidence import load_evidence
from sim.evidence.vocabulary import COLUMNS

STUDY = {"study_id": "new1", "citation": "New 2026", "stage": "chronic", "source_url": "https://example.org",
         "provenance": "checked"}  # fmt: skip
ARM = {"study_id": "new1", "arm_id": "a", "treatment": "nsaid", "source_url": "https://example.org",
       "provenance": "checked"}  # fmt: skip
OUTCOME = {"study_id": "new1", "arm_id": "a", "outcome": "pain", "scale": "NRS", "scale_min": "0",
           "scale_max": "10",
           "weeks": "4", "statistic": "mean", "value": "3", "dispersion": "sd", "disp_value": "2", "n": "50",
           "source_url": "https://example.org", "provenance": "checked"}  # fmt: skip
CONTRAST = {"study_id": "new1", "treatment": "nsaid", "comparator": "placebo", "outcome": "pain",
            "scale": "NRS", "weeks": "4", "measure": "MD", "estimate": "-0.5", "ci_low": "-1", "ci_high": "0",
            "favours_when": "negative", "role": "fit", "source_url": "https://example.org",
            "provenance": "checked"}  # fmt: skip
GOOD = {"studies": STUDY, "arms": ARM, "outcomes": OUTCOME, "contrasts": CONTRAST}


def write(folder: Path, **changes: dict[str, str]) -> Path:
    """One good row a table, changed as told."""
    for name, row in GOOD.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS[name], restval="")
            writer.writeheader()
            writer.writerow(row | changes.get(name, {}))
    return folder


def test_shipped_tables_are_whole() -> None:
    assert load_evidence().counts() == {"studies": 190, "arms": 360, "outcomes": 1149, "contrasts": 317}


def test_a_folder_adds_rows(tmp_path: Path) -> None:
    tables = load_evidence(write(tmp_path))
    assert tables.counts() == {"studies": 191, "arms": 361, "outcomes": 1150, "contrasts": 318}
    assert tables.study("new1")["outcomes"]["value"].tolist() == [3.0]


@pytest.mark.parametrize(
    ("table", "change", "column"),
    [
        ("studies", {"stage": "late"}, "stage"),
        ("studies", {"provenance": "seen"}, "provenance"),
        ("studies", {"source_url": ""}, "source_url"),
        ("studies", {"study_id": "ashar2022"}, "study_id"),
        ("studies", {"n_randomised": "-5"}, "n_randomised"),
        ("studies", {"n_randomised": "many"}, "n_randomised"),
        ("arms", {"treatment": "magic"}, "treatment"),
        ("arms", {"study_id": "nobody"}, "study_id"),
        ("outcomes", {"arm_id": "b"}, "arm_id"),
        ("outcomes", {"statistic": "mode"}, "statistic"),
        ("outcomes", {"dispersion": "mad"}, "dispersion"),
        ("outcomes", {"value": "11"}, "value"),
        ("outcomes", {"value": "-3"}, "value"),  # a wrong sign: no level is below its scale
        ("outcomes", {"value": ""}, "value"),
        ("outcomes", {"statistic": "mean_change", "value": "-11"}, "value"),
        (
            "outcomes",
            {"statistic": "percent", "value": "101", "dispersion": "none", "disp_value": ""},
            "value",
        ),
        ("outcomes", {"statistic": "count", "value": "51", "dispersion": "none", "disp_value": ""}, "value"),
        ("outcomes", {"statistic": "count", "value": "2.5", "dispersion": "none", "disp_value": ""}, "value"),
        ("outcomes", {"disp_value": "4.7"}, "disp_value"),
        ("outcomes", {"disp_value": ""}, "disp_value"),
        ("outcomes", {"dispersion": "none"}, "dispersion"),
        (
            "outcomes",
            {"dispersion": "ci95", "disp_value": "", "disp_low": "3.5", "disp_high": "4"},
            "disp_low",
        ),
        ("outcomes", {"n": "-1"}, "n"),
        ("outcomes", {"scale_max": "-1"}, "scale_max"),
        ("contrasts", {"measure": "ARR"}, "measure"),
        ("contrasts", {"role": "maybe"}, "role"),
        ("contrasts", {"favours_when": "up"}, "favours_when"),
        ("contrasts", {"comparator": "air"}, "comparator"),
        ("contrasts", {"ci_low": "0"}, "ci_low"),
        ("contrasts", {"estimate": "5"}, "ci_high"),  # a sign lost from the estimate, not from its interval
        ("contrasts", {"measure": "RR"}, "estimate"),  # a ratio below zero
        ("contrasts", {"estimate": "-12", "ci_low": "-20", "ci_high": "-4"}, "estimate"),  # of a scale of 10
        ("contrasts", {"estimate": "", "ci_low": "", "ci_high": ""}, "estimate"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, table: str, change: dict[str, str], column: str) -> None:
    with pytest.raises(InputError) as caught:
        load_evidence(write(tmp_path, **{table: change}))
    assert any(f"{table}.csv: row 2: {column}:" in line for line in caught.value.problems), (
        caught.value.problems
    )


def test_the_largest_possible_sd_is_allowed_and_more_is_not(tmp_path: Path) -> None:
    """Half the patients at 0 and half at 10: mean 5, sample SD 5 sqrt(n / (n - 1)) = 5.0508 for n = 50."""
    load_evidence(write(tmp_path, outcomes={"value": "5", "disp_value": "5.05"}))
    with pytest.raises(InputError, match="larger than the scale allows"):
        load_evidence(write(tmp_path, outcomes={"value": "5", "disp_value": "5.06"}))


def test_a_difference_may_be_as_wide_as_its_scale(tmp_path: Path) -> None:
    """12 points are too many of 10 but not of 100, and nothing is known of a scale without a name."""
    far = {"estimate": "-12", "ci_low": "-20", "ci_high": "-4"}
    for scale in ("VAS100", "unstated"):
        load_evidence(write(tmp_path, contrasts=far | {"scale": scale}))
    load_evidence(write(tmp_path, contrasts={"estimate": "-10", "ci_low": "-11", "ci_high": "-9"}))


def test_a_wrong_header_and_a_ragged_row_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path)
    text = (folder / "arms.csv").read_text()
    (folder / "arms.csv").write_text(text.rstrip("\n") + ",extra\n")
    with pytest.raises(InputError, match=r"arms.csv: row 2: 15 cells, expected 14"):
        load_evidence(folder)
    (folder / "arms.csv").write_text("study,arm\n")
    with pytest.raises(InputError, match=r"arms.csv: row 1: the columns must be"):
        load_evidence(folder)


def test_a_missing_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_evidence(tmp_path / "nothing")


def test_an_unknown_study_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'ashar2022'"):
        load_evidence().study("ashar2222")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command.app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_check_counts() -> None:
    assert json.loads(run("check", "--json"))["outcomes"] == 1149


def test_list_filters_by_treatment_and_stage() -> None:
    listed = json.loads(run("list", "--treatment", "mirtazapine", "--json"))["studies"]
    assert {"miki2016", "yeephu2013"} <= {row["study_id"] for row in listed}
    acute = json.loads(run("list", "--stage", "acute", "--json"))["studies"]
    assert len(acute) == 49
    assert {row["stage"] for row in acute} == {"acute"}


def test_show_gives_every_row_of_a_study() -> None:
    shown = json.loads(run("show", "ashar2022", "--json"))
    tables = load_evidence().study("ashar2022")
    assert {name: len(rows) for name, rows in shown.items()} == {name: len(f) for name, f in tables.items()}
    assert "pain_reprocessing" in run("show", "ashar2022")
