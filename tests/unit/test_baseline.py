"""Table 1 beside the reported one, and screen failures: the numbers that the results folder keeps."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from sim import Plan, run
from sim.baseline import BLOCKS, Enrolment
from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import Streams
from sim.study import Study
from sim.trial import simulate

MARGINS = {
    "age": {"mean": {"assume": 50, "because": "t"}, "sd": {"assume": 12, "because": "t"}, "units": "years"},
    "female": {"shape": "binary", "mean": {"assume": 0.6, "because": "t"}, "units": "0 or 1"},
}
REPORTED = [
    {"measure": "pain", "mean": {"assume": 5.5, "because": "t"}, "sd": {"assume": 1.5, "because": "t"}},
    {"measure": "female", "mean": {"value": 0.55, "source": "paper"}},
]


@pytest.fixture(scope="module")
def study(two_arm) -> Study:
    tree = dump(two_arm)
    tree["sources"] = {"paper": {"citation": "A paper"}}
    tree["scenarios"] = {"expected": tree["scenarios"]["expected"]}
    tree["scenarios"]["expected"]["population"] |= {"covariates": MARGINS, "reported": REPORTED}
    return validate(tree, Study, "test")


@pytest.fixture(scope="module")
def enrolment(study) -> Enrolment:
    return Enrolment(study.protocols["small"], study.scenarios["expected"], study.seed, {})


def test_the_patients_are_those_of_the_trials(study, enrolment):
    protocol, scenario = study.protocols["small"], study.scenarios["expected"]
    draws = [Draws(Streams(study.seed, block), {}) for block in range(BLOCKS)]
    blocks = [simulate(protocol, scenario, each).data.baseline for each in draws]
    assert np.array_equal(enrolment.patients()["pain"], np.concatenate(blocks, axis=1))


def test_the_table_has_means_sds_and_differences(enrolment):
    rows = {row.measure: row for row in enrolment.table()}
    patients = enrolment.patients()
    assert list(rows) == ["pain", "age", "female"]
    assert rows["pain"].mean == pytest.approx(patients["pain"].mean())
    assert rows["pain"].sd == pytest.approx(np.sqrt(patients["pain"].var(axis=0, ddof=1).mean()))
    assert rows["pain"].difference == pytest.approx(rows["pain"].mean - 5.5)
    assert (rows["female"].reported_mean, rows["female"].source) == (0.55, "paper")
    assert np.isnan(rows["female"].sd)
    assert np.isnan(rows["age"].reported_mean)
    assert rows["age"].mcse == pytest.approx(12 / np.sqrt(patients["age"].size), rel=0.15)


def test_screen_failure_is_by_rule(enrolment):
    rows = {row.rule: row for row in enrolment.screening()}
    assert set(rows) == {"pain", "any"}
    expected = stats.norm.cdf(3.5, 4.8, np.hypot(1.7, 0.9))
    assert abs(rows["any"].share - expected) < 5 * rows["any"].mcse
    assert rows["any"].mcse < 0.001


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def test_a_run_writes_both_tables(study, tmp_path: Path):
    small = study.model_copy(update={"replicates": 128})
    results = run(small, Plan(workers=1), tmp_path / "out")
    baseline = rows_of(results.folder / "baseline.csv")
    assert [row["measure"] for row in baseline] == ["pain", "age", "female"]
    assert baseline[1]["reported_mean"] == ""
    screening = rows_of(results.folder / "screening.csv")
    assert [row["rule"] for row in screening] == ["pain", "any"]
    assert "paper" in (results.folder / "sources.bib").read_text()


def test_a_reported_measure_that_does_not_exist_is_refused(study):
    tree = dump(study)
    tree["scenarios"]["expected"]["population"]["reported"][1]["measure"] = "femal"
    with pytest.raises(InputError, match="reported: unknown measure 'femal': did you mean 'female'"):
        validate(tree, Study, "test")
