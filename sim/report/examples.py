"""The example trials, look by look, from the run's ``examples.csv``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import sim.report.figures as figures
from sim.report.figures.examples import ENDED
from sim.report.grid import Entry, Grid, grid
from sim.report.material import Material, rows_of
from sim.report.notation import Interval, number
from sim.report.picture import Picture
from sim.report.truth import axis

if TYPE_CHECKING:
    import pandas as pd

TITLES = {
    "success": "A trial that succeeds",
    "no success": "A trial that does not succeed",
    "near the line": "A trial near the line",
}


def told(material: Material) -> "pd.DataFrame | None":
    """Read the examples with their titles and labels; None where the run has none."""
    frame = material.table("examples")
    if frame is None:
        return None
    titles, names = zip(*[_titled(material, row) for row in rows_of(frame)], strict=True)
    return frame.assign(example=list(titles), label=list(names))


def _titled(material: Material, row: dict[str, Any]) -> tuple[str, str]:
    """Title of a row's trial, and the label of the row in it."""
    name = row["protocol"]
    protocol, arm = material.study.protocols[name], material.labels_of(name)
    which = [name] if len(material.study.protocols) > 1 else []
    which.append(f"replicate {row['replicate']}")
    compared = protocol.estimands[protocol.looks[0].analysis.estimand].contrast.of
    if len(compared) > 1:
        which.append(f"by {arm[row['chosen_by']]}")
    label = arm[row["arm"]]
    if len(protocol.fractions) > 1:
        label = f"{label}, look {row['look']}"
    return f"{TITLES[row['example']]} ({', '.join(which)})", label


def table(material: Material) -> Grid | None:
    """Every look of every example: patients, estimate, p-value and decision."""
    frame = told(material)
    if frame is None:
        return None
    rows = [_row(material, row) for row in rows_of(frame)]
    header = [
        "trial",
        "arm",
        "look",
        "patients",
        "estimate (95 % interval)",
        "one-sided p",
        "true effect",
        "decision",
    ]
    return grid("Example trials look by look", header, rows)


def _row(material: Material, row: dict[str, Any]) -> list[Entry | str]:
    estimate = Interval(row["estimate"], row["low"], row["high"])
    return [
        row["example"],
        material.labels_of(row["protocol"])[row["arm"]],
        Entry(f"{row['look']}", row["look"]),
        Entry(f"{row['patients']}", row["patients"]),
        Entry(estimate.words(), row["estimate"] if row["estimate"] == row["estimate"] else None),
        Entry(_p(row["p"]), row["p"] if row["p"] == row["p"] else None),
        Entry(number(row["truth"]), row["truth"] if row["truth"] == row["truth"] else None),
        ENDED[row["decision"]][2],
    ]


def _p(value: float) -> str:
    return "<0.0001" if value < 0.00005 else number(value, 4)


def replays(material: Material) -> list[str]:
    """Commands that rebuild the examples patient by patient."""
    frame = material.table("examples")
    if frame is None:
        return []
    places = dict.fromkeys(zip(frame["protocol"], frame["replicate"], strict=True))
    scenario = material.main.scenario
    return [f"sim replay study.yaml --protocol {p} --scenario {scenario} --replicate {r}" for p, r in places]


def picture(material: Material, file: Path) -> Picture | None:
    """Draw the examples."""
    frame = told(material)
    if frame is None:
        return None
    said = " ".join(
        f"{title}: {', '.join(_seen(row) for row in rows_of(mine))}."
        for title, mine in frame.groupby("example", sort=False)
    )
    words = (
        f"Estimates with 95 % intervals of three simulated trials. {said}",
        f"Single simulated trials of scenario '{material.main.scenario}'.",
    )
    return Picture.keep(figures.example_trials(frame, axis(material)), frame, file, words)


def _seen(row: dict[str, Any]) -> str:
    return f"{row['label']} {number(row['estimate'])}, {ENDED[row['decision']][2]}"
