"""Bayesian network meta-analysis of counts on arm level: responders, or patients who stopped."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy.special import expit, xlogy

from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.synthesis.heterogeneity import Floats

Names = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CountedArms:
    """One row an arm.

    Parameters
    ----------
    study, treatment
        Names, one an arm.
    r, n
        Patients with the event and all patients, shape (arm,).
    """

    study: Names
    treatment: Names
    r: Floats
    n: Floats

    def __post_init__(self) -> None:
        """Check the counts."""
        if np.any(self.r < 0) or np.any(self.r > self.n) or np.any(self.n <= 0):
            raise InputError("events must be between 0 and the number of patients of the arm")

    @cached_property
    def treatments(self) -> Names:
        """Every treatment once, in alphabetical order."""
        return tuple(sorted(set(self.treatment)))

    def study_of(self) -> NDArray[np.intp]:
        """Place of each arm's study among all studies."""
        return np.unique(self.study, return_inverse=True)[1]


@dataclass(frozen=True)
class VaguePriors:
    """Standard deviations of the normal priors (logit scale), and the half-normal scale of τ (None: no τ)."""

    intercept: float = 100.0
    effect: float = 100.0
    tau: float | None = 5.0


def build(arms: CountedArms, reference: str, priors: VaguePriors) -> pm.Model:
    """Model the logit of an arm as its study's intercept + its treatment's effect + an own deviation.

    Deviations of arms are N(0, τ²/2), so that those of contrasts are N(0, τ²) with correlation ½ within a
    study (Dias et al. 2013, doi:10.1177/0272989X12458724; the arm-based form has the same contrasts because
    the intercepts are free). Effects are ``effect`` without the reference; the logits are ``logit``.
    """
    if reference not in arms.treatments:
        raise InputError(f"no treatment '{reference}':{suggest(reference, arms.treatments)}")
    others = [name for name in arms.treatments if name != reference]
    study = arms.study_of()
    place = np.array([0 if name == reference else 1 + others.index(name) for name in arms.treatment])
    with pm.Model(coords={"treatment": others}) as model:
        intercept = pm.Normal("intercept", 0.0, priors.intercept, shape=int(study.max()) + 1)
        effect = pm.Normal("effect", 0.0, priors.effect, dims="treatment")
        logit = intercept[study] + pt.concatenate([[0.0], effect])[place]
        if priors.tau is not None:
            tau = pm.HalfNormal("tau", priors.tau)
            logit = logit + pm.Normal("deviation_z", 0.0, 1.0, shape=len(study)) * tau / np.sqrt(2)
        pm.Deterministic("logit", logit)
        pm.Binomial("events", n=arms.n.astype(int), logit_p=logit, observed=arms.r.astype(int))
    return model


def deviance(arms: CountedArms, logit: Floats) -> dict[str, float]:
    """Residual deviance, effective number of parameters and DIC (Spiegelhalter et al. 2002).

    Parameters
    ----------
    logit
        Posterior draws, shape (draw, arm).

    Notes
    -----
    pD is the mean residual deviance less the deviance at the posterior mean of the fitted counts, arm by arm
    (Dias et al. 2013, doi:10.1177/0272989X12458724).
    """
    mean = float(_deviance(arms, arms.n * expit(logit)).mean())
    at_mean = float(_deviance(arms, (arms.n * expit(logit)).mean(axis=0)[None]).sum())
    return {"residual_deviance": mean, "pD": mean - at_mean, "DIC": 2 * mean - at_mean}


def _deviance(arms: CountedArms, fitted: Floats) -> Floats:
    """Residual deviance of all arms for each row of fitted counts, shape (draw,)."""
    r, n = arms.r, arms.n
    logs: Any = xlogy(r, r) - xlogy(r, fitted) + xlogy(n - r, n - r) - xlogy(n - r, n - fitted)
    return np.asarray(2 * logs.sum(axis=1))
