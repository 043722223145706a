"""Frequentist meta-analysis of one comparison: the check beside a pooled effect."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from sim.synthesis.heterogeneity import Estimator, Floats, Studies, estimate_tau2

Uncertainty = Literal["normal", "knapp_hartung", "knapp_hartung_modified", "kenward_roger"]


@dataclass(frozen=True, eq=False)
class Pooled:
    """Coefficients of a meta-analysis (one, the pooled effect, unless there are moderators).

    Parameters
    ----------
    coefficient, se
        Shape (coefficient,).
    tau2
        Variance between studies.
    df
        Degrees of freedom of the intervals; infinite for the normal distribution.
    """

    studies: Studies
    coefficient: Floats
    se: Floats
    tau2: float
    df: float

    @property
    def estimate(self) -> float:
        """First coefficient."""
        return float(self.coefficient[0])

    @property
    def statistic(self) -> Floats:
        """Coefficient over its standard error, shape (coefficient,)."""
        return self.coefficient / self.se

    @property
    def p(self) -> Floats:
        """Two-sided p-value of each coefficient, shape (coefficient,)."""
        lower = -abs(self.statistic)
        return np.asarray(2 * (ndtr(lower) if np.isinf(self.df) else stdtr(self.df, lower)))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of the first coefficient."""
        half = critical(self.df, level) * float(self.se[0])
        return self.estimate - half, self.estimate + half

    def prediction_interval(self, df: float | None = None, level: float = 0.95) -> tuple[float, float]:
        """Interval for the effect of a new study.

        Parameters
        ----------
        df
            Degrees of freedom of the t distribution; those of the confidence interval when left out. Higgins,
            Thompson & Spiegelhalter 2009 (doi:10.1111/j.1467-985X.2008.00552.x) take studies − 2.
        """
        degrees = self.df if df is None else df
        half = critical(degrees, level) * float(np.sqrt(self.se[0] ** 2 + self.tau2))
        return self.estimate - half, self.estimate + half

    def shrunken(self) -> Floats:
        """Best linear unbiased prediction of each study's own effect, shape (study,)."""
        pooled = self.studies.matrix @ self.coefficient
        trust = self.tau2 / (self.tau2 + self.studies.variance)
        return np.asarray(trust * self.studies.estimate + (1 - trust) * pooled)


def critical(df: float, level: float) -> float:
    """Two-sided critical value of the t (or, with infinite ``df``, the normal) distribution."""
    upper = 0.5 + level / 2
    return float(ndtri(upper) if np.isinf(df) else stdtrit(df, upper))


def pool(studies: Studies, method: Estimator = "REML", uncertainty: Uncertainty = "normal") -> Pooled:
    """Pool studies by inverse variance.

    Parameters
    ----------
    method
        Estimator of τ²; EE is the common-effect model.
    uncertainty
        normal: Wald. knapp_hartung: variance scaled by the weighted residuals, t with residual degrees of
        freedom (Knapp & Hartung 2003, doi:10.1002/sim.1482); modified: never scaled down (Röver et al. 2015,
        doi:10.1186/s12874-015-0091-1). kenward_roger: for the pooled effect alone, as in Partlett &
        Riley 2017 (doi:10.1002/sim.7140).
    """
    tau2 = estimate_tau2(studies, method)
    covariance = studies.covariance(tau2)
    coefficient = covariance @ studies.matrix.T @ (studies.estimate / (studies.variance + tau2))
    variance, df = np.diag(covariance), np.inf
    if uncertainty == "kenward_roger":
        variance, df = _kenward_roger(studies, tau2)
    elif uncertainty != "normal":
        scale = studies.q(tau2) / studies.residual_df
        variance = variance * (max(1.0, scale) if uncertainty == "knapp_hartung_modified" else scale)
        df = float(studies.residual_df)
    return Pooled(studies, coefficient, np.sqrt(variance), tau2, df)


def _kenward_roger(studies: Studies, tau2: float) -> tuple[Floats, float]:
    """Inflated variance of the pooled effect and its degrees of freedom, expected information.

    The degrees of freedom take the inflated variance, as the package meta does; with the plain one they
    would be larger.
    """
    w = 1 / (studies.variance + tau2)
    p = studies.projection(tau2)
    of_tau2 = 2 / float(np.sum(p * p))
    total, squared, cubed = float(w.sum()), float(np.sum(w**2)), float(np.sum(w**3))
    variance = 1 / total + 2 * of_tau2 * (cubed - squared**2 / total) / total**2
    return np.array([variance]), 2 / (of_tau2 * (squared * variance) ** 2)
