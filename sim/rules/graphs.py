"""Graphical procedures: hypotheses hand their share of alpha on when they are rejected."""

from dataclasses import dataclass

import numpy as np

from sim.core.errors import InputError
from sim.rules.crossing import Floats


@dataclass(frozen=True)
class Graph:
    """A sequentially rejective weighted Bonferroni procedure.

    Holm, fallback, fixed-sequence and gatekeeping procedures are graphs (Bretz, Maurer, Brannath & Posch
    2009, doi:10.1002/sim.3495): a gate is a hypothesis that hands its weight to those behind it.

    Parameters
    ----------
    weights
        Share of alpha that each hypothesis starts with, (hypothesis,); together at most 1.
    transitions
        Share of a rejected hypothesis' weight that goes to each other one, (from, to); each row sums to
        at most 1, nothing goes to itself.
    """

    weights: Floats
    transitions: Floats

    def __post_init__(self) -> None:
        w, g = np.asarray(self.weights, dtype=float), np.asarray(self.transitions, dtype=float)
        object.__setattr__(self, "weights", w)
        object.__setattr__(self, "transitions", g)
        if w.ndim != 1 or g.shape != (len(w), len(w)):
            raise InputError(f"transitions: {w.size} weights need {w.size} rows and columns, got {g.shape}")
        if (w < 0).any() or w.sum() > 1 + 1e-9:
            raise InputError(f"weights: must be 0 or more and sum to at most 1 (given: {w.tolist()})")
        if (g < 0).any() or (g.sum(axis=1) > 1 + 1e-9).any() or np.diag(g).any():
            raise InputError("transitions: must be 0 or more, 0 to itself, and a row sum to at most 1")

    @classmethod
    def holm(cls, hypotheses: int) -> "Graph":
        """Equal weights, handed on in equal parts."""
        others = np.ones((hypotheses, hypotheses)) - np.eye(hypotheses)
        return cls(np.full(hypotheses, 1 / hypotheses), others / max(hypotheses - 1, 1))

    @classmethod
    def in_order(cls, hypotheses: int) -> "Graph":
        """All alpha on the first, handed on to the next: the fixed sequence."""
        return cls(np.eye(hypotheses)[0], np.eye(hypotheses, k=1))

    def adjusted(self, p: Floats) -> Floats:
        """Return adjusted p-values for p-values (hypothesis, …); a missing one counts as 1.

        A hypothesis is rejected at any alpha that is at least its adjusted p-value.
        """
        shape = np.shape(p)
        held = np.where(np.isnan(p), 1.0, p).reshape(len(self.weights), -1)
        hypotheses, replicates = held.shape
        w = np.repeat(self.weights[:, None], replicates, axis=1)
        g = np.repeat(self.transitions[:, :, None], replicates, axis=2)
        left = np.ones(held.shape, dtype=bool)
        adjusted, worst, each = np.ones(held.shape), np.zeros(replicates), np.arange(replicates)
        for _ in range(hypotheses):
            ratio = np.where(left & (w > 0), held / np.where(w > 0, w, 1.0), np.inf)
            first = ratio.argmin(axis=0)
            worst = np.maximum(worst, ratio[first, each])
            alive = np.isfinite(worst)
            adjusted[first[alive], each[alive]] = np.minimum(worst[alive], 1.0)
            left[first, each] = False
            w, g = _hand_on(w, g, first, left)
        return adjusted.reshape(shape)


def _hand_on(w: Floats, g: Floats, gone: "np.ndarray", left: "np.ndarray") -> tuple[Floats, Floats]:
    """Take ``gone`` (replicate,) out of the weights (h, replicate) and transitions (h, h, replicate)."""
    each = np.arange(w.shape[1])
    out, into = g[gone, :, each].T, g[:, gone, each]
    w = np.where(left, w + w[gone, each] * out, 0.0)
    through = into[:, None] * out[None, :]
    back = into * out
    share = (g + through) / np.where(back < 1, 1 - back, np.inf)[:, None]
    keep = left[:, None] & left[None, :] & ~np.eye(len(w), dtype=bool)[:, :, None]
    return w, np.where(keep, share, 0.0)
