"""The tables of the report, as rows of cells that carry their exact value."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sim.report.grid import Entry, Grid, between, grid
from sim.report.material import Material, rows_of
from sim.report.metrics import DECIMALS, HEADINGS, SUCCESS
from sim.report.notation import NONE, Interval, measured, number
from sim.report.summary import Summary, main_rows
from sim.report.words import size_words

if TYPE_CHECKING:
    import pandas as pd


def answer(material: Material, summary: Summary) -> Grid:
    """Each arm's responders, effect and wanted sizes."""
    rows: list[list[Entry | str]] = []
    for arm in summary.arms:
        mark = " *" if arm.is_borrowed else ""
        shares = [between(arm.responders.get(name)) for name in material.responses]
        sizes = [size_words(arm.sizes.get(target)) for target in summary.goals]
        rows.append([arm.label + mark, *shares, between(arm.effect), *sizes])
    wanted = [f"patients per arm, {target} {goal:g}" for target, goal in summary.goals.items()]
    header = ["arm", *material.responses.values(), "effect against control", *wanted]
    return grid(f"What each arm shows at week {material.protocol.primary_week:g}", header, rows)


def responders(material: Material) -> Grid:
    """Shares of responders at every visit, of the randomised and of the observed patients."""
    rows: list[list[Entry | str]] = []
    frame = main_rows(material, "responders")
    frame = frame[frame["endpoint"].isin(material.responses)]
    for (arm, week), group in frame.groupby(["arm", "week"], sort=False):
        found = {(row["endpoint"], row["of"]): row for row in rows_of(group)}
        shares = [
            _share(found, (name, of)) for name in material.responses for of in ("randomised", "observed")
        ]
        rows.append([material.labels[str(arm)], f"{week:g}", *shares])
    heads = [
        f"{label}, of the {of}" for label in material.responses.values() for of in ("randomised", "observed")
    ]
    return grid(
        "Share of responders by arm and week (95 % predictive interval)", ["arm", "week", *heads], rows
    )


def _share(found: Mapping[tuple[str, str], Mapping[str, Any]], key: tuple[str, str]) -> Entry:
    row = found.get(key)
    return between(Interval(row["mean"], row["low"], row["high"]) if row else None)


def courses(material: Material) -> Grid:
    """Mean pain by arm and week, with the SD between patients."""
    rows: list[list[Entry | str]] = [
        [
            material.labels[row["arm"]],
            f"{row['week']:g}",
            between(Interval(row["mean"], row["low"], row["high"])),
            Entry(number(row["sd"]), row["sd"]),
        ]
        for row in rows_of(main_rows(material, "courses"))
    ]
    header = ["arm", "week", "mean pain, points", "SD between patients"]
    return grid("Mean pain by arm and week (95 % predictive interval)", header, rows)


def sizes(material: Material) -> Grid | None:
    """The wanted sample sizes with their uncertainty."""
    frame = material.table("sample_sizes")
    if frame is None:
        return None
    rows: list[list[Entry | str]] = []
    for row in rows_of(frame):
        reached = row["n_per_arm"] == row["n_per_arm"]
        per_arm = Interval(row["n_per_arm"], row["low"], row["high"]).words(0) if reached else "not reached"
        rows.append(
            [
                f"{row['target']} {row['goal']:g}",
                row["scenario"],
                material.labels.get(row["arm"], row["arm"]),
                Entry(per_arm, row["n_per_arm"] if reached else None),
                Entry(number(row["n_total"], 0), row["n_total"] if reached else None),
                Entry(measured(row["value"], row["mcse"]), row["value"]),
                row["note"] if isinstance(row["note"], str) else "",
            ]
        )
    header = [
        "wanted",
        "scenario",
        "arm",
        "patients per arm (95 % interval)",
        "patients in all",
        "success there",
        "remark",
    ]
    return grid("How many patients are needed", header, rows)


def _metric(row: Mapping[str, Any]) -> Entry:
    text = measured(row["value"], row["mcse"], DECIMALS.get(row["metric"], 3))
    return Entry(text, None if row["value"] != row["value"] else row["value"])


def _wide(
    frame: "pd.DataFrame", keys: list[str], name: Callable[[Mapping[str, Any]], list[str]]
) -> list[list[Entry | str]]:
    """Lay metrics side by side: one row for each value of ``keys``, one cell a metric."""
    metrics = ordered(frame["metric"])
    rows: list[list[Entry | str]] = []
    for _, group in frame.groupby(keys, sort=False, dropna=False):
        records = rows_of(group)
        found = {row["metric"]: row for row in records}
        cells = [_metric(found[metric]) if metric in found else Entry(NONE) for metric in metrics]
        rows.append([*name(records[0]), *cells])
    return rows


def ordered(metrics: "pd.Series") -> list[str]:
    """Return the metrics that are there in the order of the report, unknown ones last."""
    there = list(dict.fromkeys(metrics))
    return [name for name in HEADINGS if name in there] + [name for name in there if name not in HEADINGS]


def heads(metrics: Sequence[str]) -> list[str]:
    """Column heads of metrics."""
    return [HEADINGS.get(metric, metric.replace("_", " ")) for metric in metrics]


