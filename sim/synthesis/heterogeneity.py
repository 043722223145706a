"""How much the true effects of studies differ: estimators of τ², its interval, I² and H²."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtrc, chdtri

from sim.core.errors import InputError

Floats = NDArray[np.float64]
Estimator = Literal["EE", "DL", "HE", "HS", "SJ", "ML", "REML", "EB", "PM"]


@dataclass(frozen=True, eq=False)
class Studies:
    """Estimates of studies with known variances, and what they are regressed on.

    Parameters
    ----------
    estimate, variance
        Shape (study,); any scale and its square.
    design
        Design matrix, shape (study, coefficient); a column of ones when left out.
    """

    estimate: Floats
    variance: Floats
    design: Floats | None = None

    def __post_init__(self) -> None:
        """Check shapes and values."""
        y, v, x = self.estimate, self.variance, self.matrix
        if y.ndim != 1 or y.shape != v.shape or len(x) != len(y):
            raise InputError(
                f"studies: {y.shape} estimates, {v.shape} variances and {x.shape} design do not fit"
            )
        if not (np.all(np.isfinite(y)) and np.all(np.isfinite(v)) and np.all(v > 0)):
            raise InputError("studies: estimates must be finite and variances above 0")
        if self.residual_df < 0:
            raise InputError(f"studies: {len(y)} are too few for {x.shape[1]} coefficients")

    @cached_property
    def matrix(self) -> Floats:
        """Design matrix."""
        return np.ones((len(self.estimate), 1)) if self.design is None else self.design

    @property
    def residual_df(self) -> int:
        """Number of studies less the number of coefficients."""
        return len(self.estimate) - int(self.matrix.shape[1])

    def covariance(self, tau2: float) -> Floats:
        """Covariance of the coefficients at ``tau2``, shape (coefficient, coefficient)."""
        x = self.matrix
        return np.asarray(np.linalg.inv(x.T @ (x / (self.variance + tau2)[:, None])))

    def projection(self, tau2: float) -> Floats:
        """P = W − WX(X'WX)⁻¹X'W, with which the generalised Q statistic is y'Py; shape (study, study)."""
        w = 1 / (self.variance + tau2)
        wx = self.matrix * w[:, None]
        return np.asarray(np.diag(w) - wx @ self.covariance(tau2) @ wx.T)

    def q(self, tau2: float = 0.0) -> float:
        """Generalised Q statistic: weighted squared residuals at ``tau2``."""
        return float(self.estimate @ self.projection(tau2) @ self.estimate)

    def q_p(self) -> float:
        """P-value of the test for homogeneity (Cochran's Q)."""
        return float(chdtrc(self.residual_df, self.q()))

    def typical_variance(self) -> float:
        """Typical variance within studies (Higgins & Thompson 2002, doi:10.1002/sim.1186, equation 9)."""
        return float(self.residual_df / np.trace(self.projection(0.0)))

    def i2(self, tau2: float) -> float:
        """Share of the variation that is between studies, 0 to 1."""
        return tau2 / (tau2 + self.typical_variance())

    def h2(self, tau2: float) -> float:
        """Total variance over variance within studies."""
        return tau2 / self.typical_variance() + 1


def estimate_tau2(studies: Studies, method: Estimator = "REML") -> float:
    """Estimate the variance between studies, 0 or more.

    Parameters
    ----------
    method
        EE: equal effects (0). DL: DerSimonian & Laird 1986, doi:10.1016/0197-2456(86)90046-2.
        HE: Hedges. HS: Hunter & Schmidt. SJ: Sidik & Jonkman 2005, doi:10.1111/j.1467-9876.2005.00489.x.
        ML, REML: (restricted) maximum likelihood. PM: Paule & Mandel; EB (empirical Bayes, Morris) solves
        the same equation. Compared in Veroniki et al. 2016, doi:10.1002/jrsm.1164; the formulas as in
        Viechtbauer 2005, doi:10.3102/10769986030003261.

    Raises
    ------
    InputError
        As many coefficients as studies.
    """
    if method == "EE":
        return 0.0
    if studies.residual_df == 0:
        raise InputError("heterogeneity needs more studies than coefficients")
    return max(0.0, ESTIMATORS[method](studies))


def q_profile(studies: Studies, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of τ² by inverting the Q test (Viechtbauer 2007, doi:10.1002/sim.2514)."""
    tail = (1 - level) / 2
    return tuple(_solve_q(studies, float(chdtri(studies.residual_df, p))) for p in (tail, 1 - tail))  # type: ignore[return-value]


def _solve_q(studies: Studies, wanted: float) -> float:
    """The τ² at which the generalised Q, which falls in τ², is ``wanted``; 0 if it starts below."""
    if studies.q(0.0) <= wanted:
        return 0.0
    high = float(studies.variance.max())
    while studies.q(high) > wanted:
        high *= 4
    return float(brentq(lambda tau2: studies.q(tau2) - wanted, 0.0, high, xtol=1e-14 * high, rtol=1e-14))


def _dersimonian_laird(studies: Studies) -> float:
    return (studies.q() - studies.residual_df) / float(np.trace(studies.projection(0.0)))


def _hedges(studies: Studies) -> float:
    x, y = studies.matrix, studies.estimate
    residual = np.eye(len(y)) - x @ np.linalg.pinv(x)
    return float(y @ residual @ y - np.diag(residual) @ studies.variance) / studies.residual_df


def _hunter_schmidt(studies: Studies) -> float:
    return (studies.q() - len(studies.estimate)) / float(np.sum(1 / studies.variance))


def _sidik_jonkman(studies: Studies) -> float:
    start = float(np.var(studies.estimate))
    return start * studies.q(start) / studies.residual_df


def _paule_mandel(studies: Studies) -> float:
    return _solve_q(studies, studies.residual_df)


def _likelihood(restricted: bool) -> Callable[[Studies], float]:
    def highest(studies: Studies) -> float:
        """Every root of the score where it falls, and 0; the one with the highest likelihood.

        Fisher scoring is shorter, but it can circle, and it finds one maximum of several.
        """
        scale = float(np.ptp(studies.estimate) ** 2 + studies.variance.max())
        grid = np.append(0.0, scale * np.geomspace(1e-8, 10, 30))

        def score(tau2: float) -> float:
            p = studies.projection(tau2)
            py = p @ studies.estimate
            return float(py @ py - (np.trace(p) if restricted else np.sum(1 / (studies.variance + tau2))))

        values = [score(tau2) for tau2 in grid]
        falls = [k for k in range(len(grid) - 1) if values[k] > 0 >= values[k + 1]]
        roots = [float(brentq(score, grid[k], grid[k + 1], xtol=1e-14 * scale, rtol=1e-14)) for k in falls]
        return max([0.0, *roots], key=lambda tau2: _log_likelihood(studies, tau2, restricted))

    return highest


def _log_likelihood(studies: Studies, tau2: float, restricted: bool) -> float:
    """(Restricted) log likelihood of τ², the coefficients at their best, up to a constant."""
    total = -np.log(studies.variance + tau2).sum() - studies.q(tau2)
    return float(0.5 * (total + (np.linalg.slogdet(studies.covariance(tau2))[1] if restricted else 0.0)))


ESTIMATORS: dict[str, Callable[[Studies], float]] = {
    "DL": _dersimonian_laird,
    "HE": _hedges,
    "HS": _hunter_schmidt,
    "SJ": _sidik_jonkman,
    "ML": _likelihood(restricted=False),
    "REML": _likelihood(restricted=True),
    "EB": _paule_mandel,
    "PM": _paule_mandel,
}
