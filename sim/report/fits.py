"""What the report shows of the syntheses: effects, checks, exclusions, diagnostics and their figures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.report.grid import Entry, Grid, between, grid
from sim.report.material import Fit, rows_of
from sim.report.notation import NONE, Interval, number
from sim.report.pictures import Picture

DIAGNOSTICS = {
    "max_rhat": "largest R-hat (1 is perfect, above 1.01 is refused)",
    "min_ess_bulk": "smallest effective sample size, centre",
    "min_ess_tail": "smallest effective sample size, tails",
}
PARAMETERS = {
    "tau_effect": "SD of one treatment's effect between trials, points",
    "tau_response": "SD of the placebo response between trials, points",
    "omega": "SD of effects between treatments of one class, points",
    "response": "placebo response at the plateau, points (positive is improvement)",
    "response_half_weeks": "weeks to half of the placebo response",
    "effect_half_weeks": "weeks to half of a treatment's effect",
}


@dataclass(frozen=True)
class Synthesis:
    """What the report shows of one synthesis; None where the folder does not hold it."""

    name: str
    effects: Grid | None
    heterogeneity: Grid | None
    checks: Grid | None
    exclusions: Grid | None
    reasons: Grid | None
    diagnostics: Mapping[str, str]
    forest: Picture | None
    network: Picture | None


def gather(fit: Fit) -> Synthesis:
    """Gather what one synthesis left in the folder."""
    name = fit.name
    forest = "Forest plot: each treatment's effect against the reference with its 95 % interval"
    return Synthesis(
        name=name,
        effects=effects(fit),
        heterogeneity=heterogeneity(fit),
        checks=plain(fit, "check", f"Pooled results that did not enter '{name}', beside the fit"),
        exclusions=plain(fit, "exclusions", f"Rows left out of '{name}'"),
        reasons=reasons(fit),
        diagnostics=diagnostics(fit),
        forest=_picture(fit, "forest", forest),
        network=_picture(fit, "network", "Network: treatments as points, joined where trials compare them"),
    )


def _picture(fit: Fit, name: str, words: str) -> Picture | None:
    file = fit.figure(name)
    if file is None:
        return None
    return Picture(
        file, f"{words}. The numbers are in the table of effects.", f"{words} (synthesis '{fit.name}')."
    )


def _saved(fit: Fit, part: str) -> dict[str, Any]:
    """One part of ``diagnostics.json``; empty where it is not there."""
    file = fit.folder / "diagnostics.json"
    return dict(json.loads(file.read_text(encoding="utf-8")).get(part, {})) if file.exists() else {}


def diagnostics(fit: Fit) -> dict[str, str]:
    """Read the numbers that say whether the fit converged, as text by name."""
    content = _saved(fit, "diagnostics")
    numbers = {key: value for key, value in content.items() if isinstance(value, int | float)}
    return {DIAGNOSTICS.get(key, key.replace("_", " ")): _said(value) for key, value in numbers.items()}


def _said(value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value, 0 if float(value).is_integer() or value > 100 else 3)


def heterogeneity(fit: Fit) -> Grid | None:
    """How far trials and treatments differ, and the placebo response through time."""
    rows: list[list[Entry | str]] = [
        [
            PARAMETERS.get(name, name.replace("_", " ")),
            between(Interval(row["mean"], row["low"], row["high"])),
        ]
        for name, row in _saved(fit, "heterogeneity").items()
    ]
    caption = f"What else the synthesis '{fit.name}' found"
    return grid(caption, ["quantity", "mean (95 % interval)"], rows) if rows else None


def effects(fit: Fit) -> Grid | None:
    """What the synthesis found for each treatment against its reference."""
    frame = fit.table("effects")
    if frame is None:
        return None
    rows: list[list[Entry | str]] = [
        [
            str(row["treatment"]).replace("_", " "),
            str(row["class"]).replace("_", " "),
            between(Interval(row["mean"], row["low"], row["high"])),
            Entry(number(row["sd"]), row["sd"]),
            Entry(number(row["trials"], 0), row["trials"]),
            _patients(row),
            str(row["basis"]),
        ]
        for row in rows_of(frame)
    ]
    header = ["treatment", "class", "effect (95 % interval)", "SD", "trials", "patients", "basis"]
    return grid(f"Effects from the synthesis '{fit.name}', points of 10, negative is better", header, rows)


def _patients(row: Mapping[str, Any]) -> Entry:
    """Patients on a treatment; 0 where there are trials means that none of them prints it."""
    if row["trials"] and not row["patients"]:
        return Entry("not printed")
    return Entry(number(row["patients"], 0), row["patients"])


def reasons(fit: Fit) -> Grid | None:
    """How many rows of the evidence were left out, by reason."""
    frame = fit.table("exclusions")
    if frame is None or "reason" not in frame:
        return None
    counts = frame["reason"].value_counts()
    rows: list[list[Entry | str]] = [
        [str(reason), Entry(number(count, 0), float(count))] for reason, count in counts.items()
    ]
    return grid(f"Why rows were left out of '{fit.name}'", ["reason", "rows"], rows)


def plain(fit: Fit, name: str, caption: str) -> Grid | None:
    """One of a synthesis' tables as it stands."""
    frame = fit.table(name)
    if frame is None:
        return None
    rows: list[list[Entry | str]] = [
        [_plain(value) for value in row] for row in frame.itertuples(index=False)
    ]
    return grid(caption, [str(column).replace("_", " ") for column in frame.columns], rows)


def _plain(value: Any) -> Entry | str:
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return NONE
    return Entry(number(float(value), 0 if float(value).is_integer() else 2), float(value))