def at_full_size(material: Material) -> "pd.DataFrame":
    """Operating characteristics at each protocol's own number of patients."""
    frame = material.results.characteristics
    return frame[
        frame["n"] == frame["protocol"].map({name: p.n for name, p in material.study.protocols.items()})
    ]


def success(material: Material) -> Grid:
    """Success rate, truth, bias, coverage and errors by scenario, estimand and arm."""
    frame = at_full_size(material)
    frame = frame[frame["estimand"].notna() & (frame["metric"] != "responder_rate")]
    rates = frame["metric"].isin(list(SUCCESS))
    which = dict(zip(frame.loc[rates, "scenario"], frame.loc[rates, "metric"].map(SUCCESS), strict=True))
    frame = frame.assign(metric=frame["metric"].where(~rates, "success"))

    def name(row: Mapping[str, Any]) -> list[str]:
        label = material.labels_of(row["protocol"]).get(row["arm"], row["arm"])
        return [row["protocol"], row["scenario"], row["estimand"], label, which.get(row["scenario"], NONE)]

    rows = _wide(frame, ["protocol", "scenario", "estimand", "arm"], name)
    header = ["protocol", "scenario", "estimand", "arm", "success is", *heads(ordered(frame["metric"]))]
    return grid("Operating characteristics of each comparison (Monte Carlo error in brackets)", header, rows)


def poor_coverage(material: Material) -> list[str]:
    """Name the comparisons whose 95 % interval holds the true effect in fewer trials: 3 errors below 0.95."""
    frame = at_full_size(material)
    rows = frame[(frame["metric"] == "coverage") & (frame["value"] + 3 * frame["mcse"] < 0.95)]
    return [
        f"{row['estimand']}, {material.labels_of(row['protocol']).get(row['arm'], row['arm'])}, "
        f"scenario '{row['scenario']}': {measured(row['value'], row['mcse'], 2)}"
        for row in rows_of(rows)
    ]


def by_arm(material: Material) -> Grid:
    """Responder rates, mean change and dropout of each arm at the primary visit, by scenario."""
    frame = at_full_size(material)
    frame = frame[frame["arm"].notna() & (frame["estimand"].isna() | (frame["metric"] == "responder_rate"))]
    rates = frame["metric"] == "responder_rate"
    frame = frame.assign(metric=frame["metric"].where(~rates, frame["estimand"]))

    def name(row: Mapping[str, Any]) -> list[str]:
        return [
            row["protocol"],
            row["scenario"],
            material.labels_of(row["protocol"]).get(row["arm"], row["arm"]),
        ]

    rows = _wide(frame, ["protocol", "scenario", "arm"], name)
    metrics = ordered(frame["metric"])
    named = [
        material.responses.get(metric, head) for metric, head in zip(metrics, heads(metrics), strict=True)
    ]
    header = ["protocol", "scenario", "arm", *named]
    return grid("What each arm shows at the primary visit (Monte Carlo error in brackets)", header, rows)


def whole_trial(material: Material) -> Grid:
    """Patients and duration of each trial, by scenario."""
    frame = at_full_size(material)
    frame = frame[frame["estimand"].isna() & frame["arm"].isna()]
    rows = _wide(frame, ["protocol", "scenario"], lambda row: [row["protocol"], row["scenario"]])
    header = ["protocol", "scenario", *heads(ordered(frame["metric"]))]
    return grid("The whole trial (Monte Carlo error in brackets)", header, rows)


def by_size(material: Material) -> Grid | None:
    """Success rates at every number of patients looked at, a column a size."""
    frame = material.table("power_curve")
    if frame is None:
        return None
    labels = {name: material.labels_of(name) for name in material.study.protocols}
    totals = sorted(set(frame["n"]))
    rows: list[list[Entry | str]] = []
    for _, group in frame.groupby(["protocol", "scenario", "estimand", "arm"], sort=False):
        found = {row["n"]: row for row in rows_of(group)}
        first = next(iter(found.values()))
        arm = labels[first["protocol"]].get(first["arm"], first["arm"])
        names = [first["protocol"], first["scenario"], first["estimand"], arm, SUCCESS[first["metric"]]]
        rows.append([*names, *(_metric(found[n]) if n in found else Entry(NONE) for n in totals)])
    header = ["protocol", "scenario", "estimand", "arm", "success is", *(f"n = {n}" for n in totals)]
    return grid("Success by number of patients in all (Monte Carlo error in brackets)", header, rows)


def null(material: Material) -> Grid | None:
    """Success rates of the scenarios in which no treatment differs from its control; None where none is."""
    frame = at_full_size(material)
    names = [name for name, scenario in material.study.scenarios.items() if scenario.null]
    wanted = frame["metric"].isin(["type_1_error", "family_wise_error"])
    frame = frame[wanted & frame["scenario"].isin(names)]
    rows: list[list[Entry | str]] = []
    for row in rows_of(frame):
        labels = material.labels_of(row["protocol"])
        whom = labels.get(str(row["arm"]), "any hypothesis")
        estimand = row["estimand"] if isinstance(row["estimand"], str) else NONE
        rows.append([row["protocol"], row["scenario"], estimand, whom, _metric(row), f"{row['replicates']}"])
    header = ["protocol", "scenario", "estimand", "arm", "type I error", "simulated trials"]
    return grid("Type I error (Monte Carlo error in brackets)", header, rows) if rows else None
