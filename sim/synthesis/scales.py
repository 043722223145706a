"""Pain scales by name, and how wide pain spreads on them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BOUNDS = (0.0, 10.0)
"""Every pain scale is brought to 0 to 10 points."""


@dataclass(frozen=True)
class Spread:
    """Between-patient SD of pain by week: ``log sd = level + growth * log(1 + week)``.

    ``residual`` is the SD of the log SD between studies: what is not known of a study that prints none.
    """

    level: float
    growth: float
    residual: float

    def sd(self, week: float | Floats) -> Floats:
        """Typical SD at ``week``, points of 0 to 10."""
        return np.asarray(np.exp(self.level + self.growth * np.log1p(np.asarray(week, dtype=float))))

    def assumed_sd(self, week: float | Floats) -> Floats:
        """SD to assume for a study that prints none: root of the expected variance over studies."""
        return self.sd(week) * float(np.exp(self.residual**2))

    def change_sd(self, week: float, correlation: float) -> float:
        """SD of the change from baseline to ``week``, with the correlation of the two ratings."""
        first, last = float(self.assumed_sd(0.0)), float(self.assumed_sd(week))
        return float(np.sqrt(first**2 + last**2 - 2 * correlation * first * last))


def pooled_spread(reported: pd.DataFrame) -> Spread:
    """Fit the spread to reported SDs; each study counts once, however many weeks it prints.

    Parameters
    ----------
    reported
        Columns ``study_id``, ``weeks``, ``sd`` (points of 0 to 10).

    Notes
    -----
    Weighted least squares on log SD. The residual is the weighted root mean square with the two
    degrees of freedom of the line taken from the number of studies.
    """
    weight = (1.0 / reported.groupby("study_id")["sd"].transform("size")).to_numpy(dtype=float)
    x, y = np.log1p(reported["weeks"].to_numpy(dtype=float)), np.log(reported["sd"].to_numpy(dtype=float))
    root_w = np.sqrt(weight)
    design = np.column_stack([np.ones_like(x), x])
    (level, growth), *_ = np.linalg.lstsq(design * root_w[:, None], y * root_w, rcond=None)
    square = float(weight @ (y - level - growth * x) ** 2)
    return Spread(float(level), float(growth), float(np.sqrt(square / max(weight.sum() - 2, 1))))
