"""Combination tests: stage-wise p-values put together so that the next stage may be changed at the look."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, ndtr, ndtri

from sim.core.errors import InputError
from sim.rules.crossing import Floats, find_root
from sim.rules.multiplicity import closed_testing, subsets

Bools = NDArray[np.bool_]


def inverse_normal(p: ArrayLike, information: ArrayLike) -> Floats:
    """Return the combined z at each stage, (stage, …), from independent stage-wise p-values (stage, …).

    Weights are the square roots of the planned increments of ``information`` (stage,), whatever came
    (Lehmacher & Wassmer 1999, doi:10.1111/j.0006-341X.1999.01286.x).
    """
    stagewise = np.asarray(p, dtype=float)
    steps = np.diff(np.asarray(information, dtype=float), prepend=0.0)
    if len(steps) < len(stagewise) or (steps <= 0).any():
        raise InputError(
            f"information: needs {len(stagewise)} increasing values (given: {steps.cumsum().tolist()})"
        )
    weight = np.sqrt(steps[: len(stagewise)]).reshape(-1, *[1] * (stagewise.ndim - 1))
    total = np.sqrt(np.cumsum(weight**2, axis=0))
    return np.asarray(np.cumsum(-weight * ndtri(stagewise), axis=0) / total)


def fisher(p: ArrayLike, weight: ArrayLike = 1.0) -> Floats:
    """Return the running product of stage-wise p-values (stage, …), each to the power of its ``weight``.

    Bauer & Köhne 1994, doi:10.2307/2533441.
    """
    stagewise = np.asarray(p, dtype=float)
    power = np.broadcast_to(np.asarray(weight, dtype=float), stagewise.shape[:1])
    return np.cumprod(stagewise ** power.reshape(-1, *[1] * (stagewise.ndim - 1)), axis=0)


def fisher_level(alpha: float, early: float | None = None, futility: float = 1.0) -> float:
    """Return the level c of the product of two p-values: reject when p₁p₂ ≤ c.

    Parameters
    ----------
    early
        Rejects at the first stage when p₁ is at most this; by default c itself, beyond which no p₂ can
        overturn the first stage.
    futility
        Stops for futility (binding) when p₁ is above this.

    Notes
    -----
    Solves early + c·log(futility/early) = alpha; without either, c = exp(−χ²₄(1 − alpha)/2)
    (Bauer & Köhne 1994, doi:10.2307/2533441).
    """
    if not 0 < alpha < 1 or not alpha < futility <= 1 or not (early is None or 0 <= early <= alpha):
        raise InputError(
            f"levels: must be early ≤ alpha < futility ≤ 1 (given: {early}, {alpha:g}, {futility:g})"
        )
    if early is None:
        if futility == 1:
            return float(np.exp(-chdtri(4, alpha) / 2))
        return find_root(lambda c: c * (1 + np.log(futility / c)) - alpha, 1e-12, alpha)
    if early == 0:
        raise InputError("levels: early stopping at 0 leaves the product without a limit; leave it out")
    return float((alpha - early) / np.log(futility / early))


def conditional_error(z: ArrayLike, information: float, bound: float) -> Floats:
    """Return the level that is left for the second stage of an inverse normal test after the first ``z``.

    A(z) = Φ̄((bound − √t·z)/√(1 − t)) at information fraction t: any second stage at that level keeps alpha
    (Proschan & Hunsberger 1995, doi:10.2307/2533262; Müller & Schäfer 2001,
    doi:10.1111/j.0006-341X.2001.00886.x).
    """
    rest = np.sqrt(1 - information)
    return np.asarray(ndtr((np.sqrt(information) * np.asarray(z, dtype=float) - bound) / rest))


def fisher_conditional_error(p: ArrayLike, level: float) -> Floats:
    """Return the same for Fisher's product: level/p₁, at most 1."""
    return np.minimum(level / np.asarray(p, dtype=float), 1.0)


