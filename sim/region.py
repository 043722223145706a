"""Type I error over a region of nuisance values: its maximum, and a bound that the simulation leaves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from sim.core.errors import InputError
from sim.core.loading import dump, override, validate
from sim.core.streams import BLOCK_SIZE
from sim.execution import Plan, PosteriorFiles, draws_of, each
from sim.performance import proportion
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.study import Region, Study
from sim.trial import simulate

Decisions = NDArray[np.bool_]
Values = tuple[float, ...]

CONFIDENCE = 0.95
"""Of the bound over all cells together."""
ANY = "any"
"""Names the success of any hypothesis."""


@dataclass(frozen=True)
class CellError:
    """Type I error of one hypothesis of a protocol at one combination of nuisance values.

    Attributes
    ----------
    values
        In the order of the region's claims.
    high
        Upper limit, such that all limits of this hypothesis hold together with probability 0.95.
    """

    protocol: str
    hypothesis: str
    values: Values
    value: float
    mcse: float
    high: float
    replicates: int


@dataclass(frozen=True)
class RegionJob:
    """One block of one protocol at one combination of values."""

    name: str
    values: Values
    protocol: Protocol
    scenario: Scenario
    seed: int
    block: int
    posteriors: PosteriorFiles

    def __str__(self) -> str:
        """Name the trials of this block."""
        shown = ", ".join(f"{value:g}" for value in self.values)
        return f"protocol {self.name}, nuisance values {shown}, block {self.block}"


def cells(region: Region) -> list[Values]:
    """List every combination of the values, the last claim's moving first."""
    return list(product(*region.over.values()))


def scenario_at(study: Study, region: Region, values: Values) -> Scenario:
    """Put the values of one cell into the null scenario.

    Raises
    ------
    InputError
        A path leads to nothing, or to what is no claim.
    """
    tree = dump(study.scenarios[region.of])
    for path, value in zip(region.over, values, strict=True):
        claim = json.dumps({"assume": value, "because": region.because})
        try:
            tree = override(tree, f"{path}={claim}")
        except InputError as error:
            problem = error.problems[0].removeprefix("--set ")
            raise InputError(f"{study.name}: region.over.{problem}") from None
    return validate(tree, Scenario, f"{study.name}: region.over")


def decide(job: RegionJob) -> Decisions:
    """Return one block's false successes, (hypothesis, replicate)."""
    draws = draws_of(job.seed, job.block, job.posteriors)
    record = simulate(job.protocol, job.scenario, draws, (job.protocol.n,))
    return np.concatenate([found.success[:, 0] for found in record.findings])


def over(study: Study, region: Region, plan: Plan) -> Iterator[CellError]:
    """Simulate every cell on common patients and yield its errors, protocol by protocol."""
    blocks = range(-(-region.replicates // BLOCK_SIZE))
    grid = cells(region)
    scenarios = {values: scenario_at(study, region, values) for values in grid}
    jobs = [
        RegionJob(name, values, protocol, scenarios[values].only(protocol), study.seed, block, plan.files)
        for name, protocol in study.protocols.items()
        for values in grid
        for block in blocks
    ]
    found: dict[tuple[str, Values, int], Decisions] = {}
    for job, decisions in each(decide, jobs, plan):
        found[job.name, job.values, job.block] = decisions
        plan.progress(len(found), len(jobs))
    for name, protocol in study.protocols.items():
        for values in grid:
            parts = [found[name, values, block] for block in blocks]
            decided = np.concatenate(parts, axis=1)[:, : region.replicates]
            yield from _errors(name, protocol, values, decided, len(grid))


def _errors(
    name: str, protocol: Protocol, values: Values, decided: Decisions, tested: int
) -> Iterator[CellError]:
    named = dict(zip(protocol.hypotheses, decided, strict=True))
    if len(named) > 1:
        named[ANY] = decided.any(axis=0)
    for hypothesis, hits in named.items():
        rate = proportion(hits)
        high = upper_limit(int(hits.sum()), len(hits), 1 - (1 - CONFIDENCE) / tested)
        yield CellError(name, hypothesis, values, rate.value, rate.mcse, high, len(hits))


def upper_limit(hits: int, trials: int, confidence: float) -> float:
    """One-sided limit of Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404."""
    return 1.0 if hits == trials else float(betaincinv(hits + 1, trials - hits, confidence))


def maxima(errors: list[CellError]) -> list[CellError]:
    """Return the worst cell of each protocol and hypothesis, with the largest limit of all its cells."""
    worst = []
    for key in dict.fromkeys((error.protocol, error.hypothesis) for error in errors):
        mine = [error for error in errors if (error.protocol, error.hypothesis) == key]
        at = max(mine, key=lambda error: error.value)
        limit = max(error.high for error in mine)
        worst.append(CellError(*key, at.values, at.value, at.mcse, limit, at.replicates))
    return worst
