"""Who computes: this process, processes of our own, or a Dask cluster."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

from sim.core.errors import InputError, RunError

SMALL = 4
"""Up to so many jobs, starting workers takes longer than the work."""
POOLS = 3
"""Pools of processes that are started before a run gives up: a job that kills its process kills the next."""

Work = TypeVar("Work")
Result = TypeVar("Result")


def default_workers() -> int:
    """One process a core."""
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Workers:
    """Who computes the jobs.

    Attributes
    ----------
    count
        Processes of our own; 1 computes here.
    start_method
        How they are started: ``fork``, ``spawn`` or ``forkserver``; by default the platform's.
    executor
        Any ``concurrent.futures.Executor``, instead of processes of our own.
    """

    count: int
    start_method: str | None = None
    executor: Executor | None = None

    @contextmanager
    def start(self, jobs: int) -> Iterator[Executor | None]:
        """Give the executor for so many jobs, or none where they are few and computed here."""
        if self.executor is not None:
            yield self.executor
        elif self.count == 1 or jobs <= SMALL:
            yield None
        else:
            context = get_context(self.start_method)
            pool = ProcessPoolExecutor(min(self.count, jobs), context, _begin_worker)
            try:
                yield pool
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def each(self, function: Callable[[Work], Result], jobs: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
        """Yield each job with its result as it finishes; ``function`` must be importable by a worker.

        A failure or Ctrl-C cancels what has not begun; what is finished stays. Where a process is lost, new
        ones do what is left.

        Raises
        ------
        RunError
            A job failed, or processes were lost again and again.
        """
        left = dict(enumerate(jobs))
        for _ in range(POOLS):
            try:
                with self.start(len(left)) as executor:
                    for number, result in _finished(function, dict(left), executor):
                        yield left.pop(number), result
                return
            except BrokenExecutor as error:
                lost = error
        raise RunError(
            f"{POOLS} times a worker process was lost, out of memory? ({lost}); try fewer --workers"
        )


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and keep to one thread: the workers share the cores."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)


def _finished(
    function: Callable[[Work], Result], jobs: Mapping[int, Work], executor: Executor | None
) -> Iterator[tuple[int, Result]]:
    if executor is None:
        for number, job in jobs.items():
            yield number, _done(job, function, job)
        return
    waiting: dict[Future[Result], int] = {executor.submit(function, job): n for n, job in jobs.items()}
    try:
        for future in as_completed(waiting):
            yield waiting[future], _done(jobs[waiting[future]], future.result)
    except BaseException:
        for future in waiting:
            future.cancel()
        raise


def _done(job: Work, step: Callable[..., Result], *arguments: object) -> Result:
    try:
        return step(*arguments)
    except (InputError, RunError, BrokenExecutor):
        raise
    except Exception as error:
        raise RunError(f"{job}: {type(error).__name__}: {error}") from error


@contextmanager
def cluster(where: str, workers: int) -> Iterator[Executor]:
    """Give the executor of a Dask cluster: one started here (``dask``), or the scheduler at an address.

    The scheduler gives a lost worker's jobs to another one. Workers need this package, and the folders of
    results and syntheses at the same paths.

    Raises
    ------
    InputError
        Dask is not installed, nobody answers at the address, or ``where`` is neither.
    """
    if where != "dask" and "://" not in where:
        raise InputError(f"--executor: unknown '{where}'; allowed: processes, dask, or tcp://HOST:PORT")
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--executor: Dask is not installed; install the extra: sim[cluster]") from None
    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    try:
        client = Client(**local) if where == "dask" else Client(where, timeout=10)
    except OSError as error:
        raise InputError(f"--executor: no Dask scheduler answers at {where} ({error})") from None
    with client:
        yield client.get_executor(pure=False)
