"""From text to parts: YAML with ``from:`` (a base plus a patch), ``--set``, and errors that say where."""

import difflib
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sim.core.errors import InputError
from sim.core.parts import suggest

SCHEMA = 1
"""Version of the form of all configuration files."""

DEEPEST = 50
"""Levels of nesting that no configuration needs."""

REPLACED_WHOLE = ("kind", "value", "assume", "synthesis")
"""A mapping with one of these is replaced, not merged: a changed number must not keep the old source."""

Model = TypeVar("Model", bound=BaseModel)
Tree = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, keys that are not text, and nesting without end."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.open: list[str | None] = []
        """Anchors of the nodes around the present one; None where a node has none."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; an error where it is too deep or leads back to itself."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None and event.anchor in self.open:
            what = f"'{event.anchor}' stands inside what it names"
            raise yaml.composer.ComposerError(None, None, what, event.start_mark)
        if len(self.open) > DEEPEST:
            what = f"nested more than {DEEPEST} levels deep"
            raise yaml.composer.ComposerError(None, None, what, event.start_mark)
        self.open.append(event.anchor)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.open.pop()
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is not text; write it in quotes", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML ``text``; ``where`` names its place in the error."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{where}{line}: not valid YAML: {what}") from error


def read_yaml(path: Path) -> Tree:
    """Read one YAML file as a mapping, without following ``from:``.

    Raises
    ------
    InputError
        The file is missing, unreadable, binary, empty, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, expected a YAML file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file (UTF-8 YAML is expected)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    tree = parse_yaml(text, str(path))
    if tree is None:
        raise InputError(f"{path}: empty, expected a YAML mapping")
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected a mapping (key: value), got {type(tree).__name__}")
    return tree


def merge(base: Any, patch: Any) -> Any:
    """Lay ``patch`` over ``base``: mappings merge, everything else (lists too) is replaced."""
    if not isinstance(base, Mapping) or not isinstance(patch, Mapping):
        return patch
    if any(key in patch for key in REPLACED_WHOLE):
        return patch
    return {**base, **{key: merge(base.get(key), value) for key, value in patch.items()}}


def resolve(tree: Any, file: Path, chain: tuple[Path, ...] = ()) -> Any:
    """Replace each ``from: other.yaml`` in ``tree`` by that file's content, patched by the sibling keys."""
    if isinstance(tree, list):
        return [resolve(item, file, chain) for item in tree]
    if not isinstance(tree, dict):
        return tree
    source = tree.get("from")
    if not isinstance(source, str):
        return {key: resolve(value, file, chain) for key, value in tree.items()}
    path = (file.parent / source).resolve()
    if path in chain:
        raise InputError(f"{file}: 'from: {source}' leads back to itself")
    base = {key: value for key, value in _included(path, source, file).items() if key != "schema"}
    patch = {key: value for key, value in tree.items() if key != "from"}
    return merge(resolve(base, path, (*chain, path)), resolve(patch, file, chain))


def _included(path: Path, source: str, file: Path) -> Tree:
    if not path.exists():
        raise InputError(f"{file}: 'from: {source}': no such file ({path})")
    return read_yaml(path)


def override(tree: Tree, assignment: str) -> Tree:
    """Apply one ``a.b.0.c=value`` (the value is YAML) to a resolved tree.

    Raises
    ------
    InputError
        The text has no ``=`` or its path leads through something that is not there.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path:
        raise InputError(f"--set {assignment}: expected PATH=VALUE, for example protocols.fixed.n=300")
    value = parse_yaml(text, f"--set {path}")
    return _put(tree, path.split("."), value, f"--set {path}")  # type: ignore[no-any-return]


def _put(node: Any, keys: Sequence[str], value: Any, where: str) -> Any:
    if not keys:
        return value
    if isinstance(node, list):
        if not (keys[0].isdigit() and int(keys[0]) < len(node)):
            raise InputError(f"{where}: '{keys[0]}' is not a position in a list of {len(node)}")
        place = int(keys[0])
        return [_put(item, keys[1:], value, where) if i == place else item for i, item in enumerate(node)]
    if not isinstance(node, dict):
        raise InputError(f"{where}: nothing below '{keys[0]}' can be set, its parent is {node!r}")
    if keys[1:] and _is_misspelt(keys[0], node):
        raise InputError(f"{where}: there is no '{keys[0]}' to set something in:{suggest(keys[0], node)}")
    return {**node, keys[0]: _put(node.get(keys[0], {}), keys[1:], value, where)}


def _is_misspelt(key: str, known: Collection[str]) -> bool:
    """Tell a slip of the pen from an optional section that the file leaves out."""
    return key not in known and bool(difflib.get_close_matches(key, known, n=1, cutoff=0.8))


def load(
    path: Path, model: type[Model], overrides: Sequence[str] = (), defaults: Mapping[str, Any] | None = None
) -> Model:
    """Read, resolve and validate the part in ``path``; ``defaults`` are keys that the file may leave out.

    Raises
    ------
    InputError
        One line for each problem: file, path inside the file, what is wrong, what is allowed.
    """
    tree = resolve(read_yaml(path), path.resolve(), (path.resolve(),))
    for assignment in overrides:
        tree = override(tree, assignment)
    if tree.pop("schema", SCHEMA) != SCHEMA:
        raise InputError(f"{path}: schema: this version reads only schema {SCHEMA}")
    return validate({**(defaults or {}), **tree}, model, str(path))


def validate(tree: Any, model: type[Model], where: str) -> Model:
    """Validate a resolved tree; ``where`` begins each line of the error."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = dict.fromkeys(f"{where}: {_place(e['loc'])}{_message(e)}" for e in error.errors())
        raise InputError(*lines) from None


def _place(loc: tuple[int | str, ...]) -> str:
    steps = [step for step in loc if step != "[key]"]
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return f"{text.lstrip('.')}: " if text else ""


IN_YAML = {
    "missing": "required, but not given",
    "model_type": "expected a mapping (key: value)",
    "dict_type": "expected a mapping (key: value)",
    "tuple_type": "expected a list ([a, b])",
}
"""Errors that pydantic words for Python, worded for the writer of a YAML file."""


def _message(error: Any) -> str:
    message = IN_YAML.get(error["type"], str(error["msg"]).removeprefix("Value error, "))
    given = error.get("input")
    shown = "" if error["type"] == "input" or isinstance(given, dict | list) else f" (given: {given!r})"
    return message[:1].lower() + message[1:] + shown


def dump(part: BaseModel) -> Tree:
    """Return everything a part holds, as plain data that ``validate`` takes back."""
    return part.model_dump(mode="json", by_alias=True, serialize_as_any=True, exclude_none=True)


def digest(*content: Any) -> str:
    """Name plain data (or parts) by 12 hexadecimal digits of the SHA-256 of their canonical JSON."""
    plain = [dump(item) if isinstance(item, BaseModel) else item for item in content]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


def to_yaml(tree: Tree) -> str:
    """Write plain data as YAML, keys in their given order."""
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=110)
