"""Sample size: the smallest trial that reaches a power or an assurance, with its uncertainty."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.core.loading import digest
from sim.core.streams import BLOCK_SIZE
from sim.execution import Plan, PosteriorFiles, draws_of, each
from sim.performance import proportion
from sim.protocol import Protocol
from sim.results import write_csv
from sim.scenario import AtMean, Drawn, Scenario
from sim.study import Sizing, Study, code_digest
from sim.trial import simulate

Target = Literal["power", "assurance"]
Floats = NDArray[np.float64]
Decisions = NDArray[np.bool_]

GRID = 30
FRESH = 1_000_000
"""First block of the confirmation run: patients that the search has not seen."""
BOOTSTRAPS = 400


@dataclass(frozen=True)
class Search:
    """One target for one protocol and scenario.

    Attributes
    ----------
    goal
        Success probability to reach.
    scenario_name
        Its name in the study.
    """

    target: Target
    goal: float
    protocol_name: str
    protocol: Protocol
    scenario_name: str
    scenario: Scenario
    seed: int
    replicates: int
    largest: int

    @cached_property
    def trial(self) -> Protocol:
        """The protocol with the first look and the visits that it needs."""
        protocol, week = self.protocol, self.protocol.primary_week
        estimand = protocol.looks[0].analysis.estimand
        update = {
            "looks": protocol.looks[:1],
            "visits": tuple(visit for visit in protocol.visits if visit <= week),
            "estimands": {estimand: protocol.estimands[estimand]},
            "sizes": (),
        }
        return protocol.model_copy(update=update)

    @property
    def unit(self) -> int:
        """Patients of one round of allocation; a sample size is a multiple of it."""
        return sum(self.protocol.ratio)

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """Sizes looked at, evenly spaced in their square root."""
        first = max(8 * len(self.protocol.arms), self.unit)
        roots = np.linspace(np.sqrt(first), np.sqrt(max(self.largest, first)), GRID)
        return tuple(sorted({int(np.ceil(root**2 / self.unit - 1e-9)) * self.unit for root in roots}))

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms that are compared with the control."""
        return self.protocol.estimands[self.protocol.looks[0].analysis.estimand].contrast.of

    def per_arm(self, total: int, arm: str) -> int:
        """Patients of ``arm`` in a trial of ``total``."""
        return total * self.protocol.ratio[self.protocol.position(arm)] // self.unit

    def successes(
        self, sizes: tuple[int, ...], first_block: int, plan: Plan, folder: Path | None
    ) -> Decisions:
        """Simulate and return the decisions, (compared arm, size, replicate)."""
        blocks = range(first_block, first_block + -(-self.replicates // BLOCK_SIZE))
        keep = str(folder) if folder else None
        jobs = [SizeJob(self, sizes, block, plan.files, keep) for block in blocks]
        found: dict[int, Decisions] = {}
        for job, decisions in each(decide, jobs, plan):
            found[job.block] = decisions
            plan.progress(len(found), len(jobs))
        return np.concatenate([found[block] for block in blocks], axis=2)[:, :, : self.replicates]


@dataclass(frozen=True)
class SizeJob:
    """One block of a search; ``folder`` is where its decisions are kept, if anywhere."""

    search: Search
    sizes: tuple[int, ...]
    block: int
    posteriors: PosteriorFiles
    folder: str | None

    def __str__(self) -> str:
        """Name the trials of this block."""
        return f"sample size for {self.search.target}, block {self.block}"

    def file(self, fits: Mapping[str, str]) -> Path | None:
        """Where the decisions are kept, named by everything that decides them."""
        if self.folder is None:
            return None
        search = self.search
        scenario = search.scenario.only(search.protocol)
        name = digest(
            search.trial, scenario, list(self.sizes), search.seed, self.block, dict(fits), code_digest()
        )
        return Path(self.folder) / "blocks" / f"size.{name}.npy"


def decide(job: SizeJob) -> Decisions:
    """Return one block's decisions, from its file where it is there."""
    draws = draws_of(job.search.seed, job.block, job.posteriors)
    file = job.file({name: posterior.digest for name, posterior in draws.posteriors.items()})
    if file and file.exists():
        return np.asarray(np.load(file))
    protocol = job.search.trial.model_copy(update={"n": job.sizes[-1]})
    decisions = simulate(protocol, job.search.scenario, draws, job.sizes).findings[0].success
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part.npy")
        np.save(part, decisions)
        part.replace(file)
    return decisions


@dataclass(frozen=True)
class SampleSize:
    """The answer for one arm; sizes are None where the goal is not reached.

    ``value`` and ``mcse`` are the success rate at that size in a run on fresh patients; ``low`` and
    ``high`` are the 95 % bootstrap interval of ``n_per_arm``.
    """

    protocol: str
    target: str
    goal: float
    scenario: str
    arm: str
    n_per_arm: int | None
    n_total: int | None
    value: float
    mcse: float
    low: float
    high: float
    note: str


@dataclass(frozen=True)
class CurvePoint:
    """Success rate at one size."""

    protocol: str
    target: str
    scenario: str
    arm: str
    n_total: int
    n_per_arm: int
    value: float
    mcse: float


def searches(
    study: Study, sizing: Sizing, targets: tuple[Target, ...] = ("power", "assurance")
) -> list[Search]:
    """List what has to be searched for a study."""
    goals = {
        "power": (sizing.power, sizing.power_scenario),
        "assurance": (sizing.assurance, sizing.assurance_scenario),
    }
    found = []
    for target in targets:
        goal, name = goals[target]
        scenario = study.scenarios[name]
        if scenario.claims.is_drawn != (target == "assurance"):
            other = Drawn() if target == "assurance" else AtMean()
            scenario = scenario.model_copy(update={"claims": other})
        found.append(
            Search(
                target,
                goal,
                sizing.protocol,
                study.protocols[sizing.protocol],
                name,
                scenario,
                study.seed,
                sizing.replicates,
                sizing.largest,
            )
        )
    return found


def default_sizing(study: Study) -> Sizing:
    """Choose what a study without ``size`` means: its first protocol, its first scenarios of each sort."""
    if study.size:
        return study.size
    alive = {
        name: scenario for name, scenario in study.scenarios.items() if not scenario.null
    } or study.scenarios
    first = next(iter(alive))
    fixed = [name for name, scenario in alive.items() if not scenario.claims.is_drawn]
    drawn = [name for name, scenario in alive.items() if scenario.claims.is_drawn]
    return Sizing(
        protocol=next(iter(study.protocols)),
        power_scenario=next(iter(fixed), first),
        assurance_scenario=next(iter(drawn), first),
    )


def find(search: Search, plan: Plan, folder: Path | None = None) -> tuple[list[SampleSize], list[CurvePoint]]:
    """Find the smallest size of each arm, and confirm it on fresh patients.

    ``folder`` keeps finished blocks, so that the same search is not simulated twice.

    Every size is a cut of the same simulated patients, so the curve is one run. The success rates are
    made monotone (isotonic regression) and the crossing is interpolated in the square root of n; its
    interval is the bootstrap over replicates.
    """
    decisions = search.successes(search.grid, 0, plan, folder)
    sizes = np.array(search.grid)
    crossings = {arm: _crossing(search, decisions[i], sizes) for i, arm in enumerate(search.arms)}
    totals = tuple(sorted({found.total for found in crossings.values() if found.total is not None}))
    fresh = search.successes(totals, FRESH, plan, folder) if totals else None
    answers = [_answer(search, arm, crossings[arm], i, totals, fresh) for i, arm in enumerate(search.arms)]
    return answers, list(_curve(search, decisions))


def _curve(search: Search, decisions: Decisions) -> Iterator[CurvePoint]:
    for i, arm in enumerate(search.arms):
        for j, total in enumerate(search.grid):
            rate = proportion(decisions[i, j])
            names = (search.protocol_name, search.target, search.scenario_name, arm)
            yield CurvePoint(*names, total, search.per_arm(total, arm), rate.value, rate.mcse)


@dataclass(frozen=True)
class Crossing:
    """Where a success curve reaches the goal: total size or None, and the interval of the total."""

    total: int | None
    low: float
    high: float
    last: float
    last_error: float


def _crossing(search: Search, decisions: Decisions, sizes: NDArray[np.int64]) -> Crossing:
    """Find the crossing of one arm's decisions, (size, replicate)."""
    at = crossing(decisions.mean(axis=1), sizes, search.goal)
    last = proportion(decisions[-1])
    if not np.isfinite(at):
        return Crossing(None, np.nan, np.nan, last.value, last.mcse)
    stream = np.random.Generator(np.random.SFC64(search.seed))
    weights = stream.multinomial(
        decisions.shape[1], np.full(decisions.shape[1], 1 / decisions.shape[1]), BOOTSTRAPS
    )
    curves = weights @ decisions.T / decisions.shape[1]
    starts = [crossing(curve, sizes, search.goal) for curve in curves]
    low, high = np.quantile(starts, [0.025, 0.975], method="nearest")
    return Crossing(
        int(np.ceil(at / search.unit - 1e-9)) * search.unit, float(low), float(high), last.value, last.mcse
    )


def crossing(rates: Floats, sizes: NDArray[np.int64], goal: float) -> float:
    """Size at which monotone success rates first reach the goal; inf where they never do."""
    from scipy.optimize import isotonic_regression

    smooth = isotonic_regression(rates).x
    reached = np.flatnonzero(smooth >= goal)
    if not len(reached):
        return np.inf
    first = int(reached[0])
    if first == 0:
        return float(sizes[0])
    below, above = smooth[first - 1], smooth[first]
    share = (goal - below) / (above - below)
    root = np.sqrt(sizes[first - 1]) + share * (np.sqrt(sizes[first]) - np.sqrt(sizes[first - 1]))
    return float(root**2)


def _answer(
    search: Search, arm: str, found: Crossing, place: int, totals: tuple[int, ...], fresh: Decisions | None
) -> SampleSize:
    head = (search.protocol_name, search.target, search.goal, search.scenario_name, arm)
    if found.total is None or fresh is None:
        note = (
            f"{search.target} is {found.last:.2f} at the largest size looked at ({search.grid[-1]} patients)"
        )
        return SampleSize(*head, None, None, found.last, found.last_error, np.nan, np.nan, note)
    rate = proportion(fresh[place, totals.index(found.total)])
    share = search.per_arm(search.unit * 1000, arm) / (search.unit * 1000)
    note = "already reached at the smallest size looked at" if found.total <= search.grid[0] else ""
    return SampleSize(
        *head,
        search.per_arm(found.total, arm),
        found.total,
        rate.value,
        rate.mcse,
        found.low * share,
        found.high * share,
        note,
    )


def write(folder: Path, answers: list[SampleSize], curve: list[CurvePoint]) -> None:
    """Write ``sample_sizes.csv`` and ``size_curve.csv``."""
    write_csv(folder / "sample_sizes.csv", [asdict(answer) for answer in answers])
    write_csv(folder / "size_curve.csv", [asdict(point) for point in curve])
