"""Pooled results that stayed out, beside the fit."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sim.synthesis.figures.style import INK, MIDDLE, blank, rows_down, save, words

APART = 0.16


def draw_checks(checks: pd.DataFrame, path: Path) -> None:
    """Draw each result that can be compared, the fit's difference at its week, and how far apart they are.

    Parameters
    ----------
    checks
        As ``checks.check_table`` gives it.
    """
    known = checks[checks["fit"].notna()] if len(checks) else checks
    figure = blank(9.5, 0.42 * max(len(known), 3) + 1.5)
    axes = figure.add_subplot()
    rows_down(axes, _labels(known))
    beside = axes.get_yaxis_transform()
    for y, row in enumerate(known.to_dict("records")):
        first, half = y == 0, 1.96 * row["se"]
        axes.plot([row["reported"] - half, row["reported"] + half], [y - APART] * 2, color=INK, lw=1.2)
        axes.plot(row["reported"], y - APART, "s", color=INK, ms=4.5, label="the review" if first else None)
        axes.plot([row["fit_low"], row["fit_high"]], [y + APART] * 2, color=MIDDLE, lw=2.6)
        ring: dict[str, Any] = {"color": "white", "markeredgecolor": MIDDLE, "markeredgewidth": 1.6, "ms": 5}
        axes.plot(row["fit"], y + APART, "o", label="the fit" if first else None, **ring)
        axes.text(1.01, y, f"{row['z']:+.1f}".replace("-", "−"), transform=beside, fontsize=9, va="center")
    axes.text(1.01, -0.75, "z", transform=beside, fontsize=9, fontstyle="italic")
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_xlabel("Difference in mean pain rating, points of 0 to 10 (negative: less pain), 95 % intervals")
    if len(known):
        axes.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.3, 1.0), frameon=False, fontsize=9)
    save(figure, path)


def _labels(checks: pd.DataFrame) -> list[str]:
    """Study, comparison and week; beside them the note's first words where several rows agree in these."""
    rows = checks.to_dict("records")
    labels = [_label(row) for row in rows]
    return [
        f"{label}\n({re.split('[,;]', str(row['note']))[0]})" if labels.count(label) > 1 else label
        for label, row in zip(labels, rows, strict=True)
    ]


def _label(row: Mapping[Any, Any]) -> str:
    week = f"week {row['week_compared']:g}" if row["weeks"] == row["weeks"] else "no week given"
    return (
        f"{row['study_id']}: {words(str(row['treatment']))}\nagainst {words(str(row['comparator']))}, {week}"
    )
