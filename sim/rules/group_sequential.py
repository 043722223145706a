"""Stopping bounds on the test statistic at each look."""

from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.special import ndtri

from sim.analyses.base import Estimate
from sim.core.parts import wrong
from sim.rules.after_stopping import conditional_effects, effects_after
from sim.rules.base import Looks, Verdict
from sim.rules.boundaries import Design
from sim.rules.crossing import Floats
from sim.rules.interim import Schedule, replan
from sim.rules.sequential import Sequential, spending_words
from sim.rules.spending import Spending, SpendingFunction


class GroupSequential(Sequential):
    """Group-sequential test at planned looks (Jennison & Turnbull 2000, chapters 2 to 7).

    The one-sided p-value of each look is compared with the nominal level of its bound (significance-level
    approach, section 3.3 there), so that t tests keep their level about as well as z tests. With
    ``futility`` the trial also stops below a lower bound; where that is not binding the type I error
    holds even if it is ignored.
    """

    kind: Literal["group_sequential"] = "group_sequential"
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.1
    futility: Spending | None = None
    binding: bool = False

    def design(self, fractions: tuple[float, ...]) -> Design:
        """Return the design whose bounds these looks have, futility too."""
        return Design(
            alpha=self.alpha,
            beta=self.beta,
            information=fractions,
            spending=self.spending,
            futility=self.futility,
            binding=self.binding,
        )

    def monitor(self, estimate: Estimate, better: str, looks: Looks) -> Verdict:
        """End at the first look beyond a bound; a failed estimate decides nothing before the last look."""
        z = np.asarray(looks.of(-ndtri(estimate.one_sided_p(better))), dtype=np.float64)
        bounds = self.boundaries(looks.fractions)
        upper = bounds.efficacy_z[:, None] if looks.observed is None else self.respent(looks.observed)
        with np.errstate(invalid="ignore"):
            success = z >= upper
            futile = np.zeros_like(success)
            if bounds.futility_z is not None:
                futile = z < bounds.futility_z[:, None]
        return Verdict.first(success, futile)

    def after_stopping(self, fractions: tuple[float, ...], look: Floats, z: Floats) -> Floats:
        """Median unbiased effect and its 95 % limits, see ``effects_after``."""
        solved = self.boundaries(fractions)
        return effects_after(fractions, (solved.efficacy_z, solved.futility_z), look, z)

    def after_stopping_there(self, fractions: tuple[float, ...], look: Floats, z: Floats) -> Floats:
        """Estimate of the effect given the look at which the trial ended, see ``conditional_effects``."""
        solved = self.boundaries(fractions)
        return conditional_effects(fractions, (solved.efficacy_z, solved.futility_z), look, z)

    def check_respending(self) -> None:
        """Refuse bounds that cannot follow information other than planned."""
        if not isinstance(self.spending, SpendingFunction) or self.spending.values_needed(2):
            raise wrong("looks[0].rule.spending: looks that are not planned shares need a spending function")
        if self.futility and self.binding:
            raise wrong("looks[0].rule.binding: looks that are not planned shares need false")

    def respent(self, observed: Floats) -> Floats:
        """Efficacy bounds for the information that came, (look, replicate), in whole percents of the plan.

        A look that adds no patients is none. The last look spends what is left (Lan & DeMets 1983,
        doi:10.1093/biomet/70.3.659).
        """
        percent = np.rint(100 * observed).astype(np.int64)
        kinds, which = np.unique(percent, axis=1, return_inverse=True)
        bounds = np.stack([_respent(self, tuple(int(p) for p in kind)) for kind in kinds.T], axis=1)
        return np.asarray(bounds[:, which.reshape(-1)])

    def words(self) -> str:
        """Say the rule in words."""
        how = spending_words(self.spending)
        futility = ""
        if self.futility:
            kept = "binding" if self.binding else "non-binding"
            futility = f", {kept} futility by {spending_words(self.futility)} at power {1 - self.beta:g}"
        return f"group-sequential superiority at one-sided {self.alpha:g} by {how}{futility}"


@lru_cache(maxsize=4096)
def _respent(rule: GroupSequential, percent: tuple[int, ...]) -> Floats:
    """Bounds at each look, (look,), endless at one without new patients; the last of them is complete."""
    fresh = np.diff(percent, prepend=0) > 0
    bounds = np.full(len(percent), np.inf)
    design = Design(alpha=rule.alpha, information=(1.0,), spending=rule.spending)
    schedule = Schedule(tuple(float(p) / 100 for p in np.array(percent)[fresh]), complete=True)
    bounds[fresh] = replan(design, schedule).upper
    return bounds
