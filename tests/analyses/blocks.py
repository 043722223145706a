"""Blocks of simulated trials for the analyses."""

from dataclasses import replace

import numpy as np

from sim.analyses.base import Analysis
from sim.data import TrialData
from sim.endpoints import Responder, Score
from sim.estimand import Contrast, Estimand, Observations

KINDS = sorted(kind for kind, each in Analysis.kinds().items() if each.__module__.startswith("sim."))
"""The project's analyses; other tests may have added their own to the family."""
WEEKS = np.array([2.0, 6.0, 12.0])
MEAN = Estimand(
    endpoint="pain", visit=12, contrast=Contrast(of=("b", "c"), to="a"), summary="mean_difference"
)
SHARE = Estimand(
    endpoint="responder", visit=12, contrast=Contrast(of=("b", "c"), to="a"), summary="risk_difference"
)


def block(
    n: int = 90, replicates: int = 6, sizes: tuple[int, ...] = (60, 90), missing: bool = True
) -> TrialData:
    """Three arms, scores that go with the baseline, dropout that depends on them, single missed visits."""
    rng = np.random.default_rng(20)
    arm = np.broadcast_to((np.arange(n) % 3)[:, None], (n, replicates))
    baseline = np.clip(rng.normal(6, 1.5, (n, replicates)).round(1), 2, 10)
    common = 0.5 * (baseline - 6) + rng.normal(0, 1.2, (n, replicates))
    score = 4.5 + common[:, :, None] - 0.4 * arm[:, :, None] + rng.normal(0, 1.1, (n, replicates, 3))
    if missing:
        leaves = rng.random((n, replicates, 2)) < 1 / (1 + np.exp(3.5 - 0.3 * score[:, :, :2]))
        score[:, :, 1:][np.logical_or.accumulate(leaves, axis=2)] = np.nan
        score[rng.random(score.shape) < 0.05] = np.nan
    never = np.full((n, replicates), np.inf)
    return TrialData(np.ascontiguousarray(arm), baseline, score, WEEKS, never, sizes)


def observe(data: TrialData, estimand: Estimand = MEAN) -> Observations:
    """Observations of one estimand, arms b and c against a."""
    endpoint = Score() if estimand is MEAN else Responder(reduction=0.3)
    value = estimand.variable(data, endpoint)
    return Observations(value, data.baseline, data.arm, (1, 2), 0, 3, data, estimand, endpoint)


def single(data: TrialData, size: int, replicate: int) -> TrialData:
    """One size and replicate by itself."""
    one = data.one(replicate)
    return replace(
        one,
        arm=one.arm[:size],
        baseline=one.baseline[:size],
        score=one.score[:size],
        stopped=one.stopped[:size],
        sizes=(size,),
    )


def design(data: TrialData) -> np.ndarray:
    """Intercept, arms b and c, baseline of a single trial, (patient, column)."""
    arm = data.arm[:, 0]
    return np.column_stack([np.ones(len(arm)), arm == 1, arm == 2, data.baseline[:, 0]]).astype(float)
