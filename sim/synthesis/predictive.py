"""What a new study's control arm will show, given earlier ones."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit

from sim.synthesis.binomial_hierarchy import BinomialHierarchy
from sim.synthesis.control_arms import ControlArms
from sim.synthesis.hierarchy import (
    Floats,
    HeterogeneityPrior,
    MeanPrior,
    TauPosterior,
    distribution,
    even_quantiles,
    quantile_of,
)
from sim.synthesis.normal_hierarchy import NormalHierarchy

PROBABILITIES = (0.025, 0.25, 0.5, 0.75, 0.975)


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation and quantiles (by their probability) of one quantity."""

    mean: float
    sd: float
    quantiles: dict[str, float]

    @classmethod
    def of(cls, moments: tuple[float, float], quantile: Callable[[float], float]) -> "Summary":
        """Take the quantiles at the usual probabilities."""
        mean, sd = (float(number) for number in moments)
        return cls(mean, sd, {f"{p:g}": float(quantile(p)) for p in PROBABILITIES})

    def tree(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Predictive:
    """Posterior summaries, and the distribution of a new study's arm.

    Parameters
    ----------
    value
        A new study's responder share, or mean outcome.
    link_value, population_mean
        A new study's and the population's mean, on the logit scale for responders.
    cdf
        Distribution function of ``link_value``.
    """

    outcome: Literal["binomial", "normal"]
    value: Summary
    link_value: Summary
    population_mean: Summary
    tau: Summary
    cdf: CubicSpline

    def even_draws(self, count: int) -> Floats:
        """Evenly spaced quantiles of ``value``, shape (count,), rising."""
        link = even_quantiles(self.cdf, count)
        return np.asarray(expit(link)) if self.outcome == "binomial" else link


def predict(arms: ControlArms, mean: MeanPrior, heterogeneity: HeterogeneityPrior) -> Predictive:
    """Integrate the model for counts or for means."""
    if arms.outcome == "binomial":
        return _of_counts(BinomialHierarchy(arms.columns["r"], arms.n, mean, heterogeneity))
    return _of_means(NormalHierarchy(arms.columns["mean"], arms.columns["se"], mean, heterogeneity))


def _of_counts(model: BinomialHierarchy) -> Predictive:
    fitted = model.fit()
    cdf = fitted.new_cdf
    return Predictive(
        "binomial",
        Summary.of(fitted.new_moments(), lambda p: float(expit(quantile_of(cdf, p)))),
        Summary.of(fitted.new_logit_moments(), lambda p: quantile_of(cdf, p)),
        Summary.of(fitted.population_moments(), lambda p: quantile_of(fitted.population_cdf, p)),
        _tau(fitted.tau),
        cdf,
    )


def _of_means(model: NormalHierarchy) -> Predictive:
    fitted = model.fit()
    new, population = fitted.new_study, fitted.population_mean
    value = Summary.of((float(new.mean()), float(new.sd())), lambda p: float(new.quantile(p)))
    moments = float(population.mean()), float(population.sd())
    spread = 0.5 * (float(population.quantile(0.84)) - float(population.quantile(0.16)))
    return Predictive(
        "normal",
        value,
        value,
        Summary.of(moments, lambda p: float(population.quantile(p))),
        _tau(fitted.tau),
        distribution(new.cdf, float(new.quantile(0.5)), spread),
    )


def _tau(tau: TauPosterior) -> Summary:
    return Summary.of((tau.mean(), tau.sd()), tau.quantile)
