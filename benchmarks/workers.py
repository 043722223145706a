"""``python -m benchmarks.workers``: two workers against one, beside what two processes can do here."""

import resource
import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measures import Measure, show
from sim import Plan, Study
from sim.core.streams import BLOCK_SIZE
from sim.execution import Wave
from sim.results import Cell

STUDY = Path(__file__).with_name("two_arm_assumed.yaml")
BLOCKS = 240
ROUNDS = 5
CELL = Cell("two_arm", "expected")
OF = "blocks of the fixed design"
CEILING = "what this machine gives to two processes, without our work"


def seconds(study: Study, workers: int) -> tuple[float, float, int]:
    """Wall-clock and processor seconds of all blocks, workers' start included; bytes of a block's file."""
    with TemporaryDirectory() as name:
        begin, used = time.perf_counter(), _processor()
        Wave(study, Path(name), {CELL: BLOCKS * BLOCK_SIZE}).run(Plan(workers=workers))
        taken = time.perf_counter() - begin
        return taken, _processor() - used, CELL.block_file(Path(name), 20).stat().st_size


def _processor() -> float:
    """Processor seconds of this process and of those it has waited for."""
    whose = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, whose))


def count(times: int) -> None:
    """Compute in registers alone."""
    total = 0
    for i in range(times * 1_000_000):
        total += i


def sweep(times: int) -> None:
    """Go through arrays that fit no cache."""
    values = np.zeros(8_000_000)
    for _ in range(times * 12):
        values += 1.0


def apart(work: Callable[[int], None], processes: int, times: int) -> float:
    """Wall-clock seconds of so much work in all, shared by processes."""
    context = get_context("fork")
    running = [context.Process(target=work, args=(times // processes,)) for _ in range(processes)]
    begin = time.perf_counter()
    for process in running:
        process.start()
    for process in running:
        process.join()
    return time.perf_counter() - begin


def blocks() -> list[Measure]:
    """Measure the gain of a second worker beside the machine's own, in turn, and the size of a block."""
    study = Study.load(STUDY)
    seconds(study, 1)
    gains: dict[str, list[float]] = {"wall": [], "work": [], "count": [], "sweep": []}
    for _ in range(ROUNDS):
        (one, worked, size), (two, shared, _) = seconds(study, 1), seconds(study, 2)
        gains["wall"].append(one / two)
        gains["work"].append(2 * worked / shared)
        gains["count"].append(apart(count, 1, 40) / apart(count, 2, 40))
        gains["sweep"].append(apart(sweep, 1, 20) / apart(sweep, 2, 20))
    found = {name: statistics.median(values) for name, values in gains.items()}
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    return [
        Measure(OF, f"two workers, times as fast as one ({BLOCKS} blocks)", found["wall"], "1.80"),
        Measure(OF, "the same by processor time spent, all of it", found["work"]),
        Measure(CEILING, "a loop in registers, times as fast", found["count"]),
        Measure(CEILING, "numpy through 64 MB, times as fast", found["sweep"]),
        Measure(OF, "block's file, kB", size / 1e3),
        Measure(OF, "largest resident memory of a worker, MB", child),
    ]


if __name__ == "__main__":
    show(blocks())
