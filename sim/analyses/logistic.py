"""Logistic regression with marginal standardisation."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from sim.analyses.base import Analysis, Estimate
from sim.analyses.data_set import DataSet, Result, Row, check_binary, difference_name, mean_name
from sim.analyses.inverse import invert
from sim.analyses.moments import Measurements
from sim.core.errors import RunError
from sim.data import ABSENT
from sim.estimand import Observations

Floats = NDArray[np.float64]
Share = tuple[Floats, Floats]
Measure = Literal["risk_difference", "risk_ratio", "odds_ratio"]

MEASURES: dict[Measure, str] = {
    "risk_difference": "risk difference",
    "risk_ratio": "log risk ratio",
    "odds_ratio": "log odds ratio",
}
MOST_STEPS = 30
PRECISION = 1e-12
EXTREME = 15.0
"""A log odds beyond which a fitted share is 0 or 1: the arms or levels are separated."""


class Logistic(Analysis):
    """Shares standardised over all patients, from a logistic model of arm and baseline, and compared.

    Each patient's probability is predicted under every arm and averaged; the averages are compared as
    ``measure`` says, ratios as logarithms. The standard error is by the delta method for the patients at
    hand (Ge et al. 2011, doi:10.1177/009286151104500409), with model-based or robust (HC0) errors of the
    coefficients. The odds ratio is marginal, not that of the model's coefficient. A fit that does not
    converge, or with separation, has no estimate and counts as failed.
    """

    kind: Literal["logistic"] = "logistic"
    summary: ClassVar[str | None] = "risk_difference"
    measure: Measure = "risk_difference"
    missing: Literal["non_response", "complete_case"] = "non_response"
    errors: Literal["model", "robust"] = "model"

    @property
    def target(self) -> str | None:
        """The measure."""
        return self.measure

    def estimate(self, observed: Observations) -> Estimate:
        """Fit every replicate, size by size."""
        arms = [arm for arm in range(observed.arms) if arm != observed.to]
        indicators = [(observed.arm == arm).astype(np.float64) for arm in arms]
        baseline = observed.baseline - observed.baseline.mean()
        columns = (np.ones_like(baseline), *indicators, baseline)
        value = np.where(observed.arm == ABSENT, np.nan, self._responses(observed.value))
        measured = Measurements(columns, value[:, :, None])
        places = [1 + arms.index(of) for of in observed.of]
        found = [self._differences(measured.first(size), len(arms), places) for size in observed.data.sizes]
        estimate, se, n = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        return Estimate.by_t(estimate, se, np.full(estimate.shape, np.inf), n[0])

    def _responses(self, value: Floats) -> Floats:
        return np.where(np.isnan(value), 0.0, value) if self.missing == "non_response" else value

    def _differences(
        self, measured: Measurements, arms: int, places: list[int]
    ) -> tuple[Floats, Floats, Floats]:
        fitted = fit_logistic(measured, robust=self.errors == "robust")
        control = fitted.standardised(0, arms)
        estimate, se = [], []
        for place in places:
            value, slope = compare(fitted.standardised(place, arms), control, self.measure)
            estimate.append(value)
            se.append(fitted.se(slope))
        return np.stack(estimate), np.stack(se), np.broadcast_to(fitted.n, (len(places), len(fitted.n)))

    def analyse(self, data: DataSet) -> Result:
        """Tabulate standardised shares, their differences and ratios, and the coefficients (log odds)."""
        check_binary(data)
        design, names = data.design()
        columns = tuple(design[:, :, None].transpose(1, 0, 2))
        means, contrasts, coefficients = [], [], []
        for place, visit in data.reported:
            measured = Measurements(columns, self._responses(data.value[:, place, None, None]))
            fitted = fit_logistic(measured, robust=self.errors == "robust")
            if np.isnan(fitted.coefficients).any():
                raise RunError(
                    f"logistic, visit {visit}: no finite estimate; a column separates the responses"
                )
            means += _shares(fitted, data, visit)
            contrasts += _comparisons(fitted, data, visit)
            for column, name in enumerate(names):
                se = float(np.sqrt(fitted.variance[0, column, column]))
                numbers = (fitted.coefficients[0, column], se, np.inf)
                coefficients.append(Row.by_t(f"{name}, {visit}", numbers, int(fitted.n[0])))
        return Result((*means, *contrasts), tuple(coefficients))

    def words(self) -> str:
        """Say the analysis in words."""
        how = "counted as non-response" if self.missing == "non_response" else "left out"
        errors = "robust" if self.errors == "robust" else "model-based"
        measure = MEASURES[self.measure]
        return (
            f"{measure} standardised over all patients, from a logistic model of arm and baseline pain "
            f"({errors} standard errors), missing {how}"
        )


@dataclass(frozen=True)
class LogisticFit:
    """One logistic model a replicate; nan where none was found.

    Attributes
    ----------
    coefficients
        Log odds, (replicate, column).
    variance
        (replicate, column, column).
    design
        (patient, replicate, column), 0 for who is not used.
    used
        (patient, replicate).
    n
        Patients used, (replicate,).
    """

    coefficients: Floats
    variance: Floats
    design: Floats
    used: NDArray[np.bool_]
    n: Floats

    def standardised(self, arm: int, arms: int) -> tuple[Floats, Floats]:
        """Mean probability if all were in an arm, (replicate,), and its slope, (replicate, column).

        Columns 1 to ``arms`` are indicators of arms; arm 0 has none.
        """
        design = self.design.copy()
        design[:, :, 1 : 1 + arms] = 0.0
        if arm:
            design[:, :, arm] = self.used
        share = np.where(self.used, expit(np.einsum("nrc,rc->nr", design, self.coefficients)), 0.0)
        slope = np.einsum("nr,nrc->rc", share * (1 - share), design) / self.n[:, None]
        return share.sum(axis=0) / self.n, slope

    def se(self, slope: Floats) -> Floats:
        """Standard error by the delta method of what has this slope in the coefficients, (replicate,)."""
        return np.asarray(np.sqrt(np.einsum("rc,rcd,rd->r", slope, self.variance, slope)))


def fit_logistic(measured: Measurements, robust: bool = False) -> LogisticFit:
    """Maximum likelihood by Newton's method, all replicates at once.

    Parameters
    ----------
    measured
        With a single visit of zeros and ones; patients without the value are left out.
    robust
        Sandwich variance (HC0) in place of the inverse information.
    """
    used = ~np.isnan(measured.value[:, :, 0])
    y = np.where(used, measured.value[:, :, 0], 0.0)
    x = np.where(used[:, :, None], np.stack(measured.columns, axis=-1), 0.0)
    found = np.zeros((x.shape[1], x.shape[2]))
    inverse, gain = np.empty(0), np.empty(0)
    for _ in range(MOST_STEPS):
        share = expit(np.einsum("nrc,rc->nr", x, found))
        inverse, _ = invert(np.einsum("nra,nr,nrb->rab", x, share * (1 - share), x, optimize=True))
        score = np.einsum("nr,nrc->rc", y - share, x)
        step = np.einsum("rab,rb->ra", inverse, score)
        found = found + step
        gain = (step * score).sum(axis=1)
        if not (gain >= PRECISION).any():
            break
    extreme = np.abs(np.einsum("nrc,rc->nr", x, found)).max(axis=0) > EXTREME
    failed = ~(gain < PRECISION) | extreme
    if robust:
        meat = np.einsum("nra,nr,nrb->rab", x, (y - share) ** 2, x, optimize=True)
        inverse = inverse @ meat @ inverse
    n = used.sum(axis=0).astype(np.float64)
    found[failed], inverse[failed] = np.nan, np.nan
    return LogisticFit(found, inverse, x, used, n)


def _shares(fitted: LogisticFit, data: DataSet, visit: str) -> list[Row]:
    rows = []
    for position, arm in enumerate(data.arms):
        share, slope = fitted.standardised(position, len(data.arms) - 1)
        numbers = (share[0], fitted.se(slope)[0], np.inf)
        rows.append(Row.by_t(mean_name(arm, visit), numbers, int(fitted.n[0])))
    return rows


def compare(treated: Share, control: Share, measure: Measure) -> tuple[Floats, Floats]:
    """Compare two shares, each (value, slope): the measure (replicate,) and its slope (replicate, column)."""
    (p1, slope1), (p0, slope0) = treated, control
    if measure == "risk_difference":
        return p1 - p0, slope1 - slope0
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "risk_ratio":
            return np.log(p1) - np.log(p0), slope1 / p1[:, None] - slope0 / p0[:, None]
        odds1, odds0 = p1 * (1 - p1), p0 * (1 - p0)
        return logit(p1) - logit(p0), slope1 / odds1[:, None] - slope0 / odds0[:, None]


def _comparisons(fitted: LogisticFit, data: DataSet, visit: str) -> list[Row]:
    """Risk difference, log risk ratio and log odds ratio of each arm, all of standardised shares."""
    arms = len(data.arms) - 1
    control = fitted.standardised(0, arms)
    rows = []
    for position, arm in enumerate(data.arms[1:], start=1):
        share = fitted.standardised(position, arms)
        name = difference_name(arm, data.arms[0], visit)
        for measure, words in MEASURES.items():
            value, slope = compare(share, control, measure)
            label = (
                name if measure == "risk_difference" else name.replace("difference", words.replace(" ", "_"))
            )
            rows.append(Row.by_t(label, (value[0], fitted.se(slope)[0], np.inf), int(fitted.n[0])))
    return rows
