"""Forest of the trials: each study's difference as reported and as shrunken, under the pooled effect."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sim.synthesis.figures.style import DARK, INK, MIDDLE, blank, rows_down, save, words

APART = 0.17
"""How far above and below its line a study's two intervals lie."""


def draw_trials(trials: pd.DataFrame, pooled: pd.DataFrame, path: Path) -> None:
    """Draw the studies of each treatment below its pooled effect.

    Parameters
    ----------
    trials
        As ``trials.trial_table`` gives it.
    pooled
        Columns ``treatment``, ``mean``, ``low``, ``high``: against the reference, which comes first.
    """
    reference = str(pooled["treatment"].iloc[0])
    labels: list[str] = []
    heads: list[dict[str, Any]] = []
    for treatment, mine in trials.groupby("treatment", sort=True):
        heads.append({"y": len(labels), **pooled[pooled["treatment"] == treatment].iloc[0]})
        labels.append(f"{words(str(treatment))} against {words(reference)}, pooled")
        labels += [
            f"{r.study}, against {words(str(r.comparator))}, week {r.week:g}" for r in mine.itertuples()
        ]
    figure = blank(9.5, 0.27 * len(labels) + 1.7)
    axes = figure.add_subplot()
    rows_down(axes, labels)
    y = 0
    for head in heads:
        _pooled(axes, head)
        mine = trials[trials["treatment"] == head["treatment"]]
        for step, row in enumerate(mine.to_dict("records"), start=1):
            _study(axes, row, y + step)
        y += len(mine) + 1
    for text, label in zip(axes.get_yticklabels(), labels, strict=True):
        text.set_fontweight("bold" if label.endswith("pooled") else "normal")
    axes.axvline(0, color=INK, lw=0.8)
    figure.supxlabel(
        "Difference in mean pain rating, points of 0 to 10 (negative: less pain), 95 % intervals; studies\n"
        "at the follow-up nearest to their end of treatment, pooled at the end of a usual course",
        fontsize=10,
    )
    axes.legend(
        handles=_legend(), ncols=3, loc="lower center", bbox_to_anchor=(0.3, 1.0), frameon=False, fontsize=9
    )
    save(figure, path)


def _pooled(axes: Axes, row: dict[str, Any]) -> None:
    shape = [(row["low"], row["y"]), (row["mean"], row["y"] - 0.3), (row["high"], row["y"]),
             (row["mean"], row["y"] + 0.3)]  # fmt: skip
    axes.fill(*zip(*shape, strict=True), color=DARK, zorder=3)


def _study(axes: Axes, row: dict[str, Any], y: float) -> None:
    axes.plot([row["reported_low"], row["reported_high"]], [y - APART] * 2, color=INK, lw=1.2)
    axes.plot(row["reported"], y - APART, "s", color=INK, ms=4)
    axes.plot([row["shrunken_low"], row["shrunken_high"]], [y + APART] * 2, color=MIDDLE, lw=2.4)
    axes.plot(
        row["shrunken"], y + APART, "o", color="white", markeredgecolor=MIDDLE, markeredgewidth=1.5, ms=4.5
    )


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=DARK, marker="D", ls="", ms=7, label="pooled"),
        Line2D([], [], color=INK, marker="s", lw=1.2, ms=4, label="as reported"),
        Line2D(
            [],
            [],
            color=MIDDLE,
            marker="o",
            markerfacecolor="white",
            lw=2.4,
            ms=4.5,
            label="as the fit sees it",
        ),
    ]
