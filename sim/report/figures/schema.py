"""The trial as a schema: who is randomised to what, for how long, and when they are seen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from sim.report.figures.style import GREY, STYLE, Panels, panels_of, strokes, wrap

if TYPE_CHECKING:
    import pandas as pd

ROOM = 0.42
"""Width of the left part, where the arms are named, as a share of the weeks."""


def trial_schema(arms: "pd.DataFrame", visits: tuple[float, ...], primary: float, control: str) -> Panels:
    """Draw a lane an arm over the weeks since randomisation, with its treatment and its visits.

    Parameters
    ----------
    arms
        Columns ``arm`` (label), ``patients``, ``start`` and ``end`` of the treatment (weeks).
    visits, primary
        Weeks of the visits, and the week of the primary one.
    control
        Label of the control arm.
    """
    lanes, last = len(arms), visits[-1]
    drawn = strokes(list(arms["arm"]), control)
    with matplotlib.rc_context(STYLE):
        panels = panels_of(1, 1, 1.3 + 0.55 * lanes)
        axes = panels[0]
        for lane, row in enumerate(arms.to_dict("records")):
            _lane(axes, lane, row, drawn[row["arm"]].colour, visits)
            axes.plot(
                [-ROOM * last, -0.4 * ROOM * last], [(lanes - 1) / 2, lane], color=GREY, lw=0.8, zorder=0
            )
        _randomised(axes, int(arms["patients"].sum()), (-ROOM * last, (lanes - 1) / 2))
        axes.axvline(primary, color="black", lw=1.2, ls=(0, (4, 2)))
        axes.annotate(
            "primary visit", (primary, -0.75), (-4, 0), textcoords="offset points", ha="right", fontsize=9
        )
        axes.set_ylim(lanes - 0.5, -1.0)
        axes.set_xlim(-1.22 * ROOM * last, last * 1.03)
        axes.set_xticks(_apart(visits, last), [f"{week:g}" for week in _apart(visits, last)])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False)
        axes.set_xlabel("weeks since randomisation (bar: treatment, dot: visit)", x=0.5 + ROOM / 3)
    return panels


def _lane(axes: Axes, lane: int, row: Mapping[Any, Any], colour: str, visits: tuple[float, ...]) -> None:
    start, end, last = row["start"], row["end"], visits[-1]
    axes.plot([0, last], [lane, lane], color=GREY, lw=1)
    axes.barh(lane, end - start, left=start, height=0.36, color=colour, alpha=0.55)
    axes.plot(visits, np.full(len(visits), lane), "o", color="black", markersize=3.5)
    text = wrap(f"{row['arm']} ({row['patients']})", 24)
    axes.text(-0.03 * last, lane, text, ha="right", va="center", fontsize=9, linespacing=0.95,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip


def _randomised(axes: Axes, patients: int, at: tuple[float, float]) -> None:
    axes.text(*at, f"{patients}\nrandomised", ha="center", va="center", fontsize=9,
              bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": GREY})  # fmt: skip


def _apart(visits: tuple[float, ...], last: float) -> list[float]:
    """Weeks that have room for a label: each at least a thirtieth of the time after the one before."""
    kept = [visits[0]]
    for week in visits[1:]:
        if week - kept[-1] >= last / 30:
            kept.append(week)
    return kept
