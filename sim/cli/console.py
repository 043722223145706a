"""Where the command line writes: results to standard output, progress and errors to standard error."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

WIDEST = 1000
"""Characters that no table needs."""


def print_wide(table: Table) -> None:
    """Print a table without folding its cells: a terminal that is too narrow wraps the lines."""
    needed = Console(width=WIDEST).measure(table).maximum
    Console(width=max(out.width, needed), highlight=False).print(table)


def complain(code: int, *lines: str) -> int:
    """Write one line an error to standard error and return the exit code."""
    for line in lines:
        print(f"sim: {' '.join(str(line).split())}", file=sys.stderr)
    return code


def print_json(content: Any) -> None:
    """Write one JSON object to standard output and nothing else."""
    print(json.dumps(content, allow_nan=False))
