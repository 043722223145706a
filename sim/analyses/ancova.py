"""Analysis of covariance at one visit."""

from typing import ClassVar, Literal

import numpy as np

from sim.analyses.base import Analysis, Estimate, Floats
from sim.estimand import Observations


class Ancova(Analysis):
    """Difference in means adjusted for baseline, a common slope and variance over all arms.

    Ordinary least squares in closed form from sums by arm: slope = Sxy / Sxx pooled within arms,
    difference = (ȳ₁ − ȳ₀) − slope (x̄₁ − x̄₀), its variance s² [1/n₁ + 1/n₀ + (x̄₁ − x̄₀)² / Sxx] on
    N − arms − 1 degrees of freedom (Senn 2006, doi:10.1002/sim.2682). Patients without the outcome
    are left out, which is valid when outcomes are missing at random given baseline and arm.
    """

    kind: Literal["ancova"] = "ancova"
    summary: ClassVar[str | None] = "mean_difference"

    def estimate(self, observed: Observations) -> Estimate:
        """Estimate from sums of the observed patients."""
        seen = ~np.isnan(observed.value)
        centre = 5.0
        y = np.where(seen, observed.value - centre, 0.0)
        x = observed.baseline - centre
        members = [(seen & (observed.arm == arm)).astype(np.float64) for arm in range(observed.arms)]
        moments = [_moments(observed, mine, x, y) for mine in members]
        n, means, squares = (np.stack(part) for part in zip(*moments, strict=True))
        return _contrasts(observed, n, (means[:, 0], means[:, 1]), squares.sum(axis=0))

    def words(self) -> str:
        """Say the analysis in words."""
        return "analysis of covariance with baseline pain, patients with the outcome"


def _moments(observed: Observations, mine: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Count, means (x, y) and centred sums of squares and products (xx, xy, yy) of one arm."""
    total = observed.data.totals
    mx, my = mine * x, mine * y
    with np.errstate(divide="ignore", invalid="ignore"):
        n, sx, sy = total(mine), total(mx), total(my)
        xx, xy, yy = total(mx * x), total(mx * y), total(my * y)
        squares = np.stack([xx - sx * sx / n, xy - sx * sy / n, yy - sy * sy / n])
        return n, np.stack([sx / n, sy / n]), squares


def _contrasts(observed: Observations, n: Floats, means: tuple[Floats, Floats], within: Floats) -> Estimate:
    mean_x, mean_y = means
    of, to = list(observed.of), observed.to
    sxx, sxy, syy = within
    total = n.sum(axis=0)
    df = total - observed.arms - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = sxy / sxx
        variance = (syy - slope * sxy) / df
        gap = mean_x[of] - mean_x[to]
        estimate = mean_y[of] - mean_y[to] - slope * gap
        se = np.sqrt(variance * (1 / n[of] + 1 / n[to] + gap**2 / sxx))
    return Estimate.by_t(estimate, se, df, total)
