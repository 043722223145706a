"""Mixed model for repeated measures."""

from typing import Literal

import numpy as np

from sim.analyses.data_set import DataSet
from sim.analyses.moments import Measurements
from sim.analyses.repeated_measures import Plan, RepeatedMeasures, compared_arms
from sim.analyses.terms import EACH, ONE, Terms
from sim.estimand import Observations


class Mmrm(RepeatedMeasures):
    """Mixed model of the visits after baseline, adjusted for baseline, arms by visit.

    Valid when values are missing at random (Mallinckrodt et al. 2008,
    doi:10.1177/009286150804200402). The baseline has an effect at each visit unless
    ``baseline_by_visit`` is false.
    """

    kind: Literal["mmrm"] = "mmrm"
    baseline_by_visit: bool = True

    def _plan(self, observed: Observations) -> Plan:
        course = observed.course
        indicators, rows = compared_arms(observed)
        baseline = observed.baseline - observed.baseline.mean()
        columns = (np.ones_like(baseline), *indicators, baseline)
        last = EACH if self.baseline_by_visit else ONE
        terms = Terms((*(EACH for _ in columns[1:]), last), course.shape[2])
        weights = terms.at(np.pad(rows, ((0, 0), (0, 1))), observed.visit)
        return Plan(Measurements(columns, course - np.nanmean(course)), terms, weights)

    def _terms(self, data: DataSet) -> Terms:
        return Terms.of_data(data, self.baseline_by_visit)

    def words(self) -> str:
        """Say the analysis in words."""
        by = "arm and baseline pain by visit" if self.baseline_by_visit else "arm by visit, baseline pain"
        return f"mixed model for repeated measures ({by}; {self._options()})"
