"""The figures of a run: responders, courses of pain, and success against the number of patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 7.2
"""Inches; fills an A4 page between its margins."""
GREY = "#6b6b6b"
STROKES = (
    ("#0072b2", "-", "o"), ("#d55e00", "--", "s"), ("#009e73", "-.", "^"), ("#a0438c", ":", "D"),
    ("#8a6d00", (0, (5, 1)), "v"), ("#3b3b98", (0, (3, 1, 1, 1)), "P"), ("#000000", (0, (1, 1)), "X"),
)  # fmt: skip
"""Colour, dash and marker: hues of Okabe and Ito, told apart in grey by dash and marker."""
STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e3e3e3",
    "axes.axisbelow": True, "lines.linewidth": 1.8, "savefig.dpi": 150, "savefig.facecolor": "white",
}  # fmt: skip


@dataclass(frozen=True)
class Stroke:
    """How one arm is drawn."""

    colour: str
    dash: Any
    marker: str


def strokes(arms: Sequence[str], control: str) -> dict[str, Stroke]:
    """Give each arm its colour, dash and marker; the control is grey."""
    others = [arm for arm in arms if arm != control]
    found = {arm: Stroke(*STROKES[i % len(STROKES)]) for i, arm in enumerate(others)}
    return {control: Stroke(GREY, (0, (4, 2)), "o"), **found}


def save(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, the same bytes for the same picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="png", metadata={"Software": None})


def _panels(rows: int, columns: int, height: float, **shared: Any) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, [axes for row in grid for axes in row]


def responder_bars(shares: "pd.DataFrame", control: str) -> Figure:
    """Draw the share of responders by arm, a panel an endpoint, with 95 % predictive intervals.

    Parameters
    ----------
    shares
        Columns ``arm``, ``endpoint`` (as labels, in the order to draw), ``mean``, ``low``, ``high`` (0–1).
    control
        Label of the control arm.
    """
    arms, endpoints = list(dict.fromkeys(shares["arm"])), list(dict.fromkeys(shares["endpoint"]))
    drawn = strokes(arms, control)
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(1, len(endpoints), 1.1 + 0.42 * len(arms), sharey=True, sharex=True)
        for axes, endpoint in zip(panels, endpoints, strict=True):
            rows = shares[shares["endpoint"] == endpoint].set_index("arm").loc[arms]
            _bars(axes, rows, [drawn[arm].colour for arm in arms])
            axes.set_title(endpoint)
        most = float(shares["high"].max())
        panels[0].set_xlim(0, most * 1.3)
        panels[0].invert_yaxis()
        figure.supxlabel(
            "share of the randomised patients (bar: mean, line: where 95 % of trials fall)", fontsize=10
        )
    return figure


def _bars(axes: Axes, rows: "pd.DataFrame", colours: Sequence[str]) -> None:
    places = np.arange(len(rows))
    axes.barh(places, rows["mean"], color=colours, alpha=0.55, height=0.62)
    axes.hlines(places, rows["low"], rows["high"], color="black", linewidth=1.3)
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        axes.annotate(
            f"{row['mean']:.2f}",
            (row["high"], place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(places, [_wrap(str(arm)) for arm in rows.index])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _wrap(label: str, width: int = 20) -> str:
    """Break a label in two lines where it is long."""
    words, lines = label.split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def pain_courses(courses: "pd.DataFrame", control: str) -> Figure:
    """Draw mean pain over time, a panel an arm against the control, with 95 % predictive bands.

    Parameters
    ----------
    courses
        Columns ``arm`` (label), ``week``, ``mean``, ``low``, ``high`` (points).
    control
        Label of the control arm.
    """
    arms = list(dict.fromkeys(courses["arm"]))
    drawn, others = strokes(arms, control), [arm for arm in arms if arm != control]
    columns = {1: 1, 2: 2, 4: 2}.get(len(others), 3)
    rows = -(-len(others) // columns)
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(rows, columns, 0.9 + 2.1 * rows, sharex=True, sharey=True)
        for axes, arm in zip(panels, others, strict=False):
            _course(axes, courses[courses["arm"] == control], drawn[control])
            _course(axes, courses[courses["arm"] == arm], replace(drawn[arm], dash="-"))
            axes.set_title(_wrap(arm, 68 // columns))
        for axes in panels[len(others) :]:
            axes.remove()
        panels[0].set_ylim(0, None)
        panels[0].set_xlim(0, None)
        _course_legend(figure, control, drawn[control])
        figure.supxlabel("weeks since randomisation", fontsize=10)
        figure.supylabel("mean pain, points", fontsize=10)
    return figure


def _course(axes: Axes, rows: "pd.DataFrame", stroke: Stroke) -> None:
    weeks = rows["week"].to_numpy(dtype=float)
    axes.fill_between(weeks, rows["low"], rows["high"], color=stroke.colour, alpha=0.16, linewidth=0)
    for limit in ("low", "high"):
        axes.plot(weeks, rows[limit], color=stroke.colour, linestyle=stroke.dash, linewidth=0.7)
    axes.plot(
        weeks, rows["mean"], color=stroke.colour, linestyle=stroke.dash, marker=stroke.marker, markersize=4
    )


def _course_legend(figure: Figure, control: str, stroke: Stroke) -> None:
    handles = [
        Line2D([], [], color=GREY, linestyle=stroke.dash, marker=stroke.marker, markersize=4, label=control),
        Line2D([], [], color="black", marker="o", markersize=4, label="the arm in the title"),
        Patch(color="black", alpha=0.16, label="where 95 % of trials fall"),
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=9, handlelength=3
    )


def success_curves(curves: "pd.DataFrame", goals: Mapping[str, float]) -> Figure:
    """Draw success rates against patients per arm, a panel each, with 95 % Monte Carlo bands.

    Parameters
    ----------
    curves
        Columns ``panel`` (its title), ``arm`` (label), ``n_per_arm``, ``value``, ``mcse`` (0–1).
    goals
        The rate wanted in a panel, drawn as a line.
    """
    titles, arms = list(dict.fromkeys(curves["panel"])), list(dict.fromkeys(curves["arm"]))
    drawn = strokes(["", *arms], "")
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(titles), 1, 0.6 + 2.5 * len(titles), sharex=True)
        for axes, title in zip(panels, titles, strict=True):
            _curves(axes, curves[curves["panel"] == title], drawn)
            axes.set_title(title)
            if title in goals:
                axes.axhline(goals[title], color="black", linewidth=1)
                axes.annotate(
                    f"wanted: {goals[title]:g}", (0, goals[title]), (4, 3), textcoords="offset points",
                    xycoords=("axes fraction", "data"), fontsize=9,
                )  # fmt: skip
        _patients_axis(panels[-1], curves["n_per_arm"].to_numpy(dtype=float))
        figure.supylabel("share of simulated trials that succeed", fontsize=10)
    return figure


def _curves(axes: Axes, rows: "pd.DataFrame", drawn: Mapping[str, Stroke]) -> None:
    ends = {}
    for arm, mine in rows.groupby("arm", sort=False):
        stroke, label = drawn[str(arm)], str(arm)
        size, value, error = (mine[name].to_numpy(dtype=float) for name in ("n_per_arm", "value", "mcse"))
        axes.fill_between(
            size, value - 1.96 * error, value + 1.96 * error, color=stroke.colour, alpha=0.16, linewidth=0
        )
        axes.plot(
            size,
            value,
            color=stroke.colour,
            linestyle=stroke.dash,
            marker=stroke.marker,
            markersize=3.5,
            markevery=2,
        )
        ends[label] = (float(size[-1]), float(value[-1]))
    axes.set_ylim(0, 1.02)
    heights = spread([y for _, y in ends.values()], 0.1)
    for (label, (x, y)), height in zip(ends.items(), heights, strict=True):
        axes.annotate(
            label, (x, y), (1.02, height), textcoords=("axes fraction", "data"), va="center", fontsize=9,
            color=drawn[label].colour, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": drawn[label].colour, "lw": 0.6, "relpos": (0, 0.5)},
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move label heights within 0 to 1 until neighbours are ``gap`` apart, keeping their order.

    The least-squares answer: what is left after taking the gaps out has to increase, which isotonic
    regression does. ``gap`` shrinks where so many labels do not fit.
    """
    from scipy.optimize import isotonic_regression

    wanted = np.asarray(heights, dtype=float)
    order = np.argsort(wanted, kind="stable")
    steps = np.arange(len(wanted)) * min(gap, 1 / max(len(wanted) - 1, 1))
    placed = np.empty(len(wanted))
    placed[order] = np.clip(isotonic_regression(wanted[order] - steps).x, 0, 1 - steps[-1]) + steps
    return [float(height) for height in placed]


def _patients_axis(axes: Axes, sizes: "np.ndarray[Any, np.dtype[np.float64]]") -> None:
    """Label the patients; a wide range is drawn on a logarithmic axis."""
    axes.set_xlabel("patients per arm")
    if sizes.max() / sizes.min() <= 12:
        return
    axes.set_xscale("log")
    ticks = [step * 10.0**power for power in range(6) for step in (1, 2, 5)]
    axes.xaxis.set_major_locator(
        FixedLocator([t for t in ticks if sizes.min() * 0.8 <= t <= sizes.max() * 1.2])
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
