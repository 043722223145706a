"""``python -m benchmarks.fits``: the shipped syntheses fitted as a new machine does it, nothing compiled."""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measures import Measure, show

SYNTHESES = Path(__file__).parents[1] / "configs" / "syntheses"
OF = "sim fit in an empty home, on the clock, with compiling, tables and figures"
BUDGETS = {"chronic": "90", "acute": "40"}
"""Seconds; the chronic network has SDs and responders."""


def seconds(name: str) -> float:
    """Wall-clock seconds of one fit, in a process of its own without anything compiled before."""
    with TemporaryDirectory() as home:
        file = str(SYNTHESES / f"{name}.yaml")
        command = [sys.executable, "-m", "sim", "fit", file, "--results", f"{home}/fits", "--json"]
        begin = time.perf_counter()
        subprocess.run(command, env={**os.environ, "HOME": home}, check=True, capture_output=True)
        return time.perf_counter() - begin


def fits() -> list[Measure]:
    """Measure each fit once."""
    return [Measure(OF, f"{name}, s", seconds(name), budget) for name, budget in BUDGETS.items()]


if __name__ == "__main__":
    show(fits())
