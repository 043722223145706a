"""Frequentist network meta-analysis: the check beside a Bayesian network.

Generalised least squares on the contrasts of arms with each study's first arm; the estimates are those of the
graph-theoretical method (Rücker 2012, doi:10.1002/jrsm.1058), whose reduced weights are another way to write
the correlation of contrasts that share an arm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import chdtrc, ndtr

from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.synthesis.heterogeneity import Floats


@dataclass(frozen=True, eq=False)
class Study:
    """Contrasts of one study's arms with its first arm.

    Parameters
    ----------
    treatments
        Of each arm.
    effect
        Of each further arm less the first, shape (arm − 1,).
    variance
        Sampling variance of each arm's own mean, shape (arm,): a contrast's is the sum of two.
    """

    treatments: tuple[str, ...]
    effect: Floats
    variance: Floats

    def covariance(self, tau2: float = 0.0) -> Floats:
        """Covariance of ``effect``: the first arm is shared; half of τ² belongs to each arm."""
        v = self.variance + tau2 / 2
        return np.asarray(np.diag(v[1:]) + v[0])


def study_of_pairs(name: str, pairs: Sequence[tuple[str, str, float, float]]) -> Study:
    """Make a study of all its pairwise contrasts (treatment, other, difference, standard error).

    Raises
    ------
    InputError
        A pair is missing or the differences do not add up.
    """
    arms = tuple(sorted({treatment for pair in pairs for treatment in pair[:2]}))
    if len(pairs) != len(arms) * (len(arms) - 1) // 2 or any(a == b for a, b, _, _ in pairs):
        raise InputError(f"study {name}: {len(arms)} arms need every pair once, got {len(pairs)} pairs")
    sign = np.array([[(a == arm) - (b == arm) for arm in arms] for a, b, _, _ in pairs], dtype=float)
    difference, se = np.array([pair[2:] for pair in pairs]).T
    if len(arms) == 2:
        return Study(arms, -sign[0, 0] * difference, np.full(2, se[0] ** 2 / 2))
    position = np.linalg.lstsq(sign, difference, rcond=None)[0]
    if np.max(abs(sign @ position - difference)) > 0.05 * se.max():
        raise InputError(f"study {name}: the differences between its arms do not add up")
    variance = np.linalg.lstsq(abs(sign), se**2, rcond=None)[0]
    return Study(arms, position[1:] - position[0], variance)


@dataclass(frozen=True, eq=False)
class Network:
    """Studies that compare the same treatments."""

    studies: tuple[Study, ...]

    @cached_property
    def treatments(self) -> tuple[str, ...]:
        """Every treatment, in alphabetical order."""
        return tuple(sorted({t for study in self.studies for t in study.treatments}))

    @cached_property
    def effect(self) -> Floats:
        """All contrasts, shape (contrast,)."""
        return np.concatenate([study.effect for study in self.studies])

    @cached_property
    def design(self) -> Floats:
        """Design matrix on treatments, shape (contrast, treatment); the reference's column is still in."""
        column = {t: i for i, t in enumerate(self.treatments)}
        rows = []
        for study in self.studies:
            for treatment in study.treatments[1:]:
                row = np.zeros(len(column))
                row[column[treatment]], row[column[study.treatments[0]]] = 1, -1
                rows.append(row)
        return np.array(rows)

    def covariance(self, tau2: float = 0.0) -> Floats:
        """Covariance of all contrasts, block by study, shape (contrast, contrast)."""
        whole, start = np.zeros((len(self.effect),) * 2), 0
        for study in self.studies:
            end = start + len(study.effect)
            whole[start:end, start:end] = study.covariance(tau2)
            start = end
        return whole

    @property
    def df(self) -> int:
        """Degrees of freedom of heterogeneity and inconsistency together."""
        return len(self.effect) - len(self.treatments) + 1

    def fit(self, tau2: float = 0.0) -> "Fit":
        """Fit the network by generalised least squares at ``tau2``.

        Raises
        ------
        InputError
            The network is not connected.
        """
        weight = np.asarray(np.linalg.inv(self.covariance(tau2)), dtype=np.float64)
        basic = self.design[:, 1:]
        if np.linalg.matrix_rank(basic) < basic.shape[1]:
            raise InputError("the network is not connected: no path of studies joins all treatments")
        inner = np.linalg.inv(basic.T @ weight @ basic)
        covariance = np.zeros((len(self.treatments),) * 2)
        covariance[1:, 1:] = inner
        value = np.append(0.0, inner @ basic.T @ weight @ self.effect)
        return Fit(self, tau2, value, covariance, weight)


