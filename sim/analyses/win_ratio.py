"""Win ratio of prioritised outcomes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.base import Analysis, Estimate
from sim.analyses.data_set import DataSet, Result
from sim.estimand import Observations
from sim.priority import Level, Measure, compare_pairs, of_shares, order_words

Floats = NDArray[np.float64]

USUAL = (Level(outcome="time_on_treatment"), Level(outcome="value"))
"""The order on real data where no levels are given."""


class WinRatio(Analysis):
    """Every treated patient against every control, by the first outcome that tells them apart.

    Unmatched win ratio (Pocock et al. 2012, doi:10.1093/eurheartj/ehr352), win odds (ties count half,
    Brunner, Vandemeulebroecke & Mütze 2021, doi:10.1002/sim.8967), both as logarithms, or the net benefit
    (Buyse 2010, doi:10.1002/sim.3923). The standard error is that of two-sample U-statistics (Bebu &
    Lachin 2016, doi:10.1093/biostatistics/kxv032). A missing value ties with every other.
    """

    kind: Literal["win_ratio"] = "win_ratio"
    summary: ClassVar[str | None] = "win_ratio"
    levels: tuple[Level, ...] = Field(
        (), description="on real data; in a simulated trial the estimand's 'order' holds"
    )
    measure: Measure = "win_ratio"

    @property
    def target(self) -> str:
        """The measure."""
        return self.measure

    def estimate(self, observed: Observations) -> Estimate:
        """Compare all pairs, a replicate and a size at a time."""
        estimand, data = observed.estimand, observed.data
        order = estimand.order or self.levels or USUAL
        stopped = estimand.on_treatment(data) if estimand.order else data.stopped
        outcomes = [level.of(stopped, observed.value, observed.endpoint.better) for level in order]
        margins = [level.margin for level in order]
        sizes, replicates = observed.data.sizes, observed.arm.shape[1]
        found = np.full((3, len(observed.of), len(sizes), replicates), np.nan)
        for place, of in enumerate(observed.of):
            for at, size in enumerate(sizes):
                for replicate in range(replicates):
                    arm = observed.arm[:size, replicate]
                    groups = [
                        [outcome[:size, replicate][arm == chosen] for outcome in outcomes]
                        for chosen in (of, observed.to)
                    ]
                    found[:, place, at, replicate] = self._compare(groups, margins)
        estimate, se, n = found
        return Estimate.by_t(estimate, se, np.full(estimate.shape, np.inf), n)

    def _compare(self, groups: list[list[Floats]], margins: Sequence[float]) -> tuple[float, float, float]:
        treated, control = groups
        n1, n0 = len(treated[0]), len(control[0])
        if min(n1, n0) < 2:
            return np.nan, np.nan, n1 + n0
        wins, losses = compare_pairs(treated, control, margins)
        estimate, se = summarise_pairs(wins, losses, self.measure)
        return estimate, se, n1 + n0

    def analyse(self, data: DataSet) -> Result:
        """Tabulate the measure of each arm and visit."""
        label = self.measure if self.measure == "net_benefit" else f"log_{self.measure}"
        found = self.differences(data)
        return Result(tuple(replace(row, name=row.name.replace("difference", label, 1)) for row in found))

    def words(self) -> str:
        """Say the analysis in words."""
        by = f" by {order_words(self.levels)}" if self.levels else ""
        return f"{self.measure.replace('_', ' ')} of all pairs of patients{by}"


def summarise_pairs(wins: Floats, losses: Floats, measure: Measure) -> tuple[float, float]:
    """Estimate and standard error; nan where nobody wins or nobody loses and the ratio needs both."""
    estimate, slope = of_shares(float(wins.mean()), float(losses.mean()), measure)
    score = slope[0] * wins + slope[1] * losses
    variance = score.mean(axis=1).var(ddof=1) / len(wins) + score.mean(axis=0).var(ddof=1) / wins.shape[1]
    return estimate, float(np.sqrt(variance))
