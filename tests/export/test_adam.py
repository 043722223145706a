"""ADaM datasets say what the replayed trial says, under the standard's names, in every file."""

import csv
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sim import Plan, Study
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.data import ABSENT
from sim.export.adam import Adam, codes, day
from sim.export.datasets import LABELS, Dataset, variables
from sim.replay import rebuild
from tests.cli.calling import call

# labels as published with the example datasets of pharmaverseadam (ADSL, ADAE) and tidytlg (ADVS)
PUBLISHED = {
    "STUDYID": "Study Identifier",
    "USUBJID": "Unique Subject Identifier",
    "SUBJID": "Subject Identifier for the Study",
    "AGE": "Age",
    "AGEU": "Age Units",
    "SEX": "Sex",
    "ARM": "Description of Planned Arm",
    "TRT01P": "Planned Treatment for Period 01",
    "TRT01PN": "Planned Treatment for Period 01 (N)",
    "ITTFL": "Intent-To-Treat Population Flag",
    "EOSSTT": "End of Study Status",
    "TRTP": "Planned Treatment",
    "TRTPN": "Planned Treatment (N)",
    "PARAMCD": "Parameter Code",
    "PARAM": "Parameter",
    "PARAMN": "Parameter (N)",
    "AVISIT": "Analysis Visit",
    "AVISITN": "Analysis Visit (N)",
    "ADY": "Analysis Relative Day",
    "AVAL": "Analysis Value",
    "BASE": "Baseline Value",
    "CHG": "Change from Baseline",
    "PCHG": "Percent Change from Baseline",
    "ABLFL": "Baseline Record Flag",
    "AESEQ": "Sequence Number",
    "AETERM": "Reported Term for the Adverse Event",
    "ASTDY": "Analysis Start Relative Day",
    "AEACN": "Action Taken with Study Treatment",
}


@pytest.fixture(scope="module")
def datasets(trial):
    return {dataset.name: dataset for dataset in Adam("my study", trial).datasets()}


@pytest.fixture(scope="module")
def files(datasets, tmp_path_factory):
    pytest.importorskip("pyreadstat", reason="this environment is older than the lock file: no pyreadstat")
    folder = tmp_path_factory.mktemp("adam")
    for dataset in datasets.values():
        dataset.write(folder)
    return folder


def test_the_written_table_keeps_to_the_transport_file_and_to_published_labels():
    for v in variables():
        assert re.fullmatch(r"[A-Z][A-Z0-9]{0,7}|\*BL", v.name), v
        assert len(v.label) <= 40 or v.name == "*BL", v
        assert (v.length == 8) if v.type == "Num" else (0 < v.length <= 200), v
        assert v.core in ("Req", "Cond", "Perm", "sponsor"), v
        assert v.label == PUBLISHED.get(v.name, v.label)
    assert {v.name for v in variables()} >= set(PUBLISHED)
    assert all(len(label) <= 40 for label in LABELS.values())


@pytest.mark.parametrize("name", LABELS)
def test_columns_are_those_of_the_written_table_in_order_and_type(datasets, name):
    frame, described = datasets[name].frame, datasets[name].variables
    table = [v for v in variables() if v.dataset == name and v.name != "*BL"]
    assert list(frame)[: len(table)] == [v.name for v in table], (
        "all are there: everything happens in this trial"
    )
    assert all(column.endswith("BL") for column in list(frame)[len(table) :])
    assert [v.name for v in described] == list(frame)
    for v in described:
        assert pd.api.types.is_numeric_dtype(frame[v.name]) == (v.type == "Num"), v
    assert not frame[[v.name for v in described if v.core == "Req"]].isna().any().any()


