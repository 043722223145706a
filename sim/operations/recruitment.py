"""When patients arrive at sites that open one after another, each at a rate of its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.conditions import ConditionLevels

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OpenSites:
    """Sites of a block's trials, arrays (site, replicate).

    Attributes
    ----------
    opened
        Week of opening since the first one's.
    rate
        Patients randomised a week.
    """

    opened: Floats
    rate: Floats

    @classmethod
    def draw(
        cls, sites: int, every: float, mean: Floats, at: ConditionLevels, streams: Streams
    ) -> "OpenSites":
        """Open one ``every`` so many weeks, after its delay; rates lie around ``mean``, (replicate,)."""
        shape = (sites, BLOCK_SIZE)
        opened = np.broadcast_to(every * np.arange(sites)[:, None], shape).astype(np.float64)
        if at.activation is not None:
            opened = opened + at.activation * streams("activation").standard_exponential(shape)
        rate = np.broadcast_to(mean, shape).copy()
        if at.between_sites is not None:
            rate *= streams("rate of a site").standard_gamma(at.between_sites, shape) / at.between_sites
        if at.never_recruits is not None:
            recruits = streams("site recruits").random(shape) >= at.never_recruits
            rate *= recruits / np.maximum(1 - at.never_recruits, 1e-12)
        return cls(opened - opened.min(axis=0), rate)

    def arrivals(self, gaps: Floats) -> Floats:
        """Week of each arrival, (patient, replicate), from unit exponential ``gaps``; ``inf``: nobody comes.

        Arrivals at all sites together are a Poisson process whose cumulated rate is piecewise linear, so the
        i-th arrival is where it reaches the i-th sum of gaps (time change: Cinlar 1975, chapter 4).
        """
        order = np.argsort(self.opened, axis=0, kind="stable")
        opened = np.take_along_axis(self.opened, order, axis=0)
        total = np.cumsum(np.take_along_axis(self.rate, order, axis=0), axis=0)
        reached = np.zeros_like(opened)
        reached[1:] = np.cumsum(total[:-1] * np.diff(opened, axis=0), axis=0)
        wanted = np.cumsum(gaps, axis=0)
        last = np.zeros(wanted.shape, dtype=np.int64)
        for site in range(1, len(opened)):
            last += wanted > reached[site]
        since, rate, before = (
            np.take_along_axis(values, last, axis=0) for values in (opened, total, reached)
        )
        with np.errstate(divide="ignore"):
            return np.asarray(since + (wanted - before) / rate)
