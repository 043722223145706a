"""What the trials taught: prior and posterior of the main parameters."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import gaussian_kde, lognorm, norm

from sim.synthesis.figures.style import DARK, INK, PALE, blank, save, words
from sim.synthesis.priors import LogNormalPrior, NormalPrior, SharePrior
from sim.synthesis.question import NetworkQuestion

COLUMNS = 4
SMOOTHED = 1500
"""Draws that a posterior density is drawn from, about."""
SHOWN = {
    "response": ("placebo response", "points"),
    "tau_response": ("response: SD between trials", "points"),
    "response_half_weeks": ("response: half-life", "weeks"),
    "tau_effect": ("effect: SD between trials", "points"),
    "omega": ("effect: SD within a class", "points"),
}
OF_PATIENTS = {
    "sd_level": ("SD of ratings at baseline", "log points"),
    "sd_growth": ("SD: growth", "power of 1 + week"),
    "tau_sd": ("log SD: SD between trials", "log points"),
    "reliability": ("reliability of a rating", "share"),
}
"""Where SDs are estimated."""


def draw_priors(config: NetworkQuestion, posterior: Any, path: Path) -> None:
    """Draw prior (dashed) and posterior (filled) densities: response, spreads, slopes, class effects."""
    shown = list(_parameters(config, posterior))
    lines = -(-len(shown) // COLUMNS)
    figure = blank(3.1 * COLUMNS, 2.1 * lines + 0.6)
    panels = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    for axes, (title, unit, prior, draws) in zip(panels, shown, strict=False):
        low = min(float(prior.ppf(0.005)), float(draws.min()))
        high = max(float(prior.ppf(0.98)), float(np.quantile(draws, 0.999)))
        x = np.linspace(low, high, 300)
        some = draws[:: max(1, len(draws) // SMOOTHED)]
        axes.fill_between(x, gaussian_kde(some)(x), color=PALE, edgecolor=DARK, lw=1.5)
        axes.plot(x, prior.pdf(x), color=INK, ls="--", lw=1.3)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(unit, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    figure.suptitle("Dashed: prior density; filled: posterior density", fontsize=10)
    save(figure, path)


def _parameters(config: NetworkQuestion, posterior: Any) -> Iterator[tuple[str, str, Any, np.ndarray]]:
    """Title, unit, prior (frozen SciPy distribution) and posterior draws of each."""
    data = posterior.posterior
    for name, (title, unit) in SHOWN.items():
        yield title, unit, _density(getattr(config.priors, name)), np.asarray(data[name]).ravel()
    for name, (title, unit) in OF_PATIENTS.items() if config.patients else ():
        yield title, unit, _density(getattr(config.patients, name)), np.asarray(data[name]).ravel()
    for covariate in config.regression or ():
        draws = np.asarray(data[f"slope_{covariate.name}"]).ravel()
        yield f"slope of {words(covariate.name)}", "points a unit", _density(covariate.slope), draws
    for k, name in enumerate(sorted(config.classes)):
        draws = np.asarray(data["class_effect"])[..., k].ravel()
        yield f"effect of class {words(name)}", "points", _density(config.classes[name].effect), draws


@dataclass(frozen=True)
class _LogitNormal:
    """Logit-normal on (0, 1), with the methods of a frozen SciPy distribution used here."""

    mean: float
    sd: float

    def pdf(self, x: Any) -> Any:
        return norm.pdf(logit(x), self.mean, self.sd) / (x * (1 - x))

    def ppf(self, q: float) -> Any:
        return expit(norm.ppf(q, self.mean, self.sd))


def _density(prior: NormalPrior | LogNormalPrior | SharePrior) -> Any:
    if isinstance(prior, NormalPrior):
        return norm(prior.mean, prior.sd)
    if isinstance(prior, SharePrior):
        return _LogitNormal(logit(prior.median), prior.logit_sd)
    return lognorm(prior.log_sd, scale=prior.median)
