"""Running a study: which blocks are missing, who computes them, and what is written at the end."""

import os
import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

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
from sim.core.memory import keep_freed_memory
from sim.core.same import Same
from sim.core.streams import BLOCK_SIZE, Streams
from sim.executors import Workers, default_workers
from sim.performance import proportion
from sim.protocol import Protocol
from sim.records import BlockTables, tabulate
from sim.results import Cell, Results, read_blocks, write_block, write_text
from sim.scenario import Scenario
from sim.sisters import take_over
from sim.study import Study, counted_digest
from sim.trial import simulate
from sim.true_values import true_values

TRUTH_PATIENTS = 512
"""Patients a replicate whose potential outcomes give a true value."""
TRUTH_BLOCKS = 16
"""Blocks that compute the true value where it is the same in every replicate."""
MOST_FAILED = 0.01
"""Share of a run's replicates that may fail before the run fails."""

Progress = Callable[[int, int], None]
Tell = Callable[[str], None]
PosteriorFiles = tuple[tuple[str, str], ...]
Work = TypeVar("Work")
Result = TypeVar("Result")


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

    def __reduce__(self) -> tuple[Callable[..., "Job"], tuple[object, ...]]:
        """Send protocol and scenario packed: a worker unpacks them once, not for each block."""
        trial = _packed(Same(self.protocol), Same(self.scenario))
        return _job, (self.cell, trial, self.seed, self.block, self.posteriors, self.folder)

    def __str__(self) -> str:
        """Name the trials of this block."""
        first = self.block * BLOCK_SIZE
        where = f"protocol {self.cell.protocol}, scenario {self.cell.scenario}"
        return f"{where}, replicates {first} to {first + BLOCK_SIZE - 1}"


@lru_cache(maxsize=64)
def _packed(protocol: Same[Protocol], scenario: Same[Scenario]) -> bytes:
    return pickle.dumps((protocol.value, scenario.value))


@lru_cache(maxsize=64)
def _unpacked(trial: bytes) -> tuple[Protocol, Scenario]:
    found: tuple[Protocol, Scenario] = pickle.loads(trial)
    return found


def _job(cell: Cell, trial: bytes, seed: int, block: int, posteriors: PosteriorFiles, folder: str) -> Job:
    return Job(cell, *_unpacked(trial), seed, block, posteriors, folder)


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
    tell
        Told in words what is planned, and after the first blocks how long it will take.
    start_method
        How processes are started: ``fork``, ``spawn`` or ``forkserver``; by default the platform's.
    """

    posteriors: Mapping[str, Path] = field(default_factory=dict)
    workers: int = field(default_factory=default_workers)
    executor: Executor | None = None
    progress: Progress = lambda done, planned: None
    tell: Tell = lambda line: None
    start_method: str | None = None

    @property
    def files(self) -> PosteriorFiles:
        """The draws files, as a job carries them."""
        return tuple(sorted((name, str(file.resolve())) for name, file in self.posteriors.items()))

    @property
    def hands(self) -> Workers:
        """Who computes."""
        return Workers(self.workers, self.start_method, self.executor)

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


@dataclass(frozen=True)
class Outcome:
    """How a block went.

    Attributes
    ----------
    trials, truth
        Seconds that the trials took, their record written, and the true values.
    size
        Of its file, bytes.
    error
        Why it failed; empty: it did not.
    cold
        Whether it was the first of its process, which loads what is compiled and so says little of the next.
    """

    trials: float = 0.0
    truth: float = 0.0
    size: int = 0
    error: str = ""
    cold: bool = False


_warm: set[int] = set()
"""This process' number, once it has computed a block."""


def finds_truth(job: Job) -> bool:
    """Whether a block computes true values: always where they are drawn, else the first blocks."""
    return job.scenario.claims.is_drawn or job.block < TRUTH_BLOCKS


def compute_block(job: Job) -> BlockTables:
    """Simulate one block and lay it out as tables."""
    return _compute(job)[0]


def _compute(job: Job) -> tuple[BlockTables, float, float]:
    """Simulate one block; also return the seconds of its trials and of its true values."""
    keep_freed_memory()
    begin = clock()
    draws = draws_of(job.seed, job.block, job.posteriors)
    record = simulate(job.protocol, job.scenario, draws)
    between = clock()
    truth = true_values(job.protocol, job.scenario, draws, TRUTH_PATIENTS) if finds_truth(job) else {}
    after = clock()
    tables = tabulate(job.protocol, record, job.block, truth)
    return tables, between - begin + clock() - after, after - between


