"""Sample sizes of a trial without interim looks, by formula: a check on the simulated ones."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.special import gammaln, nctdtr, ndtr, ndtri, stdtrit

from sim.core.errors import InputError, RunError
from sim.rules.crossing import Floats, find_root

MOST_PATIENTS = 1e9
"""More in one arm are not looked for."""


@dataclass(frozen=True)
class Errors:
    """Error rates of a test of two arms; ``ratio`` is patients in arm 1 (the new treatment) over arm 2."""

    alpha: float = 0.025
    beta: float = 0.1
    sided: int = 1
    ratio: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or self.sided not in (1, 2):
            raise InputError(
                f"alpha: must lie between 0 and 1, sided be 1 or 2 (given: {self.alpha}, {self.sided})"
            )
        if not 0 < self.beta < 1 - self.alpha / self.sided:
            raise InputError(f"beta: must lie between 0 and 1 - alpha (given: {self.beta})")
        if self.ratio <= 0:
            raise InputError(f"ratio: must be above 0 (given: {self.ratio})")

    @property
    def z_alpha(self) -> float:
        """Critical value of z."""
        return float(-ndtri(self.alpha / self.sided))

    @property
    def z_beta(self) -> float:
        """Normal quantile of the power."""
        return float(-ndtri(self.beta))


@dataclass(frozen=True)
class Size:
    """Patients in each arm, as fractions of a patient."""

    arm_1: float
    arm_2: float

    @property
    def total(self) -> float:
        """Patients in both arms."""
        return self.arm_1 + self.arm_2

    def whole(self) -> tuple[int, int]:
        """Return whole patients in each arm, rounded up."""
        return ceil(self.arm_1), ceil(self.arm_2)


def _smallest(errors: Errors, power: Callable[[Size], float], at_least: float) -> Size:
    """Return the size that reaches the rising ``power``: at least ``at_least`` patients in arm 2."""

    def lacking(log_n: float) -> float:
        n = float(np.exp(log_n))
        return 1 - errors.beta - power(Size(errors.ratio * n, n))

    low, high = np.log(at_least), np.log(at_least) + 1
    while lacking(high) > 0:
        high += 1
        if high > np.log(MOST_PATIENTS):
            raise RunError(
                f"no sample size up to {MOST_PATIENTS:g} in an arm reaches power {1 - errors.beta:g}"
            )
    n = float(np.exp(find_root(lacking, low, high)))
    return Size(errors.ratio * n, n)


def power_means(errors: Errors, effect: float, sd: float, size: Size) -> float:
    """Return the power of the t test of two means with equal SD, by the non-central t distribution.

    Parameters
    ----------
    effect
        Difference from the null (a margin taken off already), in the unit of ``sd``; positive is better.
    sd
        Standard deviation within an arm.

    Notes
    -----
    A two-sided test counts both directions (Julious, Sample Sizes for Clinical Trials, 2010, chapter 3).
    """
    degrees = size.total - 2
    shift = effect / (sd * np.sqrt(1 / size.arm_1 + 1 / size.arm_2))
    critical = stdtrit(degrees, 1 - errors.alpha / errors.sided)
    found = float(nctdtr(degrees, -shift, -critical))  # the upper tail, without 1 − p
    return found + (float(nctdtr(degrees, shift, -critical)) if errors.sided == 2 else 0.0)


def means(errors: Errors, effect: float, sd: float, margin: float = 0.0) -> Size:
    """Return the size for the t test that the mean difference exceeds ``margin``.

    Non-inferiority has a negative margin; see ``power_means`` for the units and the source.
    """
    distance = _distance(effect, margin)
    start = 1.01 * max(1.0, 1 / errors.ratio)  # a patient in each arm, and a degree of freedom
    return _smallest(errors, lambda size: power_means(errors, distance, sd, size), start)


def means_by_normal(errors: Errors, effect: float, sd: float, margin: float = 0.0) -> Size:
    """Return the size for z tests of means: (z_α + z_β)² sd² (1 + 1/ratio)/(effect − margin)² in arm 2."""
    z = errors.z_alpha + errors.z_beta
    n = (z * sd / _distance(effect, margin)) ** 2 * (1 + 1 / errors.ratio)
    return Size(errors.ratio * n, n)


def ancova(errors: Errors, effect: float, sd: float, correlation: float) -> Size:
    """Return the size for means adjusted for a baseline with this correlation to the outcome.

    The SD shrinks by √(1 − correlation²) (Borm, Fransen & Lemmens 2007, doi:10.1016/j.jclinepi.2007.02.006).
    """
    if not -1 < correlation < 1:
        raise InputError(f"correlation: must lie between -1 and 1 (given: {correlation})")
    return means(errors, effect, sd * np.sqrt(1 - correlation**2))


def equivalent_means(errors: Errors, effect: float, sd: float, margin: float) -> Size:
    """Return the size for two one-sided z tests, at ``alpha`` each, of a difference within ± ``margin``.

    Power Φ((margin − effect)/SE − z_α) + Φ((margin + effect)/SE − z_α) − 1 (Schuirmann 1987,
    doi:10.1007/BF01068419).
    """
    if abs(effect) >= margin:
        raise InputError(f"margin: must be above the effect, {abs(effect):g} (given: {margin:g})")

    def power(size: Size) -> float:
        error = sd * np.sqrt(1 / size.arm_1 + 1 / size.arm_2)
        sides = ndtr((margin - np.array([effect, -effect])) / error - float(-ndtri(errors.alpha)))
        return float(sides.sum() - 1)

    return _smallest(errors, power, 1e-3)


def _distance(effect: float, margin: float) -> float:
    if effect <= margin:
        raise InputError(f"effect: must be above the margin, {margin:g} (given: {effect:g})")
    return effect - margin


def rates(errors: Errors, rate_1: float, rate_2: float, pooled: bool = True) -> Size:
    """Return the size for the z test of two rates.

    ``pooled`` takes the variance of the test under equal rates (Fleiss, Levin & Paik, Statistical Methods
    for Rates and Proportions, 2003, chapter 4), otherwise under the rates as they are.
    """
    gap = _gap(rate_1, rate_2)
    ratio = errors.ratio
    mean = (ratio * rate_1 + rate_2) / (1 + ratio)
    spread = rate_1 * (1 - rate_1) / ratio + rate_2 * (1 - rate_2)
    under_null = mean * (1 - mean) * (1 + 1 / ratio) if pooled else spread
    n = ((errors.z_alpha * np.sqrt(under_null) + errors.z_beta * np.sqrt(spread)) / gap) ** 2
    return Size(ratio * float(n), float(n))


def arcsine_effect(rate_1: float, rate_2: float) -> float:
    """Return Cohen's h, the difference of 2·arcsin√rate (Statistical Power Analysis, 1988, chapter 6)."""
    return float(2 * np.arcsin(np.sqrt(rate_1)) - 2 * np.arcsin(np.sqrt(rate_2)))


