"""What an analysis gives: an estimate for each compared arm, sample size and replicate."""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from sim.analyses.data_set import DataSet, Result, Row, difference_name
from sim.core.parts import Family
from sim.data import TrialData
from sim.endpoints import Score
from sim.estimand import Contrast, Estimand, Observations

Floats = NDArray[np.float64]

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """Estimates of one estimand; every array is (compared arm, size, replicate).

    Attributes
    ----------
    estimate, se
        In the units of the summary (points, or probability).
    df
        Degrees of freedom; inf for a normal reference.
    low, high
        Limits of the two-sided 95 % interval.
    n
        Patients used.
    """

    estimate: Floats
    se: Floats
    df: Floats
    low: Floats
    high: Floats
    n: Floats

    @classmethod
    def by_t(cls, estimate: Floats, se: Floats, df: Floats, n: Floats) -> "Estimate":
        """Complete an estimate by its t interval."""
        half = critical(df) * se
        df, n = np.broadcast_to(df, estimate.shape), np.broadcast_to(n, estimate.shape)
        return cls(estimate, se, df, estimate - half, estimate + half, n)

    def row(self, name: str, arm: int) -> Row:
        """Tabulate one compared arm of a single data set."""
        at = (arm, 0, 0)
        row = Row.by_t(name, (self.estimate[at], self.se[at], self.df[at]), int(self.n[at]))
        return replace(row, ci_low=float(self.low[at]), ci_high=float(self.high[at]))

    def one_sided_p(self, better: str, margin: float = 0.0) -> Floats:
        """One-sided p-value against no benefit beyond ``margin``; a failed estimate (nan) gives nan."""
        if (better, margin) not in self._tested:
            sign = 1.0 if better == "lower" else -1.0
            with np.errstate(divide="ignore", invalid="ignore"):
                statistic = sign * self.estimate / self.se + margin / self.se
            self._tested[better, margin] = np.asarray(stdtr(self.df, statistic))
        return self._tested[better, margin]

    @cached_property
    def _tested(self) -> dict[tuple[str, float], Floats]:
        """Tests that were made, since both rule and record ask for them."""
        return {}

    def probability_beyond(self, margin: float, better: str) -> Floats:
        """Posterior probability of a benefit beyond ``margin``; here under a flat prior of the effect.

        A margin above 0 is a benefit of that size: an effect below −margin where lower is better, above
        margin where higher is. A failed estimate gives nan.
        """
        return np.asarray(1 - self.one_sided_p(better, margin))


MOST_KEPT = 2**16
"""Whole degrees of freedom below which critical values are kept."""


def critical(df: Floats) -> Floats:
    """Critical values of the two-sided 95 % interval by t, same shape as ``df``; nan where it is nan."""
    if not ((df >= 0) & (df < MOST_KEPT) & (df == np.floor(df))).all():
        known, place = np.unique(df, return_inverse=True)
        return np.asarray(stdtrit(known, 0.5 + LEVEL / 2)[place.reshape(np.shape(df))])
    return _critical_values(2 ** int(df.max()).bit_length())[df.astype(np.int64)]


@cache
def _critical_values(number: int) -> Floats:
    """Critical values of 0, 1, … degrees of freedom: most analyses have whole ones."""
    return np.asarray(stdtrit(np.arange(number, dtype=np.float64), 0.5 + LEVEL / 2))


class Analysis(Family):
    """A statistical analysis of one estimand, batched over replicates and sample sizes."""

    home: ClassVar[str] = "sim.analyses"
    summary: ClassVar[str | None] = None
    """The only summary of an estimand that this analysis estimates; None: any."""

    estimand: str

    @property
    def target(self) -> str | None:
        """The summary that this very analysis estimates, options considered; None: any."""
        return self.summary

    def estimate(self, observed: Observations) -> Estimate:
        """Estimate the contrast of each compared arm with the control."""
        raise NotImplementedError

    def analyse(self, data: DataSet) -> Result:
        """Analyse one real data set, visit by visit, as if it were a simulated one."""
        return Result(self.differences(data))

    def differences(self, data: DataSet) -> tuple[Row, ...]:
        """Tabulate this analysis' estimate of each arm's difference from the reference."""
        rows: list[Row] = []
        for place, visit in data.reported:
            found = self.estimate(as_observations(data, place))
            names = [difference_name(arm, data.arms[0], visit) for arm in data.arms[1:]]
            rows += [found.row(name, arm) for arm, name in enumerate(names)]
        return tuple(rows)

    def words(self) -> str:
        """Say the analysis in words."""
        raise NotImplementedError


def as_observations(data: DataSet, visit: int) -> Observations:
    """Take a data set at one visit as a block of a single replicate; the reference is the control."""
    weeks = np.arange(1.0, len(data.visits) + 1)
    arm = data.arm[:, None]
    baseline = np.full(arm.shape, np.nan) if data.baseline is None else data.baseline.values
    stopped = np.full(arm.shape, np.inf) if data.stopped is None else data.stopped[:, None]
    reason = None if data.reason is None else data.reason[:, None]
    trial = TrialData(arm, baseline, data.value[:, None, :], weeks, stopped, (len(arm),), reason=reason)
    contrast = Contrast(of=data.arms[1:], to=data.arms[0])
    estimand = Estimand(endpoint="value", visit=weeks[visit], contrast=contrast, summary="mean_difference")
    return Observations(
        value=data.value[:, visit, None],
        baseline=baseline,
        arm=arm,
        of=tuple(range(1, len(data.arms))),
        to=0,
        arms=len(data.arms),
        data=trial,
        estimand=estimand,
        endpoint=Score(),
    )
