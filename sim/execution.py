"""Running a study: which blocks are missing, who computes them, and what is written at the end."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from sim.archive import (
    WRITTEN,
    write_assumptions,
    write_patients,
    write_provenance,
    write_sources,
    write_study,
    write_tables,
)
from sim.claims import Draws, Posterior
from sim.core.errors import InputError, RunError
from sim.core.loading import dump
from sim.core.streams import BLOCK_SIZE, Streams
from sim.performance import proportion
from sim.protocol import Protocol
from sim.records import BlockTables, tabulate
from sim.results import Cell, Results, read_blocks, write_block, write_text
from sim.scenario import Scenario
from sim.study import Study, counted_digest
from sim.trial import simulate
from sim.true_values import true_values

TRUTH_PATIENTS = 512
"""Patients a replicate whose potential outcomes give a true value."""
TRUTH_BLOCKS = 16
"""Blocks that compute the true value where it is the same in every replicate."""
SMALL = 4
"""Up to so many blocks, starting workers takes longer than the work."""

Progress = Callable[[int, int], None]
PosteriorFiles = tuple[tuple[str, str], ...]
Work = TypeVar("Work")
Result = TypeVar("Result")


def default_workers() -> int:
    """One process a core."""
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Job:
    """One block of one cell: everything that a worker needs, small enough to be sent."""

    cell: Cell
    protocol: Protocol
    scenario: Scenario
    seed: int
    block: int
    posteriors: PosteriorFiles
    folder: str

    def __str__(self) -> str:
        """Name the trials of this block."""
        first = self.block * BLOCK_SIZE
        where = f"protocol {self.cell.protocol}, scenario {self.cell.scenario}"
        return f"{where}, replicates {first} to {first + BLOCK_SIZE - 1}"


@dataclass(frozen=True)
class Plan:
    """How a study is to be run.

    Attributes
    ----------
    posteriors
        The draws file of each synthesis.
    workers
        Processes; 1 computes here.
    executor
        Any ``concurrent.futures.Executor``, instead of processes of our own.
    progress
        Told the finished and the planned number of blocks.
    start_method
        How processes are started: ``fork``, ``spawn`` or ``forkserver``; by default the platform's.
    """

    posteriors: Mapping[str, Path] = field(default_factory=dict)
    workers: int = field(default_factory=default_workers)
    executor: Executor | None = None
    progress: Progress = lambda done, planned: None
    start_method: str | None = None

    @property
    def files(self) -> PosteriorFiles:
        """The draws files, as a job carries them."""
        return tuple(sorted((name, str(file)) for name, file in self.posteriors.items()))

    def read_posteriors(self) -> dict[str, Posterior]:
        """Read every posterior."""
        return {name: Posterior.read(name, file) for name, file in self.posteriors.items()}


@lru_cache(maxsize=8)
def _posterior(name: str, file: str, stamp: tuple[int, int]) -> Posterior:
    return Posterior.read(name, Path(file))


def _stamp(file: str) -> tuple[int, int]:
    """Time and size of a file: a fit made again at the same place is read again."""
    found = os.stat(file)
    return found.st_mtime_ns, found.st_size


def draws_of(seed: int, block: int, posteriors: PosteriorFiles) -> Draws:
    """Give a block its streams and posteriors; a worker reads each file once."""
    return Draws(
        Streams(seed, block), {name: _posterior(name, file, _stamp(file)) for name, file in posteriors}
    )


def compute_block(job: Job) -> BlockTables:
    """Simulate one block and lay it out as tables."""
    draws = draws_of(job.seed, job.block, job.posteriors)
    record = simulate(job.protocol, job.scenario, draws)
    truth = {}
    if job.scenario.claims.is_drawn or job.block < TRUTH_BLOCKS:
        truth = true_values(job.protocol, job.scenario, draws, TRUTH_PATIENTS)
    return tabulate(job.protocol, record, job.block, truth)


def run_block(job: Job) -> Job:
    """Compute one block and keep it; the file appears only when it is whole."""
    write_block(job.cell.block_file(Path(job.folder), job.block), compute_block(job))
    return job


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _executor(plan: Plan, jobs: int) -> Iterator[Executor | None]:
    """Give the plan's executor, processes of our own, or none where the work is small."""
    if plan.executor is not None:
        yield plan.executor
    elif plan.workers == 1 or jobs <= SMALL:
        yield None
    else:
        pool = ProcessPoolExecutor(
            min(plan.workers, jobs), get_context(plan.start_method), _leave_interrupts_to_the_parent
        )
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def each(
    function: Callable[[Work], Result], jobs: Sequence[Work], plan: Plan
) -> Iterator[tuple[Work, Result]]:
    """Yield each job with its result as it finishes; ``function`` must be importable by a worker.

    A failure or Ctrl-C cancels what has not begun; what is finished stays.

    Raises
    ------
    RunError
        A job failed; the message names it.
    """
    with _executor(plan, len(jobs)) as executor:
        if executor is None:
            for job in jobs:
                yield job, _done(job, function, job)
            return
        waiting: dict[Future[Result], Work] = {executor.submit(function, job): job for job in jobs}
        try:
            for future in as_completed(waiting):
                yield waiting[future], _done(waiting[future], future.result)
        except BaseException:
            for future in waiting:
                future.cancel()
            raise


