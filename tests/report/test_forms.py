"""Markdown and Word hold what the page holds."""

import re
import sys
from pathlib import Path

import pytest

from sim import Results
from sim.core.errors import InputError
from sim.report.html import render_as
from sim.report.markdown import markdown
from sim.report.pieces import Image, Table, Text, pieces

from .conftest import Page

docx = pytest.importorskip("docx", reason="python-docx is not installed (extra docx)")


@pytest.fixture(scope="module")
def found(finished: Results) -> list[Text | Table | Image]:
    return pieces((finished.folder / "report.html").read_text(encoding="utf-8"))


def tables_of(found: list[Text | Table | Image]) -> list[Table]:
    return [piece for piece in found if isinstance(piece, Table)]


def test_every_table_of_the_page_is_a_piece_with_its_cells(
    found: list[Text | Table | Image], page: Page
) -> None:
    named = {table.caption: table for table in tables_of(found) if table.caption}
    assert set(named) == {" ".join(caption.split()) for caption in page.tables if caption}
    for caption, rows in page.tables.items():
        if caption:
            head, *body = [[" ".join(cell.text.split()) for cell in row] for row in rows]
            table = named[" ".join(caption.split())]
            assert list(table.header) == head
            assert [list(row) for row in table.rows] == body


def test_every_text_and_figure_of_the_page_is_a_piece(found: list[Text | Table | Image], page: Page) -> None:
    heads = [piece for piece in found if isinstance(piece, Text) and piece.kind == "h2"]
    assert len(heads) == len([tag for tag, _ in page.tags if tag == "h2"])
    images = [values for tag, values in page.tags if tag == "img"]
    assert [(p.file, p.alt) for p in found if isinstance(p, Image)] == [
        (values["data-file"], values["alt"]) for values in images
    ]
    items = [piece for piece in found if isinstance(piece, Text) and piece.kind == "li"]
    assert len(items) == len([tag for tag, _ in page.tags if tag == "li"])
    assert not any("addEventListener" in p.words or "{" in p.words for p in found if isinstance(p, Text))


def test_markdown_escapes_its_marks() -> None:
    text = markdown([Text("h2", "a_b * <c>"), Table("x|y", ("p", "q"), (("1|2", "[3]"),), ((False, True),))])
    assert (
        text
        == "\n## a\\_b \\* \\<c\\>\n\n**x\\|y**\n\n| p | q |\n|---|---|\n| 1\\|2 | \\[3\\] |\n".lstrip("")
    )


def test_markdown_names_its_figures_and_word_holds_all(copy: Results, drawn: None, page: Page) -> None:
    file = render_as(copy, "md")
    text = file.read_text(encoding="utf-8")
    named = re.findall(r"^!\[.*\]\((.*)\)$", text, re.MULTILINE)
    assert len(named) == len([tag for tag, _ in page.tags if tag == "img"])
    assert all((copy.folder / name).exists() for name in named)
    made = docx.Document(str(render_as(copy, "docx")))
    assert len(made.inline_shapes) == len(named)
    assert len(made.tables) == len(
        tables_of(pieces((copy.folder / "report.html").read_text(encoding="utf-8")))
    )
    heads = [p.text for p in made.paragraphs if p.style.name == "Heading 1"]
    assert heads == [line[3:] for line in text.splitlines() if line.startswith("## ")]
    cells = {tuple(cell.text for cell in table.rows[0].cells) for table in made.tables}
    assert ("what", "value", "why") in cells


def test_an_unknown_form_is_refused(finished: Results) -> None:
    with pytest.raises(InputError, match=r"unknown form 'pdf'.*html"):
        render_as(finished, "pdf")


def test_word_without_its_library_says_what_to_install(
    copy: Results, drawn: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(InputError, match=r"needs python-docx: pip install 'sim\[docx\]'"):
        render_as(copy, "docx")
