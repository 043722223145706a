"""Group-sequential boundaries: efficacy and futility bounds at each look, and what they cost."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from sim.core.errors import InputError, RunError
from sim.core.parts import Part, wrong
from sim.rules.crossing import HIGHEST_Z, START, Continuing, Floats, Path, find_root, probit
from sim.rules.spending import BoundaryShape, GivenBounds, Spending, SpendingFunction

MOST = 4.0
"""Highest drift that is tried, as a multiple of the fixed-sample drift."""

LOWEST = -5.0
"""Lowest bound at the last look that is tried."""


class Design(Part):
    """A group-sequential design: error rates, looks and how the looks share the errors.

    Bounds are on the z scale; positive z favours the new treatment, and an efficacy bound is crossed from
    below. ``information`` holds the fractions of the planned maximum at the looks. Without ``futility``
    the trial stops early for efficacy only. A binding futility bound buys a lower efficacy bound; with a
    non-binding one the type I error holds even if the bound is ignored. ``futility_under: "null"`` spends
    1 − alpha under no effect instead of beta under the alternative (Jennison & Turnbull 2000).
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.025
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.1
    sided: Literal[1, 2] = 1
    information: Annotated[tuple[float, ...], Field(min_length=1)]
    spending: Spending
    futility: Spending | None = None
    binding: bool = False
    futility_under: Literal["alternative", "null"] = "alternative"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        steps = np.diff(self.information, prepend=0.0)
        if (steps < 1e-3).any() or abs(self.information[-1] - 1) > 1e-9:
            raise wrong(
                "information: fractions must increase by at least 0.001 from above 0 to 1 "
                f"(given: {', '.join(f'{t:g}' for t in self.information)})"
            )
        if self.beta >= 1 - self.side_alpha:
            raise wrong(f"beta: must be below 1 - alpha (given: {self.beta:g})")
        if isinstance(self.spending, GivenBounds):
            raise wrong(
                "spending: 'z' gives futility bounds only; give a spending function or a boundary shape"
            )
        if self.futility is not None and self.sided == 2:
            raise wrong("futility: a futility bound needs sided 1")
        if self.futility_under == "null" and not isinstance(self.futility, SpendingFunction):
            raise wrong("futility: only a spending function can spend under the null")
        self._right_length("spending", self.spending, self.alpha)
        self._right_length("futility", self.futility, self.futility_total)
        return self

    def _right_length(self, name: str, spending: Spending | None, total: float) -> None:
        if spending is None:
            return
        values: tuple[float, ...] = getattr(spending, "values", ())
        needed = spending.values_needed(len(self.information))
        if needed is not None and needed != len(values):
            looks = "an interim look" if isinstance(spending, GivenBounds) else "a look"
            raise wrong(f"{name}: needs {needed} values, one {looks} (given: {len(values)})")
        if isinstance(spending, SpendingFunction) and values and abs(values[-1] / total - 1) > 1e-6:
            raise wrong(f"{name}: the last value must be the whole error, {total:g} (given: {values[-1]:g})")

    @property
    def side_alpha(self) -> float:
        """Type I error of one side."""
        return self.alpha / self.sided

    @property
    def futility_total(self) -> float:
        """What a futility spending function spends in all."""
        return self.beta if self.futility_under == "alternative" else 1 - self.side_alpha

    @property
    def fixed_drift(self) -> float:
        """Expected z of the fixed-sample test with the same errors."""
        return float(-ndtri(self.side_alpha) - ndtri(self.beta))

    @property
    def looks_at(self) -> Floats:
        """Information fractions as an array (look,)."""
        return np.asarray(self.information)


@dataclass(frozen=True)
class Side:
    """What is asked of one bound at each look: its value, or the probability to cross it under a drift."""

    z: Floats | None = None
    increments: Floats | None = None
    drift: float = 0.0

    def bound(self, look: int, there: Continuing, information: float, below: bool) -> float:
        """Return the bound on z at ``look`` that those ``there`` meet."""
        if self.z is not None:
            return float(self.z[look])
        assert self.increments is not None
        return there.bound(float(self.increments[look]), information, self.drift, below)


