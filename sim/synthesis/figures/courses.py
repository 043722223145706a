"""Time course of each treatment, beside what its arms reported."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sim.synthesis.course import Course
from sim.synthesis.figures.style import DARK, INK, MIDDLE, PALE, blank, save, words
from sim.synthesis.network import Floats

COLUMNS = 4
LAST, STEPS = 60.0, 41
"""Weeks shown, and how many points draw a line."""


def draw_courses(course: Course, entries: pd.DataFrame, ends: Mapping[str, float], path: Path) -> None:
    """Draw the fit's mean change through time under each treatment that has arms, and those arms.

    Parameters
    ----------
    ends
        Week at which treatment ended, by study: a panel shows the median of its treatment's studies, with
        each arm at its own weeks.
    """
    seen = list(_arms(entries))
    names = [name for name in course.treatments if any(name == arm.treatment for arm in seen)]
    columns = min(COLUMNS, len(names))
    lines = -(-len(names) // columns)
    figure = blank(3.1 * columns, 2.6 * lines + 1.1)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    weeks = np.linspace(0, min(LAST, max(float(arm.rows["weeks"].max()) for arm in seen)), STEPS)
    for axes, name in zip(panels, names, strict=False):
        mine = [arm for arm in seen if arm.treatment == name]
        end = float(np.median([ends[arm.study] for arm in mine]))
        _fit(axes, course, (name, end), weeks)
        for arm in mine:
            axes.plot(arm.rows["weeks"], arm.rows["change"], "o-", color=INK, ms=3, lw=0.7, alpha=0.7)
        arms = f"{len(mine)} arm{'' if len(mine) == 1 else 's'}"
        axes.set_title(f"{words(name)} ({arms}; until week {end:g})", fontsize=9)
        axes.grid(color="#e5e5e5")
        axes.set_axisbelow(True)
        axes.tick_params(labelbottom=True, labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel("Weeks since randomisation", fontsize=10)
    figure.supylabel("Change in mean pain rating\nfrom baseline, points of 0 to 10", fontsize=10)
    figure.suptitle(
        "Dark line and band: the fit's mean over trials, 95 %;\ndashed: placebo; dots: arms as reported",
        fontsize=10,
    )
    save(figure, path)


def _fit(axes: Axes, course: Course, treated: tuple[str, float], weeks: Floats) -> None:
    """One treatment, given until a week, and the reference beside it."""
    (name, end), reference = treated, course.treatments[0]
    made = np.array([course.observed(name, w, end) - course.observed(name, 0.0, end) for w in weeks])
    low, high = np.quantile(made, (0.025, 0.975), axis=1)
    axes.fill_between(weeks, low, high, color=PALE)
    axes.plot(weeks, made.mean(axis=1), color=DARK, lw=2)
    if name != reference:
        control = [course.observed(reference, w, end) - course.observed(reference, 0.0, end) for w in weeks]
        axes.plot(weeks, np.mean(control, axis=1), color=MIDDLE, lw=1.4, ls="--")


@dataclass(frozen=True, eq=False)
class _Arm:
    """Follow-up of one arm: ``rows`` with ``weeks`` and ``change``."""

    study: str
    treatment: str
    rows: pd.DataFrame


def _arms(entries: pd.DataFrame) -> Iterator[_Arm]:
    """Changes of each arm from its baseline, where it has one or reports changes."""
    for (study, _), arm in entries[entries["form"] != "contrast"].groupby(["study_id", "unit"]):
        start = arm.loc[(arm["form"] == "mean") & (arm["weeks"] == 0), "value"]
        base = float(start.iloc[0]) if len(start) else np.nan
        change = (arm["value"] - base).where(arm["form"] == "mean", arm["value"])
        made = arm.assign(change=change)[change.notna()].sort_values("weeks")
        if (made["weeks"] > 0).any():
            yield _Arm(str(study), str(made["treatment"].iloc[0]), made)
