"""Forest of the effects of all treatments."""

from pathlib import Path

import pandas as pd

from sim.synthesis.figures.style import COLOUR, MEANING, blank, save, words
from sim.synthesis.tables import BORROWED


def draw_forest(effects: pd.DataFrame, predictive: pd.DataFrame, path: Path) -> None:
    """Draw effects with 95 % intervals (thick) and those of a new trial (thin), grouped by class.

    Parameters
    ----------
    effects
        As ``tables.effects_table`` gives it.
    predictive
        Columns ``treatment``, ``low``, ``high`` for a new trial, points.
    """
    rows = effects[effects["treatment"] != effects["treatment"].iloc[0]].merge(
        predictive, on="treatment", suffixes=("", "_new")
    )
    rows = rows.sort_values(["class", "mean"], ascending=[True, True], ignore_index=True)
    figure = blank(9, 0.34 * len(rows) + 2)
    axes = figure.add_subplot()
    for y, row in enumerate(rows.to_dict("records")):
        colour = COLOUR[row["basis"]]
        axes.plot([row["low_new"], row["high_new"]], [y, y], color=colour, lw=1, alpha=0.6)
        axes.plot([row["low"], row["high"]], [y, y], color=colour, lw=4, alpha=0.8, solid_capstyle="butt")
        face = "white" if row["basis"] == BORROWED else colour
        axes.plot(row["mean"], y, "o", color=colour, markerfacecolor=face, ms=6)
    labels = [f"{words(r['treatment'])}  ({words(r['class'])})" for r in rows.to_dict("records")]
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(0, color="black", lw=0.8)
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    axes.set_xlabel(
        "Effect on latent pain against placebo at treatment end,\npoints of 0 to 10 (negative is better)\n"
        "thick: 95 % credible interval of the mean effect; thin: of the effect in a new trial"
    )
    for basis in dict.fromkeys(rows["basis"]):
        axes.plot([], [], color=COLOUR[basis], lw=4, label=MEANING[basis])
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, fontsize=9, frameon=False)
    save(figure, path)
