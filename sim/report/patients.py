"""The virtual patients of a run as tables: beside the reported ones, and those who were not admitted."""

from collections.abc import Iterator, Mapping
from typing import Any

from sim.report.grid import Entry, Grid, grid
from sim.report.material import Material, rows_of
from sim.report.notation import NONE, measured, number

ANY = "any rule"
REASONS = {
    "any": "leaving the study",
    "adverse_event": "stopping for an adverse event",
    "inefficacy": "stopping for lack of efficacy",
    "other": "stopping for another reason",
}


def baseline(material: Material) -> Grid | None:
    """Every baseline measure, simulated beside reported; None where the run has no such table."""
    rows: list[list[Entry | str]] = [
        [
            row["protocol"],
            row["scenario"],
            str(row["measure"]).replace("_", " "),
            row["units"],
            Entry(_summary(row["mean"], row["sd"]), row["mean"]),
            _number(_summary(row["reported_mean"], row["reported_sd"]), row["reported_mean"]),
            _number(number(row["difference"]), row["difference"]),
            row["source"] if isinstance(row["source"], str) else NONE,
        ]
        for row in _rows(material, "baseline")
    ]
    if not rows:
        return None
    header = ["protocol", "scenario", "measure", "units", "simulated", "reported", "difference", "source"]
    return grid("Baseline of the enrolled patients: mean (SD), or share", header, rows)


def screening(material: Material) -> Grid | None:
    """Shares of those who present whom the entry rules turn away; None where no rule is applied."""
    rows: list[list[Entry | str]] = [
        [
            row["protocol"],
            row["scenario"],
            ANY if row["rule"] == "any" else str(row["rule"]).replace("_", " "),
            Entry(measured(row["share"], row["mcse"]), row["share"]),
        ]
        for row in _rows(material, "screening")
    ]
    header = ["protocol", "scenario", "rule on", "share not admitted"]
    return grid("Screen failure: who presents and is not randomised", header, rows) if rows else None


def losses(material: Material) -> Grid | None:
    """Shares lost by the last visit and wherever a trial reports them, by arm and reason."""
    frame = material.table("losses")
    if frame is None:
        return None
    last = frame.groupby("protocol")["week"].transform("max")
    known = frame["reported"].notna()
    shown = frame[(known | ((frame["week"] == last) & (frame["share"] > 0)))]
    rows: list[list[Entry | str]] = [
        [
            row["protocol"],
            row["scenario"],
            row["arm"],
            REASONS[row["reason"]],
            Entry(f"{row['week']:g}", row["week"]),
            Entry(measured(row["share"], row["mcse"]), row["share"]),
            _number(number(row["reported"], 3), row["reported"]),
            _number(number(row["reported_week"], 0), row["reported_week"]),
            row["source"] if isinstance(row["source"], str) else NONE,
        ]
        for row in rows_of(shown)
    ]
    header = [
        "protocol",
        "scenario",
        "arm",
        "lost by",
        "week",
        "simulated",
        "reported",
        "reported week",
        "source",
    ]
    return grid("Losses by arm and reason, share of those randomised", header, rows) if rows else None


def _rows(material: Material, name: str) -> Iterator[Mapping[str, Any]]:
    """Rows of a table, of one scenario for each population."""
    frame = material.table(name)
    chosen: dict[str, Any] = {}
    for scenario, nature in material.study.scenarios.items():
        if nature.population not in chosen.values():
            chosen[scenario] = nature.population
    if frame is not None:
        yield from rows_of(frame[frame["scenario"].isin(list(chosen))])


def _summary(mean: float, sd: float) -> str:
    return number(mean) if sd != sd else f"{number(mean)} ({number(sd)})"


def _number(text: str, value: float) -> Entry:
    return Entry(text, value) if value == value else Entry(NONE)
