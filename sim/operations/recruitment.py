"""When patients arrive at sites that open one after another, each at a rate of its own, and where."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.conditions import ConditionLevels
from sim.operations.rates import CompetitorLevels, GrowthLevels, Rival

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

NOTHING = 1e-12
"""Of the sites' rates together: what is left by rounding."""


@dataclass(frozen=True)
class OpenSites:
    """Sites of a block's trials, arrays (site, replicate).

    Attributes
    ----------
    opened
        Week of opening since the first one's.
    rate
        Patients randomised a week, once it has grown and where nobody takes them.
    closed
        Week of closing, ``inf`` is never; None: none closes.
    growth
        Of each site's rate after its opening; None: the full rate from the start.
    rivals
        Other trials that take patients.
    """

    opened: Floats
    rate: Floats
    closed: Floats | None = None
    growth: GrowthLevels | None = None
    rivals: tuple[Rival, ...] = ()

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
        rivals = tuple(_meet(k, other, sites, streams) for k, other in enumerate(at.competing, start=1))
        return cls(opened - opened.min(axis=0), rate, growth=at.growth, rivals=rivals)

    def at(self, week: Floats) -> Floats:
        """Patients a week that each site randomises in these weeks, which broadcast to the sites'."""
        closed = np.inf if self.closed is None else self.closed
        found = self.rate * ((self.opened <= week) & (week < closed))
        if self.growth is not None:
            found = found * self.growth.share(week - self.opened)
        for rival in self.rivals:
            found = found * rival.left(week)
        return np.asarray(found)

    def _edges(self) -> Floats:
        """Weeks at which a site's rate jumps or bends, (edge, site, replicate), in order; never is none."""
        edges = [self.opened]
        if self.closed is not None:
            edges.append(self.closed)
        if self.growth is not None:
            edges.append(self.opened + self.growth.weeks)
        for rival in self.rivals:
            edges += [np.maximum(week, self.opened) for week in (rival.begins, rival.ends)]
        return np.sort([np.where(np.isfinite(edge), edge, self.opened) for edge in edges], axis=0)

    def _pieces(self) -> tuple[Floats, Floats, Floats]:
        """Edges, and each site's rate and its slope from each edge to the next, (edge, site, replicate)."""
        edges = self._edges()
        level = np.stack([self.at(edge) for edge in edges])
        if self.growth is None:
            return edges, level, np.zeros_like(level)
        middle = np.concatenate([(edges[:-1] + edges[1:]) / 2, edges[-1:] + 1.0])
        full = replace(self, growth=None)
        growing = middle < self.opened + self.growth.weeks
        slope = np.stack([full.at(week) for week in middle]) * growing * self.growth.slope
        return edges, level, slope

    def _together(self) -> tuple[Floats, Floats, Floats]:
        """Edges of all sites in order of time, and the rate and its slope of all together from each on."""
        edges, level, slope = self._pieces()
        jump, bend = level.copy(), slope.copy()
        jump[1:] -= level[:-1] + slope[:-1] * np.diff(edges, axis=0)
        bend[1:] -= slope[:-1]
        moment, jump, bend = (values.reshape(-1, values.shape[-1]) for values in (edges, jump, bend))
        order = np.argsort(moment, axis=0, kind="stable")
        moment, jump, bend = (np.take_along_axis(values, order, axis=0) for values in (moment, jump, bend))
        slope = _without_rounding(np.cumsum(bend, axis=0), np.abs(bend).sum(axis=0))
        jump[1:] += slope[:-1] * np.diff(moment, axis=0)
        return moment, _without_rounding(np.cumsum(jump, axis=0), self.rate.sum(axis=0)), slope

    def arrivals(self, gaps: Floats) -> Floats:
        """Week of each arrival, (patient, replicate), from unit exponential ``gaps``; ``inf``: nobody comes.

        Arrivals at all sites together are a Poisson process whose rate is piecewise linear, so the
        i-th arrival is where its cumulated rate reaches the i-th sum of gaps (time change: Cinlar 1975,
        chapter 4): the root of a quadratic equation.
        """
        moment, total, slope = self._together()
        reached, gone = np.zeros_like(moment), np.diff(moment, axis=0)
        reached[1:] = np.cumsum((total[:-1] + slope[:-1] * gone / 2) * gone, axis=0)
        wanted = np.cumsum(gaps, axis=0)
        last = np.zeros(wanted.shape, dtype=np.int64)
        for place in range(1, len(moment)):
            last += wanted > reached[place]
        since, rate, bend, before = (
            np.take_along_axis(values, last, axis=0) for values in (moment, total, slope, reached)
        )
        left = wanted - before
        with np.errstate(divide="ignore"):
            return np.asarray(since + 2 * left / (rate + np.sqrt(rate * rate + 2 * bend * left)))

    def expected(self, weeks: Floats) -> Floats:
        """Patients expected from week 0 to each of these weeks, (week, replicate)."""
        edges, level, slope = self._pieces()
        length = np.concatenate([np.diff(edges, axis=0), np.full_like(edges[:1], np.inf)])
        found = []
        for week in weeks:
            spent = np.clip(week - edges, 0.0, length)
            found.append((spent * (level + slope * spent / 2)).sum(axis=0).sum(axis=0))
        return np.stack(found)

    def place(self, arrived: Floats, share: Floats) -> Ints:
        """Site of each patient, (patient, replicate), by uniform ``share``: open sites by their rates."""
        total = np.zeros_like(arrived)
        for site in range(len(self.opened)):
            total += self._only(site).at(arrived)
        wanted, reached = share * total, np.zeros_like(arrived)
        where = np.zeros(arrived.shape, dtype=np.int64)
        for site in range(len(self.opened) - 1):
            reached += self._only(site).at(arrived)
            where += wanted >= reached
        return where

    def _only(self, site: int) -> Self:
        """Take one site, whose arrays are (replicate,)."""
        closed = None if self.closed is None else self.closed[site]
        rivals = tuple(replace(rival, leaves=rival.leaves[site]) for rival in self.rivals)
        return replace(self, opened=self.opened[site], rate=self.rate[site], closed=closed, rivals=rivals)

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


def _meet(number: int, other: CompetitorLevels, sites: int, streams: Streams) -> Rival:
    """Let another trial recruit at its share of the sites."""
    there = np.ones((sites, BLOCK_SIZE), dtype=bool)
    if other.sites is not None:
        there = streams(f"competing trial {number}").random(there.shape) < other.sites
    ends = np.full_like(other.opens, np.inf) if other.weeks is None else other.opens + other.weeks
    return Rival(other.opens, ends, 1 - other.takes * there)


def _without_rounding(total: Floats, scale: Floats) -> Floats:
    """Take out what is left by rounding when the last site has closed or has grown."""
    total[total < NOTHING * scale] = 0.0
    return total
