"""The results folder: what a run leaves, and how it is read back."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.core.errors import InputError
from sim.core.streams import BLOCK_SIZE
from sim.records import BlockTables

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("estimates", "arms", "trials")
AT_A_TIME = 16
"""Blocks that are read together."""


@dataclass(frozen=True)
class Cell:
    """One protocol under one scenario."""

    protocol: str
    scenario: str

    def block_file(self, folder: Path, block: int) -> Path:
        """Where a block of this cell is kept."""
        return folder / "blocks" / f"{self.protocol}.{self.scenario}.{block:06d}.parquet"

    def failure_file(self, folder: Path, block: int) -> Path:
        """Where a block that failed says why."""
        return self.block_file(folder, block).with_suffix(".failed")

    def finished(self, folder: Path, blocks: Iterable[int]) -> set[int]:
        """Blocks that are there and whole, by the checksums of their pages."""
        return {block for block in blocks if _is_whole(self.block_file(folder, block))}

    def failed(self, folder: Path, blocks: Iterable[int]) -> set[int]:
        """Blocks that failed and have not been computed since."""
        return {
            block
            for block in blocks
            if self.failure_file(folder, block).exists() and not self.block_file(folder, block).exists()
        }


def _is_whole(file: Path) -> bool:
    from pyarrow import ArrowException
    from pyarrow.parquet import read_table

    try:
        return file.exists() and read_table(file, page_checksum_verification=True).num_rows > 0
    except (ArrowException, OSError):
        return False


def write_text(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def write_block(file: Path, tables: BlockTables) -> None:
    """Write one block's tables as one Parquet file, whole or not at all."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    parts = []
    for name in TABLES:
        columns = getattr(tables, name)
        rows = len(columns["replicate"])
        parts.append(pa.table({"table": pa.array([name] * rows).dictionary_encode(), **columns}))
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    whole = pa.concat_tables(parts, promote_options="default").combine_chunks()
    write_table(whole, part, compression="zstd", write_page_checksum=True, write_statistics=False)
    part.replace(file)


@dataclass(frozen=True)
class Labels:
    """A column of names, kept as codes: comparing it with a name is a comparison of small integers.

    Attributes
    ----------
    codes
        Position of each row's name in ``names``, (row,); there are few names.
    names
        The names that occur.
    """

    codes: NDArray[np.int16]
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.codes)

    def __eq__(self, name: object) -> Any:
        """Mask of the rows that have this name."""
        if name not in self.names:
            return np.zeros(len(self.codes), dtype=bool)
        return self.codes == self.names.index(str(name))

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, rows: Any) -> "Labels":
        """Return the chosen rows."""
        return Labels(self.codes[rows], self.names)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        """Write the names out, for pandas."""
        return np.array(self.names, dtype=object)[self.codes]


@dataclass(frozen=True)
class Gathered:
    """Columns that come in parts, each part of as many rows a replicate as the others.

    Attributes
    ----------
    replicates
        How many are to come: room is made for all when the first come, since parts that are let go of leave
        holes in memory.
    """

    replicates: int
    columns: dict[str, Any] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)

    def add(self, columns: Mapping[str, Any], replicates: int) -> None:
        """Take the rows of the next replicates."""
        for name, column in columns.items():
            if name not in self.columns:
                rows = len(column) // replicates * self.replicates
                self.columns[name], self.filled[name] = _room(column, rows), 0
            whole, begin = self.columns[name], self.filled[name]
            if isinstance(whole, Labels):
                whole, column = self._labels(name, whole, column)
            whole[begin : begin + len(column)] = column
            self.filled[name] = begin + len(column)

    def _labels(self, name: str, whole: Labels, part: Labels) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Give both columns' codes by the names of both."""
        names = tuple(dict.fromkeys((*whole.names, *part.names)))
        self.columns[name] = Labels(whole.codes, names)
        return whole.codes, np.array([names.index(one) for one in part.names], dtype=np.int16)[part.codes]


def _room(column: Any, rows: int) -> Any:
    """Make room for so many rows of a column."""
    if isinstance(column, Labels):
        return Labels(np.empty(rows, dtype=np.int16), column.names)
    return np.empty(rows, dtype=column.dtype)


