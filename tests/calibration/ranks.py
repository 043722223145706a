"""Are ranks uniform? χ² of bins, and bands that hold the whole distribution function at once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import binom, chi2, norm

from tests.calibration.case import LEVELS

BINS = 20
SIMULATED = 50_000
RANKS = LEVELS + 1


@dataclass(frozen=True)
class Uniformity:
    """Tests of ``n`` ranks, each 0 to 99, by their histograms, (…, rank)."""

    n: int

    def chi_square(self, counts: np.ndarray) -> np.ndarray:
        """P-value of Pearson's statistic in 20 bins (Talts et al. 2018, arXiv:1804.06788), shape (…)."""
        seen = counts.reshape(*counts.shape[:-1], BINS, -1).sum(axis=-1)
        expected = self.n / BINS
        return chi2.sf(((seen - expected) ** 2 / expected).sum(axis=-1), BINS - 1)

    def ecdf(self, counts: np.ndarray) -> np.ndarray:
        """P-value of the largest departure of the distribution function, shape (…).

        Departures at the 99 places are made comparable by their own binomial tails (Säilynoja, Bürkner &
        Vehtari 2022, doi:10.1007/s11222-022-10090-6); what uniform ranks do is simulated.
        """
        below = np.searchsorted(self._chance, self._rarest(counts), side="right")
        return (1 + below) / (1 + SIMULATED)

    def bands(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest count of ranks below 1, 2, … 99 that stay within at once, shape (99,)."""
        gamma = np.quantile(self._chance, 1 - level)
        inside = self._tails > gamma
        low = inside.argmax(axis=0)
        return low, self.n - inside[::-1].argmax(axis=0)

    @cached_property
    def _tails(self) -> np.ndarray:
        """Two-sided binomial tail of each count at each place, (count, place)."""
        count, share = np.arange(self.n + 1)[:, None], np.arange(1, RANKS) / RANKS
        return 2 * np.minimum(binom.cdf(count, self.n, share), binom.sf(count - 1, self.n, share))

    def _rarest(self, counts: np.ndarray) -> np.ndarray:
        below = counts.cumsum(axis=-1)[..., :-1]
        return self._tails[below, np.arange(LEVELS)].min(axis=-1)

    @cached_property
    def _chance(self) -> np.ndarray:
        """Smallest tail of uniform ranks, simulated, rising."""
        rng = np.random.default_rng(self.n)
        made = [self._rarest(rng.multinomial(self.n, np.full(RANKS, 1 / RANKS), 5000)) for _ in range(10)]
        return np.sort(np.concatenate(made))

    def power(self, tests: int, alpha: float, shift: float = 0.0, width: float = 1.0) -> float:
        """Chance that one quantity alone is caught, where its posterior is wrong.

        ``shift``: by how many posterior SDs it lies off; ``width``: its SD over the right one. ``alpha`` is
        shared by ``tests`` tests.
        """
        edges = norm.ppf(np.arange(RANKS + 1) / RANKS)
        share = np.diff(norm.cdf(shift + width * edges))
        made = np.random.default_rng(1).multinomial(self.n, share, 2000)
        smallest = np.minimum(self.chi_square(made), self.ecdf(made))
        return float(np.mean(smallest * tests < alpha))


def histogram(ranks: list[int]) -> np.ndarray:
    """How often each rank 0 to 99 came, shape (100,)."""
    return np.bincount(ranks, minlength=RANKS)
