"""Multi-arm multi-stage designs: several arms against one control, with bounds at each look."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from sim.core.errors import RunError
from sim.core.parts import Part, wrong
from sim.rules.crossing import TAIL, Floats, find_root, probit

CONTROL_NODES = {1: 64, 2: 32, 3: 16, 4: 10}
"""Nodes for each step of the control's mean, by the number of looks; their product is what a design costs."""

ARM_NODES = 24
"""Nodes for an arm's own mean between its bounds."""

MOST_PATIENTS = 1e6
"""More at the first look are not tried."""

Shape = Literal["obrien_fleming", "pocock", "triangular"]


class MultiArmDesign(Part):
    """A multi-arm multi-stage design (Magirr, Jaki & Whitehead 2012, doi:10.1093/biomet/ass002).

    An arm is dropped below its lower bound; the trial stops when an arm crosses its upper bound, or none is
    left. ``patients`` and ``control`` are cumulative patients of each arm and of the control at the looks, as
    multiples of one number. Lower bounds are binding. Shapes as in the R package MAMS; ``lower: fixed``
    takes ``lower_z`` at each interim look.
    """

    arms: Annotated[int, Field(ge=1, le=10)]
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.025
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patients: Annotated[tuple[float, ...], Field(min_length=1, max_length=4)]
    control: Annotated[tuple[float, ...], Field(min_length=1, max_length=4)]
    upper: Shape = "obrien_fleming"
    lower: Shape | Literal["fixed"] | None = None
    lower_z: float | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.patients) != len(self.control):
            raise wrong(
                f"control: needs {len(self.patients)} values, one a look (given: {len(self.control)})"
            )
        for name in ("patients", "control"):
            if (np.diff(getattr(self, name), prepend=0.0) <= 0).any():
                raise wrong(f"{name}: must increase from above 0 (given: {getattr(self, name)})")
        if (self.lower == "fixed") != (self.lower_z is not None):
            raise wrong("lower_z: goes with lower 'fixed', and only with it")
        return self

    def bounds(self, constant: float) -> tuple[Floats, Floats]:
        """Return lower and upper bounds on z, (look,) each, the last ones equal."""
        r = np.array(self.patients)
        upper = constant * _shape(self.upper, r)
        if self.lower is None:
            lower = np.full(len(r), -np.inf)
        elif self.lower == "fixed":
            lower = np.full(len(r), self.lower_z, dtype=float)
        elif self.lower == "triangular":
            lower = -constant * (1 - 3 * r / r[-1]) / np.sqrt(r)
        else:
            lower = -constant * _shape(self.lower, r)
        lower[-1] = upper[-1]
        return lower, upper


def _shape(shape: Shape, r: Floats) -> Floats:
    if shape == "pocock":
        return np.ones(len(r))
    return np.asarray((1 + r / r[-1]) / np.sqrt(r) if shape == "triangular" else 1 / np.sqrt(r))


@dataclass(frozen=True)
class Effects:
    """Effects in standard deviations under which the power is asked for: one good arm, the others poor.

    This is the least favourable configuration when ``poor`` is the largest effect that is not worth having.
    """

    good: float
    poor: float = 0.0


@dataclass(frozen=True)
class _Arm:
    """One arm's own mean given the control's path: who is still there.

    ``score`` and ``mass``, (path, node), are nodes of its sum and the probability each stands for;
    ``dropped`` (path,) the probability that it was dropped at an earlier look.
    """

    made: float
    score: Floats
    mass: Floats
    dropped: Floats

    def below(self, at: Floats, information: float, drift: float) -> Floats:
        """Return the probability (path, …) to be there with a next sum of at most ``at`` (path, …)."""
        step = information - self.made
        axes = (slice(None), *[None] * (at.ndim - 1), slice(None))
        distance = at[..., None] - self.score[axes] - drift * step
        return np.asarray((self.mass[axes] * ndtr(distance / np.sqrt(step))).sum(axis=-1))

    def density(self, at: Floats, information: float, drift: float) -> Floats:
        """Return the density (path, node) of being there with a next sum ``at`` (path, node)."""
        step = information - self.made
        distance = (at[..., None] - self.score[:, None] - drift * step) / np.sqrt(step)
        density = np.exp(-0.5 * distance * distance) / np.sqrt(2 * np.pi * step)
        return np.asarray((self.mass[:, None] * density).sum(axis=-1))

    def spread(self, times: int) -> "_Arm":
        """Repeat each path for the steps that the control may take."""
        wide = (np.repeat(array, times, axis=0) for array in (self.score, self.mass, self.dropped))
        return _Arm(self.made, *wide)

    def onward(self, bounds: tuple[Floats, Floats], information: float, drift: float) -> "_Arm":
        """Return those between ``bounds`` (path,) on the sum; who is below has been dropped."""
        low, high = (np.clip(bound, *_reach(information, drift)) for bound in bounds)
        score, width = _between(low, high, ARM_NODES)
        mass = width * self.density(score, information, drift)
        return _Arm(information, score, mass, self.dropped + self.below(bounds[0], information, drift))


