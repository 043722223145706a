"""Predictive probability of success: how likely the final analysis succeeds, seen from an interim look."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from sim.core.errors import InputError
from sim.mixtures import BetaMixture, NormalMixture
from sim.rules.crossing import Floats

Bools = NDArray[np.bool_]


def of_rate(success: Bools, prior: BetaMixture, seen: int) -> Floats:
    """Return the probability of final success for each number of responders among the ``seen`` patients.

    Parameters
    ----------
    success
        Whether each number of responders at the end succeeds, (final n + 1,): of any test.
    prior
        What is believed of the rate; its posterior predicts the patients to come.

    Notes
    -----
    Exact sum over the beta-binomial distribution (Lee & Liu 2008, doi:10.1177/1740774508089279).
    """
    return np.asarray(_ahead(prior, seen, len(success) - 1) @ success.astype(float))


def of_two_rates(success: Bools, priors: tuple[BetaMixture, BetaMixture], seen: tuple[int, int]) -> Floats:
    """Return the same for two arms: (responders in arm 1, in arm 2) at the look.

    ``success`` is (final n of arm 1 + 1, final n of arm 2 + 1); see ``bayes_characteristics.rate_table``.
    """
    first, second = (
        _ahead(prior, n, last - 1) for prior, n, last in zip(priors, seen, success.shape, strict=True)
    )
    return np.asarray(first @ success.astype(float) @ second.T)


def _ahead(prior: BetaMixture, seen: int, final: int) -> Floats:
    """Return the probability of each final number of responders given each interim one, (now, final)."""
    if not 0 <= seen < final:
        raise InputError(f"seen: must be at least 0 and below the final {final} patients (given: {seen})")
    now = np.arange(seen + 1)
    to_come = prior.posterior(now, seen).predictive(final - seen)
    ahead = np.zeros((seen + 1, final + 1))
    for more, probability in enumerate(to_come):
        ahead[now, now + more] = probability
    return ahead


def of_mean(
    estimate: Floats,
    errors: tuple[float, float],
    critical: float,
    prior: NormalMixture,
    better: str = "higher",
) -> Floats:
    """Return the probability that the final estimate is beyond ``critical``, for interim ones (…).

    Parameters
    ----------
    errors
        Standard errors of the interim and of the final estimate, known; the final one is the smaller.
    prior
        What is believed of the true value; a wide one gives the predictive power with a flat prior
        (Spiegelhalter, Freedman & Blackburn 1986, doi:10.1016/0197-2456(86)90003-6).
    better
        'higher' or 'lower': on which side of ``critical`` success lies.
    """
    now, end = errors
    if not 0 < end < now:
        raise InputError(f"errors: the final one must be the smaller, both above 0 (given: {now:g}, {end:g})")
    share = (end / now) ** 2
    posterior = prior.posterior(estimate, now)
    # Final = share·interim + (1 − share)·mean of those to come, whose sampling variance is end²/(1 − share).
    centre = share * np.asarray(estimate, dtype=float) + (1 - share) * posterior.m
    spread = np.hypot((1 - share) * posterior.s, end * np.sqrt(1 - share))
    side = 1.0 if better == "higher" else -1.0
    return np.asarray((posterior.weight * ndtr(side * (centre - critical) / spread)).sum(axis=0))
