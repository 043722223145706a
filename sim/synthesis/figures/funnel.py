"""Do small studies show larger effects?"""

from pathlib import Path

import numpy as np
import pandas as pd

from sim.core.errors import InputError
from sim.synthesis.figures.style import DARK, INK, blank, save
from sim.synthesis.heterogeneity import Studies
from sim.synthesis.small_study_effects import egger

NAMED = 1.96
"""Standard errors from the middle at which a study is named."""


def draw_funnel(trials: pd.DataFrame, path: Path) -> None:
    """Draw each study's distance from the fit's effect of the same comparison against its standard error.

    Distances, since the studies compare different treatments (comparison-adjusted funnel plot). Every
    difference is of the more against the less effective treatment, so an empty corner at the right below
    speaks for small studies that show more.
    """
    away = (trials["reported"] - trials["pooled"]).to_numpy(dtype=float)
    se = trials["se"].to_numpy(dtype=float)
    figure = blank(7.5, 5.5)
    axes = figure.add_subplot()
    top = 1.08 * float(se.max())
    axes.plot([-1.96 * top, 0, 1.96 * top], [top, 0, top], color=INK, lw=0.9, ls="--")
    axes.axvline(0, color=INK, lw=0.8)
    axes.plot(away, se, "o", color=DARK, ms=6, alpha=0.8)
    for x, y, study in zip(away, se, trials["study"], strict=True):
        if abs(x) > NAMED * y:
            side = "right" if x < 0 else "left"
            axes.annotate(str(study), (x, y), (-7 if x < 0 else 7, 0), textcoords="offset points", fontsize=8,
                          ha=side, va="center")  # fmt: skip
    axes.set_ylim(top, 0)
    reach = 1.35 * max(float(np.abs(away).max()), 1.96 * top)
    axes.set_xlim(-reach, reach)
    axes.set_xlabel(
        "Reported difference less the fit's for that comparison, points of 0 to 10\n"
        "dashed: where 95 % would lie if trials differed by chance alone"
    )
    axes.set_ylabel("Standard error, points of 0 to 10")
    axes.set_title(_asymmetry(away, se), fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _asymmetry(away: np.ndarray, se: np.ndarray) -> str:
    try:
        t, p = egger(Studies(away, se**2))
    except InputError:
        return f"{len(se)} differences: too few to test for asymmetry"
    return f"{len(se)} differences; Egger's test of asymmetry: t = {t:.1f}, p = {p:.2f}".replace("-", "−")
