"""A mixture fitted to draws: expectation–maximisation, the number of components by AIC."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from scipy.special import betaln, gammaln, logsumexp, polygamma, psi

from sim.core.errors import InputError
from sim.mixtures.base import Floats, Mixture
from sim.mixtures.beta import BetaMixture
from sim.mixtures.gamma import GammaMixture
from sim.mixtures.normal import NormalMixture

STEPS = 1000
CONVERGED = 1e-7
"""Gain in mean log likelihood of a draw, by one step, below which a fit has converged."""
STARTING_SPREADS = (1.0, 0.4, 2.5, 0.15, 5.0, 0.05)
"""Standard deviations of the components to start from, as multiples of that of the draws."""

Kind = TypeVar("Kind", bound=Mixture)
Pair = tuple[Floats, Floats]


@dataclass(frozen=True)
class Fit(Generic[Kind]):
    """A fitted mixture, the log likelihood of its draws and its AIC."""

    mixture: Kind
    log_likelihood: float
    aic: float


@dataclass(frozen=True)
class _Form:
    """A family as an exponential family: log density = natural · statistics − normaliser."""

    statistics: Callable[[Floats], Floats]
    """Of draws (draw,): shape (2, draw)."""
    natural: Callable[[Floats, Floats], tuple[Floats, Floats]]
    """Of the parameters (component,): natural parameters (component, 2) and normaliser (component,)."""
    start: Callable[[Floats, Floats], Pair]
    """Parameters from means and variances (component,)."""
    solve: Callable[[Floats, Pair], Pair]
    """Parameters whose expected statistics are those given (component, 2), from parameters near by."""


def fit(
    kind: type[Kind],
    draws: Floats,
    components: Sequence[int] = (1, 2, 3, 4),
    penalty: float = 2.0,
    bounded: bool = False,
) -> Fit[Kind]:
    """Fit mixtures with each number of components and keep the one with the smallest AIC.

    Parameters
    ----------
    kind
        NormalMixture, BetaMixture or GammaMixture.
    draws
        Draws from the distribution to describe, shape (draw,), inside its support.
    components
        Numbers of components to try, each from 1 to 6.
    penalty
        What a parameter costs: AIC = penalty × parameters − 2 × log likelihood (Akaike 1974,
        doi:10.1109/TAC.1974.1100705). More than 2 suits correlated draws.
    bounded
        Keep shapes at 1 or more, so that no density is infinite at 0 or 1 and the ELIR exists.

    Raises
    ------
    InputError
        Fewer than 10 draws, equal draws, or draws outside the support.

    Notes
    -----
    Dempster, Laird & Rubin 1977, doi:10.1111/j.2517-6161.1977.tb01600.x; the second step of beta and gamma
    components is Newton's method on the digamma equations. Each number of components is started twice
    (side by side, and around one centre with unlike spreads) and the higher likelihood is kept.
    """
    draws = _checked(kind, draws)
    if not components or not set(components) <= set(range(1, len(STARTING_SPREADS) + 1)):
        raise InputError(f"numbers of components must be from 1 to {len(STARTING_SPREADS)}, got {components}")
    form = BOUNDED.get(kind, FORMS[kind]) if bounded else FORMS[kind]
    fits = [_best(kind, form, draws, number) for number in components]
    return min(
        (Fit(m, likelihood, penalty * (3 * m.size - 1) - 2 * likelihood) for m, likelihood in fits), key=_aic
    )


def _checked(kind: type[Mixture], draws: Floats) -> Floats:
    draws = np.sort(np.asarray(draws, dtype=float))
    if draws.ndim != 1 or len(draws) < 10 or not np.all(np.isfinite(draws)) or draws[0] == draws[-1]:
        raise InputError("a mixture is fitted to at least 10 finite draws that are not all equal")
    if kind is not NormalMixture and (draws[0] <= 0 or (kind is BetaMixture and draws[-1] >= 1)):
        raise InputError(f"draws for a {kind.__name__} must lie inside its support")
    return draws


def _aic(found: Fit[Kind]) -> float:
    return found.aic


def _best(kind: type[Kind], form: _Form, draws: Floats, number: int) -> tuple[Kind, float]:
    starts = [_blocks(draws, number)] + ([_spreads(draws, number)] if number > 1 else [])
    climbs = [_climb(form, draws, start) for start in starts]
    parameters, likelihood = max(climbs, key=lambda found: found[1])
    order = np.argsort(-parameters[0])
    return kind(*(array[order] for array in parameters)), likelihood


def _blocks(draws: Floats, number: int) -> Floats:
    """Responsibilities (component, draw) that put consecutive draws into one component each."""
    place = np.arange(len(draws)) * number // len(draws)
    return np.asarray(np.eye(number)[place].T)


def _spreads(draws: Floats, number: int) -> Floats:
    """Responsibilities by normal densities of one centre and unlike spreads."""
    z = (draws - np.median(draws)) / draws.std()
    spread = np.array(STARTING_SPREADS[:number])[:, None]
    logs = -0.5 * (z / spread) ** 2 - np.log(spread)
    return np.asarray(np.exp(logs - logsumexp(logs, axis=0)))


def _climb(form: _Form, draws: Floats, share: Floats) -> tuple[tuple[Floats, Floats, Floats], float]:
    """Alternate the two steps from responsibilities (component, draw) until little is gained."""
    statistics = form.statistics(draws)
    floor = 1e-6 * draws.var()
    size = share.sum(axis=1)
    mean = share @ draws / size
    pair = form.start(mean, np.maximum(share @ draws**2 / size - mean**2, floor))
    before = -np.inf
    for _ in range(STEPS):
        weight = size / size.sum()
        natural, normaliser = form.natural(*pair)
        logs = natural @ statistics + (np.log(weight) - normaliser)[:, None]
        top = logs.max(axis=0)
        share = np.exp(logs - top)
        total = share.sum(axis=0)
        after = float((top + np.log(total)).sum())
        if after - before < CONVERGED * len(draws):
            break
        before, share = after, share / total
        size = np.maximum(share.sum(axis=1), 1e-9)
        pair = form.solve(share @ statistics.T / size[:, None], pair)
    return (weight, *pair), after


def _normal_natural(m: Floats, s: Floats) -> tuple[Floats, Floats]:
    natural = np.stack([m / s**2, -0.5 / s**2], axis=1)
    return natural, 0.5 * (m / s) ** 2 + np.log(s * np.sqrt(2 * np.pi))


def _normal_solve(expected: Floats, near: Pair) -> Pair:
    mean, square = expected.T
    return mean, np.sqrt(np.maximum(square - mean**2, 1e-12 * square))


def _beta_start(mean: Floats, variance: Floats) -> Pair:
    n = np.maximum(mean * (1 - mean) / variance - 1, 0.1)
    return mean * n, (1 - mean) * n


def _beta_solve(expected: Floats, near: Pair) -> Pair:
    """Solve ψ(a) − ψ(a + b) = E log x and ψ(b) − ψ(a + b) = E log(1 − x) by Newton on the log shapes."""
    (a, b), (log_x, log_rest) = near, expected.T
    for _ in range(50):
        both, curve = psi(a + b), polygamma(1, a + b)
        miss_a, miss_b = psi(a) - both - log_x, psi(b) - both - log_rest
        aa, bb = a * (polygamma(1, a) - curve), b * (polygamma(1, b) - curve)
        ab, ba = -b * curve, -a * curve
        determinant = aa * bb - ab * ba
        step_a = np.clip((bb * miss_a - ab * miss_b) / determinant, -1, 1)
        step_b = np.clip((aa * miss_b - ba * miss_a) / determinant, -1, 1)
        a, b = a * np.exp(-step_a), b * np.exp(-step_b)
        if max(abs(step_a).max(), abs(step_b).max()) < 1e-10:
            break
    return a, b


def _bounded_beta_solve(expected: Floats, near: Pair) -> Pair:
    """As above with shapes of 1 or more: on an edge of that region the other shape is in closed form."""
    a, b = _beta_solve(expected, near)
    beside_a, beside_b = np.maximum(-1 / expected[:, 1], 1), np.maximum(-1 / expected[:, 0], 1)
    low_a, low_b = a < 1, b < 1
    a, b = (
        np.where(low_a, 1, np.where(low_b, beside_b, a)),
        np.where(low_b & ~low_a, 1, np.where(low_a, beside_a, b)),
    )
    return a, b


def _bounded_gamma_solve(expected: Floats, near: Pair) -> Pair:
    a = np.maximum(_gamma_solve(expected, near)[0], 1)
    return a, a / expected[:, 0]


def _gamma_solve(expected: Floats, near: Pair) -> Pair:
    """Solve log(a) − ψ(a) = log E x − E log x by Newton's method on log a; b = a / E x."""
    a, (mean, log_x) = near[0], expected.T
    for _ in range(50):
        miss = np.log(a) - psi(a) - (np.log(mean) - log_x)
        step = np.clip(miss / (1 - a * polygamma(1, a)), -1, 1)
        a = a * np.exp(-step)
        if abs(step).max() < 1e-10:
            break
    return a, a / mean


FORMS = {
    NormalMixture: _Form(
        lambda x: np.stack([x, x**2]), _normal_natural, lambda mean, var: (mean, np.sqrt(var)), _normal_solve
    ),
    BetaMixture: _Form(
        lambda x: np.stack([np.log(x), np.log1p(-x)]),
        lambda a, b: (np.stack([a - 1, b - 1], axis=1), betaln(a, b)),
        _beta_start,
        _beta_solve,
    ),
    GammaMixture: _Form(
        lambda x: np.stack([x, np.log(x)]),
        lambda a, b: (np.stack([-b, a - 1], axis=1), gammaln(a) - a * np.log(b)),
        lambda mean, var: (mean**2 / var, mean / var),
        _gamma_solve,
    ),
}

BOUNDED = {
    BetaMixture: replace(FORMS[BetaMixture], solve=_bounded_beta_solve),
    GammaMixture: replace(FORMS[GammaMixture], solve=_bounded_gamma_solve),
}
