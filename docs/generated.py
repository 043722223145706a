"""Pages that are written from the code when the site is built: commands and configuration keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from sim.adaptive import AdaptiveStudy
from sim.cli.app import command
from sim.core.parts import Part
from sim.core.schema import OF_A_FILE, json_schema
from sim.study import Study
from sim.synthesis import Synthesis

FOLDER = "_generated"
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def setup(app: Any) -> dict[str, bool]:
    """Let Sphinx write the pages before it reads any."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / FOLDER))
    return {"parallel_read_safe": True}


def write(folder: Path) -> None:
    """Write the pages, each only if it has changed: Sphinx then reads only those again."""
    folder.mkdir(exist_ok=True)
    pages = {
        "commands": commands(),
        "study": configuration(Study, "A study, key by key", "sim run"),
        "synthesis": configuration(Synthesis, "A synthesis, key by key", "sim fit"),
        "adaptive": configuration(AdaptiveStudy, "An adaptive design, key by key", "sim adaptive"),
    }
    for name, lines in pages.items():
        file, text = folder / f"{name}.md", "\n".join(lines) + "\n"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def commands() -> Iterator[str]:
    """Describe every command as its ``--help`` does."""
    yield from (
        "# Commands",
        "",
        "Every command has `--help`. Exit codes: 0 done, 1 ran and failed, 2 the input is wrong.",
        "",
    )
    for name, found in sorted(get_command(command()).commands.items()):  # type: ignore[attr-defined]
        inner = getattr(found, "commands", {})
        for title, one in {f"{name} {sub}": inner[sub] for sub in sorted(inner)}.items() or {
            name: found
        }.items():
            yield from _command(title, one)


def _command(name: str, found: Any) -> Iterator[str]:
    arguments = [p for p in found.params if p.param_type_name == "argument"]
    options = [p for p in found.params if p.param_type_name == "option"]
    shown = " ".join(["sim", name, *(_metavar(p) for p in arguments)])
    yield from (f"## sim {name}", "", f"`{shown}{' [options]' if options else ''}`", "", found.help or "", "")
    rows = [(f"`{_metavar(p)}`", p.help) for p in arguments]
    rows += [(", ".join(f"`{o}`" for o in p.opts), p.help) for p in options]
    if rows:
        yield from _table(("argument or option", "meaning"), rows)


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def configuration(model: type[Part], title: str, used_by: str) -> Iterator[str]:
    """Describe a file's keys, and those of every part that can stand in it."""
    schema = json_schema(model)
    parts = dict(sorted(schema["$defs"].items()))
    yield from (f"# {title}", "")
    yield f"What `{used_by}` reads; the same as the JSON Schema that `sim schema` prints. Any mapping may be"
    yield "a patch of another file (`from: other.yaml`)."
    yield ""
    yield from _part(model.__name__, schema, "##")
    for name, definition in parts.items():
        yield from _part(name, definition, "##")


def _part(name: str, definition: dict[str, Any], heading: str) -> Iterator[str]:
    kind = definition.get("properties", {}).get("kind", {}).get("const")
    title = name.split("__")[-1]
    yield from (f"({name.lower()})=", f"{heading} {title}" + (f" (`kind: {kind}`)" if kind else ""), "")
    yield from (_plain(definition.get("description", "")), "")
    if "anyOf" in definition:
        members = [_type(option) for option in definition["anyOf"] if "$ref" in option]
        yield from ("One of " + ", ".join(members) + ", or your own as `kind: module:Class`.", "")
    fields = definition.get("properties", {})
    rows = [
        (f"`{key}`", _type(field), _default(field), _plain(_meaning(field, definition)))
        for key, field in fields.items()
        if key not in OF_A_FILE and key != "kind"
    ]
    if rows:
        yield from _table(("key", "what", "default", "meaning"), rows)


def _meaning(field: dict[str, Any], definition: dict[str, Any]) -> str:
    """Leave out what only repeats the part's own description."""
    meaning = field.get("description", "")
    return "" if meaning == definition.get("description") else meaning


def _type(field: dict[str, Any]) -> str:
    """Say in words what may stand there."""
    if "$ref" in field:
        name = field["$ref"].split("/")[-1]
        return f"[{name.split('__')[-1]}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(
            dict.fromkeys(_type(option) for option in field["anyOf"] if option.get("type") != "null")
        )
    if "allOf" in field:
        return _type(field["allOf"][0])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        inside = field.get("items") or next(iter(field.get("prefixItems", [])), {})
        return f"list of {_type(inside)}"
    if field.get("type") == "object":
        inside = field.get("additionalProperties")
        return f"mapping to {_type(inside)}" if isinstance(inside, dict) and inside else "mapping"
    limits = [f"{sign} {field[key]:,}" for key, sign in LIMITS.items() if key in field]
    return " ".join(
        [
            {"string": "text", "boolean": "true or false"}.get(
                field.get("type", ""), field.get("type", "anything")
            ),
            *limits,
        ]
    )


def _default(field: dict[str, Any]) -> str:
    if "default" not in field or field["default"] is None or isinstance(field["default"], dict):
        return ""
    return f"`{field['default']}`"


def _plain(text: str) -> str:
    """Turn a docstring's double backticks into Markdown's, and escape what HTML would take."""
    return text.replace("``", "`").replace("<", "&lt;")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(" ".join(str(cell or "").split()).replace("|", "\\|") for cell in row) + " |"
    yield ""
