"""The figures of how trials run, from the run's ``timeline.csv``, ``patients.csv`` and costs."""

from pathlib import Path
from typing import TYPE_CHECKING

import sim.report.figures.operations as figures
from sim.performance import success_metric
from sim.report.material import Material, rows_of
from sim.report.metrics import SUCCESS
from sim.report.notation import number
from sim.report.picture import Picture

if TYPE_CHECKING:
    import pandas as pd

LOAD = "load "


def _recruitment(material: Material, file: Path) -> Picture | None:
    frame = material.table("timeline")
    if frame is None:
        return None
    frame = frame[(frame["quantity"] == "randomised") & (frame["protocol"] == frame["protocol"].iloc[0])]
    name = str(frame["protocol"].iloc[0])
    target = material.study.protocols[name].n
    reached = frame[frame["mean"] >= 0.99 * target]
    when = f"on average by week {reached['week'].iloc[0]:g}" if len(reached) else "not in every trial"
    words = (
        f"Fan of patients randomised by week towards the target of {target}; it is reached {when}.",
        f"Recruitment, protocol '{name}', scenario '{material.main.scenario}', 128 trials; to the last "
        "patient, as if no look ended a trial early.",
    )
    return Picture.keep(figures.recruitment_fan(frame, target), frame, file, words)


def _waiting(material: Material, file: Path) -> Picture | None:
    frame = material.table("timeline")
    if frame is None or not frame["quantity"].ne("randomised").any():
        return None
    frame = frame[frame["quantity"] != "randomised"]
    frame = frame.assign(panel=[_panel(material, str(quantity)) for quantity in frame["quantity"]])
    most = frame[frame["quantity"] == "waiting"].groupby("protocol", sort=False)["mean"].max()
    said = ", ".join(f"{name} {number(value, 1)}" for name, value in most.items())
    shown = ["who waits for treatment"] if said else []
    shown += ["how busy clinics are"] if frame["panel"].str.contains("sessions").any() else []
    shown += ["how many appointments are kept"] if frame["panel"].str.contains("appointments").any() else []
    most_wait = f" Most who wait on average: {said}." if said else ""
    words = (
        f"Lines by week: {' and '.join(shown)}.{most_wait}",
        f"{' and '.join(shown).capitalize()}, scenario '{material.main.scenario}', 128 trials a protocol.",
    )
    return Picture.keep(figures.waiting_and_load(frame), frame, file, words)


def _panel(material: Material, quantity: str) -> str:
    if not quantity.startswith(LOAD):
        return "patients waiting"
    arms = quantity.removeprefix(LOAD).split(" and ")
    names = " and ".join(material.labels.get(arm, arm) for arm in arms)
    given = (
        "share of sessions given" if all(arm in material.labels for arm in arms) else "appointments, share"
    )
    return f"{given},\n{names}"


def _patients(material: Material, file: Path) -> Picture | None:
    frame = material.table("patients")
    if frame is None:
        return None
    name = str(frame["protocol"].iloc[0])
    labels = material.labels_of(name)
    shown = frame.assign(arm=frame["arm"].map(labels))
    waits = int((frame["begins"].isna() | (frame["begins"] > frame["randomised"] + 1e-9)).sum())
    step = int(frame["patient"].diff().min()) if len(frame) > 1 else 1
    which = f"one patient in {step}" if step > 1 else "all patients"
    words = (
        f"Lines of {len(frame)} patients of one trial from randomisation to the last visit; "
        f"{waits} wait for treatment or never begin, {int(frame['left'].astype(bool).sum())} leave.",
        f"The first simulated trial by patient, protocol '{name}': {which}, in the order of randomisation.",
    )
    return Picture.keep(figures.gantt(shown), shown, file, words)


def _money(material: Material, file: Path) -> Picture | None:
    points = costs(material)
    if points is None:
        return None
    scenario = material.scenario
    success = SUCCESS[success_metric(scenario)]
    money = scenario.costs.currency if scenario.costs else ""
    said = "; ".join(
        f"{row['protocol']}, {row['n']} patients: {number(row['cost'], 0)} {money}, {number(row['value'])}"
        for row in rows_of(points)
    )
    words = (
        f"Points of {success} against the cost of a trial. {said}.",
        "What a trial costs and how often it succeeds on the primary estimand, scenario "
        f"'{material.main.scenario}'. Upright lines: 95 % Monte Carlo error.",
    )
    return Picture.keep(figures.cost_against_success(points, money, success), points, file, words)


def costs(material: Material) -> "pd.DataFrame | None":
    """Cost and success by protocol and size under the main scenario; None where it has no prices."""
    frame = material.results.characteristics
    frame = frame[frame["scenario"] == material.main.scenario]
    whole = frame[frame["arm"].isna() & frame["estimand"].isna()]
    wide = whole.pivot_table(index=["protocol", "n"], columns="metric", values="value", sort=False)
    if "cost" not in wide:
        return None
    kept = wide[["cost", "cost_q05", "cost_q95"]].rename(columns={"cost_q05": "low", "cost_q95": "high"})
    success = frame[frame["metric"].isin(list(SUCCESS)) & (frame["estimand"] == material.primary)]
    success = success.drop_duplicates(["protocol", "n"])[["protocol", "n", "value", "mcse"]]
    return kept.reset_index().merge(success, on=["protocol", "n"])


MAKERS = {"recruitment": _recruitment, "waiting": _waiting, "patients": _patients, "money": _money}
"""Each figure by name; None where the run has no data for it."""