def run_block(job: Job) -> Outcome:
    """Compute one block and keep it; the file appears only when it is whole.

    A block that fails leaves a note instead. Its replicates are one array, so they fail together.

    Raises
    ------
    InputError
        The study cannot be simulated.
    """
    folder = Path(job.folder)
    file, note = job.cell.block_file(folder, job.block), job.cell.failure_file(folder, job.block)
    try:
        tables, trials, truth = _compute(job)
    except InputError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        write_text(note, said + "\n")
        return Outcome(error=said)
    begin = clock()
    write_block(file, tables)
    note.unlink(missing_ok=True)
    cold = os.getpid() not in _warm
    _warm.add(os.getpid())
    return Outcome(trials + clock() - begin, truth, file.stat().st_size, cold=cold)


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
    return plan.hands.each(function, jobs)


def run_jobs(jobs: Sequence[Job], plan: Plan, done: int = 0) -> None:
    """Run every job and tell of progress; ``done`` blocks were there before.

    Raises
    ------
    RunError
        More than one replicate in a hundred failed; the message names the first and how to replay it.
    """
    planned, failed, forecast = done + len(jobs), 0, Forecast(jobs, plan.workers)
    plan.progress(done, planned)
    for number, (job, outcome) in enumerate(each(run_block, jobs, plan), start=done + 1):
        plan.progress(number, planned)
        failed += bool(outcome.error)
        if failed > MOST_FAILED * planned:
            raise RunError(f"{job}: {outcome.error}; {replay_command(job.cell, Path(job.folder), job.block)}")
        if forecast.learn(job, outcome):
            plan.tell(forecast.words())


def replay_command(cell: Cell, folder: Path, block: int) -> str:
    """Say how to rebuild the first trial of a block."""
    names = f"--protocol {cell.protocol} --scenario {cell.scenario} --replicate {block * BLOCK_SIZE}"
    return f"sim replay {folder / 'study.yaml'} {names} --debug"


@dataclass(frozen=True)
class Forecast:
    """How long the jobs will take and what they will fill, learned from the first blocks of every cell."""

    jobs: Sequence[Job]
    workers: int
    seen: dict[Cell, Outcome] = field(default_factory=dict)

    def learn(self, job: Job, outcome: Outcome) -> bool:
        """Take a block in; return whether it was the last that had to be seen, so that all is known.

        The first block of a process counts only where its cell has no other.
        """
        if job.cell not in self._waiting or outcome.error:
            return False
        self._waiting[job.cell] -= 1
        self.seen[job.cell] = outcome
        if not outcome.cold or not self._waiting[job.cell]:
            del self._waiting[job.cell]
        return not self._waiting

    @cached_property
    def _waiting(self) -> Counter[Cell]:
        """Jobs of the cells of which too little is known."""
        return Counter(job.cell for job in self.jobs)

    @property
    def seconds(self) -> float:
        """Of all the jobs, shared by the workers."""
        known = [(self.seen[job.cell], finds_truth(job)) for job in self.jobs]
        return sum(o.trials + (o.truth if truth else 0.0) for o, truth in known) / self.workers

    @property
    def size(self) -> int:
        """Bytes of all the jobs' files."""
        return sum(self.seen[job.cell].size for job in self.jobs)

    def words(self) -> str:
        """Say it in words."""
        return f"about {self.seconds:.0f} s and {self.size / 1e6:.1f} MB on disk"


