"""How far the answer depends on what is assumed, from the run's ``sensitivity.csv``."""

from pathlib import Path
from typing import TYPE_CHECKING

import sim.report.figures as figures
from sim.report.grid import Entry, Grid, grid
from sim.report.material import Material, rows_of
from sim.report.metrics import HEADINGS, SUCCESS
from sim.report.notation import measured, number
from sim.report.picture import Picture

if TYPE_CHECKING:
    import pandas as pd


def at_full_size(material: Material) -> "pd.DataFrame | None":
    """Read the variations at the trial's full size, without the run in which nothing is varied."""
    frame = material.table("sensitivity")
    if frame is None:
        return None
    varied: pd.DataFrame = frame[frame["what"].notna() & (frame["n"] == frame["n"].max())]
    return varied


def table(material: Material) -> Grid | None:
    """Each variation: success and duration, and their paired difference from what is assumed."""
    frame = at_full_size(material)
    if frame is None:
        return None
    rows: list[list[Entry | str]] = []
    for row in rows_of(frame):
        decimals = 3 if row["metric"] in SUCCESS else 1
        rows.append(
            [
                row["what"],
                row["setting"],
                _of_whom(material, row["arm"]),
                HEADINGS.get(row["metric"], SUCCESS.get(row["metric"], row["metric"])),
                Entry(measured(row["value"], row["mcse"], decimals), row["value"]),
                Entry(number(row["base"], decimals), row["base"]),
                Entry(measured(row["difference"], row["difference_mcse"], decimals), row["difference"]),
            ]
        )
    header = ["varied", "setting", "arm", "metric", "value", "as assumed", "difference"]
    return grid("One thing at a time, on the same patients (Monte Carlo error in brackets)", header, rows)


def _of_whom(material: Material, arm: object) -> str:
    return material.labels.get(str(arm), "whole trial")


def picture(material: Material, file: Path) -> Picture | None:
    """Draw the tornado of success, a panel an arm."""
    frame = at_full_size(material)
    if frame is None:
        return None
    frame = frame[frame["metric"].isin(list(SUCCESS)) & frame["arm"].isin(list(material.labels))]
    frame = frame.assign(panel=frame["arm"].map(material.labels))
    said = " ".join(
        f"{panel}: "
        + ", ".join(f"{r['what']} {r['setting']} {number(r['value'])}" for r in rows_of(mine))
        + "."
        for panel, mine in frame.groupby("panel", sort=False)
    )
    first = frame.iloc[0]
    metric = SUCCESS[first["metric"]]
    words = (
        f"Tornado of the {metric}. {said}",
        f"The {metric} when one thing of nature is otherwise (protocol '{first['protocol']}', scenario "
        f"'{first['scenario']}', {first['replicates']} trials each, the same patients). Line: as assumed.",
    )
    return Picture.keep(figures.tornado(frame, metric), frame, file, words)
