"""Group-sequential trials by their score: independent normal increments, a look at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import Streams
from sim.rules.crossing import Floats, Path

BLOCK = 16_384
"""Trials in a block; always the same, whatever the number of trials or workers."""


@dataclass(frozen=True)
class Stops:
    """How many of ``trials`` stopped at each look, (look,): across the upper bound, or the lower one."""

    trials: int
    upper: NDArray[np.int64]
    lower: NDArray[np.int64]

    def shares(self) -> tuple[Floats, Floats]:
        """Return the shares (look,) that crossed the lower and the upper bound, as ``Path.crossing``."""
        return self.lower / self.trials, self.upper / self.trials


def simulate(path: Path, drift: float, streams: Streams, trials: int = BLOCK) -> Stops:
    """Run one block: the first ``trials`` of its ``BLOCK`` trials.

    Parameters
    ----------
    path
        Bounds at each look, see ``boundaries.solve``. The lower bound at the last look is the upper one.
    drift
        Expected z at information 1.

    Notes
    -----
    The score z·√information has independent increments (Jennison & Turnbull 2000, chapter 3).
    """
    looks = len(path.information)
    noise = streams("increments").standard_normal((looks, BLOCK))[:, :trials]
    steps = np.diff(path.information, prepend=0.0)
    upper, lower = np.zeros(looks, dtype=np.int64), np.zeros(looks, dtype=np.int64)
    score, root = np.zeros(trials), np.sqrt(path.information)
    for k, step in enumerate(steps):
        score += noise[k] * np.sqrt(step) + drift * step
        up, down = score >= path.upper[k] * root[k], score < path.lower[k] * root[k]
        upper[k], lower[k] = np.count_nonzero(up), np.count_nonzero(down)
        keep = ~(up | down)
        score, noise = score[keep], noise[:, keep]
    return Stops(trials, upper, lower)


def run(path: Path, drift: float, seed: int, trials: int) -> Stops:
    """Run ``trials`` trials, block by block; more trials extend fewer."""
    upper, lower = (np.zeros(len(path.information), dtype=np.int64) for _ in range(2))
    for block, first in enumerate(range(0, trials, BLOCK)):
        found = simulate(path, drift, Streams(seed, block), min(BLOCK, trials - first))
        upper += found.upper
        lower += found.lower
    return Stops(trials, upper, lower)
