"""Bayesian difference in shares with beta mixture priors."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, betaln, logit

from sim.analyses.base import Analysis, Estimate, Floats
from sim.analyses.data_set import DataSet, Result, check_binary
from sim.analyses.posterior import PosteriorEstimate
from sim.analyses.priors import BetaComponent, BetaPrior
from sim.estimand import Observations
from sim.mixtures import BetaMixture

Ints = NDArray[np.integer]

UNIFORM = BetaPrior(components=(BetaComponent(a=1, b=1),))
NODES = 128
BEYOND = 1e-10
"""Probability left out at each end of the integral over the control's share."""
PRECISION = 1e-10


class BetaBinomial(Analysis):
    """Posterior of the risk difference from beta-binomial counts of responders by arm.

    Conjugate, a mixture of beta distributions as prior of each share, uniform if not given; P(difference
    < x) is one integral over the control's share (Spiegelhalter, Abrams & Myles 2004,
    doi:10.1002/0470092602; mixtures: Schmidli et al. 2014, doi:10.1111/biom.12242).
    """

    kind: Literal["beta_binomial"] = "beta_binomial"
    summary: ClassVar[str | None] = "risk_difference"
    control: BetaPrior = UNIFORM
    treatment: BetaPrior = UNIFORM
    missing: Literal["non_response", "complete_case"] = "non_response"

    def estimate(self, observed: Observations) -> Estimate:
        """Update the priors by the counts of every replicate."""
        seen = ~np.isnan(observed.value)
        counted = seen if self.missing == "complete_case" else np.ones_like(seen)
        response = np.where(seen, observed.value, 0.0)
        total = observed.data.totals

        def counts(arms: list[int]) -> tuple[Floats, Floats]:
            mine = [observed.arm == arm for arm in arms]
            parts = ([total(m * part) for m in mine] for part in (response, counted.astype(np.float64)))
            return tuple(np.stack(part) for part in parts)  # type: ignore[return-value]

        of, to = counts(list(observed.of)), counts([observed.to] * len(observed.of))
        posterior = ShareDifference(
            self.treatment.mixture.posterior(*of), self.control.mixture.posterior(*to)
        )
        return PosteriorEstimate.of(posterior, of[1] + to[1])

    def analyse(self, data: DataSet) -> Result:
        """Tabulate the difference of each visit."""
        check_binary(data)
        return super().analyse(data)

    def words(self) -> str:
        """Say the analysis in words."""
        how = "counted as non-response" if self.missing == "non_response" else "left out"
        return (
            f"Bayesian risk difference, prior of the control share {self.control.words()}, "
            f"of the others {self.treatment.words()}, missing {how}"
        )


@dataclass(frozen=True)
class ShareDifference:
    """Difference of two independent shares, both mixtures with cells (...)."""

    treated: BetaMixture
    control: BetaMixture

    @cached_property
    def _integral(self) -> tuple[Floats, Floats]:
        """Values of the control's share and their weights in an integral over it, (node, cell).

        The trapezoidal rule for each component, over the logit, where a beta density has no end points and
        the rule converges exponentially (Trefethen & Weideman 2014, doi:10.1137/130932132).
        """
        flat = _flat(self.control)
        a, b = flat.a[:, None], flat.b[:, None]
        low, high = logit(betaincinv(a, b, BEYOND)), -logit(betaincinv(b, a, BEYOND))
        t = low + (high - low) * np.linspace(0, 1, NODES)[:, None]
        log_p, log_rest = -np.logaddexp(0, -t), -np.logaddexp(0, t)
        density = np.exp(a * log_p + b * log_rest - betaln(a, b))
        mass = flat.weight[:, None] * density / density.sum(axis=1, keepdims=True)
        return np.exp(log_p).reshape(-1, t.shape[-1]), mass.reshape(-1, t.shape[-1])

    def cdf(self, x: float) -> Floats:
        """Probability of a difference of at most ``x``."""
        cells = np.arange(self.treated.weight[0].size)
        return self._cdf(np.full(len(cells), x), cells).reshape(self.treated.weight.shape[1:])

    def _cdf(self, x: Floats, cells: Ints) -> Floats:
        """Of chosen cells: ∫ f(p) P(treated ≤ p + x) dp over the control's share p."""
        p, mass = (part[:, cells] for part in self._integral)
        treated = _flat(self.treated)
        chosen = BetaMixture(*(part[:, cells] for part in (treated.weight, treated.a, treated.b)))
        return np.asarray(np.clip((mass * chosen.cdf(p + x)).sum(axis=0), 0.0, 1.0))

    def mean(self) -> Floats:
        """Mean difference."""
        return self.treated.mean() - self.control.mean()

    def sd(self) -> Floats:
        """Standard deviation of the difference."""
        return np.hypot(self.treated.sd(), self.control.sd())

    def quantile(self, p: float) -> Floats:
        """Difference that is exceeded with probability 1 − ``p``."""
        from scipy.optimize.elementwise import find_root

        cells = np.arange(self.treated.weight[0].size)
        edge = np.ones(len(cells))

        def beyond(x: Floats, cell: Any) -> Floats:
            return self._cdf(x, cell) - p

        near: Any = {"xatol": PRECISION, "fatol": PRECISION}
        found = find_root(beyond, (-edge, edge), args=(cells,), tolerances=near)
        return np.asarray(found.x).reshape(self.treated.weight.shape[1:])


def _flat(mixture: BetaMixture) -> BetaMixture:
    """The same with one axis of cells."""
    return BetaMixture(*(part.reshape(mixture.size, -1) for part in (mixture.weight, mixture.a, mixture.b)))
