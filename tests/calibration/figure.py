"""Departure of each quantity's ranks from uniform, with the band that holds the whole curve."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from sim.synthesis.figures.style import DARK, INK, PALE, blank, save
from tests.calibration.ranks import RANKS, Uniformity

FILE = Path(__file__).parents[2] / "docs" / "figures" / "calibration.png"
COLUMNS = 3
FAULT = "#b8651b"


def draw(cases: dict[str, Any]) -> None:
    """Draw one panel a case: blue its quantities, orange the quantity that shows its fault best."""
    rows = -(-len(cases) // COLUMNS)
    figure = blank(3.4 * COLUMNS, 2.5 * rows + 0.4)
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(cases) :]:
        axes.set_axis_off()
    for axes, (name, made) in zip(panels.flat, cases.items(), strict=False):
        _panel(axes, name, made)
    figure.supxlabel("Share of the posterior", fontsize=9)
    figure.supylabel("Share of truths there, less expected", fontsize=9)
    save(figure, FILE)


def _panel(axes: Axes, name: str, made: dict[str, Any]) -> None:
    n, at = made["replications"], np.arange(1, RANKS) / RANKS
    low, high = Uniformity(n).bands()
    axes.fill_between(at, low / n - at, high / n - at, color=PALE, label="band that holds 95 % of curves")
    for place, counts in enumerate(made["ranks"].values()):
        label = f"its {made['quantities']} quantities" if place == 0 else None
        axes.plot(at, np.cumsum(counts)[:-1] / n - at, color=DARK, lw=0.6, alpha=0.7, label=label)
    fault = made["fault"]
    worst = fault["worst"].rpartition(" (")[0]
    counts = np.array(fault["ranks"][worst])
    axes.plot(
        at, np.cumsum(counts)[:-1] / counts.sum() - at, color=FAULT, lw=1.2, ls="--", label="with the fault"
    )
    axes.axhline(0, color=INK, lw=0.5)
    axes.set_title(f"{name.replace('_', ' ')}, {n} replications", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_ylim(-0.3, 0.3)
    axes.legend(fontsize=5.5, loc="lower left", frameon=False)
