from pathlib import Path
from typing import Literal

import pytest

from sim.core.errors import InputError
from sim.core.loading import digest, dump, load, merge, override, read_yaml, resolve, validate
from sim.core.parts import Family, Part


class Shape(Family):
    """A family for these tests."""


class Circle(Shape):
    kind: Literal["circle"] = "circle"
    radius: float


class Drawing(Part):
    title: str = ""
    shapes: dict[str, Shape] = {}
    marks: list[int] = []


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_base_is_patched_and_lists_are_replaced(tmp_path):
    write(
        tmp_path, "base.yaml", "schema: 1\ntitle: a\nmarks: [1, 2]\nshapes: {x: {kind: circle, radius: 1}}\n"
    )
    file = write(
        tmp_path,
        "top.yaml",
        "from: base.yaml\ntitle: b\nmarks: [3]\nshapes: {y: {kind: circle, radius: 2}}\n",
    )
    drawing = load(file, Drawing)
    assert drawing.title == "b"
    assert drawing.marks == [3]
    assert set(drawing.shapes) == {"x", "y"}
    assert validate(dump(drawing), Drawing, "again") == drawing
    assert digest(drawing) == digest(dump(drawing))


def test_a_claim_is_replaced_whole_so_that_no_source_outlives_its_number():
    assert merge({"a": {"value": 1, "source": "x"}}, {"a": {"assume": 2, "because": "y"}}) == {
        "a": {"assume": 2, "because": "y"}
    }


def test_a_mapping_with_kind_is_replaced_whole():
    assert merge({"a": {"kind": "p", "q": 1}}, {"a": {"kind": "r"}}) == {"a": {"kind": "r"}}


def test_from_that_leads_back_is_refused(tmp_path):
    write(tmp_path, "a.yaml", "from: b.yaml\n")
    write(tmp_path, "b.yaml", "from: a.yaml\n")
    with pytest.raises(InputError, match="leads back to itself"):
        resolve(read_yaml(tmp_path / "a.yaml"), tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("titel: a\n", "unknown key 'titel': did you mean 'title'\\? allowed: marks, shapes, title"),
        ("shapes: {x: {kind: cirle}}\n", "shapes.x: unknown kind 'cirle': did you mean 'circle'\\?"),
        ("shapes: {x: {kind: circle}}\n", "shapes.x.radius: required, but not given"),
        ("shapes: {x: {radius: 1}}\n", "shapes.x: 'kind' is missing"),
        ("marks: [a]\n", r"marks\[0\]: input should be a valid integer"),
        ("a: 1\na: 2\n", "the key 'a' is given twice"),
        ("title: [\n", "not valid YAML"),
        ("null: 1\n", "is not text; write it in quotes"),
        ("", "empty, expected a YAML mapping"),
        ("- 1\n", "expected a mapping"),
        ("schema: 2\n", "this version reads only schema 1"),
    ],
)
def test_an_error_says_where_what_and_what_is_allowed(tmp_path, text, message):
    file = write(tmp_path, "x.yaml", text)
    with pytest.raises(InputError, match=message) as caught:
        load(file, Drawing)
    assert str(file) in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="not a text file"):
        read_yaml(file)
    with pytest.raises(InputError, match="no such file"):
        read_yaml(tmp_path / "y.yaml")


def test_set_reaches_into_mappings_and_lists():
    assert override({"a": {"b": [1, 2]}}, "a.b.1=5") == {"a": {"b": [1, 5]}}
    assert override({"a": 1}, "c.d=x") == {"a": 1, "c": {"d": "x"}}
    for bad in ("a", "a.b=1", "=3"):
        with pytest.raises(InputError, match="--set"):
            override({"a": 1}, bad)


def test_a_users_own_member_is_found_by_module_and_class():
    drawing = Drawing(shapes={"x": {"kind": f"{__name__}:Circle", "radius": 3}})
    assert drawing.shapes["x"] == Circle(radius=3)
    with pytest.raises(ValueError, match="is not a subclass"):
        Drawing(shapes={"x": {"kind": f"{__name__}:Drawing"}})
