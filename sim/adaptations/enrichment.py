"""A trial that goes on in a subgroup alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.adaptations.base import Adaptation, Plan, Standing


class Enrichment(Adaptation):
    """Enter only the subgroup from a look on, where the treatment seems not to help the other patients.

    Either the effect outside the subgroup, analysed alone, is below ``value``, or that in it is better than
    that in all patients by more (both in the summary's unit, positive is better); so too where the test of
    all has ended for futility. ``never``: both hypotheses are tested, and all enter to the end. Who comes
    later and is not in the subgroup is turned away: that takes weeks and screening, and at most
    ``most_times`` the planned patients come at all. Both hypotheses are closed by the inverse normal
    combination (Brannath et al. 2009, doi:10.1002/sim.3559; Jenkins, Stone & Jennison 2011,
    doi:10.1002/pst.472); that of all patients is tested no more once the trial is narrowed.
    """

    by_stages: ClassVar[bool] = True
    kind: Literal["enrichment"] = "enrichment"
    subgroup: str = Field(description="estimand of the subgroup, otherwise as the first look's")
    only_if: Literal["outside_below", "better_by", "never"] = "outside_below"
    value: float = 0.0
    most_times: Annotated[float, Field(ge=1, le=50)] = 4.0

    @property
    def narrows_to(self) -> str:
        """The subgroup's estimand."""
        return self.subgroup

    def most(self, n: int) -> int:
        """Return how many may come, those who are turned away included."""
        return n if self.only_if == "never" else int(np.ceil(n * self.most_times))

    def adapt(self, plan: Plan, standing: Standing) -> Plan:
        """Narrow trials in which both hypotheses, or that of the subgroup, are still open."""
        if self.only_if == "never":
            return plan
        with np.errstate(invalid="ignore", divide="ignore"):
            effect = standing.z * standing.se
            beyond = effect[1] - effect[0] > self.value
            below = standing.outside is not None and standing.outside < self.value
            narrow = beyond if self.only_if == "better_by" else below
        whole, part = standing.decided
        to_come = standing.randomised < plan.size  # else there is nobody to turn away
        return replace(plan, narrowed=plan.narrowed | (~part & (narrow | whole) & to_come))

    def words(self, arms: Sequence[str]) -> str:
        """Say when the trial is narrowed, and what that costs."""
        closed = f"All patients and the population of '{self.subgroup}' are tested, closed by both together"
        if self.only_if == "never":
            return closed
        when = {
            "outside_below": f"the effect outside that population is below {self.value:g}",
            "better_by": f"the effect in it is better than that in all by more than {self.value:g}",
        }[self.only_if]
        return (
            f"{closed}; where at an interim look {when}, only it is entered and tested any more: others who "
            f"come are turned away, and at most {self.most_times:g} times the plan are looked at"
        )
