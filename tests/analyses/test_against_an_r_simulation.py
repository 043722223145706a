"""Dropout at random simulated and analysed in R (lm; mmrm): the same by our analyses, number by number."""

import csv
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import expit, stdtr

from sim.analyses.ancova import Ancova
from sim.analyses.base import Analysis, Estimate
from sim.analyses.mmrm import Mmrm
from sim.data import TrialData
from sim.endpoints import Score
from sim.estimand import Contrast, Estimand, Observations
from tests.analyses.test_reference_values import FILE

pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason="the reference values are not beside the repository"
)

CASE, THEIR_REPLICATES, OUR_REPLICATES = "sim_R_longitudinal_MAR_eff1", 2_000, 6_400
MEANS = np.array([6.2, 5.2, 4.7, 4.4, 4.2, 4.1])
EFFECTS = np.array([0, 0.3, 0.5, 0.7, 0.8, 0.9])
COVARIANCE = 2.2**2 * 0.75 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
LAST = Estimand(endpoint="pain", visit=5, contrast=Contrast(of="b", to="a"), summary="mean_difference")
ANALYSES: dict[str, Analysis] = {
    "full_data_ANCOVA": Ancova(estimand="last"),
    "completer_ANCOVA": Ancova(estimand="last"),
    "LOCF_ANCOVA": Ancova(estimand="last", missing="last_or_baseline"),
    "MMRM": Mmrm(estimand="last"),
}
TWICE = ("_bias", "__mcse")
"""The bias is the mean estimate again, and an error of a simulated number is no number of the analysis."""


def references() -> dict[str, float]:
    with FILE.open(encoding="utf-8") as lines:
        return {row["quantity"]: float(row["value"]) for row in csv.DictReader(lines) if row["case"] == CASE}


def complete_trials() -> TrialData:
    """Complete data of the R simulation's model."""
    rng = np.random.default_rng(31)
    shape = (300, OUR_REPLICATES)
    arm = np.ascontiguousarray(np.broadcast_to((np.arange(300) % 2)[:, None], shape))
    score = (
        MEANS
        - EFFECTS * arm[:, :, None]
        + rng.standard_normal((*shape, 6)) @ np.linalg.cholesky(COVARIANCE).T
    )
    never = np.full(shape, np.inf)
    return TrialData(arm, score[:, :, 0], score[:, :, 1:], np.arange(1.0, 6.0), never, (300,))


def leave(data: TrialData) -> TrialData:
    """Patients leave before a visit with a probability that grows with the score of the visit before."""
    rng = np.random.default_rng(32)
    before = np.concatenate([data.baseline[:, :, None], data.score[:, :, :-1]], axis=2)
    gone = np.logical_or.accumulate(rng.random(before.shape) < expit(-5 + 0.45 * before), axis=2)
    return replace(data, score=np.where(gone, np.nan, data.score))


def observe(data: TrialData) -> Observations:
    value = data.score[:, :, -1]
    return Observations(value, data.baseline, data.arm, (1,), 0, 2, data, LAST, Score())


@dataclass(frozen=True)
class Simulated:
    """A number with its Monte Carlo error."""

    value: float
    mcse: float

    @classmethod
    def mean(cls, values: np.ndarray) -> "Simulated":
        return cls(float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size)))


def characteristics(found: Estimate) -> dict[str, Simulated]:
    estimate, se, df = (part[0, 0] for part in (found.estimate, found.se, found.df))
    p = 2 * stdtr(df, -np.abs(estimate / se))
    spread = float(estimate.std(ddof=1))
    return {
        "_mean_est": Simulated.mean(estimate),
        "_emp_sd": Simulated(spread, spread / np.sqrt(2 * (estimate.size - 1))),
        "_mean_se": Simulated.mean(se),
        "_reject": Simulated.mean((p < 0.05).astype(float)),
        "_coverage95_z": Simulated.mean((np.abs(estimate + 0.9) < 1.959964 * se).astype(float)),
    }


@pytest.fixture(scope="module")
def ours() -> dict[str, Simulated]:
    complete = complete_trials()
    incomplete = leave(complete)
    share = Simulated.mean((~np.isnan(incomplete.score[:, :, -1])).mean(axis=0))
    found = {"completer_fraction": share}
    for name, analysis in ANALYSES.items():
        data = complete if name.startswith("full") else incomplete
        estimate = analysis.estimate(observe(data))
        assert np.isfinite(estimate.estimate).all()
        found |= {name + quantity: value for quantity, value in characteristics(estimate).items()}
    return found


def test_every_row_is_within_three_errors(ours):
    theirs = {name: value for name, value in references().items() if not name.endswith(TWICE)}
    assert set(theirs) == set(ours)
    # both simulate the same law, so their error is ours for their number of replicates
    inflate = np.sqrt(1 + OUR_REPLICATES / THEIR_REPLICATES)
    distance = {
        name: (ours[name].value - value) / (ours[name].mcse * inflate) for name, value in theirs.items()
    }
    assert {name: z for name, z in distance.items() if abs(z) > 3} == {}
