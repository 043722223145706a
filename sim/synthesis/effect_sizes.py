"""From the summaries of two arms to a contrast and its sampling variance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
Contrast = tuple[Floats, Floats]
"""Estimate and sampling variance, shape (study,)."""


@dataclass(frozen=True, eq=False)
class Means:
    """Mean, standard deviation and number of patients of an arm, shape (study,)."""

    mean: Floats
    sd: Floats
    n: Floats


@dataclass(frozen=True, eq=False)
class Counts:
    """Patients with and without an event in an arm, shape (study,)."""

    events: Floats
    others: Floats


def mean_difference(arm: Means, control: Means) -> Contrast:
    """Difference in means, variances not assumed equal."""
    return arm.mean - control.mean, arm.sd**2 / arm.n + control.sd**2 / control.n


def standardised_mean_difference(arm: Means, control: Means) -> Contrast:
    """Hedges' g with its exact small-sample correction (Hedges 1981, doi:10.3102/10769986006002107)."""
    df = arm.n + control.n - 2
    pooled = np.sqrt(((arm.n - 1) * arm.sd**2 + (control.n - 1) * control.sd**2) / df)
    correction = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    g = correction * (arm.mean - control.mean) / pooled
    return g, 1 / arm.n + 1 / control.n + g**2 / (2 * (arm.n + control.n))


def log_odds_ratio(arm: Counts, control: Counts) -> Contrast:
    """Log odds ratio; ½ is added to every cell of a study with an empty one."""
    cells = np.array([arm.events, arm.others, control.events, control.others], dtype=float)
    cells = cells + 0.5 * np.any(cells == 0, axis=0)
    a, b, c, d = cells
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def risk_difference(arm: Counts, control: Counts) -> Contrast:
    """Difference in proportions."""
    shares = [
        (side.events / (side.events + side.others), side.events + side.others) for side in (arm, control)
    ]
    (p, n), (q, m) = shares
    return p - q, p * (1 - p) / n + q * (1 - q) / m


def mantel_haenszel(arm: Counts, control: Counts) -> tuple[float, float]:
    """Mantel–Haenszel common log odds ratio and its standard error.

    Mantel & Haenszel 1959, doi:10.1093/jnci/22.4.719; variance of Robins, Breslow & Greenland 1986,
    doi:10.2307/2531052.
    """
    a, b, c, d = arm.events, arm.others, control.events, control.others
    n = a + b + c + d
    concordant, discordant = (a + d) / n, (b + c) / n
    r, s = a * d / n, b * c / n
    variance = (
        np.sum(concordant * r) / (2 * r.sum() ** 2)
        + np.sum(concordant * s + discordant * r) / (2 * r.sum() * s.sum())
        + np.sum(discordant * s) / (2 * s.sum() ** 2)
    )
    return float(np.log(r.sum() / s.sum())), float(np.sqrt(variance))
