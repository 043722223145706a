"""Success against the number of patients."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sim.report.figures.style import STYLE, Panels, Stroke, figure_of, panels_of, strokes

if TYPE_CHECKING:
    import pandas as pd


def success_curves(curves: "pd.DataFrame", goals: Mapping[str, float]) -> Panels:
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
        panels = panels_of(len(titles), 1, 0.6 + 2.5 * len(titles), sharex=True)
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
        figure_of(panels).supylabel("share of simulated trials that succeed", fontsize=10)
    return panels


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
            color="black", annotation_clip=False,
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
