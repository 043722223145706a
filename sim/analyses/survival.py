"""Times to an event, who is at risk when, and Cox's partial likelihood, many data sets at once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim.analyses.inverse import invert

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.integer]

MOST_STEPS = 30
PRECISION = 1e-18
EXTREME = 15.0
"""A log hazard ratio beyond which an arm is taken to have no event at all."""


@dataclass(frozen=True)
class Times:
    """Times of patients, every array (patient, replicate).

    Attributes
    ----------
    time
        To the event or to censoring; nan is not used.
    event
        1 for an event, 0 for censored.
    stratum
        Patients are compared within strata.
    """

    time: Floats
    event: Floats
    stratum: Ints

    def first(self, n: int) -> "Times":
        """Keep the first patients."""
        return Times(self.time[:n], self.event[:n], self.stratum[:n])

    def only(self, kept: Bools) -> "Times":
        """Leave out all others."""
        return Times(np.where(kept, self.time, np.nan), self.event, self.stratum)

    @property
    def used(self) -> Bools:
        """Who has a time."""
        return ~np.isnan(self.time)


@dataclass(frozen=True)
class RiskSets:
    """Patients of each replicate in order of stratum, then from the latest time to the earliest.

    The risk set of a time is then a run of rows that ends with its last tie; sums over risk sets are
    differences of cumulated sums. Arrays are (row, replicate).

    Attributes
    ----------
    order
        Patient of each row.
    event
        1 for an event of a patient in use.
    start, first, last
        First row of the stratum; first and last row of the same time.
    """

    order: Ints
    event: Floats
    start: Ints
    first: Ints
    last: Ints

    @classmethod
    def of(cls, times: Times) -> "RiskSets":
        """Sort; who is not in use comes last in the stratum, at risk at no event."""
        late = np.where(times.used, -times.time, np.inf)
        order = np.lexsort((late, times.stratum), axis=0)
        time, stratum, event, used = (
            np.take_along_axis(part, order, axis=0) for part in (late, times.stratum, times.event, times.used)
        )
        fresh = np.ones(time.shape, dtype=bool)
        fresh[1:] = stratum[1:] != stratum[:-1]
        new = fresh.copy()
        new[1:] |= time[1:] != time[:-1]
        row = np.broadcast_to(np.arange(len(time))[:, None], time.shape)
        ends = np.ones(time.shape, dtype=bool)
        ends[:-1] = new[1:]
        last = np.minimum.accumulate(np.where(ends, row, len(time))[::-1], axis=0)[::-1]
        start, first = (np.maximum.accumulate(np.where(each, row, 0), axis=0) for each in (fresh, new))
        return cls(order, np.where(used, event, 0.0), start, first, last)

    def sort(self, values: Floats) -> Floats:
        """Bring values (patient, replicate, ...) into the order of rows."""
        return np.take_along_axis(values, _wide(self.order, values), axis=0)

    def at_risk(self, values: Floats) -> Floats:
        """Sum over the risk set of each row's time, (row, replicate, ...)."""
        return _between(values, self.start, self.last)

    def tied(self, values: Floats) -> Floats:
        """Sum over the events at each row's time."""
        return _between(values * _wide(self.event, values), self.first, self.last)

    @cached_property
    def ties(self) -> Floats:
        """Number of events at each row's time."""
        return self.tied(np.ones_like(self.event))

    @cached_property
    def rank(self) -> Floats:
        """Of an event, the share of its ties that come before it: Efron's weight."""
        earlier = (
            _between(self.event, self.first, np.broadcast_to(_rows(self.event), self.event.shape))
            - self.event
        )
        return earlier / np.maximum(self.ties, 1)

    @property
    def ends(self) -> Bools:
        """Rows that are the last of their time."""
        return np.asarray(self.last == _rows(self.event))


def _rows(values: Floats) -> Ints:
    return np.arange(len(values))[:, None]


def _wide(rows: Floats | Ints, values: Floats) -> NDArray:  # type: ignore[type-arg]
    return rows.reshape(rows.shape + (1,) * (values.ndim - 2))


