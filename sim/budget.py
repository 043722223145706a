"""The largest trial that stays within a budget, with its probability and its chance of success."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.core.errors import InputError
from sim.core.streams import BLOCK_SIZE
from sim.execution import Plan, draws_of, each
from sim.logistics import QUANTILES, quantile
from sim.performance import Measured, average, proportion
from sim.sample_size import GRID, Search, SizeJob
from sim.trial import simulate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outlay:
    """What trials of one size cost and achieve.

    Attributes
    ----------
    within
        Probability that the trial costs no more than the budget.
    success
        Of the first compared arm.
    cost, quantiles
        Mean over trials, and its 5, 50 and 95 % quantiles, in the scenario's currency.
    """

    n_total: int
    within: Measured
    success: Measured
    cost: Measured
    quantiles: dict[str, Measured]


def within_budget(
    search: Search, budget: float, sure: float, plan: Plan
) -> tuple[Outlay | None, list[Outlay]]:
    """Find the largest size that costs no more than ``budget`` with probability ``sure``, and the curve.

    The sizes of the search's grid first, then those between the last that fits and the next; all are cuts of
    the same patients, who pay the whole protocol, to its last look.

    Returns
    -------
    tuple
        None where the smallest size of the grid costs too much; what each size of the grid comes to.

    Raises
    ------
    InputError
        The scenario has no prices.
    """
    if search.scenario.costs is None:
        raise InputError(f"--budget: scenario '{search.scenario_name}' has no 'costs'")
    curve = list(_outlays(search, search.grid, budget, plan))
    fits = [place for place, outlay in enumerate(curve) if outlay.within.value >= sure]
    if not fits:
        return None, curve
    last = fits[-1]
    if last == len(curve) - 1:
        return curve[last], curve
    between = range(curve[last].n_total, curve[last + 1].n_total, search.unit)
    tried = tuple(between[:: -(-len(between) // GRID)])
    finer = [outlay for outlay in _outlays(search, tried, budget, plan) if outlay.within.value >= sure]
    return finer[-1], curve


def _outlays(search: Search, sizes: tuple[int, ...], budget: float, plan: Plan) -> list[Outlay]:
    blocks = range(-(-search.replicates // BLOCK_SIZE))
    jobs = [SizeJob(search, sizes, block, plan.files, None) for block in blocks]
    found: dict[int, Floats] = {}
    for job, spent in each(spend, jobs, plan):
        found[job.block] = spent
        plan.progress(len(found), len(jobs))
    cost, success = np.concatenate([found[block] for block in blocks], axis=2)[:, :, : search.replicates]
    return [
        Outlay(
            n_total=size,
            within=proportion(cost[place] <= budget),
            success=proportion(success[place]),
            cost=average(cost[place]),
            quantiles={name: quantile(cost[place], level) for name, level in QUANTILES.items()},
        )
        for place, size in enumerate(sizes)
    ]


def spend(job: SizeJob) -> Floats:
    """Cost and success of one block's trials, (2, size, replicate)."""
    search = job.search
    protocol = search.protocol.model_copy(update={"n": job.sizes[-1], "sizes": ()})
    record = simulate(protocol, search.scenario, draws_of(search.seed, job.block, job.posteriors), job.sizes)
    assert record.cost is not None
    return np.stack([record.cost.total, record.findings[0].success[0]])
