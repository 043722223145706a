"""Weekly hazards with one level before and one after a week, and the shares of patients that they make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST = 1e-12
"""A weekly hazard below which nothing happens; keeps a quotient from 0 / 0."""


@dataclass(frozen=True, eq=False)
class Shape:
    """How rates run through time and compete.

    Parameters
    ----------
    turn
        Week at which the early level gives way to the later one.
    early
        Early over later level of each rate, shape (rate,).
    together
        1 where two rates compete (the first event ends the other's exposure), shape (rate, rate); the
        diagonal is 1.
    timeless
        Whether the rates are shares of patients on the logit scale instead of hazards.
    """

    turn: float
    early: Floats
    together: Floats
    timeless: bool = False

    def shares(self, level: Any, weeks: Any, exp: Callable[[Any], Any] = np.exp) -> Any:
        """Probability of each event by the week, shape (…, rate).

        ``level`` is the log weekly hazard after the turn, or the logit of a share, shape (…, rate); ``weeks``
        broadcasts against it. The incidence under competing exponential hazards is exact in each of the two
        pieces (Kalbfleisch & Prentice 2002, section 8.2).
        """
        hazard = exp(level)
        if self.timeless:
            return hazard / (1 + hazard)
        soon = np.minimum(weeks, self.turn)
        first, second = hazard * self.early, hazard
        all_first = _dot(first, self.together) + LEAST
        all_second = _dot(second, self.together) + LEAST
        lasting = exp(-all_first * soon)
        early = first / all_first * (1 - lasting)
        late = lasting * second / all_second * (1 - exp(-all_second * (weeks - soon)))
        return early + late


def _dot(hazard: Any, together: Floats) -> Any:
    return hazard.dot(together)
