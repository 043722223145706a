"""Stage-wise p-values combined across looks."""

from typing import ClassVar, Literal

import numpy as np
from scipy.special import ndtr, ndtri

from sim.analyses.base import Estimate, Floats
from sim.rules.base import Looks, Verdict
from sim.rules.combination import closed_combination, rejects, simes_intersection_p
from sim.rules.dunnett import intersection_p, loadings
from sim.rules.multiplicity import subsets
from sim.rules.nested import nested_correlation, nested_intersection_p
from sim.rules.sequential import Sequential, spending_words


class CombinationTest(Sequential):
    """Inverse normal combination of the p-values of each stage's own patients, with the planned weights.

    The level holds whatever is changed at a look for the patients to come (Lehmacher & Wassmer 1999,
    doi:10.1111/j.0006-341X.1999.01286.x). Several compared arms are tested closed, stage by stage (Bretz et
    al. 2006, doi:10.1002/bimj.200510232), so that the family-wise error holds whichever arms are dropped; so
    are all patients and a subgroup (Brannath et al. 2009, doi:10.1002/sim.3559). An intersection is tested by
    the ``correlated`` largest statistic (Dunnett's for arms, which must keep the planned ratio;
    Spiessens and Debois' for a subgroup) or by ``simes``. ``futile_below`` stops an arm (non-binding) whose z
    is below it.
    """

    kind: Literal["combination"] = "combination"
    by_stage: ClassVar[bool] = True
    intersection: Literal["correlated", "simes"] = "correlated"
    futile_below: float | None = None

    def monitor(self, estimate: Estimate, better: str, looks: Looks) -> Verdict:
        """End an arm at the first look where all intersections that hold it are rejected."""
        stagewise = np.asarray(looks.of(-ndtri(estimate.one_sided_p(better))), dtype=np.float64)
        z = np.moveaxis(stagewise, 2, 0)  # (look, arm, size, replicate)
        patients, se = (np.moveaxis(looks.of(values), 2, 0) for values in (estimate.n, estimate.se))
        bounds = self.boundaries(looks.fractions).efficacy_z
        stages = [self._intersections(*stage, looks) for stage in zip(z, patients, se, strict=True)]
        success = rejects(closed_combination(np.stack(stages), looks.fractions), bounds)
        success &= ~np.isnan(z)  # an arm is rejected only at a look at which it was tested
        futile = np.zeros_like(success)
        if self.futile_below is not None:
            combined = closed_combination(ndtr(-z), looks.fractions)
            futile = (combined < self.futile_below) & ~np.isnan(z)
        return Verdict.first(np.moveaxis(success, 0, 2), np.moveaxis(futile & ~success, 0, 2))

    def _intersections(self, z: Floats, patients: Floats, se: Floats, looks: Looks) -> Floats:
        """P-value of each intersection in one stage, (subset, …); nan where none of its arms is tested."""
        if self.intersection == "simes":
            return simes_intersection_p(ndtr(-z))
        if looks.nested:
            return nested_intersection_p(z, nested_correlation(patients, se))
        p = intersection_p(z, loadings(looks.against_control or (1.0,) * len(z), 1.0))
        tested = np.stack([(~np.isnan(z[subset])).any(axis=0) for subset in subsets(len(z))])
        return np.where(tested, p, np.nan)

    def words(self) -> str:
        """Say the rule in words."""
        below = self.futile_below
        futility = "" if below is None else f", non-binding futility below z = {below:g}"
        closed = {"correlated": "their largest statistic", "simes": "Simes' test"}[self.intersection]
        return (
            f"the inverse normal combination of stage-wise p-values at one-sided {self.alpha:g} by "
            f"{spending_words(self.spending)}, several hypotheses closed by {closed}{futility}"
        )
