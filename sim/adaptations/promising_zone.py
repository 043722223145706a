"""Sample size from the conditional power at a look."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from sim.adaptations.base import Adaptation, Plan, Standing
from sim.core.parts import wrong

Share = Annotated[float, Field(gt=0, lt=1)]


class PromisingZone(Adaptation):
    """Recruit more where the conditional power under the current trend is promising, for ``target`` power.

    At the first interim look, up to ``most_times`` the plan, if the conditional power lies in ``zone``
    (Mehta & Pocock 2011, doi:10.1002/sim.4102). Tested by the inverse normal combination with the planned
    weights, so that the type I error holds (Cui, Hung & Wang 1999, doi:10.1111/j.0006-341X.1999.00853.x).
    """

    by_stages: ClassVar[bool] = True
    kind: Literal["promising_zone"] = "promising_zone"
    target: Share = 0.9
    zone: tuple[Share, Share] = (0.3, 0.9)
    most_times: Annotated[float, Field(gt=1, le=10)] = 2.0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.zone[0] >= self.zone[1]:
            raise wrong(f"zone: must be two rising conditional powers (given: {list(self.zone)})")
        return self

    def most(self, n: int) -> int:
        """Return the upper limit."""
        return int(np.ceil(n * self.most_times))

    def adapt(self, plan: Plan, standing: Standing) -> Plan:
        """Resize the second stage where it is promising."""
        if standing.look or standing.bounds is None:
            return plan
        t, z, first = standing.planned[0], standing.z[0], standing.passed.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            needed = (standing.bounds[-1] - np.sqrt(t) * z) / np.sqrt(1 - t)
            power = ndtr(z * np.sqrt((plan.size - first) / first) - needed)
            asked = first * (np.maximum(needed + ndtri(self.target), 0) / z) ** 2
            promising = (power >= self.zone[0]) & (power < self.zone[1]) & (z > 0)
        wanted = np.clip(np.ceil(first + asked), plan.size, np.ceil(plan.size * self.most_times))
        size = np.where(promising & np.isfinite(wanted), wanted, plan.size).astype(np.int64)
        return replace(plan, size=size)

    def words(self, arms: Sequence[str]) -> str:
        """Say when the trial grows."""
        low, high = self.zone
        return (
            f"Where the conditional power at the first interim look is {low:g} to {high:g}, the trial grows "
            f"to reach {self.target:g}, to at most {self.most_times:g} times the plan"
        )