def test_adsl_says_of_each_patient_what_replay_says(datasets, trial):
    adsl = datasets["ADSL"].frame
    assert list(adsl["USUBJID"][:2]) == ["MY STUDY-0001", "MY STUDY-0002"]
    told = trial.patients()
    assert len(adsl) == len(told) == 80
    terms = {"adverse_event": "ADVERSE EVENT", "inefficacy": "LACK OF EFFICACY", "other": "OTHER", None: None}
    plain = adsl.astype(object).where(adsl.notna(), None).to_dict("records")
    for row, patient in zip(plain, told, strict=True):
        assert row["SUBJID"] == f"{patient['patient']:04d}"
        assert (row["ARM"], row["TRT01P"]) == (
            patient["arm"],
            {"control": "placebo", "active": "drug"}[patient["arm"]],
        )
        assert row["RANDWK"] == patient["enrolled"]
        assert row["DCTREAS"] == terms[patient["reason"]]
        stop, left = patient["stopped"], patient["left"]
        assert row["DCTDY"] == (None if stop is None else int(7 * stop) + 1)
        assert row["DCSDY"] == (None if left is None else int(7 * left) + 1)
        assert row["EOSSTT"] == ("COMPLETED" if left is None else "DISCONTINUED")
        ended = {(False, False): "COMPLETED", (False, True): None}.get((stop is not None, left is not None))
        assert row["EOTSTT"] == (ended if stop is None else "DISCONTINUED")
        if left is not None:
            with_it = stop == left
            assert row["DCSREAS"] == (row["DCTREAS"] if with_it else "WITHDRAWAL BY SUBJECT")
        assert (row["AGE"], row["SEX"]) == (patient["age"], "F" if patient["female"] else "M")
        assert (row["DISABIBL"], row["BODYMABL"]) == (patient["disability"], patient["body mass index"])
    assert {"DISCONTINUED", "COMPLETED"} == set(adsl["EOTSTT"].dropna())
    assert adsl.loc[adsl["ARM"] == "active", "THERAPN"].nunique() == 3
    labels = {v.name: v.label for v in datasets["ADSL"].variables}
    assert labels["BODYMABL"] == "Baseline body mass index (kg/m2)"


def test_adqs_has_a_row_for_each_score_that_was_seen(datasets, trial):
    adqs = datasets["ADQS"].frame
    pain = adqs[adqs["PARAMCD"] == "PAIN"].set_index(["USUBJID", "AVISITN"])
    seen = 0
    for patient in trial.patients():
        key = f"MY STUDY-{patient['patient']:04d}"
        base = patient["scores"][0]
        for week, score in zip(trial.protocol.visits, patient["scores"], strict=True):
            assert ((key, week) in pain.index) == (score is not None)
            if score is None:
                continue
            seen += 1
            row = pain.loc[(key, week)]
            assert (row["AVAL"], row["BASE"], row["ADY"]) == (score, base, 7 * week + 1)
            assert row["AVISIT"] == ("Baseline" if week == 0 else f"Week {week:g}")
            if week:
                assert row["CHG"] == score - base
                assert row["PCHG"] == pytest.approx(100 * (score - base) / base)
            else:
                assert row["ABLFL"] == "Y"
                assert np.isnan([row["CHG"], row["PCHG"]]).all()
            ended = min(w for w in (patient["stopped"], patient["left"], np.inf) if w is not None)
            assert (row["ONTRTFL"] == "Y") == (week <= ended)
    assert seen == len(pain) < 80 * 4
    odi = adqs[adqs["PARAMCD"] == "ODI"]
    assert set(odi["PARAM"]) == {"Oswestry Disability Index (0 to 100)"}
    c = trial.column
    at_12 = trial.record.data.others["ODI"].visits[:, c, -1]
    assert np.array_equal(odi.loc[odi["AVISITN"] == 12, "AVAL"], at_12[~np.isnan(at_12)])
    assert trial.record.data.rescued is not None
    assert (pain["RESCFL"] == "Y").sum() == trial.record.data.rescued[:, c].sum() > 0


