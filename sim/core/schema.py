"""JSON Schema of the input, by which editors complete and check YAML files."""

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from sim.core.loading import SCHEMA, Tree
from sim.core.parts import PLACE, Family, Part, place

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OF_A_FILE = {
    "schema": {"const": SCHEMA},
    "from": {"type": "string", "description": "A file with a base, which the keys beside this one patch."},
}
"""Keys of every mapping, since each may be a file of its own or a patch of one."""
DESCRIPTIONS = Path(__file__).with_name("descriptions.csv")
"""What fields mean that do not say it themselves, by ``Part.field``, or ``field`` if that means one thing."""
OWN_MEMBER = {
    "type": "object",
    "properties": {"kind": {"type": "string", "pattern": ":"}},
    "required": ["kind"],
    "description": "A member of your own: kind is module:Class.",
}


def json_schema(model: type[Part]) -> Tree:
    """Return the schema of a file that holds ``model``.

    Any mapping may be a patch of a base (``from: other.yaml``), so no key is required: what is missing
    is told when the file is read.
    """
    families = _families()
    every = dict.fromkeys([model, *(member for members in families.values() for member in members)])
    refs, document = models_json_schema([(part, "validation") for part in every])
    definitions = document["$defs"]
    for name, definition in definitions.items():
        if PLACE in definition:
            members = [refs[member, "validation"] for member in families[definition.pop(PLACE)]]
            definitions[name] = {**definition, "anyOf": [*members, OWN_MEMBER]}
        else:
            definitions[name] = _open_to_patches(_described(name, definition))
    root = refs[model, "validation"]["$ref"].split("/")[-1]
    used = {name: definitions[name] for name in sorted(_reached(definitions[root], definitions))}
    return {"$schema": DIALECT, **definitions[root], "$defs": used}


def _families() -> dict[str, list[type[Family]]]:
    """Members of every family by its place; to know the members of one may import another."""
    found: dict[str, list[type[Family]]] = {}
    while new := [family for family in Family.__subclasses__() if place(family) not in found]:
        found |= {place(family): [member for _, member in sorted(family.kinds().items())] for family in new}
    return found


@cache
def _descriptions() -> dict[str, str]:
    with DESCRIPTIONS.open(encoding="utf-8", newline="") as file:
        return {row["field"]: row["description"] for row in csv.DictReader(file)}


def _described(name: str, definition: Tree) -> Tree:
    """Give each field without a description one: the table's, else that of the whole part."""
    if "properties" not in definition:
        return definition
    part = name.split("__")[-1]  # pydantic puts the module before a name that two parts share
    fields = definition["properties"]
    table, whole = _descriptions(), definition.get("description", "")
    told = {key: table.get(f"{part}.{key}", table.get(key, whole)) for key in fields}
    return {
        **definition,
        "properties": {
            key: field if "$ref" in field else {"description": told[key], **field}
            for key, field in fields.items()
        },
    }


def _open_to_patches(node: Any) -> Any:
    """Require no key of any mapping inside, and allow those of a file."""
    if isinstance(node, list):
        return [_open_to_patches(item) for item in node]
    if not isinstance(node, dict):
        return node
    opened = {key: _open_to_patches(value) for key, value in node.items()}
    if node.get("type") == "object":
        opened.pop("required", None)
        opened.pop("minProperties", None)
        opened["properties"] = OF_A_FILE | opened.get("properties", {})
    return opened


def _reached(node: Any, definitions: Tree) -> set[str]:
    """Names of the definitions that a schema refers to, directly or through others."""
    found: set[str] = set()
    waiting = list(_references(node))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(definitions[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].split("/")[-1]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
