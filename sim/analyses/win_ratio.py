"""Win ratio of prioritised outcomes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.analyses.base import Analysis, Estimate
from sim.analyses.data_set import DataSet, Result
from sim.core.parts import Part, wrong
from sim.estimand import Observations

Floats = NDArray[np.float64]
Measure = Literal["win_ratio", "win_odds", "net_benefit"]


class Level(Part):
    """One outcome of the hierarchy: a pair that differs by more than ``margin`` is decided by it."""

    outcome: Literal["time_on_treatment", "value"]
    margin: float = Field(0.0, ge=0, description="weeks, or units of the value")
    better: Literal["lower", "higher"] | None = Field(
        None, description="of the value; by default the endpoint's"
    )

    def words(self) -> str:
        """Say the level in words."""
        by = f" by more than {self.margin:g}" if self.margin else ""
        return self.outcome.replace("_", " ") + by


class WinRatio(Analysis):
    """Every treated patient against every control, by the first outcome that tells them apart.

    Unmatched win ratio (Pocock et al. 2012, doi:10.1093/eurheartj/ehr352), win odds (ties count half,
    Brunner, Vandemeulebroecke & Mütze 2021, doi:10.1002/sim.8967), both as logarithms, or the net benefit
    (Buyse 2010, doi:10.1002/sim.3923). The standard error is that of two-sample U-statistics (Bebu &
    Lachin 2016, doi:10.1093/biostatistics/kxv032). A missing value ties with every other.
    """

    kind: Literal["win_ratio"] = "win_ratio"
    summary: ClassVar[str | None] = "win_ratio"
    levels: tuple[Level, ...] = (Level(outcome="time_on_treatment"), Level(outcome="value"))
    measure: Measure = "win_ratio"

    @model_validator(mode="after")
    def _has_a_level(self) -> "WinRatio":
        if not self.levels:
            raise wrong("levels: at least one is needed")
        return self

    def estimate(self, observed: Observations) -> Estimate:
        """Compare all pairs, a replicate and a size at a time."""
        outcomes = [self._outcome(level, observed) for level in self.levels]
        margins = [level.margin for level in self.levels]
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

    def _outcome(self, level: Level, observed: Observations) -> Floats:
        """Values of which higher is better, (patient, replicate)."""
        if level.outcome == "time_on_treatment":
            return observed.data.stopped
        better = level.better or observed.endpoint.better
        return observed.value if better == "higher" else -observed.value

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
        order = ", then ".join(level.words() for level in self.levels)
        return f"{self.measure.replace('_', ' ')} of all pairs of patients by {order}"


def compare_pairs(
    treated: Sequence[Floats], control: Sequence[Floats], margins: Sequence[float]
) -> tuple[Floats, Floats]:
    """Wins and losses of every treated patient against every control, (treated, control), 0 or 1.

    Parameters
    ----------
    treated, control
        An outcome a level, the most important first, higher is better, nan is missing, (patient,).
    margins
        A difference above this decides, one a level.
    """
    shape = (len(treated[0]), len(control[0]))
    wins, losses = np.zeros(shape), np.zeros(shape)
    for first, second, margin in zip(treated, control, margins, strict=True):
        with np.errstate(invalid="ignore"):
            gap = np.where(first[:, None] == second, 0.0, first[:, None] - second)
        undecided = (wins == 0) & (losses == 0)
        wins, losses = wins + (undecided & (gap > margin)), losses + (undecided & (gap < -margin))
    return wins, losses


def summarise_pairs(wins: Floats, losses: Floats, measure: Measure) -> tuple[float, float]:
    """Estimate and standard error; nan where nobody wins or nobody loses and the ratio needs both."""
    won, lost = float(wins.mean()), float(losses.mean())
    if measure == "net_benefit":
        estimate, slope = won - lost, (1.0, -1.0)
    elif measure == "win_odds":
        high, low = 0.5 + (won - lost) / 2, 0.5 - (won - lost) / 2
        if min(high, low) <= 0:
            return np.nan, np.nan
        estimate, each = np.log(high / low), 0.5 / high + 0.5 / low
        slope = (each, -each)
    else:
        if min(won, lost) <= 0:
            return np.nan, np.nan
        estimate, slope = np.log(won / lost), (1 / won, -1 / lost)
    score = slope[0] * wins + slope[1] * losses
    variance = score.mean(axis=1).var(ddof=1) / len(wins) + score.mean(axis=0).var(ddof=1) / wins.shape[1]
    return float(estimate), float(np.sqrt(variance))
