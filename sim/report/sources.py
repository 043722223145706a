"""The references of a run, read back from its ``sources.bib``."""

import re
from dataclasses import dataclass
from pathlib import Path

ENTRY = re.compile(r"@\w+\{([^,]+),\n(.*?)\n\}", re.DOTALL)
FIELD = re.compile(r"^\s*(\w+) = \{(.*)\},$", re.MULTILINE)


@dataclass(frozen=True)
class Reference:
    """One source: its key, what it is, and where it can be read."""

    key: str
    title: str
    link: str | None


def references(folder: Path) -> list[Reference]:
    """Read the sources of a run, in the order of the file; empty where there is none."""
    file = folder / "sources.bib"
    if not file.exists():
        return []
    found = []
    for key, body in ENTRY.findall(file.read_text(encoding="utf-8")):
        fields = dict(FIELD.findall(body))
        link = f"https://doi.org/{fields['doi']}" if "doi" in fields else fields.get("url")
        found.append(Reference(key, fields.get("title", key), link))
    return found
