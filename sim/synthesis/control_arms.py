"""The table of a control arm in earlier studies: counts of responders, or means with standard errors."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sim.core.errors import InputError
from sim.synthesis.hierarchy import Floats

COLUMNS = {"binomial": ("study", "n", "r"), "normal": ("study", "n", "mean", "se")}


@dataclass(frozen=True, eq=False)
class ControlArms:
    """One row a study.

    Parameters
    ----------
    n
        Patients, shape (study,).
    columns
        ``r`` (responders), or ``mean`` and ``se``; each shape (study,).
    """

    outcome: Literal["binomial", "normal"]
    studies: tuple[str, ...]
    n: Floats
    columns: dict[str, Floats]

    def rows(self) -> list[list[str]]:
        """Return the content as text, for a digest."""
        numbers = [self.n, *(self.columns[name] for name in sorted(self.columns))]
        return [
            [study, *(repr(float(value)) for value in values)]
            for study, *values in zip(self.studies, *numbers, strict=True)
        ]

    def without(self, place: int) -> "ControlArms":
        """Leave one study out."""
        rest = np.arange(len(self.n)) != place
        studies = tuple(study for i, study in enumerate(self.studies) if i != place)
        columns = {name: values[rest] for name, values in self.columns.items()}
        return ControlArms(self.outcome, studies, self.n[rest], columns)

    def unit_sd(self) -> float:
        """SD of one patient, from the standard errors: the root of the mean of n × se²."""
        return float(np.sqrt(np.mean(self.n * self.columns["se"] ** 2)))


def read_control_arms(path: Path) -> ControlArms:
    """Read a CSV table with the columns ``study, n, r`` or ``study, n, mean, se``.

    Raises
    ------
    InputError
        One line for each problem: file, row, column, what is wrong.
    """
    header, rows = _lines(path)
    outcome = next((name for name, columns in COLUMNS.items() if set(columns) == set(header)), None)
    if outcome is None:
        allowed = " or ".join(", ".join(columns) for columns in COLUMNS.values())
        raise InputError(f"{path}: columns {', '.join(header)}; allowed: {allowed}")
    if not rows:
        raise InputError(f"{path}: no study")
    names = COLUMNS[outcome][1:]
    problems = [p for place, row in rows for p in _problems(f"{path}: row {place}", row, names)]
    studies = [row["study"] for _, row in rows]
    problems += [
        f"{path}: study '{s}' is given twice" for s in sorted({s for s in studies if studies.count(s) > 1})
    ]
    if problems:
        raise InputError(*problems)
    n, *others = (np.array([float(row[name]) for _, row in rows]) for name in names)
    return ControlArms(
        "binomial" if outcome == "binomial" else "normal",
        tuple(studies),
        n,
        dict(zip(names[1:], others, strict=True)),
    )


def _lines(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, skipinitialspace=True)
            header = [str(name).strip() for name in reader.fieldnames or []]
            return header, [
                (
                    reader.line_num,
                    dict(zip(header, (str(v or "").strip() for v in row.values()), strict=False)),
                )
                for row in reader
            ]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not a text file'}"
        ) from None


def _problems(where: str, row: dict[str, str], names: tuple[str, ...]) -> list[str]:
    """Say what is wrong with one row."""
    numbers: dict[str, float] = {}
    problems = []
    for name in names:
        try:
            numbers[name] = float(row[name])
        except ValueError:
            numbers[name] = np.nan
        if not np.isfinite(numbers[name]):
            problems.append(f"{where}: {name}: '{row[name]}' is not a number")
    if not numbers["n"] > 0 and np.isfinite(numbers["n"]):
        problems.append(f"{where}: n: {row['n']} patients; must be above 0")
    if "r" in numbers and not 0 <= numbers["r"] <= numbers["n"] and not problems:
        problems.append(f"{where}: r: {row['r']} responders of {row['n']}; must be between 0 and n")
    if "r" in numbers and not problems and any(numbers[name] % 1 for name in ("n", "r")):
        problems.append(f"{where}: n and r must be whole numbers")
    if "se" in numbers and numbers["se"] <= 0:
        problems.append(f"{where}: se: {row['se']}; must be above 0")
    return problems
