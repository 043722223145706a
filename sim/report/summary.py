"""The answer of a run: what each arm shows, and how many patients a trial of it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.report.limits import Limit, limits
from sim.report.material import Material, rows_of
from sim.report.notation import Interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Size:
    """Patients that an arm needs for a goal; ``patients`` is None where the goal is not reached."""

    patients: int | None
    low: float
    high: float
    reason: str


@dataclass(frozen=True)
class ArmAnswer:
    """What one arm shows.

    Attributes
    ----------
    responders
        Share of the randomised patients by endpoint at the primary visit, with its predictive interval.
    effect
        Against the control, on the primary estimand's scale; None for the control itself.
    sizes
        By target: power, assurance.
    limits
        What the evidence on its treatment cannot support.
    """

    name: str
    label: str
    responders: Mapping[str, Interval]
    effect: Interval | None
    sizes: Mapping[str, Size]
    limits: tuple[Limit, ...]

    @property
    def is_borrowed(self) -> bool:
        """Whether its effect stands in for one that nobody has reported."""
        return any(limit.kind == "borrowed" for limit in self.limits)


@dataclass(frozen=True)
class Summary:
    """The answer of a run for its main protocol and scenario.

    Attributes
    ----------
    trials
        Number of simulated trials behind it.
    goals
        Success rate wanted, by target.
    """

    arms: tuple[ArmAnswer, ...]
    trials: int
    goals: Mapping[str, float]


def summarise(material: Material) -> Summary:
    """Gather the answer from the tables and records of a run."""
    effects, sizes = true_effects(material), wanted_sizes(material)
    every = limits(material)
    answers = []
    for arm in material.protocol.arms:
        answers.append(
            ArmAnswer(
                name=arm.name,
                label=material.labels[arm.name],
                responders=_responders(material, arm.name),
                effect=effects.get(arm.name),
                sizes=_sizes(sizes, arm.name),
                limits=tuple(limit for limit in every if limit.treatment == arm.treatment),
            )
        )
    trials = material.results.provenance["replicates"][f"{material.main.protocol}.{material.main.scenario}"]
    return Summary(tuple(answers), trials, _goals(sizes))


def main_rows(material: Material, table: str) -> "pd.DataFrame":
    """Rows of a table that belong to the main protocol and scenario."""
    frame = material.results.table(table)
    mine = (frame["protocol"] == material.main.protocol) & (frame["scenario"] == material.main.scenario)
    return frame[mine]


def _responders(material: Material, arm: str) -> dict[str, Interval]:
    rows = main_rows(material, "responders")
    at = (
        (rows["arm"] == arm) & (rows["week"] == material.protocol.primary_week) & (rows["of"] == "randomised")
    )
    return {
        row["endpoint"]: Interval(row["mean"], row["low"], row["high"])
        for row in rows_of(rows[at])
        if row["endpoint"] in material.responses
    }


def true_effects(material: Material) -> dict[str, Interval]:
    """Effect of each compared arm on the primary estimand, with its 95 % interval over the simulated trials.

    Where every trial draws its own truth, the interval is that of the true effect (the predictive
    distribution of a new trial's effect). Where the truth is fixed, it is that of the trials' estimates.
    """
    chosen = material.primary_records
    column = "truth" if material.scenario.claims.is_drawn else "estimate"
    found = {}
    for arm in material.compared:
        rows = chosen[chosen["arm"] == arm]
        low, high = np.nanquantile(rows[column], [0.025, 0.975])
        found[arm] = Interval(float(np.nanmean(rows["truth"])), float(low), float(high))
    return found


def wanted_sizes(material: Material) -> "pd.DataFrame | None":
    """Rows of ``sample_sizes.csv`` that belong to the main protocol."""
    frame = material.table("sample_sizes")
    if frame is None or "protocol" not in frame:
        return frame
    return frame[frame["protocol"] == material.main.protocol]


def _goals(sizes: "pd.DataFrame | None") -> dict[str, float]:
    return {} if sizes is None else {str(row["target"]): float(row["goal"]) for row in rows_of(sizes)}


def _sizes(sizes: "pd.DataFrame | None", arm: str) -> dict[str, Size]:
    if sizes is None:
        return {}
    found = {}
    for row in rows_of(sizes[sizes["arm"] == arm]):
        patients = None if np.isnan(row["n_per_arm"]) else int(row["n_per_arm"])
        note = row["note"] if isinstance(row["note"], str) else ""
        found[str(row["target"])] = Size(patients, float(row["low"]), float(row["high"]), note)
    return found
