"""A table of the report: rows of cells that carry their exact value."""

from collections.abc import Sequence
from dataclasses import dataclass

from sim.report.notation import NONE, Interval


@dataclass(frozen=True)
class Entry:
    """One cell: what is printed, and the exact value where it is a number."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Grid:
    """One table: its caption, the heads of its columns and its rows."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]

    def without(self, head: str) -> "Grid":
        """Return the table without the column that has this head, if it is there."""
        kept = [place for place, name in enumerate(self.header) if name != head]
        rows = tuple(tuple(row[place] for place in kept) for row in self.rows)
        return Grid(self.caption, tuple(self.header[place] for place in kept), rows)


def grid(caption: str, header: Sequence[str], rows: Sequence[Sequence[Entry | str]]) -> Grid:
    """Make a table; a bare text is a cell without a value."""
    cells = tuple(tuple(cell if isinstance(cell, Entry) else Entry(cell) for cell in row) for row in rows)
    return Grid(caption, tuple(header), cells)


def between(interval: Interval | None) -> Entry:
    """Make the cell of a mean with its interval."""
    return Entry(interval.words(), interval.mean) if interval else Entry(NONE)
