"""Rankogram: how sure the order of treatments is."""

from pathlib import Path

import numpy as np
import pandas as pd

from sim.synthesis.figures.style import DARK, blank, rows_down, save, words

DARK_ENOUGH = 0.6
"""Share of the darkest shade above which text is white."""


def draw_ranks(ranks: pd.DataFrame, path: Path) -> None:
    """Draw the probability of each rank (shade, and number above 5 %) and SUCRA beside it.

    Parameters
    ----------
    ranks
        As ``tables.rank_table`` gives it.
    """
    size = len(ranks)
    chance = ranks[[f"rank_{r}" for r in range(1, size + 1)]].to_numpy(dtype=float)
    names = [words(name) for name in ranks["treatment"]]
    figure = blank(0.42 * size + 5, 0.32 * size + 1.8)
    left, right = figure.subplots(1, 2, width_ratios=[max(size, 4), 6], sharey=True)
    darkest = max(0.5, float(chance.max()))
    left.imshow(chance, cmap="Blues", vmin=0, vmax=darkest, aspect="auto")
    for (row, column), p in np.ndenumerate(chance):
        if p >= 0.05:
            colour = "white" if p > DARK_ENOUGH * darkest else "black"
            left.text(column, row, f"{100 * p:.0f}", ha="center", va="center", fontsize=7, color=colour)
    left.set_xticks(range(size), [str(r) for r in range(1, size + 1)], fontsize=8)
    left.set_xlabel("Rank (1: least pain);\nnumbers: probability, %")
    rows_down(right, names)
    left.tick_params(axis="y", length=0)
    right.barh(range(size), ranks["sucra"], color=DARK, height=0.6)
    right.set_xlim(0, 1)
    right.set_xlabel("SUCRA (0: surely the worst,\n1: surely the best)")
    right.tick_params(axis="y", labelleft=False)
    left.tick_params(axis="y", labelleft=True)
    save(figure, path)