def test_adae_lists_named_events_and_the_one_that_stopped_treatment(datasets, trial):
    adae = datasets["ADAE"].frame
    c = trial.column
    for name, has in trial.record.adverse_events.items():
        who = adae.loc[adae["AETERM"] == name.upper().replace("_", " "), "USUBJID"]
        assert list(who) == [f"MY STUDY-{i + 1:04d}" for i in np.flatnonzero(has[:, c])]
        assert len(who)
    stopping = adae[adae["AEACN"] == "DRUG WITHDRAWN"]
    told = [p for p in trial.patients() if p["reason"] == "adverse_event"]
    assert list(stopping["ASTDY"]) == [int(7 * p["stopped"]) + 1 for p in told]
    assert len(told)
    for _, rows in adae.groupby("USUBJID"):
        assert list(rows["AESEQ"]) == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("name", LABELS)
def test_every_file_gives_the_same_values_back(datasets, files, name):
    pyreadstat = pytest.importorskip("pyreadstat")
    dataset = datasets[name]
    empty_as_text = dataset.frame.astype(
        {v.name: object for v in dataset.variables if v.type == "Char"}
    ).fillna({v.name: "" for v in dataset.variables if v.type == "Char"})
    stem = files / name.lower()
    read, meta = pyreadstat.read_xport(stem.with_suffix(".xpt"))
    assert (meta.table_name, meta.file_label) == (name, LABELS[name])
    assert meta.column_labels == [v.label for v in dataset.variables]
    pd.testing.assert_frame_equal(read.astype(empty_as_text.dtypes), empty_as_text, check_exact=True)
    parquet = pq.read_table(stem.with_suffix(".parquet"))
    pd.testing.assert_frame_equal(parquet.to_pandas(), dataset.frame, check_exact=True)
    assert parquet.schema.field("USUBJID").metadata == {b"label": b"Unique Subject Identifier"}
    text = {v.name: "str" for v in dataset.variables if v.type == "Char"}
    from_csv = pd.read_csv(stem.with_suffix(".csv"), dtype=text)
    pd.testing.assert_frame_equal(from_csv.astype(dataset.frame.dtypes), dataset.frame, check_exact=True)


def test_ancova_on_the_transport_file_is_the_estimate_of_the_look(files, trial):
    pyreadstat = pytest.importorskip("pyreadstat")
    adqs, _ = pyreadstat.read_xport(files / "adqs.xpt")
    rows = adqs[(adqs["PARAMCD"] == "PAIN") & (adqs["AVISITN"] == 12)]
    design = np.column_stack([np.ones(len(rows)), rows["TRTPN"] == 2, rows["BASE"]])
    effect = np.linalg.lstsq(design, rows["AVAL"].to_numpy(), rcond=None)[0][1]
    look = next(row for row in trial.looks if row["estimand"] == "primary" and row["n"] == 80)
    assert effect == pytest.approx(look["estimate"], rel=1e-10)


