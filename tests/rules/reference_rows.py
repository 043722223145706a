"""The rows of reference values printed by other software; they lie beside the repository, not in it."""

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FILE = Path(__file__).parents[2] / ".." / "shared" / "oracles" / "reference_values.csv"
ABSENT = pytest.mark.skip(reason="the reference values are not beside the repository (../shared/oracles)")


@dataclass(frozen=True)
class Row:
    case: str
    inputs: str
    quantity: str
    value: float
    tolerance: str

    @property
    def given(self) -> dict[str, Any]:
        return json.loads(self.inputs)

    @property
    def relative(self) -> float:
        number, unit = self.tolerance.split()
        assert unit == "relative", self.tolerance
        return float(number)


def read(group: str) -> list[Row]:
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8") as lines:
        return [
            Row(row["case"], row["inputs_json"], row["quantity"], float(row["value"]), row["tolerance"])
            for row in csv.DictReader(lines)
            if row["group"] == group
        ]


def parameters(rows: list[Row]) -> list[Any]:
    if not FILE.exists():
        return [pytest.param(None, marks=ABSENT)]
    return [pytest.param(row, id=f"{row.case}-{row.quantity}") for row in rows]


def answer(
    calls: Mapping[str, Callable[[dict[str, Any]], Mapping[str, Any]]], inputs: str
) -> dict[str, float]:
    """Our numbers for one call by the names of the rows; those of a list are numbered from 1."""
    given = json.loads(inputs)
    flat: dict[str, float] = {}
    for name, value in calls[given["call"]](given).items():
        if np.ndim(value) == 0:
            flat[name] = float(value)
        else:
            flat |= {f"{name}[{place}]": float(number) for place, number in enumerate(value, start=1)}
    return flat
