"""Several arms against one control: the distribution of the largest of their statistics."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, gammaln, ndtr

from sim.core.errors import InputError
from sim.rules.crossing import TAIL, Floats, find_root, grid
from sim.rules.multiplicity import closed_testing, subsets

Bools = NDArray[np.bool_]

PANEL = 3.0
"""Width of a panel of 16 nodes, in standard deviations of the control's mean."""


def loadings(arms: ArrayLike, control: float) -> Floats:
    """Return √(n/(n + n of control)) for arms with n patients; two statistics correlate by their product."""
    n = np.asarray(arms, dtype=float)
    if (n <= 0).any() or control <= 0:
        raise InputError(f"patients: must be above 0 in each arm (given: {n.tolist()}, control {control:g})")
    return np.sqrt(n / (n + control))


def all_below(
    bound: ArrayLike, loading: ArrayLike, df: float = np.inf, member: ArrayLike | None = None
) -> Floats:
    """Return the probability that no statistic of the ``member`` arms exceeds ``bound``.

    Given the control's mean the arms are independent, so the multivariate normal (or t, with ``df``) is an
    integral over one dimension (or two) (Dunnett 1955, doi:10.1080/01621459.1955.10501294).

    Parameters
    ----------
    bound
        Any shape (…).
    loading
        (arm,), see ``loadings``.
    member
        Which arms count, (arm, …); by default all.
    """
    at, load = np.asarray(bound, dtype=float), np.asarray(loading, dtype=float)
    if member is None:
        member = np.ones((len(load), *[1] * at.ndim), dtype=bool)
    count = np.asarray(member, dtype=bool)
    if np.isinf(df):
        return _all_below(at, load, count)
    scale, weight = _scales(float(df))
    wide = np.broadcast_to(at, np.broadcast_shapes(at.shape, count.shape[1:]))
    each = _all_below(np.multiply.outer(scale, wide), load, count[:, None])
    return np.asarray(np.tensordot(weight, each, axes=1))


def _all_below(bound: Floats, loading: Floats, member: Bools) -> Floats:
    shape = np.broadcast_shapes(bound.shape, member.shape[1:])
    total, alike = np.zeros(shape), bool(np.ptp(loading) == 0)
    exponent = member.sum(axis=0)
    rest = np.sqrt(1 - loading**2)
    for x, weight in zip(*_control(), strict=True):
        if alike:
            total += weight * ndtr((bound + loading[0] * x) / rest[0]) ** exponent
            continue
        product = np.full(shape, weight)
        for arm, load in enumerate(loading):
            product *= np.where(member[arm], ndtr((bound + load * x) / rest[arm]), 1.0)
        total += product
    return total


@lru_cache(maxsize=1)
def _control() -> tuple[Floats, Floats]:
    """Return nodes and weights of a standard normal."""
    x, width = grid(-TAIL, TAIL, PANEL)
    return x, width * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


@lru_cache(maxsize=64)
def _scales(df: float) -> tuple[Floats, Floats]:
    """Return nodes and weights of √(chi-squared/df): what an estimated SD is over the true one."""
    low, high = (float(np.sqrt(chdtri(df, tail) / df)) for tail in (1 - 1e-14, 1e-14))
    s, width = grid(low, high, (high - low) / 3)
    log_density = df * np.log(s) - df * s * s / 2 - np.log(s)
    log_density += np.log(2) + df / 2 * np.log(df / 2) - gammaln(df / 2)
    weight = width * np.exp(log_density)
    return s, weight / weight.sum()


def critical_value(alpha: float, loading: ArrayLike, df: float = np.inf) -> float:
    """Return the bound that some statistic exceeds with one-sided probability ``alpha`` under no effects."""
    if not 0 < alpha < 1:
        raise InputError(f"alpha: must lie between 0 and 1 (given: {alpha:g})")
    return find_root(lambda bound: 1 - float(all_below(bound, loading, df)) - alpha, -10.0, 1e3)


def single_step_p(statistic: ArrayLike, loading: ArrayLike, df: float = np.inf) -> Floats:
    """Return p-values (arm, …), each adjusted for all arms; a missing statistic counts as −∞."""
    return 1 - all_below(_held(statistic), loading, df)


def intersection_p(
    statistic: ArrayLike, loading: ArrayLike, df: float = np.inf, selected: ArrayLike | None = None
) -> Floats:
    """Return the p-value of each intersection, (subset, …) in the order of ``multiplicity.subsets``.

    Parameters
    ----------
    statistic
        (arm, …); large ones speak for the arm.
    selected
        Arms that were tested, (arm, …); an intersection without any has p = 1. By default all.
    """
    held = _held(statistic)
    tested = np.isfinite(held) if selected is None else np.asarray(selected, dtype=bool) & np.isfinite(held)
    found = []
    for subset in subsets(len(held)):
        member = tested & subset.reshape(-1, *[1] * (held.ndim - 1))
        largest = np.where(member, held, -np.inf).max(axis=0)
        some = member.any(axis=0)
        p = 1 - all_below(np.where(some, largest, 0.0), loading, df, member)
        found.append(np.where(some, p, 1.0))
    return np.stack(found)


def step_down_p(statistic: ArrayLike, loading: ArrayLike, df: float = np.inf) -> Floats:
    """Return p-values (arm, …) of the step-down Dunnett test: all intersections closed.

    Marcus, Peritz & Gabriel 1976; Dunnett & Tamhane 1991, doi:10.1002/sim.4780100614.
    """
    return closed_testing(intersection_p(statistic, loading, df))


def _held(statistic: ArrayLike) -> Floats:
    given = np.asarray(statistic, dtype=float)
    return np.where(np.isnan(given), -np.inf, given)