def test_a_trial_without_events_has_an_empty_table_of_them(trial, tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat", reason="no pyreadstat in this environment")
    none = {column: [] for column in Adam("s", trial).adae().frame}
    Dataset.of("ADAE", none).write(tmp_path)
    read, _ = pyreadstat.read_xport(tmp_path / "adae.xpt")
    assert (len(read), list(read)) == (0, list(none))


def test_who_is_not_randomised_after_a_run_in_is_in_no_table(eventful):
    """Arms of two treatments, and a run-in on the first that turns responders away."""
    tree = dump(eventful)
    protocol = tree["protocols"]["small"]
    protocol |= {"n": 40, "sizes": [], "run_in": {"weeks": 2, "enter": 120, "unless": "responder_30"}}
    protocol["arms"] = [
        {"name": "control", "treatment": "placebo"},
        {"name": "active", "treatment": "placebo", "weeks": 2, "then": [{"treatment": "drug", "at": 2}]},
    ]
    for scenario in tree["scenarios"].values():  # events are simulated of a first treatment
        of = scenario["treatments"]
        of["placebo"]["adverse_events"] = of["drug"].pop("adverse_events")
    trial = rebuild(validate(tree, Study, "test"), ("small", "expected"), 3, Plan(workers=1))
    arm = trial.record.data.arm[:, 3]
    adsl, adqs, adae = (dataset.frame for dataset in Adam("s", trial).datasets())
    numbers = [f"S-{i + 1:04d}" for i in np.flatnonzero(arm != ABSENT)]
    assert len(arm) == 120
    assert list(adsl["USUBJID"]) == numbers == [f"S-{p['patient']:04d}" for p in trial.patients()]
    assert len(numbers) == 40 == (adsl["ITTFL"] == "Y").sum()
    assert set(adqs["USUBJID"]) <= set(numbers)
    assert set(adae["USUBJID"]) <= set(numbers)
    assert set(adsl["TRT01P"]) == {"placebo", trial.protocol.arms[1].course()}
    assert [p["arm"] for p in trial.patients()] == list(adsl["ARM"])


def test_days_count_from_randomisation_which_is_day_1():
    assert day(np.array([0, 1 / 7, 2, 0.999 / 7, 12])).tolist() == [1, 2, 15, 1, 85]


def test_codes_are_short_and_told_apart():
    assert codes(["PROMIS_PI", "PROMIS_PF", "SF-12_PCS", "PROMIS_PI x"], 8) == {
        "PROMIS_PI": "PROMISPI", "PROMIS_PF": "PROMISPF", "SF-12_PCS": "SF12PCS", "PROMIS_PI x": "PROMISP2",
    }  # fmt: skip


@pytest.mark.parametrize("term", ["Kopfschmerz über Nacht", "x" * 201])
def test_a_text_that_no_transport_file_holds_is_refused(term):
    with pytest.raises(InputError, match=r"ADAE.AETERM: .* allowed: ASCII, up to 200 characters"):
        Dataset.of("ADAE", {"AETERM": [term]})


def test_the_command_writes_all_files_and_describes_them(eventful_run, tmp_path, capsys):
    pytest.importorskip("pyreadstat", reason="no pyreadstat in this environment")
    out = tmp_path / "data"
    ask = ("export", eventful_run.folder, "--format", "adam", "--scenario", "drawn", "--replicate", 140)
    answer = call(capsys, *ask, "--out", out)
    assert (answer.code, answer.errors) == (0, [])
    written = answer.out.split()
    assert len(written) == 10
    assert all((out / file.rsplit("/", 1)[-1]).exists() for file in written)
    with (out / "variables.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    adsl = pd.read_csv(out / "adsl.csv")
    assert [row["variable"] for row in rows if row["dataset"] == "ADSL"] == list(adsl)


def test_another_trial_than_the_one_that_was_counted_is_refused(eventful_run, tmp_path, capsys):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in eventful_run.folder.iterdir():
        (copy / file.name).symlink_to(file)
    (copy / "study.yaml").unlink()
    text = (eventful_run.folder / "study.yaml").read_text("utf-8")
    (copy / "study.yaml").write_text(text.replace("seed: 7", "seed: 8"), encoding="utf-8")
    ask = ("export", copy, "--format", "adam", "--scenario", "drawn", "--out", tmp_path / "out")
    answer = call(capsys, *ask)
    assert (answer.code, len(answer.errors)) == (1, 1)
    assert "gives another trial than the one that was counted" in answer.errors[0]
    assert not (tmp_path / "out").exists()
    pytest.importorskip("pyreadstat", reason="no pyreadstat in this environment")
    assert call(capsys, *ask, "--replicate", 5000).code == 0, "the run did not get there: nothing to compare"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "--scenario: which one? allowed: expected, drawn"),
        (("--scenario", "draw"), "--scenario: unknown name 'draw': did you mean 'drawn'?"),
        (("--scenario", "drawn", "--format", "sas"), "Invalid value for '--format'"),
    ],
)
def test_wrong_options_are_named(eventful_run, tmp_path, capsys, more, said):
    answer = call(capsys, "export", eventful_run.folder, "--out", tmp_path / "x", "--format", "adam", *more)
    assert (answer.code, answer.out, len(answer.errors)) == (2, "", 1)
    assert said in answer.errors[0]
