"""Single trials, look by look."""

from typing import TYPE_CHECKING

import matplotlib
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sim.report.figures.style import GREY, STYLE, Panels, figure_of, panels_of, wrap

if TYPE_CHECKING:
    import pandas as pd

ENDED = {"success": ("#0072b2", "o", "success"), "no success": ("#d55e00", "s", "no success"),
         "futile": ("#d55e00", "X", "stopped for futility"), "go on": (GREY, "|", "goes on")}  # fmt: skip
"""Colour, marker and words of a decision."""


def example_trials(trials: "pd.DataFrame", effect: str) -> Panels:
    """Draw the estimate and 95 % interval of each comparison at each look, a panel a trial.

    Parameters
    ----------
    trials
        Columns ``example`` (title), ``label`` (arm and look), ``estimate``, ``low``, ``high``, ``truth``,
        ``decision`` (a key of ``ENDED``).
    effect
        The axis' label, with its unit.
    """
    titles = list(dict.fromkeys(trials["example"]))
    most = int(trials.groupby("example").size().max())
    with matplotlib.rc_context(STYLE):
        panels = panels_of(len(titles), 1, 0.8 + len(titles) * (0.5 + 0.3 * most), sharex=True)
        for axes, title in zip(panels, titles, strict=True):
            _trial(axes, trials[trials["example"] == title])
            axes.set_title(wrap(title, 56))
        panels[-1].set_xlabel(effect)
        shown = [key for key in ENDED if (trials["decision"] == key).any()]
        marks = [
            Line2D([], [], color=ENDED[key][0], marker=ENDED[key][1], label=ENDED[key][2]) for key in shown
        ]
        marks.append(
            Line2D(
                [], [], color="black", marker="D", linestyle="", markerfacecolor="none", label="true effect"
            )
        )
        figure_of(panels).legend(handles=marks, loc="outside upper left", ncols=5, frameon=False, fontsize=9)
    return panels


def _trial(axes: Axes, rows: "pd.DataFrame") -> None:
    axes.axvline(0, color="black", lw=1)
    for place, row in enumerate(rows.to_dict("records")):
        colour, marker, _ = ENDED[row["decision"]]
        axes.plot([row["low"], row["high"]], [place, place], color=colour, lw=1.8)
        axes.plot(row["estimate"], place, marker=marker, color=colour, markersize=6)
        axes.plot(row["truth"], place, marker="D", markerfacecolor="none", color="black", markersize=5)
    axes.set_yticks(range(len(rows)), list(rows["label"]), fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
