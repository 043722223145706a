"""Memory of counting a million replicates: four arms, three looks, six visits."""

import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from sim import Study
from sim.archive import write_tables
from sim.core.streams import BLOCK_SIZE
from sim.execution import Job, compute_block
from sim.records import BlockTables
from sim.results import Cell, write_block

STUDY = Path("benchmarks/four_arms_three_looks.yaml")
REPLICATES = 1_000_000
CELL = Cell("four_arms", "expected")
DIFFERENT = 8
"""Blocks that are simulated; the others repeat them under other numbers."""


def numbered(study: Study, blocks: int) -> Iterator[tuple[int, BlockTables]]:
    """Yield so many blocks of records, of which few are simulated."""
    protocol, scenario = study.protocols[CELL.protocol], study.scenarios[CELL.scenario]
    jobs = [Job(CELL, protocol, scenario, study.seed, block, (), "") for block in range(DIFFERENT)]
    known = [compute_block(job) for job in jobs]
    for block in range(blocks):
        tables, shift = known[block % DIFFERENT], (block - block % DIFFERENT) * BLOCK_SIZE
        yield (
            block,
            BlockTables(
                *(
                    {**table, "replicate": table["replicate"] + shift}
                    for table in (tables.estimates, tables.arms, tables.trials)
                )
            ),
        )


def peak() -> float:
    """Largest resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main(replicates: int) -> None:
    """Write the blocks, count them in a process of its own memory, and print what that took."""
    study = Study.load(STUDY)
    blocks = -(-replicates // BLOCK_SIZE)
    with TemporaryDirectory(dir="results") as name:
        folder = Path(name)
        for block, tables in numbered(study, blocks):
            write_block(CELL.block_file(folder, block), tables)
        size = sum(file.stat().st_size for file in folder.glob("blocks/*"))
        before, begin = peak(), time.process_time()
        write_tables(folder, study, {CELL: replicates})
        took = time.process_time() - begin
    what = f"{replicates:,} replicates x 3 looks x 4 arms x 6 visits, {size / 1e6:,.0f} MB of blocks"
    print(f"counting {what}")
    print(f"  largest resident memory, MB     {peak():12,.0f}   budget 1,000")
    print(f"  the same before counting, MB    {before:12,.0f}")
    print(f"  processor time, s               {took:12,.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else REPLICATES)
