"""Two-sample t test at one visit."""

from typing import ClassVar, Literal

import numpy as np

from sim.analyses.base import Analysis, Estimate, Floats
from sim.analyses.data_set import DataSet, Result, Row, mean_name
from sim.analyses.single_imputation import Fill, fill, fill_words, filled
from sim.estimand import Observations


class TTest(Analysis):
    """Difference in means, not adjusted, with Welch's or the pooled variance.

    Welch's degrees of freedom are Satterthwaite's (Welch 1947, doi:10.1093/biomet/34.1-2.28); the
    pooled variance is that of all arms of the trial.
    """

    kind: Literal["t"] = "t"
    summary: ClassVar[str | None] = "mean_difference"
    variance: Literal["welch", "pooled"] = "welch"
    missing: Fill = "complete_case"

    def estimate(self, observed: Observations) -> Estimate:
        """Estimate from sums by arm."""
        observed = filled(observed, self.missing)
        n, mean, squares = self._sums(observed)
        of, to = list(observed.of), observed.to
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.variance == "pooled":
                df = n.sum(axis=0) - observed.arms
                variance = squares.sum(axis=0) / df * (1 / n[of] + 1 / n[to])
            else:
                share = squares / (n - 1) / n
                variance = share[of] + share[to]
                df = variance**2 / (share[of] ** 2 / (n[of] - 1) + share[to] ** 2 / (n[to] - 1))
            return Estimate.by_t(mean[of] - mean[to], np.sqrt(variance), df, n[of] + n[to])

    def _sums(self, observed: Observations) -> tuple[Floats, Floats, Floats]:
        """Count, mean and sum of squares about the mean, each (arm, size, replicate)."""
        total = observed.data.totals
        seen = ~np.isnan(observed.value)
        # about the middle of the data, so that the squares lose no digits
        centre = np.nanmean(observed.value)
        y = np.where(seen, observed.value - centre, 0.0)
        mine = [(seen & (observed.arm == arm)).astype(np.float64) for arm in range(observed.arms)]
        n, s, ss = (np.stack([total(m * power) for m in mine]) for power in (np.ones_like(y), y, y * y))
        with np.errstate(divide="ignore", invalid="ignore"):
            return n, s / n + centre, ss - s * s / n

    def analyse(self, data: DataSet) -> Result:
        """Tabulate the plain means of each visit and their differences."""
        rows = []
        for place, visit in data.reported:
            whole = fill(data, place, self.missing)
            for position, arm in enumerate(data.arms):
                value = whole[(data.arm == position) & ~np.isnan(whole)]
                n = len(value)
                se = float(value.std(ddof=1)) / np.sqrt(n) if n > 1 else np.nan
                mean = float(value.mean()) if n else np.nan
                rows.append(Row.by_t(mean_name(arm, visit), (mean, se, n - 1), n))
        return Result((*rows, *self.differences(data)))

    def words(self) -> str:
        """Say the analysis in words."""
        return f"two-sample t test ({self.variance} variance), {fill_words(self.missing)}"
