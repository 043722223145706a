"""What must not move a number in a large run: executors, array jobs, lost workers, damaged blocks."""

import csv
import multiprocessing
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from threadpoolctl import threadpool_info

import sim.execution as execution
from sim import Plan, Study, run
from sim.array_jobs import collect, ranges, run_some
from sim.core.errors import InputError, RunError
from sim.execution import Progress
from sim.executors import Workers, cluster
from sim.study import Precision, Until
from tests.cli.calling import call

TABLE = "operating_characteristics.csv"


@pytest.fixture(scope="module")
def study(two_arm) -> Study:
    return two_arm.model_copy(update={"replicates": 700})


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory) -> bytes:
    return table(run(study, Plan(workers=1), tmp_path_factory.mktemp("one")).folder)


def table(folder: Path) -> bytes:
    return (folder / TABLE).read_bytes()


def killing_once(after: int, victims) -> tuple[Progress, list[int]]:
    """Tell of progress by killing a worker when so many blocks are done."""
    killed: list[int] = []

    def progress(done: int, planned: int) -> None:
        if done == after and not killed:
            killed.append(victims()[0])
            os.kill(killed[0], signal.SIGKILL)

    return progress, killed


def test_a_lost_process_of_the_pool_changes_no_byte(study, undisturbed, tmp_path):
    progress, killed = killing_once(3, lambda: [child.pid for child in multiprocessing.active_children()])
    run(study, Plan(workers=2, progress=progress), tmp_path)
    assert killed
    assert table(tmp_path) == undisturbed


def blas_threads(_: int) -> int:
    return max(pool["num_threads"] for pool in threadpool_info())


def test_a_worker_keeps_to_one_thread():
    assert {threads for _, threads in Workers(2).each(blas_threads, range(8))} == {1}


@pytest.mark.slow
def test_a_lost_dask_worker_changes_no_byte(study, undisturbed, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        progress, killed = killing_once(2, lambda: list(client.run(os.getpid).values()))
        run(study, Plan(executor=client.get_executor(pure=False), progress=progress), tmp_path)
    assert killed
    assert table(tmp_path) == undisturbed


@pytest.mark.slow
def test_the_command_runs_on_a_dask_cluster_of_its_own(two_arm_file, undisturbed, tmp_path, capsys):
    pytest.importorskip("distributed")
    options = ("--replicates", 700, "--executor", "dask", "--workers", 2, "--out", tmp_path)
    assert call(capsys, "run", two_arm_file, *options).code == 0
    assert table(tmp_path) == undisturbed


def test_an_unknown_executor_is_named_with_what_is_allowed():
    with pytest.raises(InputError, match="unknown 'slurm'; allowed: processes, dask, or tcp://HOST:PORT"):
        cluster("slurm", 2).__enter__()


def test_array_jobs_and_their_collection_change_no_byte(two_arm_file, undisturbed, tmp_path, capsys):
    options = ("--replicates", 700, "--out", tmp_path)
    for block in ("0", "4-5", "1-3"):
        assert call(capsys, "run", two_arm_file, "--block", block, *options).code == 0
        assert not (tmp_path / TABLE).exists()
    assert call(capsys, "collect", two_arm_file, *options).code == 0
    assert table(tmp_path) == undisturbed


def test_a_collection_names_the_blocks_that_are_missing(study, tmp_path):
    run_some(study, Plan(workers=1), range(2, 4), tmp_path)
    with pytest.raises(RunError, match="wanted next: 0-1,4-5; compute them"):
        collect(study, Plan(), tmp_path)


def test_blocks_are_written_as_an_array_job_takes_them():
    assert ranges([5, 0, 1, 4, 9]) == "0-1,4-5,9"
    assert ranges({7}) == "7"


def test_rounds_of_array_jobs_reach_a_precision_with_the_same_bytes(two_arm_file, tmp_path, capsys):
    precision = "replicates={until: {metric: power, mcse: 0.012}, at_most: 20000}"
    given = (two_arm_file, "--set", precision, "--out")
    assert call(capsys, "run", *given, tmp_path / "one", "--workers", 1).code == 0
    note, rounds = tmp_path / "apart" / "blocks" / "wanted.txt", []
    wanted = "0-7"
    while True:
        rounds.append(wanted)
        for part in wanted.split(","):
            assert call(capsys, "run", *given, tmp_path / "apart", "--block", part, "--workers", 1).code == 0
        answer = call(capsys, "collect", *given, tmp_path / "apart")
        if answer.code == 0:
            break
        assert answer.code == 1
        wanted = note.read_text().strip()
        assert f"wanted next: {wanted};" in answer.errors[-1]
    assert len(rounds) > 1, "the first wave was enough: nothing was asked for"
    assert not note.exists()
    assert table(tmp_path / "apart") == table(tmp_path / "one")


def test_a_task_is_refused_blocks_that_are_not_asked_for_yet(two_arm, tmp_path):
    until = Until(until=Precision(metric="power", mcse=0.01), at_most=20000)
    with pytest.raises(InputError, match="the blocks 0 to 7 until sim collect asks for more"):
        run_some(two_arm.model_copy(update={"replicates": until}), Plan(workers=1), range(8, 9), tmp_path)


@pytest.mark.parametrize("block", ["6", "5-6", "3-1", "-1", "x", "1-"])
def test_a_block_that_the_study_does_not_have_is_wrong_input(two_arm_file, tmp_path, capsys, block):
    answer = call(capsys, "run", two_arm_file, f"--block={block}", "--replicates", 700, "--out", tmp_path)
    assert answer.code == 2
    assert answer.errors[-1].startswith("sim: --block: ")


def test_a_block_damaged_in_its_middle_is_computed_again(study, undisturbed, tmp_path):
    run(study, Plan(workers=1), tmp_path)
    for file in sorted(tmp_path.glob("blocks/*.parquet"))[:3]:
        content = bytearray(file.read_bytes())
        content[len(content) // 3] ^= 1
        file.write_bytes(content)
    (tmp_path / TABLE).unlink()
    run(study, Plan(workers=1), tmp_path)
    assert table(tmp_path) == undisturbed


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.6, 0.8])
def test_one_wrong_bit_anywhere_in_a_page_is_found(study, tmp_path, share):
    cell = execution.Cell("small", "expected")
    run_some(study, Plan(workers=1), range(1), tmp_path)
    file = cell.block_file(tmp_path, 0)
    assert cell.finished(tmp_path, [0]) == {0}
    content = bytearray(file.read_bytes())
    content[int(share * len(content))] ^= 1
    file.write_bytes(content)
    assert cell.finished(tmp_path, [0]) == set()


