"""When patients arrive at sites that open one after another, each at a rate of its own, and where."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.conditions import ConditionLevels

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

NOTHING = 1e-12
"""Of the sites' rates together: what is left by rounding when the last one has closed."""


@dataclass(frozen=True)
class OpenSites:
    """Sites of a block's trials, arrays (site, replicate).

    Attributes
    ----------
    opened
        Week of opening since the first one's.
    rate
        Patients randomised a week.
    closed
        Week of closing, ``inf`` is never; None: none closes.
    """

    opened: Floats
    rate: Floats
    closed: Floats | None = None

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
        moment, change = self.opened, self.rate
        if self.closed is not None:
            closes = np.isfinite(self.closed)
            moment = np.concatenate([moment, np.where(closes, self.closed, self.opened)])
            change = np.concatenate([change, np.where(closes, -self.rate, 0.0)])
        order = np.argsort(moment, axis=0, kind="stable")
        moment = np.take_along_axis(moment, order, axis=0)
        total = np.cumsum(np.take_along_axis(change, order, axis=0), axis=0)
        total[total < NOTHING * self.rate.sum(axis=0)] = 0.0
        reached = np.zeros_like(moment)
        reached[1:] = np.cumsum(total[:-1] * np.diff(moment, axis=0), axis=0)
        wanted = np.cumsum(gaps, axis=0)
        last = np.zeros(wanted.shape, dtype=np.int64)
        for place in range(1, len(moment)):
            last += wanted > reached[place]
        since, rate, before = (
            np.take_along_axis(values, last, axis=0) for values in (moment, total, reached)
        )
        with np.errstate(divide="ignore"):
            return np.asarray(since + (wanted - before) / rate)

    def expected(self, weeks: Floats) -> Floats:
        """Patients expected from week 0 to each of these weeks, (week, replicate)."""
        closed = np.full_like(self.opened, np.inf) if self.closed is None else self.closed
        return np.stack(
            [
                (self.rate * np.maximum(np.minimum(week, closed) - self.opened, 0.0)).sum(axis=0)
                for week in weeks
            ]
        )

    def place(self, arrived: Floats, share: Floats) -> Ints:
        """Site of each patient, (patient, replicate), by uniform ``share``: open sites by their rates."""
        closed = np.full_like(self.opened, np.inf) if self.closed is None else self.closed
        sites = list(zip(self.opened, closed, self.rate, strict=True))
        total = np.zeros_like(arrived)
        for opened, closes, rate in sites:
            total += rate * ((opened <= arrived) & (arrived < closes))
        wanted, reached = share * total, np.zeros_like(arrived)
        site = np.zeros(arrived.shape, dtype=np.int64)
        for opened, closes, rate in sites[:-1]:
            reached += rate * ((opened <= arrived) & (arrived < closes))
            site += wanted >= reached
        return site

    def without_idle(self, idle: float, gaps: Floats, share: Floats) -> "OpenSites":
        """Close each site that has randomised nobody so many weeks after its opening.

        One a trial and turn, the earliest first: arrivals before a closing do not depend on it.
        """
        due, sites = self.opened + idle, replace(self, closed=np.full_like(self.opened, np.inf))
        for _ in range(len(due)):
            assert sites.closed is not None
            week = sites.arrivals(gaps)
            where = sites.place(week, share)
            first = np.stack([np.where(where == s, week, np.inf).min(axis=0) for s in range(len(due))])
            waits = np.where((first > due) & np.isinf(sites.closed), due, np.inf)
            earliest = waits.argmin(axis=0)[None]
            if np.isinf(np.take_along_axis(waits, earliest, axis=0)).all():
                break
            closed = sites.closed.copy()
            now = np.take_along_axis(np.minimum(waits, closed), earliest, axis=0)
            np.put_along_axis(closed, earliest, now, axis=0)
            sites = replace(sites, closed=closed)
        return sites
