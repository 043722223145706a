"""Estimands in the attributes of ICH E9(R1): they define the analysis target and its true value."""

from dataclasses import dataclass
from typing import Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from scipy.special import logit

from sim.core.loops import put_where_before
from sim.core.parts import Part, wrong
from sim.data import Mask, TrialData
from sim.eligibility import Limits
from sim.endpoints import PAIN, Endpoint, TimeToResponse
from sim.priority import Level, Measure, order_words

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

Strategy = Literal["treatment_policy", "hypothetical", "composite", "while_on_treatment", "principal_stratum"]
Summary = Literal["mean_difference", "risk_difference", "risk_ratio", "odds_ratio", "hazard_ratio", Measure]
OUTCOMES: dict[str, str] = {
    "mean_difference": "continuous",
    "risk_difference": "binary",
    "risk_ratio": "binary",
    "odds_ratio": "binary",
    "hazard_ratio": "time",
    "win_ratio": "continuous",
    "win_odds": "continuous",
    "net_benefit": "continuous",
}
"""The kind of variable that each summary needs; ratios are estimated and reported as logarithms."""
OF_PAIRS = ("win_ratio", "win_odds", "net_benefit")
"""Summaries of all pairs of patients, which are compared by the estimand's ``order``."""
SUMMARY_WORDS = {
    "mean_difference": "difference in means",
    "risk_difference": "difference in shares",
    "risk_ratio": "logarithm of the ratio of shares",
    "odds_ratio": "logarithm of the odds ratio",
    "hazard_ratio": "logarithm of the hazard ratio",
    "win_ratio": "logarithm of the win ratio",
    "win_odds": "logarithm of the win odds",
    "net_benefit": "net benefit",
}


