"""The log-rank test and the hazard ratio that belongs to it."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.analyses.base import Analysis, Estimate
from sim.analyses.cox import strata_words
from sim.analyses.data_set import DataSet, Result, Row, difference_name
from sim.analyses.strata import strata_of
from sim.analyses.survival import log_rank
from sim.analyses.time_to_event import ratio_name, times_at, times_of
from sim.estimand import Observations


class LogRank(Analysis):
    """Log-rank test of each arm against the control, with Peto's one-step log hazard ratio.

    Observed less expected events over their variance, standard error 1 / √variance, so that z is the
    log-rank statistic (Peto et al. 1977, doi:10.1038/bjc.1977.1; Mantel 1966); within strata of baseline
    pain, on real data also of the levels of all factors. The ratio is one step of
    Newton's method from no effect, so it is biased where the effect is large.
    """

    kind: Literal["log_rank"] = "log_rank"
    summary: ClassVar[str | None] = "hazard_ratio"
    cuts: tuple[float, ...] = Field((), description="baseline pain from which the next stratum begins")

    def estimate(self, observed: Observations) -> Estimate:
        """Sum over the risk sets of every replicate, size by size."""
        times = times_of(observed, self.cuts)
        shape = (len(observed.of), len(observed.data.sizes), observed.arm.shape[1])
        excess, variance, n = np.empty(shape), np.empty(shape), np.empty(shape)
        for place, of in enumerate(observed.of):
            pair = times.only((observed.arm == of) | (observed.arm == observed.to))
            for at, size in enumerate(observed.data.sizes):
                part = pair.first(size)
                excess[place, at], variance[place, at] = log_rank(part, observed.arm[:size] == of)
                n[place, at] = part.used.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return Estimate.by_t(excess / variance, 1 / np.sqrt(variance), np.full(shape, np.inf), n)

    def analyse(self, data: DataSet) -> Result:
        """Tabulate the log hazard ratio of each arm."""
        rows = []
        for place, visit in data.reported:
            times = times_at(data, place, strata_of(data, self.cuts))
            for arm, label in enumerate(data.arms[1:], start=1):
                pair = times.only(np.isin(data.arm, (0, arm))[:, None])
                excess, variance = (part[0] for part in log_rank(pair, data.arm[:, None] == arm))
                with np.errstate(divide="ignore", invalid="ignore"):
                    numbers = (excess / variance, 1 / np.sqrt(variance), np.inf)
                name = ratio_name(difference_name(label, data.arms[0], visit))
                rows.append(Row.by_t(name, numbers, int(pair.used.sum())))
        return Result(tuple(rows))

    def words(self) -> str:
        """Say the analysis in words."""
        return f"log-rank test with Peto's hazard ratio{strata_words(self.cuts)}"
