"""The largest posterior probability that null trials show at their looks, from which a threshold is set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.core.streams import BLOCK_SIZE
from sim.execution import Plan, PosteriorFiles, draws_of, each
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.study import Study
from sim.trial import simulate

Floats = NDArray[np.float64]

FRESH = 2_000_000
"""First block of the null trials: patients that neither the study's runs nor its sample size meet."""


@dataclass(frozen=True)
class Question:
    """Which trials, and which posterior probability: of a benefit ``beyond`` a size."""

    protocol: str
    scenario: str
    beyond: float
    replicates: int


@dataclass(frozen=True)
class NullJob:
    """One block of null trials."""

    protocol: Protocol
    scenario: Scenario
    beyond: float
    seed: int
    block: int
    posteriors: PosteriorFiles

    def __str__(self) -> str:
        """Name the trials of this block."""
        return f"null trials for a threshold, block {self.block}"


def largest(job: NullJob) -> Floats:
    """Return the largest posterior probability over looks and compared arms, (replicate,)."""
    draws = draws_of(job.seed, job.block, job.posteriors)
    found = simulate(job.protocol, job.scenario, draws, (job.protocol.n,)).findings[0]
    better = job.protocol.better(found.estimand)
    shown = found.estimate.probability_beyond(job.beyond, better)
    return np.asarray(np.where(np.isnan(shown), -np.inf, shown).max(axis=(0, 1)))


def null_maxima(study: Study, question: Question, plan: Plan) -> Floats:
    """Simulate null trials to their last look, and return the largest of each, (replicate,).

    A rule that stops where the posterior probability exceeds a threshold at any look, or succeeds by it at
    the end, is wrong in those trials whose largest exceeds it.

    Raises
    ------
    InputError
        There is no such protocol or scenario, the scenario is not null, or looks change the trial.
    """
    for option, name, known in (
        ("--protocol", question.protocol, study.protocols),
        ("--scenario", question.scenario, study.scenarios),
    ):
        if name not in known:
            raise InputError(f"{option}: unknown name '{name}':{suggest(name, known)}")
    protocol, scenario = study.protocols[question.protocol], study.scenarios[question.scenario]
    if not scenario.null:
        raise InputError(f"--scenario: '{question.scenario}' is not marked 'null: true'")
    if protocol.is_staged:
        raise InputError("--protocol: its looks change the trial; allowed: looks at shares of the patients")
    blocks = range(FRESH, FRESH + -(-question.replicates // BLOCK_SIZE))
    nature = scenario.only(protocol)
    jobs = [NullJob(protocol, nature, question.beyond, study.seed, block, plan.files) for block in blocks]
    found: dict[int, Floats] = {}
    for job, values in each(largest, jobs, plan):
        found[job.block] = values
        plan.progress(len(found), len(jobs))
    return np.concatenate([found[block] for block in blocks])[: question.replicates]
