"""Constrained longitudinal data analysis."""

from dataclasses import replace
from typing import Literal

import numpy as np

from sim.analyses.data_set import DataSet, Result
from sim.analyses.moments import Measurements
from sim.analyses.repeated_measures import Plan, RepeatedMeasures, compared_arms
from sim.analyses.terms import EACH, LATER, ONE, Terms
from sim.core.errors import InputError
from sim.estimand import Observations


class Clda(RepeatedMeasures):
    """Mixed model of baseline and later visits together, the arms alike at baseline.

    The baseline is an outcome whose mean randomisation makes the same in all arms; patients without
    any later value still inform it (Liang & Zeger 2000, Sankhya B 62: 134-148).
    """

    kind: Literal["clda"] = "clda"

    def _plan(self, observed: Observations) -> Plan:
        course = np.concatenate([observed.baseline[:, :, None], observed.course], axis=2)
        indicators, rows = compared_arms(observed)
        terms = Terms((EACH, *(LATER for _ in indicators)), course.shape[2])
        measured = Measurements((np.ones_like(observed.baseline), *indicators), course - np.nanmean(course))
        return Plan(measured, terms, terms.at(rows, observed.visit + 1))

    def _terms(self, data: DataSet) -> Terms:
        covariates = [ONE for covariate in data.covariates for _ in covariate.labels]
        return Terms((EACH, *(LATER for _ in data.arms[1:]), *covariates), len(data.visits))

    def analyse(self, data: DataSet) -> Result:
        """Fit one data set, its baseline as the first visit."""
        if data.baseline is None:
            raise InputError("columns.baseline: required by kind 'clda', but not given")
        whole = replace(
            data,
            visits=("baseline", *data.visits),
            value=np.column_stack([data.baseline.values, data.value]),
            baseline=None,
            report=tuple(place + 1 for place, _ in data.reported),
        )
        return super().analyse(whole)

    def words(self) -> str:
        """Say the analysis in words."""
        arms = "arms alike at baseline, by visit after"
        return f"constrained longitudinal data analysis ({arms}; {self._options()})"
