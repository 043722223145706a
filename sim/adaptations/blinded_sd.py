"""Sample size from the SD seen at a look, without unblinding."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sim.adaptations.base import Adaptation, Plan, Standing


class BlindedSd(Adaptation):
    """Recruit in proportion to the variance of the outcome given its baseline, the arms not told apart.

    n × (SD seen / ``planned_sd``)², between ``least`` and ``most`` times the plan (Gould & Shih 1992,
    doi:10.1080/03610929208830947, without their correction for the difference assumed; Kieser & Friede 2003,
    doi:10.1002/sim.1585: the type I error stays nearly as it was). At the first interim look.
    """

    kind: Literal["blinded_sd"] = "blinded_sd"
    planned_sd: Annotated[float, Field(gt=0, description="of the outcome given its baseline, in its unit")]
    least: Annotated[float, Field(gt=0, le=1)] = 1.0
    most_times: Annotated[float, Field(ge=1, le=10)] = 2.0

    def most(self, n: int) -> int:
        """Return the upper limit."""
        return int(np.ceil(n * self.most_times))

    def adapt(self, plan: Plan, standing: Standing) -> Plan:
        """Resize the trial once."""
        if standing.look:
            return plan
        wanted = np.ceil(plan.size * (standing.sd / self.planned_sd) ** 2)
        low, high = np.ceil(plan.size * self.least), np.ceil(plan.size * self.most_times)
        size = np.where(np.isfinite(wanted), np.clip(wanted, low, high), plan.size).astype(np.int64)
        return replace(plan, size=np.maximum(size, standing.randomised))

    def words(self, arms: Sequence[str]) -> str:
        """Say how the size is found."""
        return (
            "At the first interim look the sample size is multiplied by the square of the blinded SD over "
            f"{self.planned_sd:g}, to {self.least:g} to {self.most_times:g} times the plan"
        )