class Contrast(Part):
    """Which arms are compared: each arm of ``of`` with ``to``."""

    of: tuple[str, ...] = Field(min_length=1)
    to: str

    @field_validator("of", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Strategies(Part):
    """Strategy for each intercurrent event (ICH E9(R1), section A.3.2)."""

    discontinuation: Strategy = Field(
        "treatment_policy", description="of stopping the treatment, or leaving the study with it"
    )
    rescue: Literal["treatment_policy", "hypothetical", "composite"] = Field(
        "treatment_policy", description="of rescue medication before the visit"
    )


class Subgroup(Limits):
    """Patients whose baseline measure (``pain``, or a covariate) lies within limits, both ends included."""

    measure: str

    def words(self) -> str:
        """Say who they are."""
        return f"{self.measure.replace('_', ' ')} {super().words()} at baseline"


class Estimand(Part):
    """What is to be estimated.

    The five attributes of ICH E9(R1): treatments (``contrast``), population (all randomised, those of them
    within limits at baseline, or the principal stratum of those who would stay on every compared treatment),
    variable (``endpoint`` at ``visit``), intercurrent events with their strategies, and the population-level
    summary.
    """

    endpoint: str
    visit: float = Field(gt=0, description="weeks since randomisation")
    contrast: Contrast
    summary: Summary
    intercurrent_events: Strategies = Strategies()
    population: Subgroup | None = Field(None, description="a subgroup of the randomised; by default all")
    order: tuple[Level, ...] = Field(
        (), description="of a summary of pairs: outcomes that tell two patients apart, the first that does"
    )

    @model_validator(mode="after")
    def _composite_needs_a_response(self) -> Self:
        events = self.intercurrent_events
        if "composite" in (events.discontinuation, events.rescue) and OUTCOMES[self.summary] == "continuous":
            raise wrong(
                "strategy 'composite' counts an event as non-response; it needs a summary of responders"
            )
        return self

    @model_validator(mode="after")
    def _a_time_knows_few_strategies(self) -> Self:
        events = self.intercurrent_events
        known = events.rescue == "treatment_policy" and events.discontinuation != "principal_stratum"
        if OUTCOMES[self.summary] == "time" and not known:
            raise wrong(
                "intercurrent_events: a time to response knows neither the principal stratum nor another "
                "strategy for rescue than treatment_policy"
            )
        return self

    @model_validator(mode="after")
    def _pairs_have_an_order(self) -> Self:
        if bool(self.order) != (self.summary in OF_PAIRS):
            needed = "needs" if self.summary in OF_PAIRS else "knows no"
            raise wrong(
                f"summary '{self.summary}' {needed} 'order'; {', '.join(OF_PAIRS)} compare patients in pairs"
            )
        if self.order and self.intercurrent_events.discontinuation == "principal_stratum":
            raise wrong("a summary of pairs knows no principal stratum; allowed: another strategy")
        return self

    def only(self, arm: str) -> "Estimand":
        """Return the estimand of one compared arm."""
        return self.model_copy(update={"contrast": Contrast(of=(arm,), to=self.contrast.to)})

    def holds(self, data: TrialData) -> Mask:
        """Who is in the population, as far as baseline tells, (patient, replicate)."""
        if self.population is None:
            return np.ones(data.arm.shape, dtype=bool)
        measure = self.population.measure
        return self.population.admit(data.baseline if measure == PAIN else data.covariates[measure])

    def of_population(self, data: TrialData) -> TrialData:
        """Return the data of those who are in the population; the others are absent."""
        return data.only(self.holds(data)) if self.population else data

    def better(self, endpoint: Endpoint) -> Literal["lower", "higher"]:
        """Direction in which the summary is better: of pairs won the higher, else that of the endpoint."""
        return "higher" if self.summary in OF_PAIRS else endpoint.better

    def variable(self, data: TrialData, endpoint: Endpoint) -> Floats:
        """Value of the variable for every patient, (patient, replicate), intercurrent events applied.

        Treatment policy: the value whatever happened. Composite: the event before the visit is
        non-response. Hypothetical: what was seen after the event is set to nan, not used. While on
        treatment: the last value before the event. Principal stratum: patients with the event are left
        out (nan), which finds the stratum only where the event does not depend on the arm. A time to
        response is the week of it, or of censoring (see ``event``).
        """
        if isinstance(endpoint, TimeToResponse):
            return self._times(data, endpoint)[0]
        at = data.visit(self.visit)
        if self.intercurrent_events.discontinuation == "while_on_treatment":
            return np.asarray(self.course(data, endpoint)[:, :, at])
        scores = data.of(endpoint.instrument)
        value = endpoint.value(scores.baseline, scores.visits[:, :, at])
        rescued = None if data.rescued is None else data.rescued[:, :, at]
        return self._after_events(value, rescued, data.stopped, self.visit)

    def on_treatment(self, data: TrialData) -> Floats:
        """Week in which treatment was discontinued or the study left, (patient, replicate).

        inf where neither has happened by the estimand's visit.
        """
        return np.where(data.stopped < self.visit, data.stopped, np.inf)

    @property
    def measure(self) -> Measure:
        """The summary, where it is one of pairs."""
        assert self.summary in OF_PAIRS
        return cast(Measure, self.summary)

    def event(self, data: TrialData, endpoint: Endpoint) -> Floats | None:
        """Whether a time ended in a response (1) or was censored (0), (patient, replicate); else None."""
        return self._times(data, endpoint)[1] if isinstance(endpoint, TimeToResponse) else None

    def _times(self, data: TrialData, endpoint: TimeToResponse) -> tuple[Floats, Floats]:
        """Visits after the horizon are not looked at; a composite event ends the hope of a response there."""
        upto = data.visit(self.visit) + 1
        scores, weeks = data.of(endpoint.instrument), data.weeks[:upto]
        visits = scores.visits[:, :, :upto]
        strategy = self.intercurrent_events.discontinuation
        ended = data.stopped[:, :, None] < weeks
        if strategy != "treatment_policy":
            visits = np.where(ended, np.nan, visits)
        when, event = endpoint.times(scores.baseline, visits, weeks)
        if strategy == "composite":
            when = np.where((event == 0) & ended[:, :, -1], weeks[-1], when)
        return when, event

    def course(self, data: TrialData, endpoint: Endpoint) -> Floats:
        """Value of the variable at every follow-up visit, (patient, replicate, visit), by the same rules.

        While on treatment, who was seen at no visit before stopping keeps the value at baseline.
        """
        scores = data.of(endpoint.instrument)
        value = endpoint.value(scores.baseline[:, :, None], scores.visits)
        value = self._after_events(value, data.rescued, data.stopped[:, :, None], data.weeks)
        if self.intercurrent_events.discontinuation == "while_on_treatment":
            last = endpoint.value(scores.baseline, scores.baseline)
            for visit, week in enumerate(data.weeks):
                now = value[:, :, visit]
                np.copyto(now, last, where=data.stopped < week)
                last = np.where(np.isnan(now), last, now)
        return value

    def _after_events(
        self, value: Floats, rescued: Mask | None, stopped: Floats, week: float | Floats
    ) -> Floats:
        """Apply the strategies to values at ``week``; the four broadcast together."""
        stopping, rescue = self.intercurrent_events.discontinuation, self.intercurrent_events.rescue
        if rescue != "treatment_policy" and rescued is not None:
            value = np.where(rescued, 0.0 if rescue == "composite" else np.nan, value)
        if stopping == "treatment_policy":
            return value
        limit = self.visit if stopping == "principal_stratum" else week
        after = 0.0 if stopping == "composite" else np.nan
        if value.ndim == 2 and isinstance(limit, float):
            found = np.array(value, order="C")
            put_where_before(np.ascontiguousarray(stopped), limit, after, found)
            return found
        return np.where(stopped < limit, after, value)

    def compare(self, of: Floats, to: Floats) -> Floats:
        """Summarise two arms by their means, (replicate,): a difference, or the logarithm of a ratio.

        Where a share is 0 or 1 the logarithm of a ratio may be infinite, or undefined (nan).
        """
        if self.summary == "risk_ratio":
            return np.asarray(np.log(of) - np.log(to))
        if self.summary == "odds_ratio":
            return np.asarray(logit(of) - logit(to))
        return np.asarray(of - to)

    def words(self, endpoint: Endpoint) -> str:
        """Say the estimand in words."""
        events = self.intercurrent_events
        stopping = events.discontinuation.replace("_", " ")
        stratum = events.discontinuation == "principal_stratum"
        who = "patients who would stay on either treatment" if stratum else "all randomised patients"
        who += f" with {self.population.words()}" if self.population else ""
        rescue = "" if events.rescue == "treatment_policy" else f"; rescue medication: {events.rescue}"
        by = f"; pairs are decided by {order_words(self.order)}" if self.order else ""
        return (
            f"{SUMMARY_WORDS[self.summary]} of {endpoint.words()} at week {self.visit:g}, "
            f"{', '.join(self.contrast.of)} against {self.contrast.to}, in {who}; "
            f"stopping treatment or leaving: {stopping}{rescue}{by}"
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
    def event(self) -> Floats | None:
        """Whether a time ended in a response (1) or was censored (0), (patient, replicate); else None."""
        return self.estimand.event(self.data, self.endpoint)

    @property
    def course(self) -> Floats:
        """The variable at every follow-up visit, (patient, replicate, visit)."""
        return self.estimand.course(self.data, self.endpoint)

    @property
    def visit(self) -> int:
        """Position of the estimand's visit among the follow-up visits."""
        return self.data.visit(self.estimand.visit)
