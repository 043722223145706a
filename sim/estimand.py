"""Estimands in the attributes of ICH E9(R1): they define the analysis target and its true value."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from sim.core.parts import Part, wrong
from sim.data import TrialData
from sim.endpoints import Endpoint

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

Strategy = Literal["treatment_policy", "hypothetical", "composite"]


class Contrast(Part):
    """Which arms are compared: each arm of ``of`` with ``to``."""

    of: tuple[str, ...] = Field(min_length=1)
    to: str

    @field_validator("of", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Strategies(Part):
    """Strategy for each intercurrent event."""

    discontinuation: Strategy = "treatment_policy"
    rescue: Literal["treatment_policy"] = "treatment_policy"


class Estimand(Part):
    """What is to be estimated.

    The five attributes of ICH E9(R1): treatments (``contrast``), population (all randomised),
    variable (``endpoint`` at ``visit``), intercurrent events with their strategies, and the
    population-level summary.
    """

    endpoint: str
    visit: float = Field(gt=0, description="weeks since randomisation")
    contrast: Contrast
    summary: Literal["mean_difference", "risk_difference"]
    intercurrent_events: Strategies = Strategies()

    @model_validator(mode="after")
    def _composite_needs_a_response(self) -> Self:
        if self.intercurrent_events.discontinuation == "composite" and self.summary == "mean_difference":
            raise wrong(
                "strategy 'composite' counts an event as non-response; it needs summary risk_difference"
            )
        return self

    def variable(self, data: TrialData, endpoint: Endpoint) -> Floats:
        """Value of the variable for every patient, (patient, replicate), intercurrent events applied.

        Treatment policy: the value whatever happened. Composite: stopping treatment, or leaving the
        study with it, before the visit is non-response. Hypothetical: what was seen after stopping is
        set to nan, not used.
        """
        value = endpoint.value(data.baseline, data.score[:, :, data.visit(self.visit)])
        return self._after_events(value, data.stopped, self.visit)

    def course(self, data: TrialData, endpoint: Endpoint) -> Floats:
        """Value of the variable at every follow-up visit, (patient, replicate, visit), by the same rules."""
        value = endpoint.value(data.baseline[:, :, None], data.score)
        return self._after_events(value, data.stopped[:, :, None], data.weeks)

    def _after_events(self, value: Floats, stopped: Floats, week: float | Floats) -> Floats:
        strategy = self.intercurrent_events.discontinuation
        if strategy == "treatment_policy":
            return value
        return np.where(stopped < week, 0.0 if strategy == "composite" else np.nan, value)

    def words(self, endpoint: Endpoint) -> str:
        """Say the estimand in words."""
        what = "difference in means" if self.summary == "mean_difference" else "difference in shares"
        strategy = self.intercurrent_events.discontinuation.replace("_", " ")
        return (
            f"{what} of {endpoint.words()} at week {self.visit:g}, {', '.join(self.contrast.of)} against "
            f"{self.contrast.to}, in all randomised patients; stopping treatment or leaving: {strategy}"
        )


@dataclass(frozen=True)
class Observations:
    """One estimand's data in a block, as an analysis takes them.

    Attributes
    ----------
    value, baseline
        The variable and the baseline score, (patient, replicate); nan is missing.
    arm
        (patient, replicate).
    of, to
        Positions of the compared arms.
    arms
        Number of arms in the trial.
    data
        Where the values come from; knows the sample sizes.
    estimand, endpoint
        What the value is, for analyses that use other visits too.
    """

    value: Floats
    baseline: Floats
    arm: Ints
    of: tuple[int, ...]
    to: int
    arms: int
    data: TrialData
    estimand: Estimand
    endpoint: Endpoint

    @property
    def course(self) -> Floats:
        """The variable at every follow-up visit, (patient, replicate, visit)."""
        return self.estimand.course(self.data, self.endpoint)

    @property
    def visit(self) -> int:
        """Position of the estimand's visit among the follow-up visits."""
        return self.data.visit(self.estimand.visit)
