"""Difference between two shares within strata."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.base import Analysis, Estimate, as_observations
from sim.analyses.data_set import DataSet, Result, Row, check_binary, difference_name
from sim.analyses.strata import strata_of
from sim.estimand import Observations

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


class MantelHaenszel(Analysis):
    """Mantel and Haenszel's common risk difference over strata, with Sato's standard error.

    Differences of strata weighted by n₁n₀/N; the variance holds for few large and for many small
    strata (Sato 1989, Biometrics 45: 1323-1324). Strata are classes of baseline pain; on real data
    the levels of all factors among the covariates divide them further.
    """

    kind: Literal["mantel_haenszel"] = "mantel_haenszel"
    summary: ClassVar[str | None] = "risk_difference"
    cuts: tuple[float, ...] = Field((), description="baseline pain from which the next stratum begins")
    missing: Literal["non_response", "complete_case"] = "non_response"

    def estimate(self, observed: Observations) -> Estimate:
        """Estimate from counts by stratum and arm."""
        return self._within(observed, np.digitize(observed.baseline, self.cuts))

    def _within(self, observed: Observations, stratum: Ints) -> Estimate:
        seen = ~np.isnan(observed.value)
        counted = np.ones_like(seen) if self.missing == "non_response" else seen
        response = np.where(seen, observed.value, 0.0)
        total = observed.data.totals

        def counts(arm: int) -> Counts:
            mine = [(stratum == level) & (observed.arm == arm) for level in np.unique(stratum)]
            return Counts(*(np.stack([total(part * m) for m in mine]) for part in (response, counted)))

        control = counts(observed.to)
        found = [common_difference(counts(arm), control) for arm in observed.of]
        estimate, se = (np.stack(part) for part in zip(*found, strict=True))
        n = np.stack([(counts(arm).n + control.n).sum(axis=0) for arm in observed.of])
        return Estimate.by_t(estimate, se, np.full(estimate.shape, np.inf), n)

    def analyse(self, data: DataSet) -> Result:
        """Tabulate the common difference of each visit."""
        check_binary(data)
        stratum = strata_of(data, self.cuts)[:, None]
        rows: list[Row] = []
        for place, visit in data.reported:
            found = self._within(as_observations(data, place), stratum)
            names = [difference_name(arm, data.arms[0], visit) for arm in data.arms[1:]]
            rows += [found.row(name, arm) for arm, name in enumerate(names)]
        return Result(tuple(rows))

    def words(self) -> str:
        """Say the analysis in words."""
        at = ", ".join(f"{cut:g}" for cut in self.cuts)
        strata = f"strata of baseline pain cut at {at}" if self.cuts else "one stratum"
        how = "counted as non-response" if self.missing == "non_response" else "left out"
        return f"Mantel-Haenszel risk difference ({strata}; Sato's standard error), missing {how}"


@dataclass(frozen=True)
class Counts:
    """Responders and patients of one arm, each (stratum, ...)."""

    responders: Floats
    n: Floats


def common_difference(treated: Counts, control: Counts) -> tuple[Floats, Floats]:
    """Common risk difference and its standard error, each (...); a stratum without an arm weighs nothing."""
    x1, n1, x0, n0 = treated.responders, treated.n, control.responders, control.n
    with np.errstate(divide="ignore", invalid="ignore"):
        everybody = np.where(n1 * n0 > 0, n1 + n0, np.inf)
        weight = (n1 * n0 / everybody).sum(axis=0)
        difference = ((x1 * n0 - x0 * n1) / everybody).sum(axis=0) / weight
        p = (n1**2 * x0 - n0**2 * x1 + n1 * n0 * (n0 - n1) / 2) / everybody**2
        q = (x1 * (n0 - x0) + x0 * (n1 - x1)) / (2 * everybody)
        variance = (difference * p.sum(axis=0) + q.sum(axis=0)) / weight**2
        return difference, np.sqrt(variance)
