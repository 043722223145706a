"""A figure of the report: drawn, kept beside its numbers, and said in words."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sim.report.figures import Panels, save

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Picture:
    """A figure on disk, with what it shows in words for those who cannot see it."""

    file: Path
    alt: str
    caption: str

    @classmethod
    def keep(cls, panels: Panels, data: "pd.DataFrame", file: Path, words: tuple[str, str]) -> "Picture":
        """Write a figure with its numbers; ``words`` are the alternative text and the caption."""
        save(panels, file, data)
        return cls(file, *words)
