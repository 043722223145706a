"""Figure of a fit of counted events: shares of patients by treatment, one panel an event."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from sim.synthesis.figures.style import COLOUR, MEANING, rows_down, save, words

TOTAL = {"total": ("#5b8a5b", "trials that print only a total of it")}


def draw_rates(rates: pd.DataFrame, weeks: float, path: Path) -> None:
    """Draw the share with each event by ``weeks`` in a new trial, with 95 % intervals."""
    colours = {**COLOUR, **{name: colour for name, (colour, _) in TOTAL.items()}}
    meaning = {**MEANING, **{name: words for name, (_, words) in TOTAL.items()}}
    names, treatments = list(rates["rate"].unique()), list(rates["treatment"].unique())
    across = min(len(names), 3)
    down = -(-len(names) // across)
    size = (3.6 * across + 2, (0.32 * len(treatments) + 1) * down + 1)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        for y, row in enumerate(rates[rates["rate"] == name].to_dict("records")):
            colour = colours[row["basis"]]
            axes.plot([100 * row["low"], 100 * row["high"]], [y, y], color=colour, lw=2)
            face = "white" if row["basis"] == "borrowed" else colour
            axes.plot(100 * row["mean"], y, "o", color=colour, markerfacecolor=face, ms=6)
        axes.set_title(words(name), fontsize=10)
        axes.set_xlim(left=0)
        rows_down(axes, map(words, treatments))
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel(f"% of patients by week {weeks:g} in a new trial (95 % interval)", fontsize=10)
    for basis in dict.fromkeys(rates["basis"]):
        grid[0, 0].plot([], [], color=colours[basis], lw=3, label=meaning[basis])
    figure.legend(loc="outside upper center", ncols=2, fontsize=9, frameon=False)
    save(figure, path)
