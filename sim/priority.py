"""Patients compared in pairs, by the first outcome of an order that tells the two apart."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.core.parts import Part

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Measure = Literal["win_ratio", "win_odds", "net_benefit"]

AT_A_TIME = 128
"""Patients compared with all others at a time: few, so that the pairs stay in the processor's cache."""


class Level(Part):
    """One outcome of the order: a pair that differs by more than ``margin`` is decided by it."""

    outcome: Literal["time_on_treatment", "value"]
    margin: float = Field(0.0, ge=0, description="weeks, or units of the value")
    better: Literal["lower", "higher"] | None = Field(
        None, description="of the value; by default the endpoint's"
    )

    def of(self, stopped: Floats, value: Floats, better: str) -> Floats:
        """Values of which higher is better, same shape as the two; ``better`` is the endpoint's direction."""
        if self.outcome == "time_on_treatment":
            return stopped
        return value if (self.better or better) == "higher" else -value

    def words(self) -> str:
        """Say the level in words."""
        by = f" by more than {self.margin:g}" if self.margin else ""
        return self.outcome.replace("_", " ") + by


def order_words(order: Sequence[Level]) -> str:
    """Say the order in words."""
    return ", then ".join(level.words() for level in order)


def compare_pairs(
    treated: Sequence[Floats], control: Sequence[Floats], margins: Sequence[float]
) -> tuple[Floats, Floats]:
    """Wins and losses of every treated patient against every control, (treated, control), 0 or 1.

    Parameters
    ----------
    treated, control
        An outcome a level, the most important first, higher is better, nan is missing, (patient,).
    margins
        A difference above this decides, one a level.
    """
    wins, losses = decide_pairs([one[:, None] for one in treated], control, margins)
    return wins.astype(np.float64), losses.astype(np.float64)


def decide_pairs(
    first: Sequence[Floats], second: Sequence[Floats], margins: Sequence[float]
) -> tuple[Bools, Bools]:
    """Where the first of two wins, and where it loses; the outcomes broadcast."""
    wins = losses = np.zeros((), dtype=bool)
    for one, other, margin in zip(first, second, margins, strict=True):
        with np.errstate(invalid="ignore"):  # inf − inf of two that never stopped: no difference
            gap = one - other
        undecided = ~(wins | losses)
        wins, losses = wins | (undecided & (gap > margin)), losses | (undecided & (gap < -margin))
    return wins, losses


def of_shares(won: float, lost: float, measure: Measure) -> tuple[float, tuple[float, float]]:
    """Value of a measure, ratios as logarithms, and its slopes in the shares of pairs won and lost.

    nan where nobody wins or nobody loses and the ratio needs both.
    """
    if measure == "net_benefit":
        return won - lost, (1.0, -1.0)
    if measure == "win_odds":
        won, lost = 0.5 + (won - lost) / 2, 0.5 - (won - lost) / 2
    if min(won, lost) <= 0:
        return np.nan, (np.nan, np.nan)
    if measure == "win_odds":
        each = 0.5 / won + 0.5 / lost
        return float(np.log(won / lost)), (each, -each)
    return float(np.log(won / lost)), (1 / won, -1 / lost)


def between_lives(treated: Sequence[Floats], control: Sequence[Floats], order: Sequence[Level]) -> Floats:
    """Shares of pairs won and lost between two groups of lives of the same patients, (2, replicate).

    A patient is compared with every other, not with their own life in the other arm: two patients of a
    trial are never the same person. Outcomes as in ``compare_pairs``, each (patient, replicate); those of a
    patient who is in no trial are nan.
    """
    margins, (n, replicates) = [level.margin for level in order], treated[0].shape
    found = np.empty((2, replicates))
    for r in range(replicates):
        ours, theirs = [one[:, r] for one in treated], [one[:, r] for one in control]
        counts = -np.array([each.sum() for each in decide_pairs(ours, theirs, margins)])
        for begin in range(0, n, AT_A_TIME):
            some = [one[begin : begin + AT_A_TIME, None] for one in ours]
            counts += [each.sum() for each in decide_pairs(some, theirs, margins)]
        there = [~np.isnan(one[0]) for one in (ours, theirs)]
        found[:, r] = counts / (there[0].sum() * there[1].sum() - (there[0] & there[1]).sum())
    return found
