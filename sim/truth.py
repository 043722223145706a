"""The truth of a block of trials: the values that a scenario's claims have in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.adverse_events import Unblinding
from sim.arms import Step
from sim.claims import Floats
from sim.core.streams import BLOCK_SIZE
from sim.events import Hazards
from sim.missingness import MissingLevels
from sim.operations.conditions import ConditionLevels
from sim.operations.costs import CostLevels
from sim.other_outcomes import OutcomeLevels
from sim.rescue import RescueLevels
from sim.screening import PainLevels
from sim.trajectories import MeanCourse
from sim.treatments import TreatmentLevels


@dataclass(frozen=True)
class Later:
    """A later step of an arm (its position), and the levels of its treatment."""

    arm: int
    step: Step
    levels: TreatmentLevels


@dataclass(frozen=True)
class Standard:
    """Mean and SD of a covariate among those whom ``course.reported_under`` admits, (replicate,), its units.

    They are the patients of whom an effect is reported: its mean is theirs, and a trial that enrols others
    has another mean effect.
    """

    mean: Floats
    sd: Floats

    def score(self, values: Floats) -> Floats:
        """Standardise values, (patient, replicate)."""
        return (values - self.mean) / self.sd


@dataclass(frozen=True)
class Truth:
    """The values of a scenario's claims in a block; arrays are (replicate,) unless said otherwise.

    Attributes
    ----------
    pain
        Levels of true pain and of its rating error, points.
    course
        Mean change under placebo.
    covariance
        Of own departures with rating error, (1 or replicate, visit, visit), points².
    arms, later
        Levels of each arm's first treatment, and of those that come later.
    cluster_icc, drift
        Share of variance between clusters, and points a year of calendar time; None: none.
    site_rate
        Patients randomised a week and site.
    conditions, costs
        Of sites, those who present and those who wait; and prices.
    missing, rescue
        Levels of what is not measured, and of rescue medication.
    unblinding, belief
        Which adverse events unblind, and the shift of the rating by it, points.
    outcomes
        Levels of the protocol's other instruments.
    standards
        Of the covariates that modify an arm's effect.
    outcome_variance
        Of the rating at the primary visit, (1 or replicate,), points².
    """

    pain: PainLevels
    course: MeanCourse
    covariance: Floats
    arms: tuple[TreatmentLevels, ...]
    later: tuple[Later, ...]
    cluster_icc: Floats | None
    drift: Floats | None
    site_rate: Floats
    conditions: ConditionLevels
    costs: CostLevels | None
    missing: MissingLevels
    rescue: RescueLevels | None
    unblinding: Unblinding | None
    belief: Floats
    outcomes: Mapping[str, OutcomeLevels]
    standards: Mapping[str, Standard]
    outcome_variance: Floats

    @property
    def covariates(self) -> set[str]:
        """Covariates that matter for an outcome."""
        return set(self.standards) | {o.covariate for o in self.outcomes.values() if o.covariate}

    @cached_property
    def hazards(self) -> Hazards:
        """Of every arm's first treatment."""
        return Hazards(self.arms)

    @cached_property
    def departure_factor(self) -> Floats:
        """Lower Cholesky factor of the covariance, (visit, visit, replicate)."""
        lower = np.linalg.cholesky(self.covariance).transpose(1, 2, 0)
        return np.array(np.broadcast_to(lower, (*lower.shape[:2], BLOCK_SIZE)), order="C")

    def therapist_sd(self, arm: int) -> Floats:
        """SD of the effect's size between the therapists of an arm, (replicate,), points.

        The intracluster correlation is the share of therapists in the variance of the rating.
        """
        icc = self.arms[arm].persons.therapist_icc
        if icc is None:
            return np.zeros_like(self.site_rate)
        return np.asarray(np.sqrt(icc / (1 - icc) * self.outcome_variance))

    @property
    def cluster_sd(self) -> Floats:
        """SD of ratings between clusters, (replicate,), points."""
        if self.cluster_icc is None:
            return np.zeros_like(self.site_rate)
        return np.asarray(np.sqrt(self.cluster_icc / (1 - self.cluster_icc) * self.outcome_variance))

    def beyond_pain(self, measure: str) -> Floats:
        """Effect of each arm on a measure beyond what follows from pain, (arm, replicate), its points."""
        zero = np.zeros_like(self.site_rate)
        return np.stack([levels.beyond_pain.get(measure, zero) for levels in self.arms])
