"""Was what trials reported foretold by the others?"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binom

from sim.synthesis.figures.style import DARK, INK, MIDDLE, PALE, blank, rows_down, save

BINS = 10
MARKS = {"mean": "o", "change": "s", "contrast": "D", "responders": "^"}


def draw_backtest(table: pd.DataFrame, path: Path) -> None:
    """Draw the probabilities that reported values had in their predictions: all together, and by study.

    Parameters
    ----------
    table
        ``backtest.csv``; differences between arms are left out, since the arms' own rows say it already.
    """
    rows = table[table["form"] != "difference"]
    figure = blank(11, max(4.5, 0.24 * rows["study"].nunique() + 1.6))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    _histogram(left, rows["pit"].to_numpy(dtype=float))
    _by_study(right, rows)
    save(figure, path)


def _histogram(axes: Axes, pit: np.ndarray) -> None:
    low, high = binom.interval(0.95, len(pit), 1 / BINS)
    axes.axhspan(low, high, color=PALE, zorder=0, label="95 % of bars, were rows independent")
    axes.hist(pit, bins=BINS, range=(0, 1), color=MIDDLE, edgecolor="white", zorder=2)
    axes.axhline(len(pit) / BINS, color=INK, lw=1, ls="--", zorder=3, label="perfect calibration")
    axes.set_xlim(0, 1)
    axes.set_xlabel("Probability of at most what was reported (PIT)")
    axes.set_ylabel("Predictions (number)")
    axes.set_title(f"All {len(pit)} reported values", fontsize=11)
    axes.legend(fontsize=8, loc="upper center", frameon=True, framealpha=0.9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.25)


def _by_study(axes: Axes, rows: pd.DataFrame) -> None:
    studies = sorted(rows["study"].unique())
    rows_down(axes, studies)
    axes.axvspan(0.025, 0.975, color=PALE, alpha=0.6, zorder=0)
    axes.axvspan(0.25, 0.75, color=PALE, zorder=0)
    for form, mine in rows.groupby("form", sort=False):
        y = [studies.index(study) for study in mine["study"]]
        axes.plot(mine["pit"], y, MARKS[str(form)], color=DARK, ms=5, alpha=0.75, ls="", label=str(form))
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("Probability of at most what was reported (PIT)\nshaded: central 50 % and 95 % intervals")
    axes.set_title("By study", fontsize=11)
    axes.legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.11), frameon=False)
