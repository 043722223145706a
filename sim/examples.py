"""Three trials to look at: one that succeeds, one that does not, and one near the line."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.execution import Plan
from sim.replay import Trial, rebuild
from sim.results import Cell, Results, write_csv
from sim.study import Study

if TYPE_CHECKING:
    import pandas as pd


def shown(study: Study) -> list[str]:
    """Name the protocols that get examples: the main one, and every other that may end early."""
    main = study.main[0]
    return [main] + [name for name, p in study.protocols.items() if name != main and len(p.fractions) > 1]


def choose(study: Study, results: Results, name: str) -> tuple[str, dict[str, int]]:
    """Choose an arm and a replicate for each example, from the records of protocol ``name``.

    The arm is the one whose success rate is nearest to a half. The success and the failure are those with
    the median p-value of their kind; near the line is the trial whose p-value at the last look is nearest
    to the middle between the largest of a success and the smallest of a failure there.

    Returns
    -------
    tuple
        The arm, and the replicate by example; an example that no trial gives is left out.
    """
    protocol = study.protocols[name]
    primary = protocol.looks[0].analysis.estimand
    rows = results.of_estimand(Cell(name, study.main[1]), primary, protocol.n)
    rows = rows[rows["p"].notna()]
    rates = rows.groupby("arm", sort=False)["success"].mean()
    arm = str((rates - 0.5).abs().idxmin())
    mine = rows[rows["arm"] == arm]
    won = mine["success"].astype(bool)
    found = {"success": _median(mine[won]), "no success": _median(mine[~won])}
    taken = set(found.values())
    last = mine[(mine["look"] == len(protocol.fractions)) & ~mine["replicate"].isin(list(taken))]
    found["near the line"] = _near_the_line(last)
    return arm, {name: place for name, place in found.items() if place is not None}


def _median(rows: "pd.DataFrame") -> int | None:
    if rows.empty:
        return None
    ordered = rows.sort_values(["p", "replicate"], kind="stable")
    return int(ordered["replicate"].iloc[(len(ordered) - 1) // 2])


def _near_the_line(rows: "pd.DataFrame") -> int | None:
    won = rows["success"].astype(bool)
    if won.all() or not won.any():
        return None
    line = (rows.loc[won, "p"].max() + rows.loc[~won, "p"].min()) / 2
    return int(rows["replicate"].iloc[int(np.argmin(np.abs(rows["p"].to_numpy() - line)))])


def examples(study: Study, results: Results, plan: Plan) -> Iterator[dict[str, Any]]:
    """Rebuild the chosen trials and yield a row for each look of each comparison."""
    for name in shown(study):
        arm, chosen = choose(study, results, name)
        for example, replicate in chosen.items():
            trial = rebuild(study, (name, study.main[1]), replicate, plan)
            truth = _truth(trial)
            for row in trial.course():
                which = {"protocol": name, "example": example, "chosen_by": arm, "replicate": replicate}
                yield which | row | {"truth": truth.get(row["arm"])}


def _truth(trial: Trial) -> dict[str, Any]:
    """True value of the first analysis' estimand, by arm."""
    primary, size = trial.protocol.looks[0].analysis.estimand, trial.protocol.n
    return {row["arm"]: row["truth"] for row in trial.looks if (row["estimand"], row["n"]) == (primary, size)}


def write(folder: Path, study: Study, results: Results, plan: Plan) -> None:
    """Write ``examples.csv`` into the folder; nothing where no trial has an estimate."""
    rows = list(examples(study, results, plan))
    if rows:
        write_csv(folder / "examples.csv", rows)
