"""Stage-wise p-values combined across looks."""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from scipy.special import ndtr, ndtri

from sim.analyses.base import Estimate
from sim.rules.base import Looks, Mask, Rule, Verdict
from sim.rules.boundaries import Boundaries, Design, solve
from sim.rules.combination import closed_combination, rejects
from sim.rules.dunnett import intersection_p, loadings
from sim.rules.group_sequential import spending_words
from sim.rules.spending import Spending


class CombinationTest(Rule):
    """Inverse normal combination of the p-values of each stage's own patients, with the planned weights.

    The level holds whatever is changed at a look for the patients to come (Lehmacher & Wassmer 1999,
    doi:10.1111/j.0006-341X.1999.01286.x). Several compared arms are tested closed, each intersection by
    Dunnett's test stage by stage (Bretz et al. 2006, doi:10.1002/bimj.200510232), so that the family-wise
    error holds whichever arms are dropped; the arms of an intersection must keep the planned ratio to the
    control. ``futile_below`` stops an arm (non-binding) whose z is below it.
    """

    kind: Literal["combination"] = "combination"
    looks_early: ClassVar[bool] = True
    by_stage: ClassVar[bool] = True
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.025
    spending: Spending
    futile_below: float | None = None

    def success(self, estimate: Estimate, better: str) -> Mask:
        """Test at the whole level: what a single look would find."""
        with np.errstate(invalid="ignore"):
            return np.asarray(estimate.one_sided_p(better) <= self.alpha)

    def boundaries(self, fractions: tuple[float, ...]) -> Boundaries:
        """Solve the bounds for these looks."""
        return _solved(self, fractions)

    def monitor(self, estimate: Estimate, better: str, looks: Looks) -> Verdict:
        """End an arm at the first look where all intersections that hold it are rejected."""
        stagewise = np.asarray(looks.of(-ndtri(estimate.one_sided_p(better))), dtype=np.float64)
        z = np.moveaxis(stagewise, 2, 0)  # (look, arm, size, replicate)
        bounds = self.boundaries(looks.fractions).efficacy_z
        loading = loadings(looks.against_control or (1.0,) * z.shape[1], 1.0)
        intersections = np.stack([intersection_p(stage, loading) for stage in z])
        success = rejects(closed_combination(intersections, looks.fractions), bounds)
        success &= ~np.isnan(z)  # an arm is rejected only at a look at which it was tested
        futile = np.zeros_like(success)
        if self.futile_below is not None:
            p = np.where(np.isnan(z), 1.0, ndtr(-z))
            combined = closed_combination(p, looks.fractions)
            with np.errstate(invalid="ignore"):
                futile = (combined < self.futile_below) & ~np.isnan(z)
        return Verdict.first(np.moveaxis(success, 0, 2), np.moveaxis(futile & ~success, 0, 2))

    def words(self) -> str:
        """Say the rule in words."""
        below = self.futile_below
        futility = "" if below is None else f", non-binding futility below z = {below:g}"
        return (
            f"the inverse normal combination of stage-wise p-values at one-sided {self.alpha:g} by "
            f"{spending_words(self.spending)}, several arms closed by Dunnett's test{futility}"
        )


@lru_cache(maxsize=64)
def _solved(rule: CombinationTest, fractions: tuple[float, ...]) -> Boundaries:
    return solve(Design(alpha=rule.alpha, information=fractions, spending=rule.spending))
