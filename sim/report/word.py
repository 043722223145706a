"""The report as a Word document, by python-docx."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.core.errors import InputError
from sim.report.pieces import Image, Piece, Table, Text

if TYPE_CHECKING:
    from docx.document import Document

WIDTH = 16.5
"""Centimetres between the margins of A4."""
STYLES = {"p": "Normal", "dd": "Normal", "dt": "Strong", "summary": "Strong", "figcaption": "Caption"}


def document(pieces: Sequence[Piece], folder: Path) -> "Document":
    """Write the pieces of a report as a document; figures are read from the results folder.

    Raises
    ------
    InputError
        python-docx is not installed.
    """
    try:
        import docx
        from docx.shared import Cm, Pt
    except ImportError:
        raise InputError("--format docx: needs python-docx: pip install 'sim[docx]'") from None
    made = docx.Document()
    made.core_properties.author = ""
    for section in made.sections:
        section.page_width, section.page_height = Cm(21), Cm(29.7)
        section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Cm(2.25)
    made.styles["Normal"].font.size = Pt(10)
    for piece in pieces:
        if isinstance(piece, Text):
            _text(made, piece)
        elif isinstance(piece, Image):
            picture = made.add_picture(str(folder / piece.file), width=Cm(WIDTH))
            picture._inline.docPr.set("descr", piece.alt)
        else:
            _table(made, piece)
    return made


def _text(made: "Document", piece: Text) -> None:
    if piece.kind in ("h1", "h2", "h3"):
        made.add_heading(piece.words, level=int(piece.kind[1]) - 1)
    elif piece.kind == "li":
        made.add_paragraph(piece.words, style="List Number" if piece.list == "ol" else "List Bullet")
    elif STYLES[piece.kind] == "Strong":
        made.add_paragraph().add_run(piece.words).bold = True
    else:
        made.add_paragraph(piece.words, style=STYLES[piece.kind])


def _table(made: "Document", piece: Table) -> None:
    """Add a table whose head is repeated on every page."""
    from docx.oxml import OxmlElement
    from docx.shared import Pt

    if piece.caption:
        made.add_paragraph(piece.caption, style="Caption").paragraph_format.keep_with_next = True
    table = made.add_table(rows=0, cols=len(piece.header), style="Light Grid Accent 1")
    for cells in (piece.header, *piece.rows):
        row: Any = table.add_row()
        for box, words in zip(row.cells, cells, strict=True):
            box.text = words
            for run in box.paragraphs[0].runs:
                run.font.size = Pt(7 if len(piece.header) > 6 else 8)
    if table.rows:
        table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    made.add_paragraph()
