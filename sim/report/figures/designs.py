"""Designs side by side: success against what it takes, and paired differences from one of them."""

from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.axes import Axes

from sim.report.figures.style import GREY, STROKES, STYLE, Panels, figure_of, panels_of

if TYPE_CHECKING:
    import pandas as pd

AXES = {"patients": "patients a trial", "weeks": "weeks to the end", "cost": "cost a trial,\nthousands"}


def designs(rows: "pd.DataFrame", named: tuple[str, str | None], against: str) -> Panels:
    """Draw success against patients, weeks and cost, and below, differences from the design ``against``.

    Parameters
    ----------
    rows
        A row a design and measure: ``design``, ``protocol``, ``measure``, ``value``, ``mcse``,
        ``difference``, ``difference_mcse``, ``front``.
    named
        What the success rate is, and the currency of the costs.
    """
    success, currency = named
    known = [measure for measure in AXES if (rows["measure"] == measure).any()]
    names = list(dict.fromkeys(rows["design"]))
    strokes = {name: STROKES[i % len(STROKES)] for i, name in enumerate(dict.fromkeys(rows["protocol"]))}
    table = rows.set_index(["measure", "design"]).copy()
    numbers = ["value", "mcse", "difference", "difference_mcse"]
    table.loc[table.index.get_level_values(0) == "cost", numbers] /= 1000
    with matplotlib.rc_context(STYLE):
        panels = panels_of(2, len(known), 3.6 + 0.24 * len(names))
        for place, measure in enumerate(known):
            above, below = panels[place], panels[place + len(known)]
            for name in names:
                won, taken = table.loc[("success", name)], table.loc[(measure, name)]
                colour, _, marker = strokes[won["protocol"]]
                above.errorbar(
                    taken["value"],
                    won["value"],
                    xerr=1.96 * taken["mcse"],
                    yerr=1.96 * won["mcse"],
                    color=colour,
                    fmt=marker,
                    elinewidth=1.0,
                    markersize=6,
                    markerfacecolor=colour if won["front"] else "none",
                )
            for name in dict.fromkeys(rows["protocol"]):
                mine = table[table["protocol"] == name]
                line = mine.loc[measure]["value"], mine.loc["success"]["value"]
                above.plot(*line, color=strokes[name][0], lw=0.8, alpha=0.6)
            money = f" of {currency}" if measure == "cost" and currency else ""
            above.set_xlabel(f"{AXES[measure]}{money}")
            above.set_xlim(0, None)
            shown = ["success", *known][place]
            _differences(below, table.loc[[shown]].droplevel(0).loc[names], strokes)
            below.set_yticks(range(len(names)), names if place == 0 else [], fontsize=8)
            label = success.replace("_", " ") if shown == "success" else shown
            below.set_xlabel(f"{label}: difference")
        panels[0].set_ylabel(success.replace("_", " "))
        figure_of(panels).suptitle(
            f"Filled: no other design is better in all. Below: paired difference from {against}, 95 % error.",
            fontsize=9,
        )
    return panels


def _differences(axes: Axes, rows: "pd.DataFrame", strokes: dict[str, tuple[str, Any, str]]) -> None:
    axes.axvline(0, color=GREY, lw=1)
    for place, (_, row) in enumerate(rows.iterrows()):
        colour, _, marker = strokes[row["protocol"]]
        error = 1.96 * row["difference_mcse"]
        axes.errorbar(
            row["difference"], place, xerr=error, fmt=marker, color=colour, markersize=6, elinewidth=1.0
        )
    axes.set_ylim(len(rows) - 0.5, -0.5)
