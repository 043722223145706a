"""The one style of the figures: legible in grey, safe for the colour-blind, the same bytes every time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 7.2
"""Inches; fills an A4 page between its margins."""
DPI = 150
GREY = "#6b6b6b"
STROKES = (
    ("#0072b2", "-", "o"), ("#d55e00", "--", "s"), ("#009e73", "-.", "^"), ("#a0438c", ":", "D"),
    ("#8a6d00", (0, (5, 1)), "v"), ("#3b3b98", (0, (3, 1, 1, 1)), "P"), ("#000000", (0, (1, 1)), "X"),
)  # fmt: skip
"""Colour, dash and marker: hues of Okabe and Ito, told apart in grey by dash and marker."""
STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e3e3e3",
    "axes.axisbelow": True, "lines.linewidth": 1.8, "savefig.facecolor": "white",
}  # fmt: skip


@dataclass(frozen=True)
class Stroke:
    """How one arm is drawn."""

    colour: str
    dash: Any
    marker: str


def strokes(arms: Sequence[str], control: str) -> dict[str, Stroke]:
    """Give each arm its colour, dash and marker; the control is grey."""
    others = [arm for arm in arms if arm != control]
    found = {arm: Stroke(*STROKES[i % len(STROKES)]) for i, arm in enumerate(others)}
    return {control: Stroke(GREY, (0, (4, 2)), "o"), **found}


Panels = list[Axes]
"""The axes of a figure in reading order; ``panels[0].figure`` is the figure."""


def panels_of(rows: int, columns: int, height: float, **shared: Any) -> Panels:
    """Make a figure of ``height`` inches and return its panels, row by row."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **shared)
    return [axes for row in grid for axes in row]


def figure_of(panels: Panels) -> Figure:
    """Return the figure that the panels are on."""
    figure = panels[0].get_figure(root=True)
    assert figure is not None
    return figure


def save(panels: Panels, file: Path, data: "pd.DataFrame") -> None:
    """Write a figure as PNG and SVG, always the same bytes, and its numbers as CSV."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure = figure_of(panels)
    figure.dpi = DPI
    with matplotlib.rc_context({"svg.hashsalt": file.stem}):
        FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
        figure.set_layout_engine("none")  # what is laid out stays: each picture is drawn once
        plain = {"Date": None, "Creator": None}
        FigureCanvasSVG(figure).print_svg(file.with_suffix(".svg"), metadata=plain)  # type: ignore[no-untyped-call]
    data.to_csv(file.with_suffix(".csv"), index=False)


def wrap(label: str, width: int = 20) -> str:
    """Break a label into lines where it is long."""
    words, lines = label.split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
