"""Which figures a run gets, drawn from its tables into ``figures/``."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import sim.report.examples as examples
import sim.report.figures as figures
import sim.report.front as front
import sim.report.looks as looks
import sim.report.operations as operations
import sim.report.region as region
import sim.report.sensitivity as sensitivity
import sim.report.truth as truth
from sim.performance import success_metric
from sim.report.material import Material, rows_of
from sim.report.metrics import SUCCESS
from sim.report.notation import number
from sim.report.picture import Picture
from sim.report.summary import main_rows

if TYPE_CHECKING:
    import pandas as pd


def draw(material: Material) -> dict[str, Picture | None]:
    """Draw every figure, by name; None where the run has no data for it."""
    folder = material.results.folder / "figures"
    return {name: make(material, folder / f"{name}.png") for name, make in MAKERS.items()}


def _schema(material: Material, file: Path) -> Picture:
    """Draw the main protocol: its arms over the weeks."""
    import pandas as pd

    protocol, scenario = material.protocol, material.scenario
    rows, until = [], protocol.last_week
    for arm in protocol.arms:
        treatment = scenario.treatments[arm.treatment]
        weeks = treatment.weeks
        known = weeks is not None and not weeks.synthesis_names()
        end = weeks.mean({}) if weeks is not None and known else until
        patients = round(protocol.n * arm.ratio / sum(protocol.ratio))
        rows.append({"arm": material.labels[arm.name], "patients": patients, "start": 0.0, "end": end})
    frame = pd.DataFrame(rows)
    said = "; ".join(f"{r['arm']}: {r['patients']} patients, treated to week {r['end']:g}" for r in rows)
    words = (
        f"Schema of the trial: {protocol.n} patients are randomised to {len(rows)} arms. {said}.",
        f"The trial '{material.main.protocol}': who gets what, for how long, and when patients are seen.",
    )
    panels = figures.trial_schema(
        frame, protocol.visits, protocol.primary_week, material.labels[material.control]
    )
    return Picture.keep(panels, frame, file, words)


def _responders(material: Material, file: Path) -> Picture | None:
    week = material.protocol.primary_week
    rows = main_rows(material, "responders")
    rows = rows[
        (rows["week"] == week) & (rows["of"] == "randomised") & rows["endpoint"].isin(material.responses)
    ]
    if rows.empty:
        return None
    rows = rows.assign(
        arm=rows["arm"].map(material.labels), endpoint=rows["endpoint"].map(material.responses)
    )
    said = "; ".join(
        f"{endpoint}: " + ", ".join(f"{row['arm']} {number(row['mean'])}" for row in rows_of(mine))
        for endpoint, mine in rows.groupby("endpoint", sort=False)
    )
    words = (
        f"Bars of the share of patients who respond at week {week:g}, by arm. {said}.",
        f"Who responds at week {week:g}, {_where(material)}. No rating counts as no response.",
    )
    panels = figures.responder_bars(rows, material.labels[material.control])
    return Picture.keep(panels, rows, file, words)


def _where(material: Material) -> str:
    return f"scenario '{material.main.scenario}', {material.protocol.n} patients a trial"


def _courses(material: Material, file: Path) -> Picture:
    rows = main_rows(material, "courses")
    rows = rows.assign(arm=rows["arm"].map(material.labels))
    last = rows[rows["week"] == rows["week"].max()]
    said = ", ".join(f"{row['arm']} {number(row['mean'], 1)}" for row in rows_of(last))
    words = (
        f"Lines of mean pain over time, each arm beside the control. At week {rows['week'].max():g}: {said}.",
        f"Mean pain of the patients who were rated, {_where(material)}.",
    )
    panels = figures.pain_courses(rows, material.labels[material.control])
    return Picture.keep(panels, rows, file, words)


def _sizes(material: Material, file: Path) -> Picture | None:
    """Draw the curves that the sample-size search left."""
    curve, wanted = material.table("size_curve"), material.table("sample_sizes")
    if curve is None or wanted is None:
        return None
    curve = curve[curve["arm"].isin(material.labels)]
    title = "{} (scenario '{}')".format
    curve = curve.assign(
        panel=[title(t.capitalize(), s) for t, s in zip(curve["target"], curve["scenario"], strict=True)],
        arm=curve["arm"].map(material.labels),
    )
    goals = {title(row["target"].capitalize(), row["scenario"]): row["goal"] for row in rows_of(wanted)}
    words = (
        f"Lines of the share of trials that succeed against patients per arm. {_ends(curve)}",
        "How success grows with the number of patients. Bands: 95 % Monte Carlo error. Line: the goal.",
    )
    return Picture.keep(figures.success_curves(curve, goals), curve, file, words)


def _curve(material: Material, file: Path) -> Picture | None:
    """Draw success at the sizes that the main protocol itself looks at, a panel a scenario."""
    curve = material.table("power_curve")
    if curve is None or not material.protocol.sizes:
        return None
    mine = (curve["protocol"] == material.main.protocol) & (curve["estimand"] == material.primary)
    panels = {
        name: f"{SUCCESS[success_metric(scenario)].capitalize()} (scenario '{name}')"
        for name, scenario in material.study.scenarios.items()
        if not scenario.null
    }
    curve = curve[mine & curve["scenario"].isin(list(panels))]
    curve = curve.assign(
        panel=curve["scenario"].map(panels),
        n_per_arm=[_per_arm(material, n, arm) for n, arm in zip(curve["n"], curve["arm"], strict=True)],
        arm=curve["arm"].map(material.labels),
    )
    words = (
        f"Lines of the share of trials that succeed against patients per arm, by scenario. {_ends(curve)}",
        f"Success on the primary estimand at smaller sizes of the same trial, up to {material.protocol.n} "
        "patients in all. Bands: 95 % Monte Carlo error.",
    )
    return Picture.keep(figures.success_curves(curve, {}), curve, file, words)


def _per_arm(material: Material, total: int, arm: str) -> float:
    ratio = material.protocol.ratio
    return total * material.protocol.ratio_of(arm) / sum(ratio)


def _ends(curve: "pd.DataFrame") -> str:
    return " ".join(
        f"{panel}: {', '.join(_last(rows))}." for panel, rows in curve.groupby("panel", sort=False)
    )


def _last(rows: "pd.DataFrame") -> Iterator[str]:
    for arm, mine in rows.groupby("arm", sort=False):
        end = mine.iloc[-1]
        yield f"{arm} {number(end['value'])} at {number(end['n_per_arm'], 0)}"


MAKERS: dict[str, Callable[[Material, Path], Picture | None]] = {
    "schema": _schema,
    "bounds": looks.picture,
    "responders": _responders,
    "courses": _courses,
    "sizes": _sizes,
    "front": front.picture,
    "curve": _curve,
    "truth": truth.picture,
    "region": region.picture,
    "examples": examples.picture,
    "sensitivity": sensitivity.picture,
    **operations.MAKERS,
}
"""What draws each figure, by its name."""