@dataclass(frozen=True)
class Wave:
    """The blocks of a study that belong to a number of replicates of each cell."""

    study: Study
    folder: Path
    replicates: Mapping[Cell, int]

    @property
    def blocks(self) -> int:
        """Blocks of all cells."""
        return sum(-(-replicates // BLOCK_SIZE) for replicates in self.replicates.values())

    def missing(self, plan: Plan, chosen: range | None = None) -> list[Job]:
        """Jobs whose block is not there yet, among the chosen ones; the first blocks of every cell first."""
        jobs = []
        for cell, replicates in self.replicates.items():
            protocol = self.study.protocols[cell.protocol]
            scenario = self.study.scenarios[cell.scenario].only(protocol)
            blocks = range(-(-replicates // BLOCK_SIZE))
            blocks = blocks if chosen is None else range(chosen.start, min(chosen.stop, blocks.stop))
            for block in set(blocks) - cell.finished(self.folder, blocks):
                jobs.append(
                    Job(
                        cell,
                        protocol,
                        scenario,
                        self.study.seed,
                        block,
                        plan.files,
                        str(self.folder.resolve()),
                    )
                )
        return sorted(jobs, key=lambda job: (job.block, job.cell.protocol, job.cell.scenario))

    def run(self, plan: Plan, chosen: range | None = None) -> int:
        """Compute what is missing among the chosen blocks, and return how many that were."""
        jobs = self.missing(plan, chosen)
        if jobs:
            plan.tell(self._words(len(jobs), plan.workers))
            done = (self.blocks if chosen is None else len(jobs)) - len(jobs)
            run_jobs(jobs, plan, done)
        return len(jobs)

    def _words(self, jobs: int, workers: int) -> str:
        cells = len(self.replicates)
        there = f"{self.blocks - jobs} are there or another task's, " if jobs < self.blocks else ""
        return (
            f"{cells} cells (protocol × scenario), {self.blocks} blocks of {BLOCK_SIZE} replicates, "
            f"{there}{jobs} to compute by {workers} worker{'s' * (workers > 1)}"
        )


def run_blocks(study: Study, folder: Path, plan: Plan) -> dict[Cell, int]:
    """Run a study's blocks and return the replicates of each cell.

    A study that asks for a precision runs a first wave to plan by, then in each cell as many
    replicates as its success rate needs (each wave a pure function of the one before, so the number
    does not depend on who computes it).
    """
    replicates = {Cell(*names): study.first_replicates() for names in study.cells()}
    while True:
        Wave(study, folder, replicates).run(plan)
        needed = next_wave(study, folder, replicates)
        if needed == replicates:
            return replicates
        replicates = needed


def next_wave(study: Study, folder: Path, replicates: Mapping[Cell, int]) -> dict[Cell, int]:
    """Replicates that each cell needs, by what a whole wave has found: the same if it was the last."""
    return {cell: max(now, _needed(study, folder, cell, now)) for cell, now in replicates.items()}


def _needed(study: Study, folder: Path, cell: Cell, now: int) -> int:
    """Replicates for which sqrt(p (1 − p) / replicates) is at most the wanted error, at every sample size."""
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
    worst = 0.0
    for n in np.unique(success["n"]):
        for estimand in success["estimand"].names:
            for arm in success["arm"].names:
                rows = (success["n"] == n) & (success["estimand"] == estimand) & (success["arm"] == arm)
                found = proportion(success["success"][rows]) if rows.any() else None
                worst = max(worst, found.mcse**2 * rows.sum()) if found else worst
    wanted = -(-int(worst / until.mcse**2) // BLOCK_SIZE) * BLOCK_SIZE
    return min(wanted, study.replicates.at_most)


def clock() -> float:
    """Seconds of a monotonic clock."""
    return time.monotonic()


@dataclass(frozen=True)
class Opened:
    """A study with its syntheses and a folder that is its own."""

    study: Study
    folder: Path
    posteriors: Mapping[str, Posterior]
    digest: str

    @classmethod
    def at(cls, study: Study, plan: Plan, out: Path | None) -> "Opened":
        """Check a study against its syntheses, take its folder, and what runs beside it have computed."""
        posteriors = plan.read_posteriors()
        for scenario in study.scenarios.values():
            scenario.check_posteriors(posteriors)
        digest = study.digest(posteriors)
        folder = out or Path("results") / study.name / digest
        _claim_folder(folder, digest)
        if out is None:  # beside the study's other runs
            cells = {Cell(*names): study.cell_digest(*names, posteriors) for names in study.cells()}
            take_over(folder, cells, range(-(-study.most_replicates // BLOCK_SIZE)))
        return cls(study, folder, posteriors, digest)

    def begin(self) -> None:
        """Mark the results as unfinished and write what is run."""
        (self.folder / "provenance.json").unlink(missing_ok=True)
        write_study(self.folder, self.study)

    def finish(self, plan: Plan, replicates: Mapping[Cell, int], seconds: float) -> Results:
        """Count the blocks and write the results."""
        study, folder = self.study, self.folder
        failed = write_tables(folder, study, replicates)
        write_patients(folder, study, self.posteriors)
        write_sources(folder, study, plan.posteriors)
        write_assumptions(folder, study, self.posteriors)
        facts = {
            "digest": self.digest,
            "counted": counted_digest(study),
            "asked": dump(study)["replicates"],
            "replicates": {f"{cell.protocol}.{cell.scenario}": used for cell, used in replicates.items()},
            "seconds": round(seconds, 1),
            "failed_analyses": failed,
            "failed_blocks": self.failures(replicates),
        }
        write_provenance(folder, study, self.posteriors, facts)
        return Results(folder)

    def failures(self, replicates: Mapping[Cell, int]) -> list[dict[str, object]]:
        """Tabulate the blocks that are left out: where, why, and how to replay them."""
        return [
            {
                "protocol": cell.protocol,
                "scenario": cell.scenario,
                "first_replicate": block * BLOCK_SIZE,
                "error": cell.failure_file(self.folder, block).read_text(encoding="utf-8").strip(),
                "replay": replay_command(cell, self.folder, block),
            }
            for cell, used in replicates.items()
            for block in sorted(cell.failed(self.folder, range(-(-used // BLOCK_SIZE))))
        ]


def run(study: Study, plan: Plan | None = None, out: Path | None = None) -> Results:
    """Run a study, or what is missing of it, and write its results.

    A block that fails is left out and named in the provenance; rerunning tries it again.

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
        More than one replicate in a hundred failed.
    """
    plan = plan or Plan()
    opened = Opened.at(study, plan, out)
    if _is_finished(opened.folder, study, opened.digest):
        return Results(opened.folder)
    begin = clock()
    opened.begin()
    replicates = run_blocks(study, opened.folder, plan)
    return opened.finish(plan, replicates, clock() - begin)


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
