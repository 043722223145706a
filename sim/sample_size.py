"""Sample size: the smallest trial that reaches a power or an assurance, with its uncertainty."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from sim.core.errors import InputError
from sim.core.loading import digest
from sim.core.streams import BLOCK_SIZE
from sim.evaluation import AtMean, Drawn
from sim.execution import TRUTH_PATIENTS, Plan, PosteriorFiles, draws_of, each
from sim.performance import proportion, success_metric
from sim.protocol import Protocol
from sim.results import write_csv
from sim.scenario import Scenario
from sim.study import Sizing, Study, code_digest
from sim.success_curve import SURE, Crossing, Decisions, certainty, first_sure, locate
from sim.trial import simulate
from sim.true_values import true_values

Target = Literal["power", "assurance"]

GRID = 30
FRESH = 1_000_000
"""First block of the confirmation run: patients that the search has not seen."""
FEWEST = 100
"""Trials at least from which a curve is drawn."""
RUNGS = (1.0, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3)
"""Sizes that are tried on fresh patients, relative to the one that the search makes sure of."""


@dataclass(frozen=True)
class Benefit:
    """Which trials count by the true benefit that they draw (O'Hagan et al. 2005, doi:10.1002/pst.175).

    ``given``: only trials whose treatment truly helps by ``at_least`` (in the summary's unit). ``and``: all,
    but a success counts only with such a benefit.
    """

    at_least: float
    how: Literal["given", "and"]

    def words(self) -> str:
        """Say it after the target's name."""
        return f"{self.how} a true benefit of {self.at_least:g}"


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
    benefit: Benefit | None = None

    @property
    def title(self) -> str:
        """The target in words."""
        return f"{self.target} {self.benefit.words()}" if self.benefit else self.target

    @cached_property
    def trial(self) -> Protocol:
        """The protocol with the first look and the visits that it needs; all where looks share a level."""
        protocol, week = self.protocol, self.protocol.primary_week
        if protocol.multiplicity is not None:
            return protocol.model_copy(update={"sizes": ()})
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
        return total * self.protocol.ratio_of(arm) // self.unit

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

    def counted(self, decisions: Decisions, first_block: int, plan: Plan) -> list[Decisions]:
        """Success in the trials that count, for each compared arm (size, replicate)."""
        if self.benefit is None:
            return list(decisions)
        blocks = range(first_block, first_block + -(-self.replicates // BLOCK_SIZE))
        jobs = [SizeJob(self, (), block, plan.files, None) for block in blocks]
        found = {job.block: large for job, large in each(helps, jobs, plan)}
        large = np.concatenate([found[block] for block in blocks], axis=1)[:, : self.replicates]
        if self.benefit.how == "and":
            return list(decisions & large[:, None])
        return [decided[:, some] for decided, some in zip(decisions, large, strict=True)]


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


def helps(job: SizeJob) -> Decisions:
    """Whether each compared arm truly helps by the benefit asked for, in one block: (arm, replicate)."""
    search, draws = job.search, draws_of(job.search.seed, job.block, job.posteriors)
    name = search.protocol.looks[0].analysis.estimand
    truth = true_values(search.trial, search.scenario, draws, TRUTH_PATIENTS)[name]
    assert search.benefit is not None
    return np.asarray(
        (-truth if search.protocol.better(name) == "lower" else truth) >= search.benefit.at_least
    )


@dataclass(frozen=True)
class SampleSize:
    """The answer for one arm; sizes are None where the goal is not reached.

    ``n_per_arm`` reaches the goal with probability ``SURE`` or more, given the error of the simulation, in
    the search and again on fresh patients: ``value``, ``mcse`` and ``certainty`` are the success rate
    there, its error and the probability that it is the goal or more, in ``replicates`` trials. ``low`` and
    ``high`` are the 95 % bootstrap interval of the size at which the goal is just reached.
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
    certainty: float
    low: float
    high: float
    replicates: int
    note: str

    def words(self, label: str | None = None) -> str:
        """Say the answer in one sentence: the size, how sure it is, and what fresh patients say of it."""
        if self.n_per_arm is None:
            return f"{label or self.arm}: {self.target} {self.goal:g} is not reached; {self.note}."
        sure = "" if self.certainty >= SURE else f", less than the {SURE:g} asked for"
        return (
            f"{label or self.arm}: {self.n_per_arm:g} patients per arm, {self.n_total:g} in all. "
            f"P({self.target} ≥ {self.goal:g}) = {self.certainty:.3f}{sure}, given the simulation's error: "
            f"of {self.replicates} trials with fresh patients {self.value:.3f} ({self.mcse:.3f}) succeed."
        )


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
    """Find the smallest sure size of each arm, and confirm it on fresh patients.

    ``folder`` keeps finished blocks, so that the same search is not simulated twice. Every size is a cut of
    the same simulated patients, so the curve is one run, and so are the sizes that are tried on fresh ones.

    Raises
    ------
    InputError
        No trial draws a benefit as large as is asked for.
    """
    decisions = search.counted(search.successes(search.grid, 0, plan, folder), 0, plan)
    for arm, decided in zip(search.arms, decisions, strict=True):
        if decided.shape[1] < FEWEST:
            raise InputError(
                f"{search.title}: arm '{arm}' has it in {decided.shape[1]} of {search.replicates} trials; "
                f"{FEWEST} are needed: more replicates, or a smaller benefit"
            )
    sizes = np.array(search.grid)
    crossings = [locate(decided, sizes, search.goal, search.seed) for decided in decisions]
    ladders = [_ladder(search, found) for found in crossings]
    totals = tuple(sorted({total for ladder in ladders for total in ladder}))
    fresh = decisions
    if totals:
        fresh = search.counted(search.successes(totals, FRESH, plan, folder), FRESH, plan)
    answers = []
    for i, arm in enumerate(search.arms):
        rungs = [totals.index(total) for total in ladders[i]]
        tried = Tried(search, arm, crossings[i], ladders[i], fresh[i][rungs])
        answers.append(tried.answer() if rungs else tried.not_reached(decisions[i][-1]))
    return answers, list(_curve(search, decisions))


def _ladder(search: Search, found: Crossing) -> tuple[int, ...]:
    """Sizes to try on fresh patients, from the smallest that the search makes sure of."""
    if not np.isfinite(found.at):
        return ()
    start = min(found.sure, search.grid[-1])
    rounds = {int(np.ceil(start * rung / search.unit - 1e-9)) for rung in RUNGS}
    return tuple(sorted(search.unit * number for number in rounds))


@dataclass(frozen=True)
class Tried:
    """What fresh patients say of one arm's sizes.

    Attributes
    ----------
    totals
        Sizes of whole trials, (size,).
    decisions
        Success on fresh patients, (size, replicate).
    """

    search: Search
    arm: str
    crossing: Crossing
    totals: tuple[int, ...]
    decisions: Decisions

    @property
    def head(self) -> tuple[str, str, float, str, str]:
        """What was asked."""
        search = self.search
        return search.protocol_name, search.title, search.goal, search.scenario_name, self.arm

    def answer(self) -> SampleSize:
        """Take the first sure size, or the last one with a remark."""
        search, place = self.search, first_sure(self.decisions, self.search.goal)
        at = len(self.totals) - 1 if place is None else place
        total, decided = self.totals[at], self.decisions[at]
        rate, sure = proportion(decided), certainty(int(decided.sum()), len(decided), search.goal)
        note = "already reached at the smallest size looked at" if total <= search.grid[0] else ""
        if place is None:
            note = f"not confirmed with probability {SURE:g}; more replicates would tell"
        share = search.per_arm(search.unit * 1000, self.arm) / (search.unit * 1000)
        low, high = (share * limit for limit in (self.crossing.low, self.crossing.high))
        patients = search.per_arm(total, self.arm), total
        trials = len(decided)
        return SampleSize(*self.head, *patients, rate.value, rate.mcse, sure, low, high, trials, note)

    def not_reached(self, at_largest: Decisions) -> SampleSize:
        """Say what the largest size looked at gives, from its decisions (replicate,)."""
        last, largest = proportion(at_largest), self.search.grid[-1]
        sure = certainty(int(at_largest.sum()), len(at_largest), self.search.goal)
        note = f"{self.search.title} is {last.value:.2f} at the largest size looked at ({largest} patients)"
        trials, nowhere = len(at_largest), np.nan
        return SampleSize(*self.head, None, None, last.value, last.mcse, sure, nowhere, nowhere, trials, note)


def table(study: Study, sizing: Sizing, plan: Plan) -> Iterator[CurvePoint]:
    """Yield the success rate at every size of every protocol under every scenario, on common patients."""
    for name, scenario_name in study.cells():
        protocol, scenario = study.protocols[name], study.scenarios[scenario_name]
        target: Target = "assurance" if scenario.claims.is_drawn else "power"
        names = (name, protocol, scenario_name, scenario)
        search = Search(target, 0.5, *names, study.seed, sizing.replicates, sizing.largest)
        decisions = list(search.successes(search.grid, 0, plan, None))
        metric = success_metric(scenario, protocol.looks[0].rule)
        yield from (replace(point, target=metric) for point in _curve(search, decisions))


def _curve(search: Search, decisions: list[Decisions]) -> Iterator[CurvePoint]:
    for i, arm in enumerate(search.arms):
        for j, total in enumerate(search.grid):
            rate = proportion(decisions[i][j])
            names = (search.protocol_name, search.title, search.scenario_name, arm)
            yield CurvePoint(*names, total, search.per_arm(total, arm), rate.value, rate.mcse)


def write(folder: Path, answers: list[SampleSize], curve: list[CurvePoint]) -> None:
    """Write ``sample_sizes.csv`` and ``size_curve.csv``."""
    write_csv(folder / "sample_sizes.csv", [asdict(answer) for answer in answers])
    write_csv(folder / "size_curve.csv", [asdict(point) for point in curve])
