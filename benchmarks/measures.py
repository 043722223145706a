"""What a benchmark measures, beside its budget, printed and kept as JSON."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

HOME = Path(__file__).with_name("results")
PACKAGES = ("numpy", "scipy", "numba", "pyarrow", "pydantic")


@dataclass(frozen=True)
class Measure:
    """One number of a benchmark; ``budget`` is that of the design, where it has one."""

    of: str
    what: str
    value: float
    budget: str = ""

    def line(self) -> str:
        """Lay it out as a line of text."""
        digits = 2 if abs(self.value) < 100 else 0
        budget = f"   budget {self.budget}" if self.budget else ""
        return f"  {self.what:44}{self.value:14,.{digits}f}{budget}"


def own_seconds(*steps: Callable[[int], object], rounds: int) -> list[float]:
    """Median processor seconds of each step, taken in turn so that a slow moment meets all of them."""
    times: list[list[float]] = [[] for _ in steps]
    for step in steps:
        step(0)
    for number in range(1, rounds + 1):
        for step, taken in zip(steps, times, strict=True):
            begin = time.process_time()
            step(number)
            taken.append(time.process_time() - begin)
    return [statistics.median(taken) for taken in times]


def show(measures: Sequence[Measure]) -> None:
    """Print measures under what they are of."""
    for of in dict.fromkeys(measure.of for measure in measures):
        print(of)
        for measure in measures:
            if measure.of == of:
                print(measure.line())


def keep(measures: Sequence[Measure]) -> Path:
    """Write measures with machine, load and versions, named by the day."""
    HOME.mkdir(exist_ok=True)
    file = HOME / f"{time.strftime('%Y-%m-%d')}.json"
    content = {
        "load_1_minute": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "measures": [asdict(measure) for measure in measures],
    }
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return file
