"""How often a Bayesian decision succeeds: by true value, and averaged over what is believed of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, ndtr, xlog1py, xlogy

from sim.core.errors import InputError
from sim.mixtures import BetaMixture, NormalMixture
from sim.rules.bayes_decision import Criteria
from sim.rules.crossing import TAIL, Floats, grid

Bools = NDArray[np.bool_]

FAR = 10.0
"""How many prior and sampling SDs beyond prior, thresholds and data a critical mean is looked for."""


@dataclass(frozen=True)
class RateArm:
    """An arm of ``n`` patients whose responders are counted, and the analysis prior of its rate.

    A mixture prior with a robust component borrows from earlier controls as far as the data agree with them
    (Schmidli et al. 2014, doi:10.1111/biom.12242).
    """

    prior: BetaMixture
    n: int

    def outcomes(self) -> Floats:
        """Return every possible number of responders."""
        return np.arange(self.n + 1.0)

    def likely(self, rate: ArrayLike) -> Floats:
        """Return the probability of each number of responders at true rates (…), (responders, …)."""
        p = np.asarray(rate, dtype=float)
        r = self.outcomes().reshape(-1, *[1] * p.ndim)
        choose = gammaln(self.n + 1) - gammaln(r + 1) - gammaln(self.n - r + 1)
        return np.asarray(np.exp(choose + xlogy(r, p) + xlog1py(self.n - r, -p)))


def rate_table(criteria: Criteria, first: RateArm, second: RateArm | None = None) -> Bools:
    """Return the decision for each number of responders, (first,) or (first, second)."""
    posterior = first.prior.posterior(first.outcomes(), first.n)
    if second is None:
        return criteria.of_one(posterior)
    other = second.prior.posterior(second.outcomes(), second.n)
    wide = [array[:, :, None] for array in (posterior.weight, posterior.a, posterior.b)]
    narrow = [array[:, None, :] for array in (other.weight, other.a, other.b)]
    return criteria.of_two(BetaMixture(*wide), BetaMixture(*narrow))


def rate_power(table: Bools, first: tuple[RateArm, ArrayLike], second: tuple[RateArm, ArrayLike]) -> Floats:
    """Return the probability of success at true rates that broadcast, by summing over every outcome.

    Parameters
    ----------
    table
        From ``rate_table`` of the two arms.
    first, second
        An arm with its true rates (…).
    """
    one, two = (np.asarray(rate, dtype=float) for _, rate in (first, second))
    one, two = np.broadcast_arrays(one, two)
    likely_1, likely_2 = first[0].likely(one.ravel()), second[0].likely(two.ravel())
    found = ((table.astype(float) @ likely_2) * likely_1).sum(axis=0)
    return np.asarray(found.reshape(one.shape))


def rate_assurance(
    table: Bools, first: tuple[RateArm, BetaMixture], *more: tuple[RateArm, BetaMixture]
) -> float:
    """Return the probability of success where the true rates are drawn from design priors.

    Assurance (O'Hagan, Stevens & Campbell 2005, doi:10.1002/pst.175) by exact sums over the beta-binomial
    predictive distributions. ``table`` may be of any test.
    """
    masses = [prior.predictive(arm.n) for arm, prior in (first, *more)]
    held = table.astype(float)
    for mass in reversed(masses):
        held = held @ mass
    return float(held)


def critical_responders(table: Bools) -> NDArray[np.int64]:
    """Return the least responders in the first arm that succeed, given the second's, (…); −1 where none do.

    For a rate that should be high; each column of ``table`` must rise.
    """
    if (np.diff(table.astype(int), axis=0) < 0).any():
        raise InputError("critical value: the decision does not rise with the responders")
    return np.where(table.any(axis=0), table.argmax(axis=0), -1)


@dataclass(frozen=True)
class MeanArm:
    """An arm whose mean has a known standard error, and the analysis prior of the mean."""

    prior: NormalMixture
    se: float


def critical_mean(
    criteria: Criteria, first: MeanArm, second: tuple[MeanArm, ArrayLike] | None = None
) -> Floats:
    """Return the first arm's observed mean at which the decision turns, for observed means (…) of the second.

    Success lies below it if the criteria count low values, else above; found by bisection.
    """
    observed = np.zeros(()) if second is None else np.asarray(second[1], dtype=float)
    other = None if second is None else second[0].prior.posterior(observed, second[0].se)
    places = (*criteria.thresholds, float(first.prior.mean()), float(observed.min()), float(observed.max()))
    reach = FAR * (first.se + float(first.prior.sd())) + sum(abs(place) for place in places)
    low, high = np.full(observed.shape, -reach), np.full(observed.shape, reach)
    for _ in range(100):
        middle = (low + high) / 2
        posterior = first.prior.posterior(middle, first.se)
        good = criteria.of_one(posterior) if other is None else criteria.of_two(posterior, other)
        rise = good == criteria.lower
        low, high = np.where(rise, middle, low), np.where(rise, high, middle)
    return np.asarray((low + high) / 2)


def mean_power(
    criteria: Criteria, first: tuple[MeanArm, float], second: tuple[MeanArm, float] | None = None
) -> float:
    """Return the probability of success when the arms' true means are those given with them."""
    return _success(criteria, (first[0], first[1], 0.0), second and (second[0], second[1], 0.0))


def mean_assurance(
    criteria: Criteria,
    first: tuple[MeanArm, NormalMixture],
    second: tuple[MeanArm, NormalMixture] | None = None,
) -> float:
    """Return the probability of success where the true means are drawn from design priors."""
    total = 0.0
    for weight, m, s in zip(first[1].weight, first[1].m, first[1].s, strict=True):
        if second is None:
            total += weight * _success(criteria, (first[0], float(m), float(s)))
            continue
        for share, n, t in zip(second[1].weight, second[1].m, second[1].s, strict=True):
            both = (first[0], float(m), float(s)), (second[0], float(n), float(t))
            total += weight * share * _success(criteria, *both)
    return float(total)


Believed = tuple[MeanArm, float, float]
"""An arm, and the mean and standard deviation of what its true mean is drawn from."""


def _success(criteria: Criteria, first: Believed, second: Believed | None = None) -> float:
    """Integrate over the second arm's observed mean the chance that the first is beyond the critical one."""
    arm, mean, sd = first
    spread = np.hypot(arm.se, sd)
    side = 1.0 if criteria.lower else -1.0
    if second is None:
        return float(ndtr(side * (critical_mean(criteria, arm) - mean) / spread))
    other, centre, wide = second
    z, width = grid(-TAIL, TAIL, 1.0)
    observed = centre + z * np.hypot(other.se, wide)
    turn = critical_mean(criteria, arm, (other, observed))
    weight = width * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return float(weight @ ndtr(side * (turn - mean) / spread))