def read_blocks(
    folder: Path, cell: Cell, replicates: int, wanted: Sequence[str] = TABLES
) -> dict[str, dict[str, Any]]:
    """Read the first ``replicates`` of a cell: the wanted tables, as columns; failed blocks are left out."""
    blocks = range(-(-replicates // BLOCK_SIZE))
    kept = sorted(set(blocks) - cell.failed(folder, blocks))
    found = {name: Gathered(counted(kept, replicates)) for name in wanted}
    for begin in range(0, len(kept), AT_A_TIME):
        some = kept[begin : begin + AT_A_TIME]
        for name, table in read_some(folder, cell, some, replicates, wanted).items():
            found[name].add(columns_of(table), counted(some, replicates))
    return {name: gathered.columns for name, gathered in found.items()}


def counted(blocks: Sequence[int], replicates: int) -> int:
    """Count the replicates of these blocks that are among the first ``replicates``."""
    return sum(min(BLOCK_SIZE, replicates - block * BLOCK_SIZE) for block in blocks)


def read_some(
    folder: Path, cell: Cell, blocks: Sequence[int], replicates: int, wanted: Sequence[str] = TABLES
) -> dict[str, Any]:
    """Read the wanted tables of some blocks as Arrow tables, without replicates beyond ``replicates``."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow.parquet import read_table

    parts = [read_table(cell.block_file(folder, block)) for block in blocks]
    whole = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
    whole = whole.filter(pc.less(whole["replicate"], replicates))
    return {name: whole.filter(pc.equal(whole["table"], name)) for name in wanted}


def columns_of(table: Any) -> dict[str, Any]:
    """Columns that this table uses, as numpy arrays or labels; a missing value of a float is nan."""
    kept = [name for name in table.column_names if name != "table" and table[name].null_count < len(table)]
    return {name: _column(table[name].combine_chunks()) for name in kept}


def _column(column: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_string(column.type):
        column = column.dictionary_encode()
    if pa.types.is_dictionary(column.type):
        return Labels(np.asarray(column.indices).astype(np.int16), tuple(column.dictionary.to_pylist()))
    return np.asarray(column.to_numpy(zero_copy_only=False))


def write_csv(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV with the keys of the first as header; nan and None are empty cells."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    write_text(file, text.getvalue())


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return repr(float(value)) if isinstance(value, float | np.floating) else value


@dataclass(frozen=True)
class Results:
    """A finished run.

    Attributes
    ----------
    folder
        ``study.yaml``, ``provenance.json``, the tables, ``blocks/``, ``figures/`` and the report.
    """

    folder: Path

    @classmethod
    def open(cls, folder: Path | str) -> "Results":
        """Open the results in ``folder``."""
        path = Path(folder)
        if not (path / "operating_characteristics.csv").exists():
            raise InputError(f"{path}: holds no finished run (no operating_characteristics.csv)")
        return cls(path)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, seed, digests and timings of the run."""
        return dict(json.loads((self.folder / "provenance.json").read_text(encoding="utf-8")))

    def table(self, name: str) -> "pd.DataFrame":
        """Read one of the run's tables, for example ``operating_characteristics``."""
        import pandas as pd

        file = self.folder / f"{name}.csv"
        if not file.exists():
            raise InputError(f"{file}: this run has no such table")
        return pd.read_csv(file, keep_default_na=False, na_values=[""])

    @property
    def characteristics(self) -> "pd.DataFrame":
        """The tidy table of operating characteristics."""
        return self.table("operating_characteristics")

    def records(self, protocol: str, scenario: str, table: str = "estimates") -> "pd.DataFrame":
        """Read one cell's records: a row a replicate, size, estimand and arm (or arm and visit)."""
        import pandas as pd

        used = self.provenance["replicates"][f"{protocol}.{scenario}"]
        columns = read_blocks(self.folder, Cell(protocol, scenario), used, (table,))[table]
        return pd.DataFrame({name: np.asarray(column) for name, column in columns.items()})

    def of_estimand(self, cell: Cell, estimand: str, n: int) -> "pd.DataFrame":
        """Read one cell's records of one estimand at one size: a row a replicate and compared arm.

        Only these rows leave the files, which is four times as fast as to read them all.
        """
        import pandas as pd
        import pyarrow as pa
        from pyarrow.compute import field
        from pyarrow.parquet import read_table

        used = self.provenance["replicates"][f"{cell.protocol}.{cell.scenario}"]
        blocks = range(-(-used // BLOCK_SIZE))
        failed = cell.failed(self.folder, blocks)
        wanted = (field("table") == "estimates") & (field("estimand") == estimand)
        wanted &= (field("n") == n) & (field("replicate") < used)
        files = [cell.block_file(self.folder, block) for block in blocks if block not in failed]
        whole = pa.concat_tables(
            [read_table(file, filters=wanted) for file in files], promote_options="default"
        )
        columns = columns_of(whole.unify_dictionaries())
        return pd.DataFrame({name: np.asarray(column) for name, column in columns.items()})
