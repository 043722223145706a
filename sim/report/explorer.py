"""The explorer: a page beside the report in which a reader moves through the grid that was simulated."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.performance import success_metric
from sim.report.material import Material, rows_of
from sim.report.metrics import HEADINGS, SUCCESS
from sim.report.truth import axis_of
from sim.results import Cell, read_blocks

if TYPE_CHECKING:
    import pandas as pd

TRIALS = 24
"""Example trials of each cell; all of them are in its first block."""
DIGITS = 4
"""Decimals that a number keeps."""
WHOLE = ("expected_n", "duration_weeks", "cost")
"""Metrics of the whole trial that are shown."""
BY_ARM = ("truth", "bias", "coverage")
"""Metrics of a comparison that are shown beside its success."""


def content(material: Material) -> dict[str, Any]:
    """Gather what the page shows: each cell's curves at every size, its examples, and the variations.

    Numbers that are not known are None.
    """
    frame = material.results.characteristics
    cells = [_cell(material, frame, Cell(*names)) for names in material.study.cells()]
    return {
        "title": material.study.name.replace("_", " "),
        "main": {"protocol": material.main.protocol, "scenario": material.main.scenario},
        "cells": cells,
        "heads": {name: HEADINGS[name] for name in (*BY_ARM, *WHOLE)},
        "variations": list(_variations(material)),
    }


def _cell(material: Material, frame: "pd.DataFrame", cell: Cell) -> dict[str, Any]:
    protocol, scenario = material.study.protocols[cell.protocol], material.study.scenarios[cell.scenario]
    primary = protocol.looks[0].analysis.estimand
    success = success_metric(scenario, protocol.looks[0].rule)
    mine = frame[(frame["protocol"] == cell.protocol) & (frame["scenario"] == cell.scenario)]
    sizes = sorted({*protocol.sizes, protocol.n})
    labels, ratio = material.labels_of(cell.protocol), sum(protocol.ratio)
    arms = protocol.estimands[primary].contrast.of
    return {
        "protocol": cell.protocol,
        "scenario": cell.scenario,
        "because": scenario.because or scenario.claims.words(),
        "success": SUCCESS[success],
        "axis": axis_of(material, cell.protocol),
        "sizes": sizes,
        "arms": [
            {
                "name": arm,
                "label": labels[arm],
                "share": protocol.ratio_of(arm) / ratio,
                "success": _curve(mine, success, primary, arm, sizes),
                **{metric: _curve(mine, metric, primary, arm, sizes) for metric in BY_ARM},
            }
            for arm in arms
        ],
        "whole": {metric: _curve(mine, metric, None, None, sizes) for metric in WHOLE},
        "trials": _trials(material, cell, primary, arms, sizes),
    }


def _curve(
    frame: "pd.DataFrame", metric: str, estimand: str | None, arm: str | None, sizes: list[int]
) -> list[list[float | None] | None]:
    """Value and Monte Carlo error at each size; None where the run has none."""
    rows = frame[frame["metric"] == metric]
    rows = rows[rows["estimand"].isna() if estimand is None else rows["estimand"] == estimand]
    rows = rows[rows["arm"].isna() if arm is None else rows["arm"] == arm]
    found = {row["n"]: [_rounded(row["value"]), _rounded(row["mcse"])] for row in rows_of(rows)}
    return [found.get(size) for size in sizes]


def _rounded(value: float) -> float | None:
    return round(float(value), DIGITS) if np.isfinite(value) else None


def _trials(
    material: Material, cell: Cell, primary: str, arms: tuple[str, ...], sizes: list[int]
) -> list[list[list[list[float | None]]]]:
    """Estimate, limits, true effect and success of the first trials, (trial, arm, size, number)."""
    folder, used = material.results.folder, material.results.provenance["replicates"]
    count = min(TRIALS, used[f"{cell.protocol}.{cell.scenario}"])
    rows = read_blocks(folder, cell, count, ("estimates",))["estimates"]
    places = {}
    keys = zip(
        rows["replicate"], np.asarray(rows["arm"]), rows["n"], np.asarray(rows["estimand"]), strict=True
    )
    for place, (replicate, arm, n, estimand) in enumerate(keys):
        if estimand == primary:
            places[int(replicate), str(arm), int(n)] = place
    columns = ("estimate", "low", "high", "truth", "success")

    def numbers(place: int | None) -> list[float | None]:
        return [] if place is None else [_rounded(rows[column][place]) for column in columns]

    return [
        [[numbers(places.get((trial, arm, size))) for size in sizes] for arm in arms]
        for trial in range(count)
    ]


def _variations(material: Material) -> Iterator[dict[str, Any]]:
    """Yield what was varied one at a time: success and duration at each size."""
    frame = material.table("sensitivity")
    if frame is None:
        return
    for (what, setting), rows in frame[frame["what"].notna()].groupby(["what", "setting"], sort=False):
        first = rows.iloc[0]
        curves: dict[str, dict[int, list[float | None]]] = {}
        for row in rows_of(rows):
            name = row["arm"] if isinstance(row["arm"], str) else row["metric"]
            curves.setdefault(name, {})[int(row["n"])] = [_rounded(row["value"]), _rounded(row["mcse"])]
        names = {"name": f"{what} {setting}", "protocol": first["protocol"], "scenario": first["scenario"]}
        yield names | {"curves": curves}