@dataclass(frozen=True, eq=False)
class Fit:
    """Effects of all treatments against the first, their covariance, at one τ²."""

    network: Network
    tau2: float
    value: Floats
    covariance: Floats
    weight: Floats = field(repr=False)

    def contrast(self, treatment: str, reference: str) -> tuple[float, float]:
        """Difference between two treatments and its standard error."""
        i, j = (_position(self.network, name) for name in (treatment, reference))
        c = self.covariance
        return float(self.value[i] - self.value[j]), float(np.sqrt(c[i, i] + c[j, j] - 2 * c[i, j]))

    def q(self) -> float:
        """Weighted squared residuals."""
        residual = self.network.effect - self.network.design @ self.value
        return float(residual @ self.weight @ residual)

    def projection(self) -> Floats:
        """P = W − WX(X'WX)⁻¹X'W, shape (contrast, contrast)."""
        wx = self.weight @ self.network.design
        return np.asarray(self.weight - wx @ self.covariance @ wx.T)

    def p_scores(self, better: Literal["lower", "higher"] = "lower") -> dict[str, float]:
        """Mean certainty that a treatment is better than another (Rücker & Schwarzer 2015,
        doi:10.1186/s12874-015-0060-8)."""
        sign = -1.0 if better == "lower" else 1.0
        names = self.network.treatments
        pairs = {(a, b): self.contrast(a, b) for a in names for b in names if a != b}
        return {
            a: float(np.mean([ndtr(sign * pairs[a, b][0] / pairs[a, b][1]) for b in names if b != a]))
            for a in names
        }


def _position(network: Network, name: str) -> int:
    if name not in network.treatments:
        raise InputError(f"no treatment '{name}' in the network:{suggest(name, network.treatments)}")
    return network.treatments.index(name)


def estimate_tau2(network: Network, method: Literal["DL", "REML"] = "DL") -> float:
    """Estimate the variance of effects between studies, the same for every comparison.

    DL: moments of the network's Q (Jackson, White & Riley 2012, Statistics in Medicine 31:3805);
    REML: restricted maximum likelihood, with the sampling correlation of contrasts that share an arm.
    """
    if network.df == 0:
        raise InputError("heterogeneity needs more contrasts than treatments − 1")
    if method == "DL":
        common = network.fit()
        between = network.covariance(1.0) - network.covariance(0.0)
        return max(0.0, (common.q() - network.df) / float(np.trace(common.projection() @ between)))
    upper = 10 * (estimate_tau2(network, "DL") + float(np.mean(np.diag(network.covariance()))))
    found = minimize_scalar(
        lambda tau2: -_restricted(network, tau2),
        bounds=(0.0, upper),
        method="bounded",
        options={"xatol": 1e-12 * upper},
    )
    return float(found.x) if _restricted(network, float(found.x)) > _restricted(network, 0.0) else 0.0


def _restricted(network: Network, tau2: float) -> float:
    """Restricted log likelihood up to a constant."""
    fit, basic = network.fit(tau2), network.design[:, 1:]
    of_contrasts = np.linalg.slogdet(fit.weight)[1]
    return float(0.5 * (of_contrasts - np.linalg.slogdet(basic.T @ fit.weight @ basic)[1] - fit.q()))


@dataclass(frozen=True)
class Decomposition:
    """Cochran's Q of a network: within designs (heterogeneity) and between them (inconsistency)."""

    total: float
    heterogeneity: float
    inconsistency: float
    df: int
    df_inconsistency: int

    @property
    def i2(self) -> float:
        """Share of variation beyond chance, 0 to 1."""
        return max(0.0, 1 - self.df / self.total)

    @property
    def p_inconsistency(self) -> float:
        """P-value of the test for inconsistency between designs."""
        return float(chdtrc(self.df_inconsistency, self.inconsistency)) if self.df_inconsistency else 1.0


def decompose(network: Network) -> Decomposition:
    """Split Q by design, a study's set of treatments (Krahn et al. 2013, doi:10.1186/1471-2288-13-35)."""
    designs: dict[tuple[str, ...], list[Study]] = {}
    for study in network.studies:
        designs.setdefault(study.treatments, []).append(study)
    within = [Network(tuple(group)) for group in designs.values()]
    heterogeneity = sum(part.fit().q() for part in within)
    df_within = sum(part.df for part in within)
    total = network.fit().q()
    return Decomposition(total, heterogeneity, total - heterogeneity, network.df, network.df - df_within)


@dataclass(frozen=True)
class Split:
    """Direct and indirect evidence on one comparison, and the p-value of their difference."""

    direct: float
    indirect: float
    p: float


def split(network: Network, treatment: str, reference: str, tau2: float = 0.0) -> Split | None:
    """Separate direct from indirect evidence by back-calculation (König et al. 2013, doi:10.1002/sim.6001).

    Returns None where all evidence on the comparison is direct, or none is.
    """
    pairs = [pair for study in network.studies if (pair := _pair(study, treatment, reference, tau2))]
    whole, se = network.fit(tau2).contrast(treatment, reference)
    if not pairs:
        return None
    effect, variance = np.array(pairs).T
    information = float(np.sum(1 / variance))
    direct = float(np.sum(effect / variance)) / information
    left = 1 / se**2 - information
    if left <= 1e-9 * information:
        return None
    indirect = (whole / se**2 - direct * information) / left
    z = abs(direct - indirect) / np.sqrt(1 / information + 1 / left)
    return Split(direct, indirect, float(2 * ndtr(-z)))


def _pair(study: Study, treatment: str, reference: str, tau2: float) -> tuple[float, float] | None:
    """Contrast of two arms of one study and its variance, or None."""
    if not {treatment, reference} <= set(study.treatments):
        return None
    i, j = study.treatments.index(treatment), study.treatments.index(reference)
    position = np.append(0.0, study.effect)
    return float(position[i] - position[j]), float(study.variance[i] + study.variance[j] + tau2)
