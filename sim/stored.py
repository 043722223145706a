"""The stored records of one cell, read in one pass over its blocks and a few blocks at a time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from sim.core.streams import BLOCK_SIZE
from sim.results import AT_A_TIME, Cell, Gathered, columns_of, counted, read_some

UNUSED = ["df", "analysed", "p"]
"""Columns of the estimates from which nothing is counted."""
NARROW = {"replicate": np.int32, "n": np.int32, "look": np.int16}
"""Whole numbers of the estimates that need fewer bytes than they are stored with."""


@dataclass(frozen=True)
class Visits:
    """The table of arms by arm and visit; on disk, since it has the most rows by far.

    Attributes
    ----------
    reader
        Of the file with a batch of rows for each arm, visit and reading.
    places
        Numbers of the batches of each arm and visit, in the order of the replicates.
    replicates
        Rows of each arm and visit.
    """

    reader: Any
    places: Mapping[tuple[str, float], Sequence[int]]
    replicates: int

    def at(self, arm: str, week: float) -> dict[str, Any]:
        """Return the columns of one arm at one visit, a row a replicate."""
        import pyarrow as pa

        found = Gathered(self.replicates)
        for place in self.places[arm, week]:
            rows = pa.Table.from_batches([self.reader.get_batch(place)])
            found.add(columns_of(rows), len(rows))
        return found.columns


@dataclass(frozen=True)
class Stored:
    """The tables of one cell: two as columns, that of the arms visit by visit."""

    estimates: Mapping[str, Any]
    trials: Mapping[str, Any]
    arms: Visits


@contextmanager
def stored(folder: Path, cell: Cell, replicates: int) -> Iterator[Stored]:
    """Give the first ``replicates`` of a cell; failed blocks are left out.

    The rows of the arms wait in a file without a name in ``folder``, which is gone afterwards.
    """
    import pyarrow as pa

    blocks = range(-(-replicates // BLOCK_SIZE))
    kept = sorted(set(blocks) - cell.failed(folder, blocks))
    whole = counted(kept, replicates)
    estimates, trials, places = Gathered(whole), Gathered(whole), dict[tuple[str, float], list[int]]()
    with TemporaryFile(dir=folder) as file:
        writer, written = None, 0
        for begin in range(0, len(kept), AT_A_TIME):
            some = kept[begin : begin + AT_A_TIME]
            tables = read_some(folder, cell, some, replicates)
            found = columns_of(tables["estimates"].drop_columns(UNUSED))
            found |= {name: found[name].astype(narrow) for name, narrow in NARROW.items()}
            estimates.add(found, counted(some, replicates))
            trials.add(columns_of(tables["trials"]), counted(some, replicates))
            for key, rows in _by_visit(tables["arms"]):
                if writer is None:
                    options = pa.ipc.IpcWriteOptions(compression="zstd")
                    writer = pa.ipc.new_file(file, rows.schema, options=options)
                writer.write_batch(rows)
                places.setdefault(key, []).append(written)
                written += 1
        if writer is not None:
            writer.close()
        arms = Visits(pa.ipc.open_file(file), places, whole)
        yield Stored(estimates.columns, trials.columns, arms)


def _by_visit(table: Any) -> Iterator[tuple[tuple[str, float], Any]]:
    """Yield the rows of each arm and visit as one batch, without these two columns; counts as 32 bits."""
    import pyarrow as pa

    columns = columns_of(table)
    numbers = table.select([name for name in columns if name not in ("arm", "week")])
    whole = [pa.int32() if pa.types.is_integer(kind) else kind for kind in numbers.schema.types]
    numbers = numbers.cast(pa.schema(zip(numbers.column_names, whole, strict=True)))
    for arm in columns["arm"].names:
        of_arm = columns["arm"] == arm
        for week in np.unique(columns["week"]).tolist():
            rows = np.flatnonzero(of_arm & (columns["week"] == week))
            yield (arm, week), numbers.take(rows).combine_chunks().to_batches()[0]
