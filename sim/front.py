"""Every protocol of a study at every size it declares, on the same patients."""

from dataclasses import dataclass

import numpy as np

from sim.core.streams import BLOCK_SIZE
from sim.designs import Choice, Design, Floats, chosen_scenario
from sim.execution import Plan, PosteriorFiles, draws_of, each
from sim.study import Study
from sim.trial import simulate

Shares = dict[int, dict[str, Floats]]
"""What a block adds to each measure, by size: (replicate,)."""


@dataclass(frozen=True)
class DesignJob:
    """One block of one protocol."""

    study: Study
    protocol: str
    scenario: str
    block: int
    posteriors: PosteriorFiles

    def __str__(self) -> str:
        """Name the trials of this block."""
        return f"designs, protocol {self.protocol}, scenario {self.scenario}, block {self.block}"


def measure(job: DesignJob) -> Shares:
    """Simulate a block: success of any hypothesis that decides the trial, patients, weeks and cost."""
    protocol = job.study.protocols[job.protocol]
    scenario = job.study.scenarios[job.scenario].only(protocol)
    record = simulate(protocol, scenario, draws_of(job.study.seed, job.block, job.posteriors))
    found: Shares = {}
    for place, size in enumerate(record.sizes):
        won = [record.findings[look].success[:, place].any(axis=0) for look in protocol.deciding]
        found[size] = {
            "success": np.logical_or.reduce(won).astype(np.float64),
            "patients": record.randomised[place].astype(np.float64),
            "weeks": record.finished[place],
        }
        if record.cost is not None:
            found[size]["cost"] = record.cost.total[place]
    return found


def simulated(study: Study, asked: tuple[str | None, float | None], replicates: int, plan: Plan) -> Choice:
    """Simulate the designs of a study under one scenario.

    Parameters
    ----------
    asked
        Name of the scenario (None: the first that is not null), and worth of a success (None: not asked).

    Raises
    ------
    InputError
        There is no such scenario, or no costs beside which a success could have a worth.
    """
    scenario = chosen_scenario(study, asked[0])
    blocks = -(-replicates // BLOCK_SIZE)
    jobs = [
        DesignJob(study, name, scenario, block, plan.files)
        for name in study.protocols
        for block in range(blocks)
    ]
    found: dict[tuple[str, int], Shares] = {}
    for job, shares in each(measure, jobs, plan):
        found[job.protocol, job.block] = shares
        plan.progress(len(found), len(jobs))
    designs = []
    for name, protocol in study.protocols.items():
        of_blocks = [found[name, block] for block in range(blocks)]
        for size in (*protocol.sizes, protocol.n):
            together = {
                key: np.concatenate([shares[size][key] for shares in of_blocks])[:replicates]
                for key in of_blocks[0][size]
            }
            designs.append(Design(name, size, together))
    return Choice.among(study, scenario, designs, asked[1])
