"""Adaptive designs on sufficient statistics: a design, truths, and what the design does under each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

import sim.core.loading as loading
from sim.core.parts import Part, wrong
from sim.performance import average, proportion
from sim.sufficient.base import Engine


class StatedTruth(Part):
    """True values of the arms, and why these."""

    values: tuple[float, ...] = Field(min_length=1)
    because: str


class AdaptiveStudy(Part):
    """One design under several truths."""

    seed: Annotated[int, Field(ge=0)]
    trials: Annotated[int, Field(ge=100, le=10_000_000)]
    design: Engine
    truths: dict[str, StatedTruth] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path, overrides: tuple[str, ...] = ()) -> "AdaptiveStudy":
        """Read and validate the study in ``path``."""
        return loading.load(path, cls, overrides)

    @model_validator(mode="after")
    def _truths_fit(self) -> Self:
        needed = self.design.values_needed()
        for name, truth in self.truths.items():
            if needed is not None and len(truth.values) != needed:
                raise wrong(f"truths.{name}.values: needs {needed} values (given: {len(truth.values)})")
        return self


@dataclass(frozen=True)
class Outcome:
    """One number of a design under one truth: a share of trials, or a mean, with its Monte Carlo error."""

    truth: str
    metric: str
    value: float
    mcse: float
    trials: int


def characteristics(study: AdaptiveStudy) -> Iterator[Outcome]:
    """Simulate each truth with the same random numbers and yield what came of it."""
    for name, truth in study.truths.items():
        found = study.design.outcomes(truth.values, study.seed, study.trials)
        for metric, values in found.items():
            measured = proportion(values) if values.dtype == bool else average(values.astype(np.float64))
            yield Outcome(name, metric, measured.value, measured.mcse, len(values))
