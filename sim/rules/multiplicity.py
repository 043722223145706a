"""Adjusted p-values for several hypotheses at once: by their order alone, whatever their dependence."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.rules.crossing import Floats

Bools = NDArray[np.bool_]


def subsets(hypotheses: int) -> Bools:
    """Return every intersection hypothesis, (2^hypotheses − 1, hypothesis): which ones it holds."""
    numbers = np.arange(1, 2**hypotheses)
    return np.asarray((numbers[:, None] >> np.arange(hypotheses)) % 2 == 1)


def closed_testing(intersection_p: Floats) -> Floats:
    """Return adjusted p-values from those of all intersections, in the order of ``subsets``.

    A hypothesis is rejected when every intersection that holds it is (Marcus, Peritz & Gabriel 1976,
    doi:10.1093/biomet/63.3.655).

    Parameters
    ----------
    intersection_p
        (subset, …); the first axis is 2^hypotheses − 1 long.
    """
    hypotheses = (len(intersection_p) + 1).bit_length() - 1
    member = subsets(hypotheses)
    return np.stack([intersection_p[member[:, h]].max(axis=0) for h in range(hypotheses)])


def bonferroni(p: Floats) -> Floats:
    """Return p-values (hypothesis, …) times their number; a missing one counts as 1, here as below."""
    return np.minimum(len(p) * _held(p), 1.0)


def holm(p: Floats) -> Floats:
    """Step down from the smallest (Holm 1979, Scandinavian Journal of Statistics 6, 65)."""
    return _stepped(p, lambda ranked, left: np.maximum.accumulate(ranked * left, axis=0))


def hochberg(p: Floats) -> Floats:
    """Step up from the largest (Hochberg 1988, doi:10.1093/biomet/75.4.800).

    Holds the family-wise error under independence and the usual positive dependence.
    """
    return _stepped(p, lambda ranked, left: _rising(ranked * left))


def hommel(p: Floats) -> Floats:
    """Close the Simes tests of all intersections (Hommel 1988, doi:10.1093/biomet/75.2.383).

    Dependence as for ``hochberg``; the shortcut is Wright's (1992, doi:10.2307/2532694).
    """
    return _stepped(p, _hommel)


def benjamini_hochberg(p: Floats) -> Floats:
    """Hold the false discovery rate (Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x)."""
    return _stepped(p, lambda ranked, left: _rising(ranked * len(p) / _from_one(ranked)))


def benjamini_yekutieli(p: Floats) -> Floats:
    """Hold the false discovery rate under any dependence (Benjamini & Yekutieli 2001, Annals 29, 1165)."""
    harmonic = float((1 / np.arange(1, len(p) + 1)).sum())
    return np.minimum(benjamini_hochberg(p) * harmonic, 1.0)


def simes(p: Floats, member: Bools) -> Floats:
    """Return the Simes p-value (…) of the intersection of those that are ``member``, (hypothesis, …)."""
    ranked = np.sort(np.where(member, _held(p), np.inf), axis=0)
    found = (ranked * member.sum(axis=0) / _from_one(ranked)).min(axis=0)
    return np.asarray(np.where(member.any(axis=0), np.minimum(found, 1.0), 1.0))


def _held(p: Floats) -> Floats:
    return np.asarray(np.where(np.isnan(p), 1.0, p))


def _from_one(ranked: Floats) -> Floats:
    """Return the ranks 1, 2, … along the first axis, to broadcast against ``ranked``."""
    return np.asarray(np.arange(1.0, len(ranked) + 1).reshape(-1, *[1] * (ranked.ndim - 1)))


def _rising(ranked: Floats) -> Floats:
    return np.asarray(np.minimum.accumulate(ranked[::-1], axis=0)[::-1])


def _stepped(p: Floats, rule: Callable[[Floats, Floats], Floats]) -> Floats:
    """Apply a ``rule`` to the ordered p-values and the number not smaller, and put them back."""
    held = _held(p)
    order = np.argsort(held, axis=0, kind="stable")
    ranked = np.take_along_axis(held, order, axis=0)
    left = len(ranked) + 1 - _from_one(ranked)
    adjusted = np.empty_like(held)
    np.put_along_axis(adjusted, order, np.minimum(rule(ranked, left), 1.0), axis=0)
    return adjusted


def _hommel(ranked: Floats, left: Floats) -> Floats:
    n = len(ranked)
    simes_of_all = (ranked * n / _from_one(ranked)).min(axis=0)
    best: Floats = np.maximum(ranked, simes_of_all)
    for m in range(n - 1, 1, -1):
        first, last = ranked[: n - m + 1], ranked[n - m + 1 :]
        ranks = np.arange(2.0, m + 1).reshape(-1, *[1] * (ranked.ndim - 1))
        of_last = (m * last / ranks).min(axis=0)
        q = np.minimum(m * first, of_last)
        best[: n - m + 1] = np.maximum(best[: n - m + 1], q)
        best[n - m + 1 :] = np.maximum(best[n - m + 1 :], q[-1])
    return best
