"""Blocks that runs beside this one have computed: they are taken over instead of being computed again."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from sim.results import Cell, write_text

CELLS = "cells.json"
"""File beside the blocks: the digest of each cell, by ``protocol.scenario``."""


def take_over(folder: Path, digests: Mapping[Cell, str], blocks: range) -> None:
    """Note this run's cells, and link the blocks that sister folders hold of cells with the same digest.

    A sister is a folder of results beside ``folder``. A block is never changed in place, so one file can
    belong to several runs; deleting one run leaves the others whole.
    """
    names = {f"{cell.protocol}.{cell.scenario}": digest for cell, digest in digests.items()}
    write_text(folder / "blocks" / CELLS, json.dumps(names, indent=2) + "\n")
    for sister in sorted(folder.resolve().parent.glob(f"*/blocks/{CELLS}")):
        home = sister.parent.parent
        if home == folder.resolve():
            continue
        theirs = {digest: cell for cell, digest in _cells(sister)}
        for cell, digest in digests.items():
            if digest in theirs:
                for block in blocks:
                    _link(theirs[digest].block_file(home, block), cell.block_file(folder, block))


def _cells(file: Path) -> Iterator[tuple[Cell, str]]:
    """Yield the cells of a sister, or none where its note cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        yield from ((Cell(*name.split(".")), str(digest)) for name, digest in found.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return


def _link(there: Path, here: Path) -> None:
    """Give a block a second name; where the file system has none, copy it whole or not at all."""
    if here.exists() or not there.exists():
        return
    try:
        os.link(there, here)
    except FileExistsError:  # another task was faster
        return
    except OSError:
        part = here.with_name(f".{here.name}.{os.getpid()}.part")
        shutil.copyfile(there, part)
        part.replace(here)
