"""Two-stage trials whose second stage is sized at the look, from the effect seen or assumed."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri, stdtr

from sim.core.parts import wrong
from sim.core.streams import Streams
from sim.rules.crossing import Floats
from sim.sufficient.base import Engine, Outcomes

BLOCK = 16_384
"""Trials in a block; always the same, whatever the number of trials or workers."""

Positive = Annotated[float, Field(gt=0)]


class Reestimation(Engine):
    """A two-arm, two-stage trial of means with an inverse normal combination of t tests (or z, ``known_sd``).

    The second stage is as large as ``conditional_power`` asks for under the effect ``assumed`` (in the unit
    of ``sd``), or the one observed, between ``least`` and ``most`` patients; where a ``zone`` of conditional
    powers is given, only inside it, else as planned (Cui, Hung & Wang 1999,
    doi:10.1111/j.0006-341X.1999.00853.x; promising zone: Mehta & Pocock 2011, doi:10.1002/sim.4102). The
    weights stay those of the plan, so that the type I error holds. Sizes are patients of both arms together,
    equal, as fractions of a patient.
    """

    kind: Literal["reestimation"] = "reestimation"
    truth_means: ClassVar[str] = "difference between the arms, in the unit of the SD:"

    planned: tuple[Positive, Positive]
    least: Positive
    most: Positive
    bounds: tuple[float, float]
    conditional_power: Annotated[float, Field(gt=0, lt=1)] = 0.9
    assumed: Positive | None = None
    sd: Positive = 1.0
    zone: tuple[float, float] | None = None
    known_sd: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.least > self.most:
            raise wrong(f"least: must be at most 'most', {self.most:g} (given: {self.least:g})")
        if min(self.planned[0], self.least) <= 2:
            raise wrong("planned, least: a stage needs more than 2 patients")
        if self.zone is not None and not 0 <= self.zone[0] < self.zone[1] <= 1:
            raise wrong(f"zone: must be two rising conditional powers (given: {self.zone})")
        return self

    def values_needed(self) -> int:
        """Return 1: the one difference."""
        return 1

    def outcomes(self, truth: tuple[float, ...], seed: int, trials: int) -> Outcomes:
        """Success, success at the first look, and patients."""
        found = run(self, truth[0], seed, trials)
        return {"success": found.first | found.second, "early_success": found.first, "patients": found.size}

    def words(self) -> str:
        """Say the design in words."""
        when = "" if self.zone is None else f" if that is {self.zone[0]:g} to {self.zone[1]:g}"
        return (
            f"Two arms, {self.planned[0]:g} patients in all, then {self.planned[1]:g} as planned or "
            f"{self.least:g} to {self.most:g} for a conditional power of {self.conditional_power:g}{when}; "
            f"inverse normal combination, bounds {self.bounds[0]:g} and {self.bounds[1]:g}"
        )

    @property
    def weights(self) -> tuple[float, float]:
        """Weights of the two stages' z, their squares summing to 1."""
        share = self.planned[0] / sum(self.planned)
        return float(np.sqrt(share)), float(np.sqrt(1 - share))

    def second_stage(self, z: Floats, effect: Floats) -> Floats:
        """Return the patients of the second stage, (trial,), from the first z and the observed effect."""
        first, second = self.weights
        needed_z = (self.bounds[1] - first * z) / second
        seen = effect if self.assumed is None else np.full(z.shape, self.assumed)
        standard = np.maximum(seen / self.sd, 1e-12)
        asked = 4 * np.maximum(needed_z + ndtri(self.conditional_power), 0) ** 2 / standard**2
        resized = np.clip(asked, self.least, self.most)
        if self.zone is None:
            return np.asarray(resized)
        power = ndtr(standard * np.sqrt(self.planned[1]) / 2 - needed_z)
        inside = (power >= self.zone[0]) & (power < self.zone[1])
        return np.where(inside, resized, self.planned[1])


@dataclass(frozen=True)
class TwoStageTrials:
    """What came of each trial, (trial,): patients, rejected at the first stage, rejected at the second."""

    size: Floats
    first: NDArray[np.bool_]
    second: NDArray[np.bool_]


def simulate(design: Reestimation, effect: float, streams: Streams) -> TwoStageTrials:
    """Run one block of ``BLOCK`` trials with the true difference ``effect``, in the unit of the SD."""
    standard = effect / design.sd
    n = np.full(BLOCK, design.planned[0])
    t, z = _stage(design, n, standard, streams("first stage"))
    first = z >= design.bounds[0]
    # The observed effect as the statistic gives it with the SD known, as rpact's simulation has it.
    more = design.second_stage(z, t * 2 / np.sqrt(n) * design.sd)
    _, later = _stage(design, more, standard, streams("second stage"))
    combined = design.weights[0] * z + design.weights[1] * later
    return TwoStageTrials(
        n + np.where(first, 0.0, more), first, np.asarray(~first & (combined >= design.bounds[1]))
    )


def _stage(
    design: Reestimation, n: Floats, standard: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return a stage's statistic and the z of its p-value, (trial,)."""
    z = rng.standard_normal(BLOCK) + standard * np.sqrt(n) / 2
    if design.known_sd:
        return z, z
    t = z / np.sqrt(2 * rng.standard_gamma((n - 2) / 2) / (n - 2))
    return t, -ndtri(stdtr(n - 2, -t))


def run(design: Reestimation, effect: float, seed: int, trials: int) -> TwoStageTrials:
    """Run ``trials`` trials, block by block; more trials extend fewer."""
    blocks = [simulate(design, effect, Streams(seed, block)) for block in range(-(-trials // BLOCK))]
    size, first, second = (
        np.concatenate([getattr(block, name) for block in blocks])[:trials]
        for name in ("size", "first", "second")
    )
    return TwoStageTrials(size, first, second)