def rates_by_arcsine(errors: Errors, rate_1: float, rate_2: float) -> Size:
    """Return the size for two rates after the arcsine transformation; see ``arcsine_effect``."""
    _gap(rate_1, rate_2)
    return means_by_normal(errors, abs(arcsine_effect(rate_1, rate_2)), 1.0)


def one_rate(errors: Errors, rate: float, null: float) -> float:
    """Return the patients for the z test of one rate against ``null``; source as ``rates``."""
    gap = _gap(rate, null)
    root = errors.z_alpha * np.sqrt(null * (1 - null)) + errors.z_beta * np.sqrt(rate * (1 - rate))
    return float((root / gap) ** 2)


def _gap(rate_1: float, rate_2: float) -> float:
    if not (0 < rate_1 < 1 and 0 < rate_2 < 1) or rate_1 == rate_2:
        raise InputError(f"rates: must lie between 0 and 1 and differ (given: {rate_1:g}, {rate_2:g})")
    return abs(rate_1 - rate_2)


def fisher_power(alpha: float, rates_of: tuple[float, float], patients: tuple[int, int]) -> float:
    """Return the exact power of Fisher's two-sided test, over every table.

    Parameters
    ----------
    alpha
        Two-sided; a table rejects if the tables no more probable than it have at most this probability.
    rates_of, patients
        Of arm 1 and arm 2.
    """
    in_1, in_2 = (np.arange(n + 1) for n in patients)
    likely = np.outer(*(_binomial(n, rate) for n, rate in zip(patients, rates_of, strict=True)))
    ways = np.add.outer(_log_choose(patients[0]), _log_choose(patients[1]))
    power, events = 0.0, np.add.outer(in_1, in_2)
    for total in range(sum(patients) + 1):
        here = events == total
        odds = np.exp(ways[here] - ways[here].max())
        probability = odds / odds.sum()
        # Tables that are equally probable differ by rounding only: R's fisher.test takes the same margin.
        p = (probability * (probability <= probability[:, None] * (1 + 1e-7))).sum(axis=1)
        power += float(likely[here][p <= alpha].sum())
    return power


def _log_choose(n: int) -> Floats:
    k = np.arange(n + 1)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _binomial(n: int, rate: float) -> Floats:
    k = np.arange(n + 1)
    return np.asarray(np.exp(_log_choose(n) + k * np.log(rate) + (n - k) * np.log1p(-rate)))


@dataclass(frozen=True)
class Visits:
    """Visits of a longitudinal trial: the first to the last, the primary one.

    Parameters
    ----------
    correlation
        Between visits, (visit, visit).
    retention
        Share of patients still observed at each visit, (visit,), not rising.
    """

    correlation: Floats
    retention: Floats

    def variance(self) -> float:
        """Return the variance of the last mean for one patient of unit SD, those who left used until then."""
        last = len(self.retention)
        information = np.zeros((last, last))
        leaving = self.retention - np.append(self.retention[1:], 0.0)
        for seen, share in enumerate(leaving, start=1):
            information[:seen, :seen] += share * np.linalg.inv(self.correlation[:seen, :seen])
        return float(np.linalg.inv(information)[-1, -1])


def longitudinal(errors: Errors, effect: float, sd: float, visits: Visits) -> Size:
    """Return the size for a mixed model for repeated measures with monotone dropout, alike in both arms.

    Lu, Luo & Chen 2008, Sample size estimation for repeated measures analysis in randomized clinical trials
    with missing data, Int J Biostat 4(1), article 9. Normal approximation.
    """
    return means_by_normal(errors, effect, sd * np.sqrt(visits.variance()))
