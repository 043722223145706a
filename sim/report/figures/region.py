"""Type I error over a region of nuisance values."""

from typing import TYPE_CHECKING

import matplotlib

from sim.report.figures.style import STROKES, STYLE, Panels, figure_of, panels_of, wrap

if TYPE_CHECKING:
    import pandas as pd


def type_1_errors(cells: "pd.DataFrame") -> Panels:
    """Draw the type I error of every cell with its 95 % Monte Carlo error, a panel a hypothesis.

    Parameters
    ----------
    cells
        Columns ``panel`` (title), ``cell`` (its values in words), ``value``, ``mcse`` (0–1), ``level`` (what
        is claimed, drawn as a line; nan: none is known).
    """
    titles, names = list(dict.fromkeys(cells["panel"])), list(dict.fromkeys(cells["cell"]))
    colour, _, marker = STROKES[0]
    with matplotlib.rc_context(STYLE):
        panels = panels_of(1, len(titles), 1.0 + 0.22 * len(names), sharey=True, sharex=True)
        for axes, title in zip(panels, titles, strict=True):
            rows = cells[cells["panel"] == title].set_index("cell").loc[names]
            places = range(len(names))
            axes.errorbar(
                rows["value"],
                places,
                xerr=1.96 * rows["mcse"],
                fmt=marker,
                color=colour,
                markersize=4,
                elinewidth=1.2,
            )
            level = float(rows["level"].iloc[0])
            if level == level:
                axes.axvline(level, color="black", lw=1)
            axes.set_title(wrap(title, 13), fontsize=9.5)
            axes.grid(visible=False, axis="y")
        panels[0].set_yticks(range(len(names)), names, fontsize=8)
        panels[0].set_ylim(len(names) - 0.5, -0.5)
        panels[0].set_xlim(0, None)
        figure_of(panels).supxlabel(
            "type I error (line: the level; bar: 95 % Monte Carlo error)", fontsize=10
        )
    return panels
