"""Figures of a fit: forest of effects, network of comparisons."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sim.synthesis.tables import BORROWED, DIRECT, INDIRECT

COLOUR = {DIRECT: "#1f4e79", INDIRECT: "#b8651b", BORROWED: "#8a8a8a"}
MEANING = {
    DIRECT: "back-pain trials of it",
    INDIRECT: "only trials of another condition",
    BORROWED: "no trial: its class alone",
}


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
    figure = Figure(figsize=(9, 0.34 * len(rows) + 2), layout="constrained")
    axes = figure.add_subplot()
    for y, row in enumerate(rows.to_dict("records")):
        colour = COLOUR[row["basis"]]
        axes.plot([row["low_new"], row["high_new"]], [y, y], color=colour, lw=1, alpha=0.6)
        axes.plot([row["low"], row["high"]], [y, y], color=colour, lw=4, alpha=0.8, solid_capstyle="butt")
        face = "white" if row["basis"] == BORROWED else colour
        axes.plot(row["mean"], y, "o", color=colour, markerfacecolor=face, ms=6)
    labels = [
        f"{r['treatment'].replace('_', ' ')}  ({r['class'].replace('_', ' ')})"
        for r in rows.to_dict("records")
    ]
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
    _save(figure, path)


def comparisons(entries: pd.DataFrame) -> pd.DataFrame:
    """Which treatments were compared, in how many studies: columns ``a``, ``b``, ``studies``."""
    pairs: dict[tuple[str, str], set[str]] = {}
    followed = entries[entries["weeks"] > 0]
    for study, rows in followed.groupby("study_id"):
        names = sorted(set(rows["treatment"]) | set(rows["comparator"]) - {""})
        for pair in combinations(names, 2):
            pairs.setdefault(pair, set()).add(str(study))
    return pd.DataFrame([{"a": a, "b": b, "studies": len(s)} for (a, b), s in sorted(pairs.items())])


def draw_network(effects: pd.DataFrame, entries: pd.DataFrame, path: Path) -> None:
    """Draw treatments on a circle (area: patients) joined by lines (width: studies comparing them)."""
    known = effects[effects["basis"] != BORROWED].sort_values(["class", "treatment"])
    angle = 2 * np.pi * np.arange(len(known)) / len(known) + np.pi / 2
    place = dict(zip(known["treatment"], zip(np.cos(angle), np.sin(angle), strict=True), strict=True))
    figure = Figure(figsize=(10, 8.5), layout="constrained")
    axes = figure.add_subplot()
    for pair in comparisons(entries).itertuples():
        (x1, y1), (x2, y2) = place[str(pair.a)], place[str(pair.b)]
        axes.plot([x1, x2], [y1, y2], color="#9bb0c4", lw=1.5 * float(str(pair.studies)), zorder=1)
        if int(str(pair.studies)) > 1:
            axes.text((x1 + x2) / 2, (y1 + y2) / 2, str(pair.studies), fontsize=9, ha="center", va="center",
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}, zorder=2)  # fmt: skip
    for row in known.to_dict("records"):
        x, y = place[row["treatment"]]
        axes.scatter(x, y, s=80 + row["patients"] / 3, color=COLOUR[row["basis"]], zorder=3)
        side = "center" if abs(x) < 0.12 else "left" if x > 0 else "right"
        trials = f"{row['trials']} trial{'' if row['trials'] == 1 else 's'}"
        text = f"{row['treatment'].replace('_', ' ')}\n{trials}, {row['patients'] or '?'} patients"
        axes.text(1.2 * x, 1.13 * y, text, ha=side, va="center", fontsize=9)
    axes.set_xlim(-1.9, 1.9)
    axes.set_ylim(-1.35, 1.35)
    axes.set_axis_off()
    axes.set_title(
        "Who was compared with whom (lines: studies; disc area: patients, ? = not printed)", fontsize=11
    )
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=130)
