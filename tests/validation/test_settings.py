"""Each setting's virtual patients beside the baseline that its trials report."""

from pathlib import Path

import numpy as np
import pytest

from sim.core.loading import load
from sim.core.streams import BLOCK_SIZE, Streams
from sim.eligibility import Eligibility, EntryRule
from sim.population import Population

POPULATIONS = Path(__file__).parents[2] / "configs" / "populations"
RULES = {"chronic_drug_trial": Eligibility(pain=EntryRule(at_least=4))}
"""Entry rule of the trials that report; elsewhere patients are as they present or were admitted."""
NEAR = 0.1
"""A mean is near within this share of an SD (a share within 0.05), an SD within this share of itself."""
DIFFERENT = {
    (
        "chronic_drug_trial",
        "depression",
        "mean",
    ): "the clinic's mood: trials exclude major depression as well",
    ("chronic_drug_trial", "depression", "sd"): "as the mean",
}


def of(name: str) -> dict[str, np.ndarray]:
    population = load(POPULATIONS / f"{name}.yaml", Population)
    levels = population.pain.levels(1, 1.0, lambda _, claim: np.full(BLOCK_SIZE, claim.mean({})))
    rules = RULES.get(name, Eligibility())
    cohort = population.enrol(400, rules, levels, Streams(4, 0))
    rated = np.clip(np.rint(cohort.rating), 0, 10)
    return {"pain": rated, **population.describe(cohort, rules, Streams(4, 0))}


CASES = [
    (file.stem, row.measure)
    for file in sorted(POPULATIONS.glob("*.yaml"))
    for row in load(file, Population).reported
]


@pytest.fixture(scope="module")
def patients() -> dict[str, dict[str, np.ndarray]]:
    return {name: of(name) for name in {case[0] for case in CASES}}


@pytest.mark.parametrize(("name", "measure"), CASES)
def test_patients_are_near_the_reported_ones(patients, name, measure):
    values = patients[name][measure].ravel()
    reported = {row.measure: row for row in load(POPULATIONS / f"{name}.yaml", Population).reported}[measure]
    sd = reported.sd.mean({}) if reported.sd else float(values.std())
    differences = {"mean": (values.mean() - reported.mean.mean({})) / sd}
    if reported.sd:
        differences["sd"] = values.std() / sd - 1
    for moment, difference in differences.items():
        near = abs(difference) < NEAR
        assert near == ((name, measure, moment) not in DIFFERENT), f"{moment} {difference:+.2f}"


def test_every_setting_reports_its_pain():
    settings = {file.stem for file in POPULATIONS.glob("*.yaml")} - {"chronic_low_back_pain"}
    assert {name for name, measure in CASES if measure == "pain"} == settings
