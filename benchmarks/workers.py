"""Two workers against one, and what a block takes in memory and on disk."""

import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measures import Measure
from sim import Plan, Study
from sim.core.streams import BLOCK_SIZE
from sim.execution import Wave
from sim.results import Cell

STUDY = Path(__file__).with_name("two_arm_assumed.yaml")
BLOCKS = 240
CELL = Cell("two_arm", "expected")
OF = "blocks of the fixed design"


def seconds(study: Study, workers: int) -> tuple[float, float]:
    """Wall-clock seconds of all blocks, start of the workers included, and bytes of a block's file."""
    with TemporaryDirectory() as name:
        begin = time.perf_counter()
        Wave(study, Path(name), {CELL: BLOCKS * BLOCK_SIZE}).run(Plan(workers=workers))
        taken = time.perf_counter() - begin
        return taken, CELL.block_file(Path(name), 20).stat().st_size


def blocks() -> list[Measure]:
    """Measure the gain of a second worker, and the size of a block."""
    study = Study.load(STUDY)
    one, size = seconds(study, 1)
    two, _ = seconds(study, 2)
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    return [
        Measure(OF, f"two workers, times as fast as one ({BLOCKS} blocks)", one / two, "1.80"),
        Measure(OF, "block's file, kB", size / 1e3),
        Measure(OF, "largest resident memory of a worker, MB", child),
    ]
