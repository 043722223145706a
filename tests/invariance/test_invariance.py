"""What must not move a number: more patients, arms, visits, endpoints; workers, start method, resume."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sim import Plan, Study, run
from sim.claims import Assume, Draws
from sim.core.loading import dump, validate
from sim.core.streams import Streams
from sim.missingness import MissedVisit, Missing
from sim.protocol import Protocol
from sim.trial import TrialRecord, simulate

SOME_MISSED = Missing(
    missed_visit=MissedVisit(
        probability=Assume(assume=0.1, because="so that a later visit could move what is missed")
    )
)


def record(study: Study, changes: dict[str, object] | None = None, scenario: str = "expected") -> TrialRecord:
    protocol = validate({**dump(study.protocols["small"]), "sizes": [], **(changes or {})}, Protocol, "test")
    nature = study.scenarios[scenario].model_copy(update={"missing": SOME_MISSED})
    return simulate(protocol, nature, Draws(Streams(study.seed, 0), {}))


def same_patients(first: TrialRecord, second: TrialRecord, n: int, visits: int) -> None:
    assert np.array_equal(first.data.arm[:n], second.data.arm[:n])
    assert np.array_equal(first.data.baseline[:n], second.data.baseline[:n])
    assert np.array_equal(first.data.score[:n, :, :visits], second.data.score[:n, :, :visits], equal_nan=True)
    assert np.array_equal(first.events.leave[:n], second.events.leave[:n])


def test_more_patients_leave_the_earlier_ones_unchanged(two_arm):
    same_patients(record(two_arm), record(two_arm, {"n": 333}), 80, 3)


def test_a_smaller_size_is_a_cut_of_the_larger(two_arm):
    whole = record(two_arm, {"sizes": [30, 50]})
    for place, size in enumerate((30, 50)):
        alone = record(two_arm, {"n": size})
        for cut, own in zip(whole.findings, alone.findings, strict=True):
            assert np.allclose(
                cut.estimate.estimate[:, place], own.estimate.estimate[:, 0], rtol=1e-12, atol=1e-12
            )
            assert np.array_equal(cut.success[:, place], own.success[:, 0])
        assert np.array_equal(whole.finished[place], alone.finished[0])


def test_a_visit_at_the_end_leaves_the_earlier_ones_unchanged(two_arm):
    first, longer = record(two_arm), record(two_arm, {"visits": [0, 2, 6, 12, 26]})
    assert np.array_equal(
        np.nan_to_num(first.data.score, nan=-1), np.nan_to_num(longer.data.score[:, :, :3], nan=-1)
    )


def test_another_arm_leaves_the_patients_unchanged(two_arm):
    arms = [{"name": "control", "treatment": "placebo"}, {"name": "active", "treatment": "drug"}]
    three = record(two_arm, {"arms": [*arms, {"name": "more", "treatment": "drug"}]})
    two = record(two_arm)
    assert np.array_equal(three.data.baseline, two.data.baseline)
    both = three.data.arm == two.data.arm
    assert both.mean() > 0.2
    assert np.array_equal(three.data.score[both], two.data.score[both], equal_nan=True)


def test_another_endpoint_leaves_the_trial_unchanged(two_arm):
    more = record(two_arm, {"endpoints": {"half_free": {"kind": "state", "at_most": 3}}})
    same_patients(record(two_arm), more, 80, 3)


def test_a_scenario_changes_outcomes_but_not_who_the_patients_are(two_arm):
    first, null = record(two_arm), record(two_arm, scenario="null")
    assert np.array_equal(first.data.baseline, null.data.baseline)
    control = first.data.arm == 0
    assert np.array_equal(first.data.score[control], null.data.score[control], equal_nan=True)


def characteristics(study: Study, plan: Plan, folder: Path) -> bytes:
    return (run(study, plan, folder).folder / "operating_characteristics.csv").read_bytes()


@pytest.fixture(scope="module")
def long_study(two_arm) -> Study:
    return two_arm.model_copy(update={"replicates": 700})


@pytest.fixture(scope="module")
def undisturbed(long_study, tmp_path_factory) -> bytes:
    return characteristics(long_study, Plan(workers=1), tmp_path_factory.mktemp("one"))


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_workers_and_start_method_change_no_byte(long_study, undisturbed, tmp_path, start_method):
    assert characteristics(long_study, Plan(workers=2, start_method=start_method), tmp_path) == undisturbed


def test_any_executor_changes_no_byte(long_study, undisturbed, tmp_path):
    with ThreadPoolExecutor(3) as executor:
        assert characteristics(long_study, Plan(executor=executor), tmp_path) == undisturbed


def test_more_replicates_keep_the_finished_blocks(long_study, undisturbed, tmp_path):
    few = long_study.model_copy(update={"replicates": 200})
    run(few, Plan(workers=1), tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("blocks/*.parquet")}
    assert len(before) == 6
    assert characteristics(long_study, Plan(workers=1), tmp_path) == undisturbed
    assert all(file.stat().st_mtime_ns == made for file, made in before.items())


def test_a_lost_or_broken_block_is_computed_again(long_study, undisturbed, tmp_path):
    run(long_study, Plan(workers=1), tmp_path)
    lost, broken = sorted(tmp_path.glob("blocks/*.parquet"))[:2]
    lost.unlink()
    broken.write_bytes(broken.read_bytes()[:100])
    assert characteristics(long_study, Plan(workers=1), tmp_path) == undisturbed


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_loses_no_finished_block_and_ends_with_the_same_bytes(two_arm_file, tmp_path, how):
    study = Study.load(two_arm_file, ("replicates=6000",))
    command = [
        sys.executable,
        "-m",
        "sim",
        "run",
        str(two_arm_file),
        "--replicates",
        "6000",
        "--out",
        str(tmp_path / "a"),
    ]
    process = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.PIPE, start_new_session=True)
    while len(list((tmp_path / "a" / "blocks").glob("*.parquet"))) < 6:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)
    os.killpg(process.pid, how)
    _, errors = process.communicate(timeout=60)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "a" / "blocks").glob("*.parquet")}
    assert len(kept) < 141, "the run ended before it was interrupted"
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert b"Traceback" not in errors
    continued = characteristics(study, Plan(workers=2), tmp_path / "a")
    assert all(file.stat().st_mtime_ns == made for file, made in kept.items())
    assert continued == characteristics(study, Plan(workers=2), tmp_path / "b")


def test_a_run_cut_off_before_its_provenance_is_not_taken_for_finished(two_arm, tmp_path):
    run(two_arm.model_copy(update={"replicates": 256}), Plan(workers=1), tmp_path)
    (tmp_path / "provenance.json").unlink()
    few = run(two_arm.model_copy(update={"replicates": 128}), Plan(workers=1), tmp_path)
    assert set(few.characteristics["replicates"]) == {128}
    (tmp_path / "operating_characteristics.csv").unlink()
    again = run(two_arm.model_copy(update={"replicates": 128}), Plan(workers=1), tmp_path)
    assert set(again.characteristics["replicates"]) == {128}
