"""Difference between two shares of responders."""

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from scipy.special import ndtri

from sim.analyses.base import LEVEL, Analysis, Estimate, Floats, as_observations
from sim.analyses.data_set import DataSet, Result, Row, check_binary, mean_name
from sim.core.loops import add_responders
from sim.estimand import Observations

Z = float(ndtri(0.5 + LEVEL / 2))


class ResponderDifference(Analysis):
    """Risk difference with the unpooled Wald standard error.

    The interval is Wald's or Newcombe's hybrid score interval (Newcombe 1998, method 10,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I).
    """

    kind: Literal["responder_difference"] = "responder_difference"
    summary: ClassVar[str | None] = "risk_difference"
    missing: Literal["non_response", "complete_case"] = "non_response"
    interval: Literal["newcombe", "wald"] = "newcombe"

    def estimate(self, observed: Observations) -> Estimate:
        """Estimate from counts by arm."""
        n, share = self._counts(observed)
        of, to = list(observed.of), observed.to
        estimate = share[of] - share[to]
        with np.errstate(divide="ignore", invalid="ignore"):
            se = np.sqrt(share[of] * (1 - share[of]) / n[of] + share[to] * (1 - share[to]) / n[to])
        df = np.full(estimate.shape, np.inf)
        if self.interval == "wald":
            low, high = estimate - Z * se, estimate + Z * se
        else:
            low, high = newcombe((share[of], n[of]), (share[to], n[to]))
        return Estimate(estimate, se, df, low, high, np.broadcast_to(n.sum(axis=0), estimate.shape))

    def _counts(self, observed: Observations) -> tuple[Floats, Floats]:
        """Patients counted and share responding, each (arm, size, replicate)."""
        sizes, (_, replicates) = observed.data.sizes, observed.arm.shape
        counts = np.zeros((3, observed.arms, len(sizes), replicates), dtype=np.int64)
        arm = np.ascontiguousarray(observed.arm, dtype=np.int64)
        add_responders(arm, np.ascontiguousarray(observed.value), np.array(sizes), counts)
        mine, seen, hits = counts.astype(np.float64)
        n = seen if self.missing == "complete_case" else mine
        with np.errstate(divide="ignore", invalid="ignore"):
            return n, hits / n

    def analyse(self, data: DataSet) -> Result:
        """Tabulate shares by arm with Wilson's interval, and their differences."""
        check_binary(data)
        rows = []
        for place, visit in data.reported:
            n, share = (part[:, 0, 0] for part in self._counts(as_observations(data, place)))
            low, high = wilson(share, n)
            for position, arm in enumerate(data.arms):
                p, size = float(share[position]), int(n[position])
                row = Row.by_t(mean_name(arm, visit), (p, float(np.sqrt(p * (1 - p) / size)), np.inf), size)
                rows.append(replace(row, ci_low=float(low[position]), ci_high=float(high[position])))
        return Result((*rows, *self.differences(data)))

    def words(self) -> str:
        """Say the analysis in words."""
        how = "counted as non-response" if self.missing == "non_response" else "left out"
        return f"difference in shares (unpooled Wald test, {self.interval.title()} interval), missing {how}"


def wilson(share: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Score interval of one share (Wilson 1927), any shape."""
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return centre - half, centre + half


def newcombe(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Interval of the difference of two shares, each given as (share, n)."""
    low1, high1 = wilson(*first)
    low0, high0 = wilson(*second)
    p1, p0 = first[0], second[0]
    difference = p1 - p0
    low = difference - np.sqrt((p1 - low1) ** 2 + (high0 - p0) ** 2)
    return low, difference + np.sqrt((high1 - p1) ** 2 + (p0 - low0) ** 2)
