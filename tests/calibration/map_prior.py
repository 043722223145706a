"""The meta-analytic-predictive prior: integrated, so that the rank of the truth is read off the posterior."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit

from sim.synthesis.binomial_hierarchy import BinomialHierarchy
from sim.synthesis.hierarchy import HeterogeneityPrior, MeanPrior
from sim.synthesis.normal_hierarchy import NormalHierarchy
from tests.calibration.case import LEVELS, Replication, seed_of

SE = np.array([0.15, 0.25, 0.3, 0.4, 0.6])
N = np.array([20, 60, 200])
MEAN = MeanPrior(0.0, 1.5)
SCALE = 0.5
TOO_WIDE = 1.3


@dataclass(frozen=True)
class MapCase:
    """Five studies of means or three of responders, under one kind of prior of τ."""

    outcome: Literal["normal", "binomial"]
    kind: Literal["half_normal", "half_cauchy", "exponential"]

    @property
    def name(self) -> str:
        """Model, outcome and prior."""
        return f"map_{self.outcome}_{self.kind}"

    @property
    def fault(self) -> str:
        """What is done to the data to be found out."""
        wide = f"errors {TOO_WIDE} times as large as their standard errors"
        return wide if self.outcome == "normal" else "each patient counted twice, with half as many patients"

    @property
    def modules(self) -> tuple[str, ...]:
        """What defines the posterior and its distribution functions."""
        own = f"sim.synthesis.{self.outcome}_hierarchy"
        first_guess = () if self.outcome == "normal" else ("sim.synthesis.normal_hierarchy:NormalHierarchy",)
        return ("sim.synthesis.hierarchy", own, *first_guess, "tests.calibration.map_prior")

    def replicate(self, number: int, faulty: bool) -> Replication:
        """Draw population and studies, integrate, and find where the truth lies."""
        rng = np.random.default_rng(seed_of(self.name, number))
        prior = HeterogeneityPrior(kind=self.kind, scale=SCALE, because="calibration")
        unit = {
            "half_normal": lambda: abs(rng.standard_normal()),
            "half_cauchy": lambda: abs(rng.standard_cauchy()),
            "exponential": rng.exponential,
        }[self.kind]
        tau, mu = SCALE * unit(), rng.normal(MEAN.mean, MEAN.sd)
        theta, new = rng.normal(mu, tau, size=len(SE if self.outcome == "normal" else N)), rng.normal(mu, tau)
        if self.outcome == "normal":
            estimate = rng.normal(theta, SE * (TOO_WIDE if faulty else 1.0))
            fitted = NormalHierarchy(estimate, SE, MEAN, prior).fit()
            of_mu, of_new = fitted.population_mean.cdf(mu), fitted.new_study.cdf(new)
        else:
            copies = 2 if faulty else 1
            r = copies * rng.binomial(N // copies, expit(theta))
            fitted = BinomialHierarchy(r.astype(float), N.astype(float), MEAN, prior).fit()
            of_mu, of_new = (
                _within(cdf, at) for cdf, at in ((fitted.population_cdf, mu), (fitted.new_cdf, new))
            )
        steps = np.arange(1, LEVELS + 1) / (LEVELS + 1)
        below = sum(fitted.tau.quantile(p) < tau for p in steps)
        return Replication({"mu": _rank(of_mu), "tau": int(below), "new_study": _rank(of_new)})


def _within(cdf: object, at: float) -> float:
    """Distribution function, constant beyond its knots."""
    return float(cdf(np.clip(at, cdf.x[0], cdf.x[-1])))


def _rank(probability: float) -> int:
    """Number of the posterior's percentiles below the truth."""
    return int(np.clip(np.floor(probability * (LEVELS + 1)), 0, LEVELS))


CASES = (
    MapCase("normal", "half_normal"),
    MapCase("normal", "half_cauchy"),
    MapCase("normal", "exponential"),
    MapCase("binomial", "half_normal"),
)
"""The prior of τ is the same code for both outcomes."""
