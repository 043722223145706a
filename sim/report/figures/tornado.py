"""How far success moves when one thing of nature is otherwise."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from sim.report.figures.style import STROKES, STYLE, Panels, figure_of, panels_of, wrap

if TYPE_CHECKING:
    import pandas as pd


def tornado(variations: "pd.DataFrame", label: str) -> Panels:
    """Draw a bar from the lower to the higher value of each variation, a panel an arm, the longest on top.

    Parameters
    ----------
    variations
        Columns ``panel`` (title), ``what`` (varied), ``setting`` (short), ``value``, ``base`` (value without
        the variation); two rows a bar, in the order lower, higher setting.
    label
        The axis' label, with its unit.
    """
    titles = list(dict.fromkeys(variations["panel"]))
    bars = len(dict.fromkeys(variations["what"]))
    with matplotlib.rc_context(STYLE):
        panels = panels_of(len(titles), 1, 0.7 + len(titles) * (0.45 + 0.3 * bars), sharex=True)
        for axes, title in zip(panels, titles, strict=True):
            _bars(axes, variations[variations["panel"] == title])
            axes.set_title(wrap(title, 80))
        low, high = variations["value"].min(), variations["value"].max()
        room = 0.5 * max(high - low, 1e-9)
        panels[0].set_xlim(low - room, high + room)
        figure_of(panels).supxlabel(label, fontsize=10)
    return panels


def _bars(axes: Axes, rows: "pd.DataFrame") -> None:
    pairs = {str(what): pair for what, pair in rows.groupby("what", sort=False)}
    base = float(rows["base"].iloc[0])
    order = sorted(pairs, key=lambda what: -float(np.abs(pairs[what]["value"] - base).max()))
    for place, what in enumerate(order):
        for (_, row), (colour, _, _) in zip(pairs[what].iterrows(), STROKES, strict=False):
            axes.barh(place, row["value"] - base, left=base, height=0.62, color=colour, alpha=0.55)
        _name_ends(axes, place, pairs[what], base)
    axes.axvline(base, color="black", lw=1)
    axes.set_yticks(range(len(order)), order, fontsize=9)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _name_ends(axes: Axes, place: int, pair: "pd.DataFrame", base: float) -> None:
    """Write each setting outside its end of the bar; two on one side stand together, the nearer one first."""
    sides: dict[bool, list[dict[Hashable, Any]]] = {}
    for row in sorted(pair.to_dict("records"), key=lambda row: abs(row["value"] - base)):
        sides.setdefault(row["value"] >= base, []).append(row)
    for right, found in sides.items():
        said = [str(row["setting"]) for row in found]
        text = ", ".join(said if right else reversed(said))
        align, shift = ("left", 3) if right else ("right", -3)
        axes.annotate(
            text, (found[-1]["value"], place), (shift, 0), textcoords="offset points", ha=align, va="center",
            fontsize=8,
        )  # fmt: skip