def _reach(information: float, drift: float) -> tuple[float, float]:
    root = TAIL * np.sqrt(information)
    return drift * information - root, drift * information + root


def _between(low: Floats, high: Floats, nodes: int) -> tuple[Floats, Floats]:
    x, weight = np.polynomial.legendre.leggauss(nodes)
    half = (high - low)[:, None] / 2
    return (low + high)[:, None] / 2 + half * x, half * weight


START = _Arm(0.0, np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))


@dataclass(frozen=True)
class _Look:
    """What is integrated at one look: bounds on the sums for each path of the control and its weight."""

    weight: Floats
    low: Floats
    high: Floats
    information: float
    steps: int
    last: bool


def _looks(design: MultiArmDesign, constant: float) -> Iterator[_Look]:
    """Follow the control: nodes of its sum from look to look, each path branching."""
    x, weight = np.polynomial.hermite_e.hermegauss(CONTROL_NODES[len(design.patients)])
    weight = weight / weight.sum()
    total, control, before = np.ones(1), np.zeros(1), 0.0
    for r, r0, low, high in zip(design.patients, design.control, *design.bounds(constant), strict=True):
        control = (control[:, None] + np.sqrt(r0 - before) * x).ravel()
        total = (total[:, None] * weight).ravel()
        scale = np.sqrt(1 / r + 1 / r0)
        at_low, at_high = (r * (bound * scale + control / r0) for bound in (low, high))
        yield _Look(total, at_low, at_high, r, len(x), r == design.patients[-1])
        before = r0


def family_wise_error(design: MultiArmDesign, constant: float) -> float:
    """Return the probability that some arm crosses its upper bound when none has an effect."""
    arm = START
    for here in _looks(design, constant):
        arm = arm.spread(here.steps)
        if not here.last:
            arm = arm.onward((here.low, here.high), here.information, 0.0)
    none = arm.dropped + arm.below(here.low, here.information, 0.0)
    return float(here.weight @ (1 - none**design.arms))


def selection_power(design: MultiArmDesign, constant: float, effects: Effects, patients: float) -> float:
    """Return the probability that the good arm crosses first, as the best of those that cross.

    Parameters
    ----------
    patients
        What the design's multiples multiply.
    """
    root, power = np.sqrt(patients), 0.0
    good = poor = START
    for here in _looks(design, constant):
        good, poor = good.spread(here.steps), poor.spread(here.steps)
        drift = effects.good * root
        top = np.maximum(here.high, _reach(here.information, drift)[1])
        start = np.minimum(np.maximum(here.high, _reach(here.information, drift)[0]), top)
        at, width = _between(start, top, ARM_NODES)
        crossing = width * good.density(at, here.information, drift)
        others = poor.dropped[:, None] + poor.below(at, here.information, effects.poor * root)
        power += float(here.weight @ (crossing * others ** (design.arms - 1)).sum(axis=1))
        if not here.last:
            bounds = (here.low, here.high)
            good = good.onward(bounds, here.information, drift)
            poor = poor.onward(bounds, here.information, effects.poor * root)
    return power


@dataclass(frozen=True)
class MultiArmBoundaries:
    """The solved design: bounds on z, (look,) each, and patients for each unit of the design's multiples."""

    design: MultiArmDesign
    lower: Floats
    upper: Floats
    patients: int

    @property
    def total(self) -> int:
        """Patients in all arms if no arm is dropped and the trial does not stop."""
        each = [ceil(self.patients * r) for r in (self.design.patients[-1], self.design.control[-1])]
        return each[0] * self.design.arms + each[1]


def solve(design: MultiArmDesign, effects: Effects) -> MultiArmBoundaries:
    """Find the bounds for the family-wise error and the patients for the power.

    Raises
    ------
    RunError
        No size up to ``MOST_PATIENTS`` reaches the power.
    """
    r = np.array(design.patients)
    least = float(-ndtri(design.alpha) / _shape(design.upper, r)[-1])

    def excess(constant: float) -> float:
        return float(ndtri(family_wise_error(design, constant)) - ndtri(design.alpha))

    most = least
    while excess(most) > 0:
        most *= 1.2
    constant = find_root(excess, 0.5 * least, most)

    n = _size(design, constant, effects)
    return MultiArmBoundaries(design, *design.bounds(constant), n)


def _size(design: MultiArmDesign, constant: float, effects: Effects) -> int:
    """Return the smallest whole size with the power: on these scales power is nearly a straight line."""

    def lacking(n: float) -> float:
        return -float(ndtri(design.beta)) - probit(selection_power(design, constant, effects, n))

    from scipy.optimize import brentq  # here, for it would double the time of ``import sim``

    low, high = 0.5, 1.0
    while lacking(high) > 0:
        low, high = high, 2 * high
        if high > MOST_PATIENTS:
            raise RunError(f"no size up to {MOST_PATIENTS:g} reaches power {1 - design.beta:g}")
    if high == 1:
        return 1
    root = float(brentq(lambda root: lacking(root**2), np.sqrt(low), np.sqrt(high), xtol=1e-3))
    whole = ceil(root**2 - 0.1)
    return whole if lacking(whole) <= 0 else whole + 1
