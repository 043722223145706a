"""How far success and duration of a study's main trial move when one thing of nature is otherwise."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.core.loading import digest
from sim.core.streams import BLOCK_SIZE
from sim.execution import Plan, PosteriorFiles, draws_of, each
from sim.performance import Measured, average, success_metric
from sim.protocol import Protocol
from sim.results import write_csv
from sim.scenario import Scenario
from sim.study import Study, code_digest
from sim.trial import simulate
from sim.variation import Sensitivity

Floats = NDArray[np.float64]

AS_ASSUMED = "as assumed"
"""Setting of the run in which nothing is varied."""


@dataclass(frozen=True)
class Effect:
    """One metric at one setting, beside its value when nothing is varied.

    ``difference`` is paired: both trials have the same patients, so its Monte Carlo error is smaller than
    those of the two values. ``arm`` is empty where the metric is the whole trial's.
    """

    protocol: str
    scenario: str
    what: str
    setting: str
    n: int
    arm: str
    metric: str
    value: float
    mcse: float
    base: float
    difference: float
    difference_mcse: float
    replicates: int


@dataclass(frozen=True)
class VaryJob:
    """One block of the main trial at one setting; ``folder`` is where its numbers are kept, if anywhere."""

    what: str
    setting: str
    protocol: Protocol
    scenario: Scenario
    seed: int
    block: int
    posteriors: PosteriorFiles
    folder: str | None

    def __str__(self) -> str:
        """Name the trials of this block."""
        return f"sensitivity, {self.what} {self.setting}, block {self.block}"

    def file(self, fits: Mapping[str, str]) -> Path | None:
        """Where the numbers are kept, named by everything that decides them."""
        if self.folder is None:
            return None
        name = digest(self.protocol, self.scenario, self.seed, self.block, dict(fits), code_digest())
        return Path(self.folder) / "blocks" / f"vary.{name}.npy"


def outcome(job: VaryJob) -> Floats:
    """Return one block's successes and its last week, (compared arm + 1, size, replicate)."""
    draws = draws_of(job.seed, job.block, job.posteriors)
    file = job.file({name: posterior.digest for name, posterior in draws.posteriors.items()})
    if file and file.exists():
        return np.asarray(np.load(file))
    record = simulate(job.protocol, job.scenario, draws)
    found = np.concatenate([record.findings[0].success, record.finished[None]]).astype(np.float64)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part.npy")
        np.save(part, found)
        part.replace(file)
    return found


def vary(study: Study, sensitivity: Sensitivity, plan: Plan, folder: Path | None = None) -> list[Effect]:
    """Run the main trial at every setting, on the same patients, and compare.

    ``folder`` keeps finished blocks, so that nothing is simulated twice.

    Raises
    ------
    InputError
        A variation finds no claim, or a claim cannot take its value.
    """
    main = study.main
    names = sensitivity.protocol or main[0], sensitivity.scenario or main[1]
    protocol, scenario = study.protocols[names[0]], study.scenarios[names[1]].only(study.protocols[names[0]])
    blocks = range(-(-sensitivity.replicates // BLOCK_SIZE))
    keep = str(folder.resolve()) if folder else None
    jobs = []
    for variation, setting in sensitivity.settings(scenario):
        words = (variation.what, variation.words(setting)) if variation else ("", AS_ASSUMED)
        nature = sensitivity.scenario_at(scenario, variation, setting)
        jobs += [VaryJob(*words, protocol, nature, study.seed, block, plan.files, keep) for block in blocks]
    found: dict[tuple[str, str, int], Floats] = {}
    for job, values in each(outcome, jobs, plan):
        found[job.what, job.setting, job.block] = values
        plan.progress(len(found), len(jobs))
    runs = {
        key: np.concatenate([found[*key, block] for block in blocks], axis=2)[..., : sensitivity.replicates]
        for key in dict.fromkeys((job.what, job.setting) for job in jobs)
    }
    return list(_effects(names, protocol, success_metric(scenario, protocol.looks[0].rule), runs))


def _effects(
    names: tuple[str, str], protocol: Protocol, success: str, runs: Mapping[tuple[str, str], Floats]
) -> Iterator[Effect]:
    """Compare every run, (compared arm + 1, size, replicate), with the one in which nothing is varied."""
    sizes = (*protocol.sizes, protocol.n)
    arms = protocol.estimands[protocol.looks[0].analysis.estimand].contrast.of
    metrics = [(arm, success) for arm in arms] + [("", "duration_weeks")]
    base = runs["", AS_ASSUMED]
    for (what, setting), run in runs.items():
        for i, (arm, metric) in enumerate(metrics):
            for s, size in enumerate(sizes):
                value, moved = average(run[i, s]), average(run[i, s] - base[i, s])
                at_base = Measured(float(base[i, s].mean()), 0.0)
                yield Effect(
                    *names, what, setting, size, arm, metric, value.value, value.mcse, at_base.value,
                    moved.value, moved.mcse, run.shape[2],
                )  # fmt: skip


def write(folder: Path, effects: list[Effect]) -> None:
    """Write ``sensitivity.csv`` into the folder."""
    write_csv(folder / "sensitivity.csv", [asdict(effect) for effect in effects])
