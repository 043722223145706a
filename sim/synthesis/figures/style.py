"""How figures of fits look: one blue, told apart by shade and shape, so that grey print loses nothing."""

from collections.abc import Iterable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sim.synthesis.tables import BORROWED, DIRECT, INDIRECT

DARK, MIDDLE, PALE, INK = "#1f4e79", "#6f94b8", "#c9d7e5", "#333333"
COLOUR = {DIRECT: DARK, INDIRECT: "#b8651b", BORROWED: "#8a8a8a"}
MEANING = {
    DIRECT: "back-pain trials of it",
    INDIRECT: "only trials of another condition",
    BORROWED: "no trial: its class alone",
}
POINTS = "points of 0 to 10"


SHORT = {
    "snri": "SNRI", "tca": "tricyclic", "nsaid": "NSAID", "cbt": "CBT", "ngf": "NGF", "trpv1": "TRPV1",
}  # fmt: skip
"""Abbreviations as they are written."""


def words(name: str) -> str:
    """A name of the tables as words."""
    return " ".join(SHORT.get(part, part) for part in name.split("_"))


def blank(width: float, height: float) -> Figure:
    """An empty figure, inches."""
    return Figure(figsize=(width, height), layout="constrained")


def rows_down(axes: Axes, labels: Iterable[str]) -> None:
    """Put one labelled row below the other, the first on top."""
    names = list(labels)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
