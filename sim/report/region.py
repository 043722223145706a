"""The type I error over a region of nuisance values, from the run's ``region.csv``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import sim.report.figures as figures
from sim.region import ANY
from sim.report.grid import Entry, Grid, grid
from sim.report.material import Material, rows_of
from sim.report.notation import measured, number
from sim.report.picture import Picture
from sim.rules.significance import Significance

if TYPE_CHECKING:
    import pandas as pd

FIXED = ("protocol", "hypothesis", "value", "mcse", "high", "replicates")
"""Columns that are no nuisance value."""
MOST_CELLS = 40
"""Cells that a figure has room for; of more, those with the largest error are drawn."""


def cells(material: Material) -> "pd.DataFrame | None":
    """Read every cell with its values in words; None where no region was run."""
    frame = material.table("region")
    if frame is None:
        return None
    over = [name for name in frame.columns if name not in FIXED]
    words = [", ".join(f"{_short(name)} {row[name]:g}" for name in over) for row in rows_of(frame)]
    return frame.assign(cell=words)


def _short(path: str) -> str:
    """Last part of a claim's path: what it is."""
    return " ".join(path.split(".")[-2:]).replace("_", " ")


def _named(row: dict[str, Any]) -> str:
    """Say a hypothesis: its estimand and its arm."""
    return "any of them" if row["hypothesis"] == ANY else str(row["hypothesis"]).replace(".", " ")


def _level(material: Material, row: dict[str, Any]) -> float:
    """Level that is claimed for a hypothesis; for any of them only where they share one."""
    protocol = material.study.protocols.get(row["protocol"])
    if protocol is None or (row["hypothesis"] == ANY and protocol.multiplicity is None):
        return float("nan")
    estimand = str(row["hypothesis"]).split(".")[0]
    looks = [
        look for look in protocol.looks if look.analysis.estimand == estimand or row["hypothesis"] == ANY
    ]
    rule = looks[0].rule if looks else None
    return rule.alpha if isinstance(rule, Significance) else float("nan")


def table(material: Material) -> Grid | None:
    """Every cell: its error, and the bound that holds for all cells of the hypothesis together."""
    frame = cells(material)
    if frame is None:
        return None
    rows: list[list[Entry | str]] = [
        [
            row["protocol"],
            row["hypothesis"],
            row["cell"],
            Entry(measured(row["value"], row["mcse"], 4), row["value"]),
            Entry(number(row["high"], 4), row["high"]),
        ]
        for row in rows_of(frame.sort_values("value", ascending=False, kind="stable"))
    ]
    header = ["protocol", "hypothesis", "nuisance values", "type I error", "at most, all cells together"]
    return grid("Type I error over the region, largest first (Monte Carlo error in brackets)", header, rows)


def picture(material: Material, file: Path) -> Picture | None:
    """Draw the errors of the cells."""
    frame = cells(material)
    if frame is None:
        return None
    worst = frame.groupby("cell")["value"].max().nlargest(MOST_CELLS).index
    frame = frame[frame["cell"].isin(list(worst))]
    several = len(set(frame["protocol"])) > 1
    titles = [f"{r['protocol']}: {_named(r)}" if several else _named(r) for r in rows_of(frame)]
    frame = frame.assign(panel=titles, level=[_level(material, row) for row in rows_of(frame)])
    said = "; ".join(
        f"{panel}: {number(mine['value'].min(), 3)} to {number(mine['value'].max(), 3)}"
        for panel, mine in frame.groupby("panel", sort=False)
    )
    words = (
        f"Type I error at each combination of nuisance values. {said}.",
        "Type I error over a region of values that nature may have, with 95 % Monte Carlo errors.",
    )
    return Picture.keep(figures.type_1_errors(frame), frame, file, words)
