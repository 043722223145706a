"""What an analysis gives: an estimate for each compared arm, sample size and replicate."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from sim.analyses.data_set import DataSet, Result
from sim.core.errors import InputError
from sim.core.parts import Family
from sim.estimand import Observations

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
        half = stdtrit(df, 0.5 + LEVEL / 2) * se
        df, n = np.broadcast_to(df, estimate.shape), np.broadcast_to(n, estimate.shape)
        return cls(estimate, se, df, estimate - half, estimate + half, n)

    def one_sided_p(self, better: str, margin: float = 0.0) -> Floats:
        """One-sided p-value against no benefit beyond ``margin``; a failed estimate (nan) gives nan."""
        sign = 1.0 if better == "lower" else -1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = sign * self.estimate / self.se + margin / self.se
        return np.asarray(stdtr(self.df, statistic))


class Analysis(Family):
    """A statistical analysis of one estimand, batched over replicates and sample sizes."""

    home: ClassVar[str] = "sim.analyses"
    summary: ClassVar[str | None] = None
    """The only summary of an estimand that this analysis estimates; None: any."""

    estimand: str

    def estimate(self, observed: Observations) -> Estimate:
        """Estimate the contrast of each compared arm with the control."""
        raise NotImplementedError

    def analyse(self, data: DataSet) -> Result:
        """Analyse one real data set by the same rules and tabulate the estimates."""
        raise InputError(f"kind {type(self).__name__}: this analysis cannot be run on a data set")

    def words(self) -> str:
        """Say the analysis in words."""
        raise NotImplementedError
