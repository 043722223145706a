"""The crossing probability the slow way: nested adaptive integrals over the independent increments."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.integrate import quad
from scipy.special import ndtr


@dataclass(frozen=True)
class Looks:
    information: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    drift: float = 0.0

    def crosses(self) -> float:
        """Probability, to about 1e-10, that z leaves through an upper bound."""
        return self._crosses_from(0, 0.0, 0.0)

    def _crosses_from(self, look: int, made: float, score: float) -> float:
        t = self.information[look]
        sd, mean = math.sqrt(t - made), self.drift * (t - made)
        low, high = ((bound[look] * math.sqrt(t) - score - mean) / sd for bound in (self.lower, self.upper))
        above = float(ndtr(-high))
        low, high = max(low, -9.0), min(high, 9.0)
        if look == len(self.information) - 1 or low >= high:
            return above

        def then(step: float) -> float:
            density = math.exp(-step * step / 2) / math.sqrt(2 * math.pi)
            return density * self._crosses_from(look + 1, t, score + mean + sd * step)

        return above + float(quad(then, low, high, epsabs=1e-12, epsrel=1e-11)[0])


def crosses(information: Sequence[float], upper: Sequence[float], drift: float = 0.0) -> float:
    """Probability that z exceeds its upper bound at some look, without lower bounds."""
    return Looks(information, [-math.inf] * len(upper), upper, drift).crosses()
