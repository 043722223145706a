"""Outcome measures by their rows in ``measures.csv``: range, step, direction and important change."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from sim.core.parts import suggest, wrong

TABLE = Path(__file__).with_name("measures.csv")


@dataclass(frozen=True)
class Measure:
    """One instrument; range, step and ``important`` change (None: none known) in its points."""

    name: str
    full_name: str
    construct: str
    low: float
    high: float
    step: float
    better: Literal["lower", "higher"]
    important: float | None
    source: str
    provenance: str


@cache
def measures() -> dict[str, Measure]:
    """Every row of the table by its name."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["measure"]: _measure(row) for row in csv.DictReader(file)}


def _measure(row: dict[str, str]) -> Measure:
    return Measure(
        name=row["measure"],
        full_name=row["full_name"],
        construct=row["construct"],
        low=float(row["min"]),
        high=float(row["max"]),
        step=float(row["step"]),
        better="lower" if row["direction"] == "lower_better" else "higher",
        important=float(row["mcid"]) if row["mcid"] else None,
        source=row["source_url"],
        provenance=row["provenance"],
    )


def measure(name: str) -> Measure:
    """Find a measure by its name.

    Raises
    ------
    ValueError
        There is none; the message lists near names.
    """
    if name not in measures():
        raise wrong(f"unknown measure '{name}':{suggest(name, measures())}")
    return measures()[name]
