"""The report as a list of plain pieces, read back from its page, for formats that know no HTML."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

SKIPPED = ("style", "script", "nav", "title")
"""Elements whose text is no part of the report."""
TEXTS = ("h1", "h2", "h3", "p", "li", "dt", "dd", "summary", "figcaption", "caption")
"""Elements whose text is a piece of its own."""


@dataclass(frozen=True)
class Text:
    """A heading, a paragraph or another text, by its element; ``list`` is ol or ul for an item."""

    kind: str
    words: str
    list: str = ""


@dataclass(frozen=True)
class Table:
    """A table: its caption, the heads and the rows; ``is_number`` says which cells are numbers."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_number: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True)
class Image:
    """A figure by its file's path within the results folder, with its alternative text."""

    file: str
    alt: str


Piece = Text | Table | Image


def pieces(page: str) -> list[Piece]:
    """Take a report's page apart, in its order."""
    reader = _Reader()
    reader.feed(page)
    return reader.found


@dataclass
class _Cells:
    """A table that is being read."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)
    is_number: list[list[bool]] = field(default_factory=list)

    def begin(self, tag: str, is_number: bool) -> None:
        """Begin a row or a cell."""
        if tag == "tr":
            self.rows.append([])
            self.is_number.append([])
        else:
            self.rows[-1].append("")
            self.is_number[-1].append(is_number)

    def finished(self) -> Table:
        """Return what was read."""
        rows = tuple(tuple(" ".join(cell.split()) for cell in row) for row in self.rows)
        return Table(self.caption, rows[0], rows[1:], tuple(tuple(row) for row in self.is_number[1:]))


class _Reader(HTMLParser):
    """Walks through the page; inside a table, text belongs to its cells."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Piece] = []
        self._open: list[tuple[str, str]] = []
        self._skipped = 0
        self._lists: list[str] = []
        self._cells: _Cells | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        given = dict(attrs)
        if tag in SKIPPED:
            self._skipped += 1
        elif tag in ("ul", "ol"):
            self._lists.append(tag)
        elif tag == "table":
            self._cells = _Cells()
        elif self._cells and tag in ("tr", "td", "th"):
            self._cells.begin(tag, given.get("class") == "number")
        elif tag in TEXTS:
            self._open.append((tag, ""))
        elif tag == "img":
            self.found.append(Image(str(given["data-file"]), str(given["alt"])))

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if tag in SKIPPED:
            self._skipped -= 1
        elif tag in ("ul", "ol"):
            self._lists.pop()
        elif tag == "table" and self._cells:
            self.found.append(self._cells.finished())
            self._cells = None
        elif self._open and self._open[-1][0] == tag:
            self._end(tag, " ".join(self._open.pop()[1].split()))

    def _end(self, tag: str, words: str) -> None:
        if tag == "caption" and self._cells:
            self._cells.caption = words
        elif words:
            self.found.append(Text(tag, words, self._lists[-1] if tag == "li" else ""))

    def handle_data(self, data: str) -> None:
        """Take text to where it belongs."""
        if self._skipped:
            return
        if self._open:
            tag, words = self._open[-1]
            self._open[-1] = tag, words + data
        elif self._cells and self._cells.rows and self._cells.rows[-1]:
            self._cells.rows[-1][-1] += data