def march(information: Floats, upper: Side, lower: Side | None, reach: tuple[float, float]) -> Path:
    """Go from look to look, solving each bound from those who are still there.

    Parameters
    ----------
    information
        Information fractions, (look,).
    upper, lower
        What is asked of the bounds; without ``lower`` the lower bound mirrors the upper one. At the last
        look the two meet.
    reach
        Lowest and highest drift that the path will be asked for.
    """
    steps = np.diff(information, append=np.inf)
    there, before, bounds = START, [], []
    for k, t in enumerate(information):
        high = upper.bound(k, there, t, below=False)
        if lower is None:
            low = -high
        elif k == len(information) - 1:
            low = high
        else:
            low = min(lower.bound(k, there, t, below=True), high)
        before.append(there)
        bounds.append((low, high))
        there = there.onward((low, high), t, steps[k], reach) if k < len(information) - 1 else there
    lows, highs = np.array(bounds).T
    return Path(information, lows, highs, tuple(before))


@dataclass(frozen=True)
class Boundaries:
    """The solved design: bounds at each look and what they cost.

    ``path`` holds the bounds as the trial follows them, ``alone`` the efficacy bound as the type I error
    counts it (without a non-binding futility bound), ``drift`` the expected z at full information under
    the alternative.
    """

    design: Design
    path: Path
    alone: Path
    drift: float

    @property
    def efficacy_z(self) -> Floats:
        """Efficacy bounds on z, (look,); infinite where the look cannot stop for efficacy."""
        return self.path.upper

    @property
    def futility_z(self) -> Floats | None:
        """Futility bounds on z, (look,), the last one the efficacy bound; None without futility stops."""
        return None if self.design.futility is None else self.path.lower

    @property
    def nominal_p(self) -> Floats:
        """One-sided significance level of each look, (look,)."""
        return np.asarray(ndtr(-self.efficacy_z))

    @cached_property
    def alpha_spent(self) -> Floats:
        """Cumulative type I error, both sides together, (look,)."""
        return np.cumsum(self.alone.crossing()[1]) * self.design.sided

    @cached_property
    def beta_spent(self) -> Floats:
        """Cumulative type II error under the alternative, (look,)."""
        return np.cumsum(self.stopping(1.0)[1])

    @property
    def inflation(self) -> float:
        """Maximum sample size relative to the fixed-sample test with the same errors."""
        return (self.drift / self.design.fixed_drift) ** 2

    def stopping(self, effect: float) -> tuple[Floats, Floats]:
        """Return the probabilities (look,) to stop for efficacy and to stop without.

        Parameters
        ----------
        effect
            As a fraction of the alternative: 0 under the null, 1 under the alternative. A two-sided
            design counts efficacy only on the side of the alternative; crossing the other side is a
            stop without efficacy.
        """
        low, high = self.path.crossing(effect * self.drift)
        if self.design.sided == 2:
            low[-1] = 1 - high.sum() - low[:-1].sum()
        return high, low

    def power(self, effect: float) -> float:
        """Return the probability to reject for the new treatment at a fraction of the alternative."""
        return float(self.stopping(effect)[0].sum())

    def expected_n_ratio(self, effect: float) -> float:
        """Return the expected sample size relative to the fixed-sample test, as ``stopping``."""
        high, low = self.stopping(effect)
        return self.inflation * float((high + low) @ self.design.looks_at)


def solve(design: Design) -> Boundaries:
    """Find the bounds and the drift that give the design its error rates.

    Raises
    ------
    InputError
        The bounds that are given spend more than alpha.
    RunError
        No sample size up to ``MOST``² times the fixed one reaches the power.
    """
    alone = efficacy_alone(design)
    _spends_alpha(design, alone)

    def path(drift: float) -> Path:
        if design.futility is None:
            return alone
        return _settle(design, drift) if design.binding else _below(design, alone.upper, drift)

    def lacking(drift: float) -> float:
        return -float(ndtri(design.beta)) - probit(float(path(drift).crossing(drift)[1].sum()))

    drift, most = design.fixed_drift, design.fixed_drift * MOST
    while lacking(drift * 1.2) > 0 and drift < most:
        drift *= 1.2
    if drift >= most:
        raise RunError(
            f"no sample size up to {MOST**2:g} times the fixed one reaches power {1 - design.beta:g}"
        )
    drift = find_root(lacking, drift, drift * 1.2)
    final = path(drift)
    _leaves_some(final)
    return Boundaries(design, final, final if design.binding else alone, drift)


