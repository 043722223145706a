"""Mean pain through time."""

from dataclasses import replace
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sim.report.figures.style import GREY, STYLE, Panels, Stroke, figure_of, panels_of, strokes, wrap

if TYPE_CHECKING:
    import pandas as pd


def pain_courses(courses: "pd.DataFrame", control: str) -> Panels:
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
        panels = panels_of(rows, columns, 0.9 + 2.1 * rows, sharex=True, sharey=True)
        for axes, arm in zip(panels, others, strict=False):
            _course(axes, courses[courses["arm"] == control], drawn[control])
            _course(axes, courses[courses["arm"] == arm], replace(drawn[arm], dash="-"))
            axes.set_title(wrap(arm, 68 // columns))
        for axes in panels[len(others) :]:
            axes.remove()
        panels[0].set_ylim(0, None)
        panels[0].set_xlim(0, None)
        _course_legend(figure_of(panels), control, drawn[control])
        figure_of(panels).supxlabel("weeks since randomisation", fontsize=10)
        figure_of(panels).supylabel("mean pain, points", fontsize=10)
    return panels[: len(others)]


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
