"""The report as Markdown, with its figures as files beside it."""

from collections.abc import Iterator, Sequence

from sim.report.pieces import Image, Piece, Table, Text

MARKS = {
    "h1": "# {}", "h2": "## {}", "h3": "### {}", "p": "{}", "dt": "**{}**", "dd": "{}", "summary": "**{}**",
    "figcaption": "*{}*",
}  # fmt: skip
SPECIAL = "\\`*_[]<>#|"
"""Characters that Markdown reads as marks."""


def markdown(pieces: Sequence[Piece]) -> str:
    """Write the pieces of a report as Markdown (GitHub's, with tables)."""
    return "\n".join(_lines(pieces)).rstrip() + "\n"


def escaped(text: str) -> str:
    """Write text so that Markdown shows it as it is."""
    return "".join(f"\\{sign}" if sign in SPECIAL else sign for sign in text)


def _lines(pieces: Sequence[Piece]) -> Iterator[str]:
    before: Piece | None = None
    for piece in pieces:
        if isinstance(piece, Text) and piece.kind == "li":
            if not (isinstance(before, Text) and before.kind == "li"):
                yield ""
            yield f"{'1.' if piece.list == 'ol' else '-'} {escaped(piece.words)}"
        else:
            yield ""
            yield from _block(piece)
        before = piece


def _block(piece: Piece) -> Iterator[str]:
    if isinstance(piece, Text):
        yield MARKS[piece.kind].format(escaped(piece.words))
    elif isinstance(piece, Image):
        yield f"![{escaped(piece.alt)}]({piece.file})"
    elif isinstance(piece, Table):
        if piece.caption:
            yield from (f"**{escaped(piece.caption)}**", "")
        yield _row(piece.header)
        yield "|" + "---|" * len(piece.header)
        yield from (_row(row) for row in piece.rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"
