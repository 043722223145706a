"""A look: one analysis of the trial, when it is made and what it decides."""

from typing import Any, Literal

from pydantic import field_validator

from sim.analyses.base import Analysis
from sim.core.parts import Part, wrong
from sim.estimand import Estimand
from sim.rules.base import Rule
from sim.timing import ALL_AT_ONCE, Timing

FILLING = ("multiple_imputation", "conditional_mean")
"""Analyses that fill in what is missing from the patients who are in the data."""


class Look(Part):
    """One analysis, when it is made and what it decides.

    The first one's timing is the trial's: it ends at the look where the first one's rule ends every
    compared arm. The others are analysed at that look.
    """

    when: Timing = ALL_AT_ONCE
    analysis: Analysis
    rule: Rule
    controls: Literal["all", "concurrent"] = "all"

    @field_validator("when", mode="before", json_schema_input_type=Literal["all_primary"] | Timing)
    @classmethod
    def _all_at_once(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value != "all_primary":
                raise wrong(
                    f"'{value}' is no time to look: allowed: all_primary, or a mapping with 'fractions'"
                )
            return ALL_AT_ONCE
        return value

    @property
    def kind(self) -> str:
        """Kind of the analysis; none where it is the user's own."""
        return str(self.analysis.model_dump().get("kind", ""))

    def check(self, where: str, estimand: Estimand, visits: tuple[float, ...]) -> None:
        """Refuse an analysis that is not one of this estimand, at the follow-up ``visits``."""
        second = getattr(self.analysis, "second", visits[-1])
        if second not in visits:
            allowed = ", ".join(f"{week:g}" for week in visits)
            raise wrong(f"{where}.analysis.second: there is no visit at week {second:g}; allowed: {allowed}")
        self._check_filling(where, estimand)
        name, needed, given = self.analysis.estimand, self.analysis.target, estimand.summary
        if needed not in (None, given):
            raise wrong(f"{where}.analysis.kind: this analysis needs a {needed}, '{name}' is a {given}")
        if getattr(self.analysis, "levels", ()):
            raise wrong(f"{where}.analysis.levels: are for real data; '{name}' has its own 'order'")

    def _check_filling(self, where: str, estimand: Estimand) -> None:
        """Refuse an analysis that fills in what the estimand's strategy or population has taken out."""
        events = estimand.intercurrent_events
        how = getattr(self.analysis, "missing", "complete_case")
        stratum = events.discontinuation == "principal_stratum"
        if how == "non_response" and (stratum or "hypothetical" in (events.discontinuation, events.rescue)):
            raise wrong(
                f"{where}.analysis.missing: non_response counts what a hypothetical or principal-stratum "
                "strategy takes out; use complete_case, or the composite strategy"
            )
        if stratum and (how != "complete_case" or self.kind in FILLING):
            raise wrong(f"{where}.analysis: a principal stratum is not to be filled in; use complete_case")
        if estimand.population:
            self.check_leaves_out(where)

    def check_leaves_out(self, where: str) -> None:
        """Refuse an analysis that cannot do without some of the patients."""
        if self.kind in FILLING:
            raise wrong(f"{where}.analysis: cannot leave out patients; use mmrm")

    def words(self, later: bool) -> str:
        """Say the look in a sentence; ``later``: it is made where another look ends the trial."""
        when = "At the look where the trial ends" if later else self.when.words()
        whom = ", against controls randomised at the same time" if self.controls == "concurrent" else ""
        return (
            f"{when}, '{self.analysis.estimand}' is analysed by {self.analysis.words()}{whom}; "
            f"success is {self.rule.words()}."
        )
