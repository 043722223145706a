"""``make calibrate``: make every replication that is not there yet, then judge them.

``python -m tests.calibration map_normal_half_normal`` does one case.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.calibration import figure, verdict
from tests.calibration.case import Case
from tests.calibration.model_code import digest
from tests.calibration.plan import PLAN, Planned

KEPT = Path("results/calibration")
"""Finished replications, by case and digest of the code: found again after an interruption."""
LIBRARIES = ("numpy", "scipy", "pymc", "nutpie", "numba")


def main() -> int:
    """Run what is asked for; 130 after Ctrl-C, else 1 if a case fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(p.case.name for p in PLAN)}; else all")
    wanted = parser.parse_args().cases
    if unknown := set(wanted) - {planned.case.name for planned in PLAN}:
        parser.error(f"no case {', '.join(sorted(unknown))}")
    fine = True
    codes = {planned: digest(planned.case.modules) for planned in PLAN}  # before anything on disk can change
    try:
        for planned, code in codes.items():
            if not wanted or planned.case.name in wanted:
                fine &= calibrate(planned, code)
    except KeyboardInterrupt:
        print("\nstopped; what is finished is kept, and the same command goes on from there", file=sys.stderr)
        return 130
    figure.draw(verdict.read())
    return 0 if fine else 1


def calibrate(planned: Planned, code: str) -> bool:
    """Make the replications of one case, right and wrong, and store the verdict on them."""
    case = planned.case
    right = list(_replications(case, code, planned.replications, faulty=False))
    wrong = list(_replications(case, code, planned.of_fault, faulty=True))
    made = verdict.judge(case, right, wrong)
    made |= {
        "digest": code,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }
    verdict.store(case.name, made)
    print(verdict.words(case.name, made))
    return verdict.holds(made)


def _replications(case: Case, code: str, count: int, faulty: bool) -> Iterator[dict[str, Any]]:
    """Yield ``count`` replications: those in the file, then new ones, each written as it is made."""
    file = KEPT / f"{case.name}-{code}" / ("faulty.jsonl" if faulty else "right.jsonl")
    found = _read(file)[:count]
    yield from found
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(file, found)
    begin = time.monotonic()
    with file.open("a", encoding="utf-8") as lines:
        for number in range(len(found), count):
            made = asdict(case.replicate(number, faulty))
            lines.write(json.dumps(made) + "\n")
            lines.flush()
            left = (time.monotonic() - begin) / (number + 1 - len(found)) * (count - number - 1)
            what = f"{case.name}{', faulty' if faulty else ''}: {number + 1} of {count}"
            print(f"\r{what}, about {left / 60:.0f} min left   ", end="", file=sys.stderr, flush=True)
            yield made
    print(file=sys.stderr)


def _read(file: Path) -> list[dict[str, Any]]:
    """Finished replications; a last line that was cut off is left out."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def _write(file: Path, replications: list[dict[str, Any]]) -> None:
    """Write whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text("".join(json.dumps(one) + "\n" for one in replications), encoding="utf-8")
    os.replace(part, file)


if __name__ == "__main__":
    sys.exit(main())