def failing_in(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = execution.simulate

    def sometimes(protocol, scenario, draws):
        if draws.streams.block == block and scenario.null:
            raise ZeroDivisionError("nobody was analysed")
        return whole(protocol, scenario, draws)

    monkeypatch.setattr(execution, "simulate", sometimes)


def test_a_failed_block_is_left_out_named_and_tried_again(study, undisturbed, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        failing_in(2, patch)
        patch.setattr(execution, "MOST_FAILED", 1 / 12)
        results = run(study, Plan(workers=1), tmp_path)
    (failed,) = results.provenance["failed_blocks"]
    assert failed["error"] == "ZeroDivisionError: nobody was analysed"
    assert failed["replay"].endswith("--protocol small --scenario null --replicate 256 --debug")
    rows = list(csv.DictReader(table(tmp_path).decode().splitlines()))
    used = {
        scenario: {row["replicates"] for row in rows if row["scenario"] == scenario}
        for scenario in ("null", "drawn")
    }
    assert used == {"null": {"572"}, "drawn": {"700"}}
    again = run(study, Plan(workers=1), tmp_path)
    assert again.provenance["failed_blocks"] == []
    assert table(tmp_path) == undisturbed


def test_more_than_one_replicate_in_a_hundred_failing_fails_the_run(study, tmp_path, monkeypatch):
    failing_in(2, monkeypatch)
    with pytest.raises(RunError, match=r"replicates 256 to 383: ZeroDivisionError.*--replicate 256 --debug"):
        run(study, Plan(workers=1), tmp_path)


def test_a_run_says_its_plan_and_what_it_will_take(study, tmp_path):
    said: list[str] = []
    run(study, Plan(workers=1, tell=said.append), tmp_path)
    first, second = said
    cells = "3 cells (protocol × scenario), 18 blocks of 128 replicates"
    assert first == f"{cells}, 18 to compute by 1 worker"
    size = sum(file.stat().st_size for file in tmp_path.glob("blocks/*.parquet")) / 1e6
    assert second.endswith(" MB on disk")
    foreseen = float(second.split(" and ")[1].split()[0])
    assert size / 2 - 0.05 < foreseen < 2 * size + 0.05


def test_a_forecast_waits_for_a_block_that_does_not_load_what_is_compiled():
    cell, other = execution.Cell("a", "s"), execution.Cell("b", "s")
    jobs = [job_of(cell, block) for block in range(100, 110)] + [job_of(other, 100)]
    forecast = execution.Forecast(jobs, workers=2)
    assert not forecast.learn(jobs[0], execution.Outcome(trials=9.0, cold=True))
    assert not forecast.learn(jobs[-1], execution.Outcome(trials=3.0, cold=True)), "it is all that cell has"
    assert not forecast.learn(jobs[1], execution.Outcome(error="ZeroDivisionError"))
    assert forecast.learn(jobs[2], execution.Outcome(trials=0.1, truth=5.0))
    assert forecast.seconds == pytest.approx((10 * 0.1 + 3.0) / 2)
    assert not forecast.learn(jobs[3], execution.Outcome(trials=0.2))


def job_of(cell: execution.Cell, block: int) -> execution.Job:
    drawn = SimpleNamespace(claims=SimpleNamespace(is_drawn=False))
    return execution.Job(cell, None, drawn, 1, block, (), "")


def test_a_precision_is_reached_at_every_sample_size(two_arm_file, tmp_path):
    precision = "{until: {metric: power, mcse: 0.01}, at_most: 20000}"
    changes = (f"replicates={precision}", "protocols.small.n=600", "protocols.small.sizes=[80]")
    study = Study.load(two_arm_file, changes)
    study = study.model_copy(update={"scenarios": {"expected": study.scenarios["expected"]}})
    frame = run(study, Plan(workers=2), tmp_path).characteristics
    error = frame[frame["metric"] == "power"].groupby("n")["mcse"].max()
    assert error[600] < 0.8 * 0.01, "the smaller size is not the one that needs more replicates"
    assert error[80] < 1.02 * 0.01
