"""Network of comparisons."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from sim.synthesis.figures.style import COLOUR, blank, save, words
from sim.synthesis.tables import BORROWED


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
    figure = blank(10, 8.5)
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
        text = f"{words(row['treatment'])}\n{trials}, {row['patients'] or '?'} patients"
        axes.text(1.2 * x, 1.13 * y, text, ha=side, va="center", fontsize=9)
    axes.set_xlim(-1.9, 1.9)
    axes.set_ylim(-1.35, 1.35)
    axes.set_axis_off()
    axes.set_title(
        "Who was compared with whom (lines: studies; disc area: patients, ? = not printed)", fontsize=11
    )
    save(figure, path)
