"""A real data set as an analysis takes it, and the table an analysis makes of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from sim.core.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

UPPER = 0.975
"""Upper limit of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Covariate:
    """What was known of each patient before randomisation.

    Attributes
    ----------
    name
        Of its column in the data.
    values
        (patient, column): numbers, or one indicator a level after the first.
    levels
        Of a factor, the first is the reference; empty for numbers.
    """

    name: str
    values: Floats
    levels: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """One name a column."""
        return tuple(f"{self.name}[{level}]" for level in self.levels[1:]) or (self.name,)

    def typical(self, used: NDArray[np.bool_]) -> Floats:
        """Where adjusted means are taken, (column,): equal weight on each level, the mean of numbers."""
        if self.levels:
            return np.full(self.values.shape[1], 1 / len(self.levels))
        return np.asarray(self.values[used].mean(axis=0))


@dataclass(frozen=True)
class DataSet:
    """One trial's data.

    Attributes
    ----------
    arms, visits
        Labels; the reference arm is first, visits are in order of time.
    arm
        Position of each patient's arm, (patient,).
    value
        (patient, visit), nan is missing.
    baseline
        None where the data have none.
    covariates
        Others than baseline.
    report
        Positions of the visits whose estimates are wanted.
    event
        Where the values are times: 1 for an event, 0 for censored, (patient, visit).
    cluster
        Number of each patient's cluster, (patient,): a therapist, a site.
    stopped
        When each patient's treatment was stopped, (patient,); inf is never.
    reason
        Why, position in ``REASONS``, (patient,).
    """

    arms: tuple[str, ...]
    visits: tuple[str, ...]
    arm: Ints
    value: Floats
    baseline: Covariate | None = None
    covariates: tuple[Covariate, ...] = ()
    report: tuple[int, ...] = ()
    event: Floats | None = None
    cluster: Ints | None = None
    stopped: Floats | None = None
    reason: Ints | None = None

    @property
    def adjusted_for(self) -> tuple[Covariate, ...]:
        """Baseline and the other covariates."""
        return (() if self.baseline is None else (self.baseline,)) + self.covariates

    @property
    def arm_columns(self) -> Floats:
        """One indicator for each arm but the reference, (patient, arm − 1)."""
        return np.asarray(self.arm[:, None] == np.arange(1, len(self.arms)), dtype=np.float64)

    @property
    def reported(self) -> tuple[tuple[int, str], ...]:
        """Position and label of each visit whose estimates are wanted; all by default."""
        return tuple((place, self.visits[place]) for place in self.report or range(len(self.visits)))

    def design(self) -> tuple[Floats, tuple[str, ...]]:
        """Intercept, arms and covariates, (patient, column), and their names."""
        parts = [np.ones((len(self.arm), 1)), self.arm_columns, *(c.values for c in self.adjusted_for)]
        names = ["intercept", *(f"arm[{arm}]" for arm in self.arms[1:])]
        names += [label for covariate in self.adjusted_for for label in covariate.labels]
        return np.hstack(parts), tuple(names)

    def typical(self, arm: int, used: NDArray[np.bool_]) -> Floats:
        """Row of the design at which the adjusted mean of an arm is taken, (column,)."""
        indicator = (np.arange(1, len(self.arms)) == arm).astype(np.float64)
        return np.concatenate([[1.0], indicator, *(c.typical(used) for c in self.adjusted_for)])


def mean_name(arm: str, visit: str) -> str:
    """Name of an arm's mean at a visit."""
    return f"mean[{arm}, {visit}]"


def difference_name(arm: str, reference: str, visit: str) -> str:
    """Name of the difference of an arm from the reference at a visit."""
    return f"difference[{arm} - {reference}, {visit}]"


def check_binary(data: DataSet) -> None:
    """Refuse values that are no responses.

    Raises
    ------
    InputError
        A value is neither 0 nor 1.
    """
    other = data.value[~np.isin(data.value, (0.0, 1.0)) & ~np.isnan(data.value)]
    if len(other):
        raise InputError(
            f"columns.value: {other[0]:g} is not a response; allowed: 0 and 1 (or give the 'endpoint')"
        )


@dataclass(frozen=True)
class Row:
    """One line of the table: an estimate with its two-sided test of zero and its 95 % interval."""

    name: str
    estimate: float
    se: float
    df: float
    statistic: float
    p: float
    ci_low: float
    ci_high: float
    n: int

    @classmethod
    def by_t(cls, name: str, numbers: tuple[float, float, float], n: int) -> "Row":
        """Complete (estimate, standard error, degrees of freedom) by t; infinite df means normal."""
        estimate, se, df = (float(number) for number in numbers)
        statistic = estimate / se if se > 0 else np.nan
        half = float(stdtrit(df, UPPER)) * se
        p = 2 * float(stdtr(df, -abs(statistic)))
        return cls(name, estimate, se, df, statistic, p, estimate - half, estimate + half, n)


@dataclass(frozen=True)
class Result:
    """The table of estimates, and what else the model says.

    Attributes
    ----------
    estimates
        Means by arm and visit, and their differences.
    coefficients
        Of the model, in treatment coding: reference arm, first visit and first level are zero.
    model
        Further numbers, by name.
    """

    estimates: tuple[Row, ...]
    coefficients: tuple[Row, ...] = ()
    model: dict[str, Any] = field(default_factory=dict)
