"""Stopping bounds at each look."""

from typing import TYPE_CHECKING

import matplotlib
import numpy as np

from sim.report.figures.style import STROKES, STYLE, Panels, panels_of

if TYPE_CHECKING:
    import pandas as pd


def stopping_bounds(bounds: "pd.DataFrame") -> Panels:
    """Draw the bounds on the test statistic, a panel a protocol.

    Parameters
    ----------
    bounds
        Columns ``protocol``, ``patients`` (with the primary visit), ``efficacy_z``, ``futility_z`` (nan: no
        stop; positive z favours the treatment).
    """
    names = list(dict.fromkeys(bounds["protocol"]))
    with matplotlib.rc_context(STYLE):
        panels = panels_of(1, len(names), 3.0, sharey=True)
        for axes, name in zip(panels, names, strict=True):
            rows = bounds[bounds["protocol"] == name]
            for (column, label), (colour, dash, marker) in zip(
                (("efficacy_z", "stop for success at or above"), ("futility_z", "stop for futility below")),
                STROKES,
                strict=False,
            ):
                known = rows[np.isfinite(rows[column])]
                if len(known):
                    axes.plot(
                        known["patients"],
                        known[column],
                        color=colour,
                        linestyle=dash,
                        marker=marker,
                        label=label,
                    )
            axes.set_title(name)
            axes.set_xticks(list(rows["patients"]))
            axes.set_xlabel("patients with the primary visit")
            axes.margins(x=0.08, y=0.15)
        panels[0].set_ylabel("test statistic z\n(positive favours the treatment)")
        panels[0].legend(frameon=False, fontsize=9)
    return panels
