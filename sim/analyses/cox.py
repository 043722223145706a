"""Cox's proportional hazards model."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.analyses.base import Analysis, Estimate
from sim.analyses.data_set import DataSet, Result, Row, difference_name
from sim.analyses.strata import classes_of
from sim.analyses.survival import fit_cox
from sim.analyses.time_to_event import ratio_name, times_at, times_of
from sim.core.errors import RunError
from sim.estimand import Observations


class Cox(Analysis):
    """Logarithm of the hazard ratio from the partial likelihood (Cox 1972, JRSS B 34: 187-220).

    Arm and, with ``adjust``, baseline; Efron's ties; strata of baseline pain have hazards of their own. The
    adjusted ratio is another quantity than the unadjusted one, further from 1 (the ratio is not
    collapsible: Daniel, Zhang & Farewell 2021, doi:10.1002/bimj.201900297), and the true value of an
    estimand is the unadjusted one. A replicate in which an arm has no event has no estimate and counts as
    failed.
    """

    kind: Literal["cox"] = "cox"
    summary: ClassVar[str | None] = "hazard_ratio"
    adjust: bool = False
    cuts: tuple[float, ...] = Field((), description="baseline pain from which the next stratum begins")

    def estimate(self, observed: Observations) -> Estimate:
        """Fit every replicate, size by size."""
        times = times_of(observed, self.cuts)
        arms = [arm for arm in range(observed.arms) if arm != observed.to]
        columns = [(observed.arm == arm).astype(np.float64) for arm in arms]
        if self.adjust:
            columns.append(observed.baseline - observed.baseline.mean())
        places = [arms.index(of) for of in observed.of]
        estimates, errors, n = [], [], []
        for size in observed.data.sizes:
            part = times.first(size)
            fitted = fit_cox(part, tuple(column[:size] for column in columns))
            estimates.append(fitted.coefficients[:, places].T)
            errors.append(np.sqrt(fitted.variance[:, places, places].T))
            n.append(np.broadcast_to(part.used.sum(axis=0).astype(np.float64), estimates[-1].shape))
        estimate = np.stack(estimates, axis=1)
        return Estimate.by_t(
            estimate, np.stack(errors, axis=1), np.full(estimate.shape, np.inf), np.stack(n, axis=1)
        )

    def analyse(self, data: DataSet) -> Result:
        """Tabulate the log hazard ratio of each arm, adjusted for baseline and covariates."""
        design, names = data.design()
        if not self.adjust:
            design, names = design[:, : len(data.arms)], names[: len(data.arms)]
        rows, coefficients = [], []
        for place, visit in data.reported:
            times = times_at(data, place, classes_of(data, self.cuts))
            fitted = fit_cox(times, tuple((design[:, 1:] - design[:, 1:].mean(axis=0)).T[:, :, None]))
            if np.isnan(fitted.coefficients).any():
                raise RunError(
                    f"cox, {visit}: no finite estimate; an arm has no event, or columns are dependent"
                )
            n = int(times.used.sum())
            for column, name in enumerate(names[1:]):
                numbers = (
                    fitted.coefficients[0, column],
                    float(np.sqrt(fitted.variance[0, column, column])),
                    np.inf,
                )
                coefficients.append(Row.by_t(f"{name}, {visit}", numbers, n))
                if column < len(data.arms) - 1:
                    label = difference_name(data.arms[1 + column], data.arms[0], visit)
                    rows.append(Row.by_t(ratio_name(label), numbers, n))
        return Result(tuple(rows), tuple(coefficients))

    def words(self) -> str:
        """Say the analysis in words."""
        adjusted = "arm and baseline pain" if self.adjust else "arm"
        return f"Cox's model of {adjusted} (Efron's ties{strata_words(self.cuts)})"


def strata_words(cuts: tuple[float, ...]) -> str:
    """Say the strata in words."""
    at = ", ".join(f"{cut:g}" for cut in cuts)
    return f"; strata of baseline pain cut at {at}" if cuts else ""
