"""``sim analyse``: what it prints, and what it says of bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from sim.analyses.data_set import Row
from sim.cli import main
from tests.analyses.blocks import KINDS, block, single

CONFIGS = Path(__file__).parents[2] / "configs" / "analyses"
KEYS = {"name", "estimate", "se", "df", "statistic", "p", "ci_low", "ci_high", "n"}
COLUMNS = {"patient": "patient", "arm": "arm", "visit": "week", "value": "pain", "baseline": "pain_0"}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """A simulated trial in long form."""
    one = single(block(n=90), 90, 0)
    weeks = [2, 6, 12]
    return pd.DataFrame(
        [
            {
                "patient": f"p{i}",
                "arm": ("placebo", "drug", "exercise")[one.arm[i, 0]],
                "week": week,
                "pain": one.score[i, 0, at].round(3),
                "pain_0": one.baseline[i, 0],
                "sex": "fm"[i % 2],
                "therapist": f"t{i % 9}" if one.arm[i, 0] == 2 else "",
                "stopped": 5 if i % 11 == 0 else "",
                "reason": "adverse_event" if i % 11 == 0 else "",
                "weeks_to_response": (2, 6, 12)[i // 5 % 3],
                "responded": int(i % 7 > one.arm[i, 0]),
            }
            for i in range(90)
            for at, week in enumerate(weeks)
        ]
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["analyse", *arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.fixture
def analysed(tmp_path, capsys, frame):
    """Run the command on a data frame and an analysis, written to files."""

    def of(analysis: object, data: pd.DataFrame = frame, *options: str) -> tuple[int, str, str]:
        (tmp_path / "analysis.yaml").write_text(yaml.safe_dump(analysis), encoding="utf-8")
        data.to_csv(tmp_path / "trial.csv", index=False)
        return run(capsys, str(tmp_path / "trial.csv"), str(tmp_path / "analysis.yaml"), *options)

    return of


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_runs_on_a_trial(file, tmp_path, capsys, frame):
    frame.to_csv(tmp_path / "trial.csv", index=False)
    code, out, _ = run(capsys, str(tmp_path / "trial.csv"), str(file), "--json")
    assert code == 0
    rows = json.loads(out)["estimates"]
    assert all(set(row) == KEYS for row in rows)
    compared = [row["name"].split("[")[1] for row in rows if " - placebo" in row["name"]]
    assert {name.split(" - ")[0] for name in compared} == {"drug", "exercise"}
    assert all(row["ci_low"] < row["estimate"] < row["ci_high"] for row in rows)
    code, out, _ = run(capsys, str(tmp_path / "trial.csv"), str(file))
    assert code == 0
    assert all(row["name"] in out for row in rows)
    assert ("tipping point of difference[drug - placebo, 12]" in out) == ("tipping" in file.read_text())


def test_there_is_an_example_of_every_kind():
    """Only the crossover has none: a table of visits does not say which treatment came first."""
    shown = {yaml.safe_load(file.read_text())["kind"] for file in CONFIGS.glob("*.yaml")}
    assert shown == set(KINDS) - {"crossover"}


def test_a_crossover_is_refused_with_what_to_do_instead(analysed, frame):
    analysis = {"kind": "crossover", "second": 12, "reference": "placebo", "columns": COLUMNS}
    code, _, errors = analysed(analysis, frame)
    assert (code, "halved differences" in errors) == (2, True)


def test_the_order_of_rows_does_not_matter(analysed, frame):
    analysis = {"kind": "mmrm", "reference": "placebo", "columns": COLUMNS}
    shuffled = frame.sample(frac=1, random_state=3)
    first, second = (json.loads(analysed(analysis, data, "--json")[1]) for data in (frame, shuffled))
    for ours, theirs in zip(first["estimates"], second["estimates"], strict=True):
        assert ours["name"] == theirs["name"]
        assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=1e-7)


def test_rows_that_are_not_there_are_missing_values(analysed, frame):
    analysis = {"kind": "mmrm", "reference": "placebo", "columns": COLUMNS}
    there, gone = (json.loads(analysed(analysis, data, "--json")[1]) for data in (frame, frame.dropna()))
    for a, b in zip(there["estimates"], gone["estimates"], strict=True):
        assert a["estimate"] == pytest.approx(b["estimate"], rel=1e-7)


def test_an_analysis_may_stand_under_its_own_key_and_twelve_is_twelve(analysed, frame):
    part, layout = {"kind": "ancova"}, {"reference": "placebo", "visit": 12, "columns": COLUMNS}
    first = json.loads(analysed({**part, **layout}, frame, "--json")[1])
    second = json.loads(analysed({"analysis": part, **layout}, frame.astype({"week": float}), "--json")[1])
    assert [row["estimate"] for row in first["estimates"]] == [row["estimate"] for row in second["estimates"]]


def put(frame: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    changed = frame.astype(object)
    changed.loc[row, column] = value
    return changed


BAD_TABLES = {
    "text among numbers": (
        lambda f: put(f, 3, "pain", "mild"),
        ["column 'pain', line 5", "'mild' is not a number"],
    ),
    "infinite": (lambda f: put(f, 3, "pain", "inf"), ["column 'pain', line 5", "is not a number"]),
    "no arm": (lambda f: put(f, 4, "arm", np.nan), ["column 'arm', line 6", "no label"]),
    "two arms": (
        lambda f: put(f, 4, "arm", "exercise"),
        ["column 'arm', line 6", "p1 has another value above"],
    ),
    "twice": (lambda f: put(f, 1, "week", 2), ["column 'week', line 3", "p0 has visit 2 twice"]),
    "no baseline": (
        lambda f: f.assign(pain_0=f.pain_0.mask(f.patient == "p2")),
        ["column 'pain_0', line 8", "missing"],
    ),
    "no value": (lambda f: f.assign(pain=np.nan), ["column 'pain'", "no value at all"]),
    "no rows": (lambda f: f[:0], ["no rows below the header"]),
    "one arm": (lambda f: f[f.arm == "placebo"], ["column 'arm'", "two or more are needed"]),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_named_by_file_column_and_line(name, analysed, frame):
    change, said = BAD_TABLES[name]
    code, out, err = analysed({"kind": "mmrm", "reference": "placebo", "columns": COLUMNS}, change(frame))
    assert (code, out) == (2, "")
    assert "trial.csv" in err
    for words in said:
        assert words in err


BAD_ANALYSES = {
    "column": ({"columns": {**COLUMNS, "value": "pian"}}, "no column 'pian': did you mean 'pain'?"),
    "reference": ({"reference": "plcebo"}, "reference 'plcebo' is not there: did you mean 'placebo'?"),
    "visit": ({"visit": 13}, "visit '13' is not there: allowed: 12, 2, 6"),
    "kind": ({"kind": "mmrn"}, "unknown kind 'mmrn': did you mean 'mmrm'?"),
    "option": ({"covariance": "spatial"}, "covariance: input should be 'unstructured'"),
    "key": ({"colour": "red"}, "unknown key 'colour'"),
    "columns": ({"columns": {"patient": "patient"}}, "columns.arm: required, but not given"),
    "level": (
        {"columns": {**COLUMNS, "covariates": [{"column": "sex", "reference": "x"}]}},
        "column 'sex': reference 'x' is not there",
    ),
}


@pytest.mark.parametrize("name", BAD_ANALYSES)
def test_a_bad_analysis_says_what_is_allowed(name, analysed):
    change, said = BAD_ANALYSES[name]
    code, out, err = analysed({"kind": "mmrm", "reference": "placebo", "columns": COLUMNS, **change})
    assert (code, out) == (2, "")
    assert said in err


def test_an_endpoint_needs_a_baseline(analysed):
    columns = {key: name for key, name in COLUMNS.items() if key != "baseline"}
    endpoint = {"kind": "responder", "reduction": 0.3}
    analysis = {"kind": "logistic", "reference": "placebo", "columns": columns, "endpoint": endpoint}
    code, _, err = analysed(analysis)
    assert code == 2
    assert "columns.baseline: required by 'endpoint'" in err


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00\xff\xfe", b"a,b\n1,2,3,4\n5\n"])
def test_no_table_is_an_error_of_one_line(content, tmp_path, capsys):
    (tmp_path / "trial.csv").write_bytes(content)
    code, out, err = run(capsys, str(tmp_path / "trial.csv"), str(CONFIGS / "mmrm.yaml"))
    assert (code, out) == (2, "")
    assert "Traceback" not in err


def test_a_fit_without_answer_is_a_failure_not_bad_input(analysed, frame):
    few = frame[frame.patient.isin([f"p{i}" for i in range(6)])]
    code, out, err = analysed({"kind": "mmrm", "reference": "placebo", "columns": COLUMNS}, few)
    assert (code, out) == (1, "")
    assert "did not converge" in err


def test_a_row_without_error_has_no_test():
    assert np.isnan(Row.by_t("x", (1.0, 0.0, 3.0), 2).p)
