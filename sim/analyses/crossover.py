"""Difference between two treatments that every patient gets, in two periods."""

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.analyses.base import Analysis, Estimate
from sim.analyses.data_set import DataSet, Result
from sim.analyses.t import TTest
from sim.core.errors import InputError
from sim.estimand import Observations


class Crossover(Analysis):
    """Two-period crossover: half the difference between sequences of the difference between periods.

    The compared arm has the treatment of interest first, the control second. What both periods share, and
    what time does to everybody, cancel; a carry-over of the first treatment does not (Jones & Kenward 2014,
    Design and Analysis of Cross-Over Trials, section 2.3). The estimand's visit ends the first period.
    Patients without one of the two values are left out.
    """

    kind: Literal["crossover"] = "crossover"
    summary: ClassVar[str | None] = "mean_difference"
    second: float = Field(gt=0, description="week of the visit that ends the second period")

    def estimate(self, observed: Observations) -> Estimate:
        """Compare the sequences by a t test of the differences between periods."""
        course = observed.course
        fall = course[:, :, observed.visit] - course[:, :, observed.data.visit(self.second)]
        halved = replace(observed, value=np.where(np.isnan(observed.value), np.nan, fall) / 2)
        return TTest(estimand=self.estimand, variance="pooled").estimate(halved)

    def analyse(self, data: DataSet) -> Result:
        """Refuse: a table of visits does not say which treatment came first."""
        raise InputError("analysis: crossover is for simulated protocols; give the halved differences to 't'")

    def words(self) -> str:
        """Say the analysis in words."""
        return f"the crossover difference of the periods that end here and at week {self.second:g} (t test)"
