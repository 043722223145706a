"""When a running trial will have all its patients, from what its sites have recruited."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from sim.core.streams import Streams
from sim.operations.recruitment import OpenSites

Floats = NDArray[np.float64]

USUAL_RATE = 0.95 * 12 * 7 / 365.25
"""Patients a week and site in the middle of publicly funded British trials, 0.95 a month (Jacques 2022)."""
USUAL_SPREAD = 1.35
"""SD of its logarithm between these trials: log(2.6 / 0.42) / (2 × 0.6745), from their quartiles."""
SHAPE = 1.2
SHAPE_SPREAD = 0.7
"""Gamma shape of the sites' rates within a trial and the SD of its logarithm: assumptions."""
DRAWS = 4000
CELLS = 60
REACH = 4.5
"""SDs of the prior that are looked at, to both sides."""


@dataclass(frozen=True)
class Progress:
    """What sites have recruited up to now, each (site,), weeks.

    Attributes
    ----------
    recruited
        Patients randomised.
    open_weeks
        Weeks that the site has been open; 0: it is planned.
    opens_in
        Weeks from now until a planned site opens; 0: it has been opened.
    closes_in
        Weeks from now until the site closes; 0: it is closed, ``inf``: it does not.
    """

    recruited: Floats
    open_weeks: Floats
    opens_in: Floats
    closes_in: Floats


@dataclass(frozen=True)
class Rates:
    """What is known of the sites' rates: their mean and gamma shape take these values with these weights.

    Given both, each site's rate is gamma a posteriori: shape + patients, shape / mean + weeks
    (Anisimov & Fedorov 2007, doi:10.1002/sim.2956, section 3).
    """

    mean: Floats
    shape: Floats
    weight: Floats

    @classmethod
    def known(cls, mean: float, shape: float) -> "Rates":
        """Take both as given."""
        return cls(np.array([mean]), np.array([shape]), np.ones(1))

    @classmethod
    def learned(cls, progress: Progress) -> "Rates":
        """Integrate both over their prior and the patients of all sites, on a grid that is refined once."""
        middle = np.log([USUAL_RATE, SHAPE])
        reach = REACH * np.array([USUAL_SPREAD, SHAPE_SPREAD])
        low, high = middle - reach, middle + reach
        for _ in range(2):
            mean, shape = (
                cells.ravel() for cells in np.meshgrid(*np.linspace(low, high, CELLS).T, indexing="ij")
            )
            height = _log_prior(mean, shape) + _log_likelihood(np.exp(mean), np.exp(shape), progress)
            weight = np.exp(height - height.max())
            there = weight > 1e-7
            step = (high - low) / (CELLS - 1)
            low, high = (
                np.array([end(mean[there]), end(shape[there])]) + sign * step
                for end, sign in ((np.min, -1), (np.max, 1))
            )
        return cls(np.exp(mean), np.exp(shape), weight / weight.sum())

    def draw(self, progress: Progress, draws: int, streams: Streams) -> Floats:
        """Draw every site's rate, patients a week, (site, draw)."""
        cell = np.searchsorted(np.cumsum(self.weight), streams("rates").random(draws) * self.weight.sum())
        cell = np.minimum(cell, len(self.weight) - 1)
        mean, shape = self.mean[cell], self.shape[cell]
        more = shape + progress.recruited[:, None]
        weeks = shape / mean + progress.open_weeks[:, None]
        return np.asarray(streams("rate of a site").standard_gamma(more) / weeks)


def _log_prior(mean: Floats, shape: Floats) -> Floats:
    z = (mean - np.log(USUAL_RATE)) / USUAL_SPREAD, (shape - np.log(SHAPE)) / SHAPE_SPREAD
    return np.asarray(-(z[0] ** 2 + z[1] ** 2) / 2)


def _log_likelihood(mean: Floats, shape: Floats, progress: Progress) -> Floats:
    """Of the sites' negative binomial counts, (cell,), up to a constant."""
    a, b = shape[:, None], (shape / mean)[:, None]
    n, weeks = progress.recruited, progress.open_weeks
    terms = gammaln(a + n) - gammaln(a) + a * np.log(b) - (a + n) * np.log(b + weeks)
    return np.asarray(terms.sum(axis=1))


@dataclass(frozen=True)
class Forecast:
    """When the missing patients will have come.

    Attributes
    ----------
    missing
        Patients still to be randomised.
    sites
        Rates and openings from now, (site, draw).
    complete
        Weeks from now to the last patient, (draw,); ``inf``: never.
    """

    missing: int
    sites: OpenSites
    complete: Floats

    @classmethod
    def make(cls, progress: Progress, missing: int, rates: Rates, streams: Streams) -> "Forecast":
        """Let the sites recruit on at their rates: Poisson arrivals, all sites together."""
        rate = rates.draw(progress, DRAWS, streams)
        shape = rate.shape
        rate = rate * (progress.closes_in > 0)[:, None]
        opens, closes = (np.broadcast_to(t[:, None], shape) for t in (progress.opens_in, progress.closes_in))
        sites = OpenSites(opens, rate, closes)
        waits = streams("arrivals").standard_gamma(max(missing, 1), (1, DRAWS))
        complete = sites.arrivals(waits)[0] if missing > 0 else np.zeros(DRAWS)
        return cls(missing, sites, complete)

    def quantile(self, level: float) -> float:
        """Weeks from now by which the trial is complete with this probability."""
        return float(np.quantile(self.complete, level, method="inverted_cdf"))

    def by(self, weeks: float) -> float:
        """Probability that the trial is complete within so many weeks."""
        return float(np.mean(self.complete <= weeks))

    def patients(self, weeks: Floats, levels: Floats, streams: Streams) -> Floats:
        """Quantiles of the patients randomised from now to each week, (level, week)."""
        expected = self.sites.expected(weeks)
        counted = streams("counts").poisson(expected)
        return np.asarray(np.quantile(np.minimum(counted, self.missing), levels, axis=1))
