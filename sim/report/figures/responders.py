"""Bars of the patients who respond."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from sim.report.figures.style import STYLE, Panels, figure_of, panels_of, strokes, wrap

if TYPE_CHECKING:
    import pandas as pd


def responder_bars(shares: "pd.DataFrame", control: str) -> Panels:
    """Draw the share of responders by arm, a panel an endpoint, with 95 % predictive intervals.

    Parameters
    ----------
    shares
        Columns ``arm``, ``endpoint`` (as labels, in the order to draw), ``mean``, ``low``, ``high`` (0–1).
    control
        Label of the control arm.
    """
    arms, endpoints = list(dict.fromkeys(shares["arm"])), list(dict.fromkeys(shares["endpoint"]))
    drawn = strokes(arms, control)
    with matplotlib.rc_context(STYLE):
        panels = panels_of(1, len(endpoints), 1.1 + 0.42 * len(arms), sharey=True, sharex=True)
        for axes, endpoint in zip(panels, endpoints, strict=True):
            rows = shares[shares["endpoint"] == endpoint].set_index("arm").loc[arms]
            _bars(axes, rows, [drawn[arm].colour for arm in arms])
            axes.set_title(endpoint)
        most = float(shares["high"].max())
        panels[0].set_xlim(0, most * 1.3)
        panels[0].invert_yaxis()
        figure_of(panels).supxlabel(
            "share of the randomised patients (bar: mean, line: where 95 % of trials fall)", fontsize=10
        )
    return panels


def _bars(axes: Axes, rows: "pd.DataFrame", colours: Sequence[str]) -> None:
    places = np.arange(len(rows))
    axes.barh(places, rows["mean"], color=colours, alpha=0.55, height=0.62)
    axes.hlines(places, rows["low"], rows["high"], color="black", linewidth=1.3)
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        axes.annotate(
            f"{row['mean']:.2f}",
            (row["high"], place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(places, [wrap(str(arm)) for arm in rows.index])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
