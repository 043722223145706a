"""Bayesian difference in means with normal mixture priors."""

from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from sim.analyses.ancova import Ancova
from sim.analyses.base import Analysis, Estimate, Floats
from sim.analyses.posterior import PosteriorEstimate
from sim.analyses.priors import NormalPrior
from sim.analyses.single_imputation import Fill, fill_words, filled
from sim.core.parts import wrong
from sim.estimand import Observations
from sim.mixtures import NormalMixture

Bools = NDArray[np.bool_]


class BayesNormal(Analysis):
    """Posterior of the difference in means by conjugate updating, the standard error taken as known.

    With a prior of the ``difference``, its likelihood is the ANCOVA estimate and standard error
    (Spiegelhalter, Abrams & Myles 2004, doi:10.1002/0470092602, chapter 3). With a prior of the
    ``control`` mean (and of the ``treatment`` mean, else flat), the likelihood of each mean is normal
    with the SD pooled over all arms: the way to use a meta-analytic-predictive prior (Schmidli et al. 2014,
    doi:10.1111/biom.12242). ``measure: change`` takes means of the change from baseline.
    """

    kind: Literal["bayes_normal"] = "bayes_normal"
    summary: ClassVar[str | None] = "mean_difference"
    difference: NormalPrior | None = None
    control: NormalPrior | None = None
    treatment: NormalPrior | None = None
    measure: Literal["value", "change"] = "value"
    missing: Fill = "complete_case"

    @model_validator(mode="after")
    def _one_route(self) -> Self:
        means = self.control is not None or self.treatment is not None
        if means == (self.difference is not None):
            raise wrong("give a prior of the 'difference', or of 'control' and 'treatment' means")
        return self

    def estimate(self, observed: Observations) -> Estimate:
        """Update the prior in every replicate."""
        if self.difference is None:
            return self._from_means(filled(observed, self.missing), self.measure == "change")
        found = Ancova(estimand=self.estimand, missing=self.missing).estimate(observed)
        posterior, failed = update(self.difference.mixture, found.estimate, found.se)
        return PosteriorEstimate.of(posterior, found.n, failed)

    def _from_means(self, observed: Observations, change: bool) -> Estimate:
        n, mean, se = arm_means(observed, change)
        of, to = list(observed.of), observed.to
        control, no_control = update(_mixture(self.control), mean[[to] * len(of)], se[[to] * len(of)])
        treated, no_treated = update(_mixture(self.treatment), mean[of], se[of])
        return PosteriorEstimate.of(difference(treated, control), n[of] + n[to], no_control | no_treated)

    def words(self) -> str:
        """Say the analysis in words."""
        priors = {"difference": self.difference, "control": self.control, "treatment": self.treatment}
        said = [f"{name} {prior.words()}" for name, prior in priors.items() if prior is not None]
        what = "means of the change from baseline" if self.measure == "change" else "means"
        how = "analysis of covariance" if self.difference is not None else what
        return f"Bayesian difference from {how}, prior of {', of '.join(said)}, {fill_words(self.missing)}"


def _mixture(prior: NormalPrior | None) -> NormalMixture | None:
    return None if prior is None else prior.mixture


def update(prior: NormalMixture | None, mean: Floats, se: Floats) -> tuple[NormalMixture, Bools]:
    """Posterior of a mean in every cell, and the cells without data; no prior is a flat one."""
    failed = ~(np.isfinite(mean) & (se > 0))
    mean, se = np.where(failed, 0.0, mean), np.where(failed, 1.0, se)
    if prior is None:
        return NormalMixture(np.ones((1, *mean.shape)), mean[None], se[None]), failed
    return prior.posterior(mean, se), failed


def difference(first: NormalMixture, second: NormalMixture) -> NormalMixture:
    """Distribution of the difference of two independent values: every pair of components."""
    shape = (first.size * second.size, *first.weight.shape[1:])
    weight = first.weight[:, None] * second.weight
    mean = first.m[:, None] - second.m
    sd = np.hypot(first.s[:, None], second.s)
    return NormalMixture(weight.reshape(shape), mean.reshape(shape), sd.reshape(shape))


def arm_means(observed: Observations, change: bool) -> tuple[Floats, Floats, Floats]:
    """Patients, mean and standard error by the pooled SD of each arm, each (arm, size, replicate)."""
    total = observed.data.totals
    value = observed.value - observed.baseline if change else observed.value
    seen = ~np.isnan(value)
    # about the middle of the data, so that the squares lose no digits
    centre = np.nanmean(value)
    y = np.where(seen, value - centre, 0.0)
    mine = [(seen & (observed.arm == arm)).astype(np.float64) for arm in range(observed.arms)]
    n, s, ss = (np.stack([total(m * power) for m in mine]) for power in (np.ones_like(y), y, y * y))
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.maximum(n - 1, 0).sum(axis=0)
        within = (ss - s * s / np.maximum(n, 1)).sum(axis=0) / df
        return n, s / n + centre, np.sqrt(within / n)
