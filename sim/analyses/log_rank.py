"""The log-rank test and the hazard ratio that belongs to it."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.base import Analysis, Estimate
from sim.analyses.cox import strata_words
from sim.analyses.data_set import DataSet, Result, Row, difference_name
from sim.analyses.strata import strata_of
from sim.analyses.survival import log_rank
from sim.analyses.time_to_event import ratio_name, times_at, times_of
from sim.estimand import Observations

Floats = NDArray[np.float64]


class LogRank(Analysis):
    """Log-rank test of each arm against the control, with Peto's one-step log hazard ratio.

    Observed less expected events over their variance, standard error 1 / √variance, so that z is the
    log-rank statistic (Peto et al. 1977, doi:10.1038/bjc.1977.1; Mantel 1966); within strata of baseline
    pain, on real data also of the levels of all factors. Events seen at the same visit are ties: the
    variance then is the slope of a log odds ratio, so ratio and error are divided by the slope of the
    log hazard ratio instead, and z stays what it is. The ratio is one step of Newton's method from no
    effect, so it is biased where the effect is large.
    """

    kind: Literal["log_rank"] = "log_rank"
    summary: ClassVar[str | None] = "hazard_ratio"
    cuts: tuple[float, ...] = Field((), description="baseline pain from which the next stratum begins")

    def estimate(self, observed: Observations) -> Estimate:
        """Sum over the risk sets of every replicate, size by size."""
        times = times_of(observed, self.cuts)
        shape = (len(observed.of), len(observed.data.sizes), observed.arm.shape[1])
        sums, n = np.empty((3, *shape)), np.empty(shape)
        for place, of in enumerate(observed.of):
            pair = times.only((observed.arm == of) | (observed.arm == observed.to))
            for at, size in enumerate(observed.data.sizes):
                part = pair.first(size)
                sums[:, place, at] = log_rank(part, observed.arm[:size] == of)
                n[place, at] = part.used.sum(axis=0)
        return Estimate.by_t(*one_step(sums), np.full(shape, np.inf), n)

    def analyse(self, data: DataSet) -> Result:
        """Tabulate the log hazard ratio of each arm."""
        rows = []
        for place, visit in data.reported:
            times = times_at(data, place, strata_of(data, self.cuts))
            for arm, label in enumerate(data.arms[1:], start=1):
                pair = times.only(np.isin(data.arm, (0, arm))[:, None])
                ratio, error = one_step(np.stack(log_rank(pair, data.arm[:, None] == arm))[:, 0])
                name = ratio_name(difference_name(label, data.arms[0], visit))
                rows.append(Row.by_t(name, (float(ratio), float(error), np.inf), int(pair.used.sum())))
        return Result(tuple(rows))

    def words(self) -> str:
        """Say the analysis in words."""
        return f"log-rank test with Peto's hazard ratio{strata_words(self.cuts)}"


def one_step(sums: Floats) -> tuple[Floats, Floats]:
    """Log hazard ratio and standard error from excess, variance and slope, the first axis of ``sums``."""
    excess, variance, slope = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        return excess / slope, np.sqrt(variance) / slope
