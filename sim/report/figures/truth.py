"""How success depends on what is true: the uncertainty that the prior leaves."""

from typing import TYPE_CHECKING

import matplotlib

from sim.report.figures.style import STYLE, Panels, figure_of, panels_of, strokes, wrap

if TYPE_CHECKING:
    import pandas as pd


def success_by_truth(groups: "pd.DataFrame", effect: str) -> Panels:
    """Draw success against the true effect, a panel an arm; each point is an equal share of the trials.

    Parameters
    ----------
    groups
        Columns ``arm`` (label), ``truth`` (mean of the group), ``value``, ``mcse`` (0–1), ``assurance``.
    effect
        The axis' label, with its unit.
    """
    arms = list(dict.fromkeys(groups["arm"]))
    drawn = strokes(["", *arms], "")
    columns = min(len(arms), 2)
    lines = -(-len(arms) // columns)
    with matplotlib.rc_context(STYLE):
        panels = panels_of(lines, columns, 0.8 + 2.0 * lines, sharex=True, sharey=True)
        for axes, arm in zip(panels, arms, strict=False):
            rows, stroke = groups[groups["arm"] == arm], drawn[arm]
            axes.axhline(rows["assurance"].iloc[0], color="black", lw=1)
            axes.errorbar(rows["truth"], rows["value"], yerr=1.96 * rows["mcse"], color=stroke.colour,
                          linestyle=stroke.dash, marker=stroke.marker, markersize=4, lw=1.2)  # fmt: skip
            axes.set_title(wrap(arm, 40))
        for axes in panels[len(arms) :]:
            axes.remove()
        panels[0].set_ylim(-0.02, 1.02)
        figure_of(panels).supxlabel(effect, fontsize=10)
        figure_of(panels).supylabel("share of trials that succeed", fontsize=10)
    return panels[: len(arms)]