def _done(job: Work, step: Callable[..., Result], *arguments: object) -> Result:
    try:
        return step(*arguments)
    except (InputError, RunError):
        raise
    except Exception as error:
        raise RunError(f"{job}: {type(error).__name__}: {error}") from error


def run_jobs(jobs: Sequence[Job], plan: Plan, done: int = 0) -> None:
    """Run every job and tell of progress; ``done`` blocks were there before."""
    planned = done + len(jobs)
    plan.progress(done, planned)
    for number, _ in enumerate(each(run_block, jobs, plan), start=done + 1):
        plan.progress(number, planned)


@dataclass(frozen=True)
class Wave:
    """The blocks of a study that belong to a number of replicates of each cell."""

    study: Study
    folder: Path
    replicates: Mapping[Cell, int]

    def missing(self, plan: Plan) -> list[Job]:
        """Jobs whose block is not there yet, the first blocks of every cell first."""
        jobs = []
        for cell, replicates in self.replicates.items():
            protocol, scenario = self.study.protocols[cell.protocol], self.study.scenarios[cell.scenario]
            blocks = range(-(-replicates // BLOCK_SIZE))
            for block in set(blocks) - cell.finished(self.folder, blocks):
                jobs.append(
                    Job(
                        cell,
                        protocol,
                        scenario.only(protocol),
                        self.study.seed,
                        block,
                        plan.files,
                        str(self.folder),
                    )
                )
        return sorted(jobs, key=lambda job: (job.block, job.cell.protocol, job.cell.scenario))

    def run(self, plan: Plan) -> None:
        """Compute what is missing."""
        blocks = sum(-(-replicates // BLOCK_SIZE) for replicates in self.replicates.values())
        jobs = self.missing(plan)
        if jobs:
            run_jobs(jobs, plan, done=blocks - len(jobs))


def run_blocks(study: Study, folder: Path, plan: Plan) -> dict[Cell, int]:
    """Run a study's blocks and return the replicates of each cell.

    A study that asks for a precision runs a first wave to plan by, then in each cell as many
    replicates as its success rate needs (each wave a pure function of the one before, so the number
    does not depend on who computes it).
    """
    replicates = {Cell(*names): study.first_replicates() for names in study.cells()}
    while True:
        Wave(study, folder, replicates).run(plan)
        needed = {cell: max(now, _needed(study, folder, cell, now)) for cell, now in replicates.items()}
        if needed == replicates:
            return replicates
        replicates = needed


def _needed(study: Study, folder: Path, cell: Cell, now: int) -> int:
    """Replicates for which sqrt(p (1 − p) / replicates) is at most the wanted Monte Carlo error."""
    if isinstance(study.replicates, int):
        return now
    scenario, until = study.scenarios[cell.scenario], study.replicates.until
    applies = {
        "power": not scenario.null,
        "type_1_error": scenario.null,
        "assurance": scenario.claims.is_drawn,
    }
    if not applies[until.metric]:
        return now
    success = read_blocks(folder, cell, now, ("estimates",))["estimates"]
    at_n = success["n"] == study.protocols[cell.protocol].n
    worst = 0.0
    for estimand in success["estimand"].names:
        for arm in success["arm"].names:
            rows = at_n & (success["estimand"] == estimand) & (success["arm"] == arm)
            worst = max(worst, proportion(success["success"][rows]).mcse ** 2 * now) if rows.any() else worst
    wanted = -(-int(worst / until.mcse**2) // BLOCK_SIZE) * BLOCK_SIZE
    return min(wanted, study.replicates.at_most)


def clock() -> float:
    """Seconds of a monotonic clock."""
    return time.monotonic()


def run(study: Study, plan: Plan | None = None, out: Path | None = None) -> Results:
    """Run a study, or what is missing of it, and write its results.

    Parameters
    ----------
    study
        What to run.
    plan
        The posteriors' files, the workers or executor, and who is told of progress.
    out
        Folder of the results; by default ``results/<study>/<digest>``.

    Raises
    ------
    InputError
        A synthesis is not fitted, a claim names something that it does not hold, or ``out`` holds
        another study's results.
    RunError
        A block failed.
    """
    plan = plan or Plan()
    posteriors = plan.read_posteriors()
    for scenario in study.scenarios.values():
        scenario.check_posteriors(posteriors)
    digest = study.digest(posteriors)
    folder = out or Path("results") / study.name / digest
    _claim_folder(folder, digest)
    if _is_finished(folder, study, digest):
        return Results(folder)
    begin = clock()
    (folder / "provenance.json").unlink(missing_ok=True)
    write_study(folder, study)
    replicates = run_blocks(study, folder, plan)
    failed = write_tables(folder, study, replicates)
    write_patients(folder, study, posteriors)
    write_sources(folder, study, plan.posteriors)
    write_assumptions(folder, study, posteriors)
    facts = {
        "digest": digest,
        "counted": counted_digest(study),
        "asked": dump(study)["replicates"],
        "replicates": {f"{cell.protocol}.{cell.scenario}": used for cell, used in replicates.items()},
        "seconds": round(clock() - begin, 1),
        "failed_analyses": failed,
    }
    write_provenance(folder, study, posteriors, facts)
    return Results(folder)


def _is_finished(folder: Path, study: Study, digest: str) -> bool:
    """Whether these very results are here whole: their provenance is written last of all."""
    if not all((folder / name).exists() for name in (*WRITTEN, "provenance.json")):
        return False
    facts = Results(folder).provenance
    wanted = digest, counted_digest(study), dump(study)["replicates"]
    if (facts["digest"], facts.get("counted"), facts["asked"]) != wanted:
        return False
    cells = {Cell(*names): facts["replicates"][".".join(names)] for names in study.cells()}
    blocks = {cell: range(-(-used // BLOCK_SIZE)) for cell, used in cells.items()}
    return all(cell.finished(folder, numbers) == set(numbers) for cell, numbers in blocks.items())


def _claim_folder(folder: Path, digest: str) -> None:
    """Take the folder for this study, unless it holds another one's results."""
    mark = folder / "blocks" / "digest.txt"
    if mark.exists() and mark.read_text(encoding="utf-8").strip() != digest:
        raise InputError(f"{folder}: holds the results of another study or seed; choose another --out")
    if folder.is_file():
        raise InputError(f"{folder}: is a file, expected a folder for the results")
    write_text(mark, digest + "\n")