def efficacy_alone(design: Design) -> Path:
    """Return the path between the efficacy bounds alone, as if there were no futility bound."""
    return _settle(design.model_copy(update={"futility": None}), 0.0)


def _spends_alpha(design: Design, alone: Path) -> None:
    spent = float(alone.crossing()[1].sum())
    if abs(spent / design.side_alpha - 1) > 1e-6:
        raise InputError(
            f"spending: '{design.spending.model_dump()['kind']}' spends {spent:.3g} on one side, "
            f"more than the {design.side_alpha:g} allowed"
        )


def _leaves_some(path: Path) -> None:
    ends = np.flatnonzero(path.lower[:-1] > path.upper[:-1] - 1e-6)
    if len(ends):
        k = int(ends[0])
        raise InputError(
            f"futility: the bound meets the efficacy bound ({path.upper[k]:.4g}) at look {k + 1}, "
            "so that every trial stops there; lower it or spend less at the early looks"
        )


def _settle(design: Design, drift: float) -> Path:
    """Solve both bounds at once; the constant of a boundary shape is the last bound, where they meet."""
    t, spending = design.looks_at, design.spending

    def at(last: float) -> Path:
        lower = None if design.sided == 2 else _futility(design, last, drift, design.futility_total)
        return march(t, _efficacy(design, last), lower, _reach(design))

    if isinstance(spending, BoundaryShape):
        high = float(-ndtri(design.side_alpha / len(t)) / spending.bounds(t, 1.0).min())
        goal = float(ndtri(design.side_alpha))
        return at(find_root(lambda c: probit(float(at(c).crossing()[1].sum())) - goal, LOWEST, high))
    if isinstance(design.futility, BoundaryShape):
        return at(find_root(lambda c: float(at(c).upper[-1]) - c, LOWEST, HIGHEST_Z))
    return at(np.nan)


def _below(design: Design, upper: Floats, drift: float) -> Path:
    """Solve the futility bound below an efficacy bound that does not count on it."""

    def at(total: float) -> Path:
        lower = _futility(design, float(upper[-1]), drift, total)
        return march(design.looks_at, Side(z=upper), lower, _reach(design))

    total = design.futility_total
    if design.futility_under == "null":
        # Under the null, futility spends all that efficacy leaves once futility stops are made.
        total = find_root(lambda q: q + float(at(q).crossing()[1].sum()) - 1, total, 1.0)
    return at(total)


def _reach(design: Design) -> tuple[float, float]:
    return 0.0, design.fixed_drift * MOST


def _efficacy(design: Design, last: float) -> Side:
    t = design.looks_at
    if isinstance(design.spending, BoundaryShape):
        return Side(z=design.spending.bounds(t, last))
    assert isinstance(design.spending, SpendingFunction)
    return Side(increments=np.diff(design.spending.spent(t, design.side_alpha), prepend=0.0))


def _futility(design: Design, last: float, drift: float, total: float) -> Side:
    """Return what is asked of the futility bound.

    A boundary shape keeps its distance from the expected z (Pampallona & Tsiatis 1994,
    doi:10.1016/0378-3758(94)90187-2), with the constant that makes it meet ``last``.
    """
    t, futility = design.looks_at, design.futility
    if isinstance(futility, SpendingFunction):
        under = drift if design.futility_under == "alternative" else 0.0
        return Side(increments=np.diff(futility.spent(t, total), prepend=0.0), drift=under)
    if isinstance(futility, GivenBounds):
        return Side(z=np.append(futility.values, last))
    if isinstance(futility, BoundaryShape):
        return Side(z=drift * np.sqrt(t) - futility.bounds(t, drift - last))
    return Side(z=np.full(len(t), -np.inf))
