"""A replayed trial is the trial that the run counted."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from sim import Plan, Study, run
from sim.core.loading import dump, validate
from sim.replay import rebuild
from tests.cli.calling import call

REPLICATE = 140
"""In the second block: its place there is not its number."""


@pytest.fixture(scope="module")
def results(two_arm, tmp_path_factory):
    return run(two_arm, Plan(workers=1), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def trial(two_arm):
    return rebuild(two_arm, ("small", "drawn"), REPLICATE, Plan(workers=1))


def test_the_course_ends_where_the_records_say(two_arm_file):
    rule = "{kind: group_sequential, spending: {kind: ld_pocock}, futility: {kind: hsd, gamma: 2}}"
    look = f"{{when: {{fractions: [0.5, 1]}}, analysis: {{kind: ancova, estimand: primary}}, rule: {rule}}}"
    changes = (f"protocols.small.looks=[{look}]", "protocols.small.sizes=[]")
    study = Study.load(two_arm_file, changes)
    ends = {"go on": 0, "success": 0, "futile": 0, "no success": 0}
    for replicate in range(0, 120, 5):
        again = rebuild(study, ("small", "drawn"), replicate, Plan(workers=1))
        course = again.course()
        row = next(row for row in again.looks if row["n"] == again.protocol.n)
        last = course[-1]
        kept = ("look", "analysed", "estimate", "se", "low", "high", "p")
        assert [last[name] for name in kept] == [row[name] for name in kept]
        assert (last["decision"] == "success") == row["success"]
        assert (last["decision"] == "futile") == row["futile"]
        assert [step["look"] for step in course] == list(range(1, row["look"] + 1))
        for step in course:
            ends[step["decision"]] += 1
    assert min(ends.values()) > 0


def command(two_arm_file, *more: str) -> list[str]:
    names = ["--protocol", "small", "--scenario", "drawn", "--replicate", str(REPLICATE)]
    return ["replay", str(two_arm_file), *names, *more]


def test_every_look_equals_the_row_that_the_run_wrote(trial, results):
    written = results.records("small", "drawn").query("replicate == @REPLICATE").drop(columns="replicate")
    assert len(trial.looks) == 4
    assert trial.looks == written.astype(object).replace(np.inf, None).to_dict("records")


def test_the_patients_add_up_to_the_counts_of_the_run(trial, results):
    counts = results.records("small", "drawn", "arms").query("replicate == @REPLICATE")
    patients = pd.DataFrame(trial.patients())
    last = counts[counts["week"] == 12].set_index("arm")
    for arm, those in patients.groupby("arm"):
        scores = pd.DataFrame(list(those["scores"]), dtype=float)
        assert last.loc[arm, "randomised"] == len(those)
        assert last.loc[arm, "observed"] == scores[3].notna().sum()
        assert last.loc[arm, "score_sum"] == scores[3].sum()
        assert last.loc[arm, "left"] == those["left"].notna().sum()
        for reason in ("adverse_event", "inefficacy"):
            assert last.loc[arm, f"stopped_{reason}"] == (those["reason"] == reason).sum()


def test_the_last_patient_enrolled_ends_the_trial(trial, results):
    finished = results.records("small", "drawn", "trials").query("replicate == @REPLICATE and n == 80")
    assert trial.patients()[-1]["enrolled"] + 12 == finished["finished"].item()


def test_no_score_is_shown_after_a_patient_left(trial):
    left = [row for row in trial.patients() if row["left"] is not None]
    assert left
    for row in left:
        assert all(
            score is None
            for score, week in zip(row["scores"], (0, 2, 6, 12), strict=True)
            if week > row["left"]
        )


def test_the_long_form_analysed_as_a_real_data_set_gives_the_estimate_of_the_look(
    trial, two_arm_file, tmp_path, capsys
):
    data, analysis = tmp_path / "trial.csv", tmp_path / "ancova.yaml"
    analysis.write_text(
        "kind: ancova\nreference: control\nvisit: '12'\n"
        "columns: {patient: patient, arm: arm, visit: week, value: score, baseline: baseline}\n",
        encoding="utf-8",
    )
    assert call(capsys, *command(two_arm_file, "--csv", str(data), "--patients", "0")).code == 0
    answer = json.loads(call(capsys, "analyse", data, analysis, "--json").out)["estimates"]
    difference = next(row for row in answer if row["name"].startswith("difference"))
    look = next(row for row in trial.looks if row["estimand"] == "primary" and row["n"] == 80)
    for there, here in (("estimate", "estimate"), ("se", "se"), ("ci_low", "low"), ("n", "analysed")):
        assert difference[there] == pytest.approx(look[here], rel=1e-10)


def test_json_is_one_object_with_every_look_and_patient(two_arm_file, trial, capsys):
    called = call(capsys, *command(two_arm_file, "--json"))
    answer = json.loads(called.out)
    assert (called.code, called.errors) == (0, [])
    assert (answer["protocol"], answer["scenario"], answer["replicate"]) == ("small", "drawn", REPLICATE)
    assert answer["visits"] == [0, 2, 6, 12]
    assert answer["looks"] == trial.looks
    assert answer["patients"] == trial.patients()


def test_the_table_shows_the_first_patients_and_the_csv_all(two_arm_file, tmp_path, capsys):
    file = tmp_path / "all.csv"
    shown = call(capsys, *command(two_arm_file, "--patients", "3", "--csv", str(file))).out
    assert "First 3 of 80 patients" in shown
    table = shown.split("First 3")[1].splitlines()
    assert [line.split()[0] for line in table if line.strip()[:1].isdigit()][-3:] == ["1", "2", "3"]
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 80 * 3
    assert {row["patient"] for row in rows} == {str(number) for number in range(1, 81)}


def test_covariates_are_told_where_the_population_has_them(two_arm):
    tree = dump(two_arm)
    age = {
        "mean": {"assume": 45, "because": "test"},
        "sd": {"assume": 12, "because": "test"},
        "units": "years",
    }
    for scenario in tree["scenarios"].values():
        scenario["population"]["covariates"] = {"age": age}
    tree["protocols"]["small"]["eligibility"]["age"] = {"between": [40, 50]}
    older = rebuild(validate(tree, Study, "test"), ("small", "drawn"), REPLICATE, Plan(workers=1))
    ages = np.array([row["age"] for row in older.patients()])
    assert len(ages) == 80
    assert 40 <= ages.min() < ages.max() <= 50


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--protocol", "smal", "--protocol: unknown name 'smal': did you mean 'small'? allowed: small"),
        ("--scenario", "draw", "--scenario: unknown name 'draw': did you mean 'drawn'?"),
        ("--replicate", "-1", "Invalid value for '--replicate'"),
        ("--csv", ".", "is a folder, expected a file to write"),
    ],
)
def test_wrong_options_are_named(two_arm_file, capsys, option, value, said):
    called = call(capsys, *command(two_arm_file, option, value))
    assert (called.code, called.out, len(called.errors)) == (2, "", 1)
    assert said in called.errors[0]
