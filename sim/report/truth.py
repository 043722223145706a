"""How success depends on the true effect: what the prior leaves open, apart from the Monte Carlo error."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import sim.report.figures as figures
from sim.estimand import SUMMARY_WORDS
from sim.performance import proportion
from sim.report.grid import Entry, Grid, grid
from sim.report.material import Material, rows_of
from sim.report.notation import measured, number
from sim.report.picture import Picture

if TYPE_CHECKING:
    import pandas as pd

GROUPS = 10
"""Equal shares of the trials, by their true effect."""


def groups(material: Material) -> "pd.DataFrame | None":
    """Success in each tenth of the main trial's true effects, by arm; None where all share one truth."""
    import pandas as pd

    if not material.scenario.claims.is_drawn:
        return None
    rows = material.primary_records
    found = []
    for arm, mine in rows[rows["truth"].notna()].groupby("arm", sort=False):
        ordered = mine.sort_values("truth", kind="stable")
        found += [{"arm": material.labels[str(arm)]} | group for group in _tenths(ordered)]
    return pd.DataFrame(found) if found else None


def _tenths(ordered: "pd.DataFrame") -> Iterator[dict[str, Any]]:
    """Yield each equal share of trials in the order of their true effect, with its success rate."""
    truths, won = ordered["truth"].to_numpy(), ordered["success"].to_numpy(dtype=bool)
    whole = proportion(won)
    for place, part in enumerate(np.array_split(np.arange(len(won)), min(GROUPS, len(won)))):
        rate = proportion(won[part])
        yield {
            "tenth": place + 1, "truth": truths[part].mean(),
            "low": truths[part[0]], "high": truths[part[-1]],
            "value": rate.value, "mcse": rate.mcse, "assurance": whole.value, "assurance_mcse": whole.mcse,
        }  # fmt: skip


def table(material: Material) -> Grid | None:
    """Assurance with its Monte Carlo error, beside power in the extreme and middle tenths of effects."""
    frame = groups(material)
    if frame is None:
        return None
    rows: list[list[Entry | str]] = []
    for arm, mine in frame.groupby("arm", sort=False):
        tenths = rows_of(mine)
        middle = tenths[len(tenths) // 2 - 1 : len(tenths) // 2 + 1]
        centre = float(np.mean([row["value"] for row in middle]))
        error = float(np.hypot(*[row["mcse"] for row in middle]) / 2) if len(middle) == 2 else np.nan
        whole = tenths[0]
        rows.append(
            [
                str(arm),
                Entry(measured(whole["assurance"], whole["assurance_mcse"]), whole["assurance"]),
                *_end(tenths[0]),
                Entry(measured(centre, error), centre),
                *_end(tenths[-1]),
            ]
        )
    header = [
        "arm", "assurance", "true effect, lowest tenth", "power, lowest tenth", "power, middle fifth",
        "true effect, highest tenth", "power, highest tenth",
    ]  # fmt: skip
    return grid("Assurance and what it averages over (Monte Carlo error in brackets)", header, rows)


def _end(row: dict[str, float]) -> list[Entry | str]:
    between = f"{number(row['low'])} to {number(row['high'])}"
    return [between, Entry(measured(row["value"], row["mcse"]), row["value"])]


def axis(material: Material) -> str:
    """Name the axis of the main protocol's effect, with its unit."""
    return axis_of(material, material.main.protocol)


def axis_of(material: Material, name: str) -> str:
    """Name the axis of a protocol's primary effect, with its unit and its direction."""
    protocol = material.study.protocols[name]
    estimand = protocol.estimands[protocol.looks[0].analysis.estimand]
    unit = " (points)" if estimand.summary == "mean_difference" else ""
    better = estimand.better(protocol.endpoints[estimand.endpoint])
    sign = "negative" if better == "lower" else "positive"
    return f"{SUMMARY_WORDS[estimand.summary]}{unit}; {sign} favours the treatment"


def picture(material: Material, file: Path) -> Picture | None:
    """Draw success against the true effect."""
    frame = groups(material)
    if frame is None:
        return None
    said = "; ".join(
        f"{arm}: from {number(mine['value'].min())} to {number(mine['value'].max())}, on average "
        f"{number(mine['assurance'].iloc[0])}"
        for arm, mine in frame.groupby("arm", sort=False)
    )
    words = (
        f"Success against the true effect, by arm. {said}.",
        "Success by the true effect that a trial draws: each point is a tenth of the simulated trials, with "
        "its 95 % Monte Carlo error; the line is their average, the assurance. The spread of the points "
        "along the axis is the prior uncertainty, which more simulated trials do not take away.",
    )
    return Picture.keep(figures.success_by_truth(frame, f"true {axis(material)}"), frame, file, words)