def closed_combination(intersections: ArrayLike, information: ArrayLike) -> Floats:
    """Return each intersection's combined z, (stage, subset, …), from its stage-wise p-values alike.

    See ``dunnett.intersection_p`` for one stage. One with p = 1 is given up and cannot be rejected. A stage
    without patients (nan) decides nothing, and its weight goes to the next that has some: given what is seen
    before, the sum is normal as planned and crosses at fewer looks, so that the level holds as long as no
    later outcome decides who comes (conditional error: Müller & Schäfer 2001,
    doi:10.1111/j.0006-341X.2001.00886.x).
    """
    stagewise = np.asarray(intersections, dtype=float)
    if not np.isnan(stagewise).any():
        combined = inverse_normal(stagewise, information)
    else:
        combined = _over_empty_stages(stagewise, np.asarray(information, dtype=float))
    dead = np.logical_or.accumulate(stagewise >= 1, axis=0)
    return np.where(dead, -np.inf, combined)


def _over_empty_stages(stagewise: Floats, information: Floats) -> Floats:
    score, carried = np.zeros(stagewise.shape[1:]), np.zeros(stagewise.shape[1:])
    combined = np.full(stagewise.shape, -np.inf)
    for stage, (p, step) in enumerate(zip(stagewise, np.diff(information, prepend=0.0), strict=False)):
        seen, carried = ~np.isnan(p), carried + step
        score = np.where(seen, score - np.sqrt(carried) * ndtri(np.where(seen, p, 0.5)), score)
        combined[stage] = np.where(seen, score / np.sqrt(information[stage]), -np.inf)
        carried = np.where(seen, 0.0, carried)
    return combined


def rejects(combined: ArrayLike, bounds: ArrayLike) -> Bools:
    """Return which arms are rejected by each stage, (stage, arm, …), in a closed test across stages.

    An arm is rejected once every intersection that holds it has crossed its bound, at this stage or before
    (Hommel 2001, Biometrical Journal 43, 581; Bretz et al. 2006, doi:10.1002/bimj.200510232).

    Parameters
    ----------
    combined
        (stage, subset, …), see ``closed_combination``.
    bounds
        Efficacy bounds on z, (stage,).
    """
    z = np.asarray(combined, dtype=float)
    bound = np.asarray(bounds, dtype=float)[: len(z)].reshape(-1, *[1] * (z.ndim - 1))
    crossed = np.logical_or.accumulate(z >= bound, axis=0)
    return np.stack([closed_testing(np.where(stage, 0.0, 1.0)) < 0.5 for stage in crossed])


def bonferroni_intersection_p(p: ArrayLike, selected: ArrayLike | None = None) -> Floats:
    """Return the Bonferroni p-value of each intersection, (subset, …), of p-values (arm, …).

    ``selected`` as in ``dunnett.intersection_p``.
    """
    given = np.asarray(p, dtype=float)
    held = np.where(np.isnan(given), 1.0, given)
    tested = ~np.isnan(given) if selected is None else np.asarray(selected, dtype=bool) & ~np.isnan(given)
    found = []
    for subset in subsets(len(held)):
        member = tested & subset.reshape(-1, *[1] * (held.ndim - 1))
        smallest = np.where(member, held, 1.0).min(axis=0)
        found.append(np.minimum(np.where(member.any(axis=0), smallest * member.sum(axis=0), 1.0), 1.0))
    return np.stack(found)


def simes_intersection_p(p: ArrayLike) -> Floats:
    """Return the Simes p-value of each intersection, (subset, …), of p-values (arm, …); nan is not tested.

    The smallest of p₍ᵢ₎·m/i over the m that are tested (Simes 1986, doi:10.1093/biomet/73.3.751); nan where
    none is. It holds under the positive dependence of arms with one control, and of nested populations.
    """
    given = np.asarray(p, dtype=float)
    found = []
    for subset in subsets(len(given)):
        ranked = np.sort(given[subset], axis=0)  # what is nan comes last
        tested = (~np.isnan(ranked)).sum(axis=0)
        place = np.arange(1, len(ranked) + 1).reshape(-1, *[1] * (ranked.ndim - 1))
        smallest = np.where(np.isnan(ranked), np.inf, ranked * tested / place).min(axis=0)
        found.append(np.where(tested > 0, smallest, np.nan))
    return np.stack(found)
