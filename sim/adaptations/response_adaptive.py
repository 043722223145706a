"""Allocation that follows the posterior probability to be the best arm."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sim.adaptations.base import TINY, Adaptation, Floats, Mask, Plan, Standing
from sim.core.parts import wrong
from sim.rules.base import Rule
from sim.rules.best_normal import best_probability

Share = Annotated[float, Field(ge=0, le=1)]


class ResponseAdaptive(Adaptation):
    """New patients go to an arm with a share that grows with its posterior probability to be the best.

    Thompson 1933, doi:10.1093/biomet/25.3-4.285; the probability to the ``power`` 0.5, or n/2N with
    ``growing``, softens it (Thall & Wathen 2007, doi:10.1016/j.ejca.2007.01.006). With ``control_share``
    the control keeps that share and the compared arms divide the rest; else it competes. No arm that
    recruits gets less than ``at_least`` or more than ``at_most``.
    """

    kind: Literal["response_adaptive"] = "response_adaptive"
    sets_shares: ClassVar[bool] = True
    power: Share | Literal["growing"] = 0.5
    control_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    at_least: Share = 0.0
    at_most: Share = 1.0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.at_least >= self.at_most:
            raise wrong(f"at_least: must be below 'at_most', {self.at_most:g} (given: {self.at_least:g})")
        return self

    def check(self, rule: Rule, compared: int) -> None:
        """Refuse shares that cannot sum to 1, and a test that knows the planned ones alone."""
        if rule.by_stage and compared > 1:
            raise wrong(
                "response_adaptive: a rule of kind 'combination' tests several arms by the correlation of "
                "the planned allocation; use another rule, or drop_arms"
            )
        if self.at_least * (compared + 1) > 1:
            raise wrong(f"at_least: {self.at_least:g} of {compared + 1} arms is more than 1")

    def adapt(self, plan: Plan, standing: Standing) -> Plan:
        """Set the shares of new patients."""
        power = standing.passed / plan.size / 2 if self.power == "growing" else self.power
        competing = plan.open & ~standing.ended
        if self.control_share is not None:
            competing[standing.control] = False
        best = best_probability(standing.mean, standing.variance, competing)
        shares = np.zeros(best.shape)
        rest = np.ones(best.shape[1])
        if self.control_share is not None:
            alone = ~competing.any(axis=0)
            shares[standing.control] = np.where(alone, 1.0, self.control_share)
            rest -= shares[standing.control]
        weight = np.where(competing, np.maximum(best, TINY) ** power, 0.0)
        limits = (self.at_least, self.at_most)
        return replace(plan, shares=shares + bounded(weight, competing, rest, limits))

    def words(self, arms: Sequence[str]) -> str:
        """Say how new patients are allocated."""
        soft = {1.0: "", "growing": " to a power that grows from 0 to a half"}.get(
            self.power, f" to the power {self.power}"
        )
        control = f"; the control keeps {self.control_share:.0%}" if self.control_share else ""
        limits = f", no arm less than {self.at_least:.0%}" if self.at_least else ""
        limits += f" or more than {self.at_most:.0%}" if self.at_most < 1 else ""
        return (
            "New patients are allocated in proportion to the posterior probability that an arm is "
            f"the best{soft}{control}{limits}"
        )


def bounded(weight: Floats, among: Mask, total: Floats, limits: tuple[float, float]) -> Floats:
    """Divide ``total`` (replicate,) in proportion to ``weight`` (arm, replicate) within limits for each arm.

    The shares are clip(factor × weight, limits) with the factor that makes them sum to the total; where the
    limits leave no such factor, they are equal.
    """
    low, high = limits
    count = np.maximum(among.sum(axis=0), 1)
    floor, ceiling = np.minimum(low, total / count), np.maximum(high, total / count)
    smallest = np.where(among, weight, np.inf).min(axis=0)
    below, above = np.zeros(len(total)), 2 * total / np.maximum(smallest, TINY)
    for _ in range(100):
        factor = (below + above) / 2
        given = np.where(among, np.clip(factor * weight, floor, ceiling), 0.0).sum(axis=0)
        below, above = np.where(given < total, factor, below), np.where(given < total, above, factor)
    shares = np.where(among, np.clip(above * weight, floor, ceiling), 0.0)
    return np.asarray(shares * (total / np.maximum(shares.sum(axis=0), TINY)))