def _between(values: Floats, first: Ints, last: Ints) -> Floats:
    """Sum of the rows from first to last, both included."""
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    return np.asarray(
        np.take_along_axis(sums, _wide(last + 1, values), axis=0)
        - np.take_along_axis(sums, _wide(first, values), axis=0)
    )


@dataclass(frozen=True)
class CoxFit:
    """Log hazard ratios, (replicate, column), and their variance; nan where there is no finite estimate."""

    coefficients: Floats
    variance: Floats


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # a fit without answer is nan, not a warning
def fit_cox(times: Times, columns: tuple[Floats, ...]) -> CoxFit:
    """Maximise the partial likelihood by Newton's method, all replicates at once.

    Ties by Efron (1977, doi:10.1080/01621459.1977.10480613); strata have hazards of their own.

    Parameters
    ----------
    times
        Of the patients.
    columns
        Each (patient, replicate).
    """
    sets = RiskSets.of(times)
    x = sets.sort(np.stack(columns, axis=-1))
    found = np.zeros(x.shape[1:])
    variance, gain = np.empty(0), np.full(len(found), np.nan)
    for _ in range(MOST_STEPS):
        score, information = _slopes(sets, x, found)
        variance, _ = invert(information)
        step = np.einsum("rab,rb->ra", variance, score)
        gain = (step * score).sum(axis=1)
        found = found + step
        if not (gain >= PRECISION).any():
            break
    failed = ~(gain < PRECISION) | (np.abs(found).max(axis=1) > EXTREME)
    found[failed], variance[failed] = np.nan, np.nan
    return CoxFit(found, variance)


def _slopes(sets: RiskSets, x: Floats, beta: Floats) -> tuple[Floats, Floats]:
    """First derivatives of the log partial likelihood and minus the second, one and two columns."""
    risk = np.exp(np.einsum("nra,ra->nr", x, beta))
    weighted = risk[:, :, None] * x
    squares = weighted[:, :, :, None] * x[:, :, None, :]
    rank = sets.rank

    def left(values: Floats) -> Floats:
        return sets.at_risk(values) - _wide(rank, values) * sets.tied(values)

    total = left(risk)
    total = np.where(sets.event > 0, total, 1.0)
    mean = left(weighted) / total[:, :, None]
    spread = left(squares) / total[:, :, None, None] - mean[:, :, :, None] * mean[:, :, None, :]
    event = sets.event[:, :, None]
    return (event * (x - mean)).sum(axis=0), (event[..., None] * spread).sum(axis=0)


def log_rank(times: Times, treated: Bools) -> tuple[Floats, Floats, Floats]:
    """Observed less expected events of the treated, its variance, and its slope in the log hazard ratio.

    Each (replicate,). Hypergeometric at each time of an event (Mantel 1966, Cancer Chemotherapy Reports 50:
    163-170). Without ties the slope at no effect is the variance. Where events are seen at visits only, d of
    n at risk share a time; under proportional hazards between the visits the slope there is
    −log(1 − d/n) / (d/n) times the variance (Prentice & Gloeckler 1978, doi:10.2307/2529588).
    """
    sets = RiskSets.of(times)
    mine = sets.sort((treated & times.used).astype(np.float64))
    n, n1 = sets.at_risk(sets.sort(times.used.astype(np.float64))), sets.at_risk(mine)
    d, d1 = sets.ties, sets.tied(mine)
    counted = sets.ends & (d > 0)
    n = np.where(counted, n, 1.0)
    share = n1 / n
    spread = np.where(counted, d * share * (1 - share) * (n - d) / np.maximum(n - 1, 1), 0.0)
    tied = counted & (d > 1) & (d < n)
    hazard = np.where(tied, d / n, 0.5)
    slope = np.where(tied, -np.log1p(-hazard) / hazard, 1.0) * spread
    excess = np.where(counted, d1 - d * share, 0.0)
    return excess.sum(axis=0), spread.sum(axis=0), slope.sum(axis=0)
