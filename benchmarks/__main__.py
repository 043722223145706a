"""``make bench``: the budgets of the design beside what this machine does, ratios in one process."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.draws import RecordingStreams
from sim import Study
from sim.claims import Draws, Posterior
from sim.cli.run import find_posteriors
from sim.core.streams import BLOCK_SIZE, Streams
from sim.execution import Job, compute_block
from sim.records import tabulate
from sim.results import Cell
from sim.trial import simulate

ROUNDS = 40
STUDY = Path("configs/studies/benchmark_two_arm.yaml")


def seconds(step: Callable[[int], object], other: Callable[[int], object]) -> tuple[float, float]:
    """Median seconds of two steps, taken in turn so that a slow moment meets both."""
    first, second = [], []
    for block in range(ROUNDS):
        for times, run in ((first, step), (second, other)):
            begin = time.perf_counter()
            run(block)
            times.append(time.perf_counter() - begin)
    return statistics.median(first), statistics.median(second)


def fixed_design() -> None:
    """Print throughput of the two-arm trial and its ratio to drawing the random numbers alone."""
    study = Study.load(STUDY)
    files = find_posteriors(study)
    posteriors = {name: Posterior.read(name, file) for name, file in files.items()}
    protocol = study.protocols["two_arm"]
    scenario = study.scenarios["expected"].only(protocol)
    recording = RecordingStreams(study.seed, 0)
    simulate(protocol, scenario, Draws(recording, posteriors))

    def trial(block: int) -> None:
        record = simulate(protocol, scenario, Draws(Streams(study.seed, block), posteriors))
        tabulate(protocol, record, block, {})

    trial(0)
    whole, floor = seconds(trial, recording.redraw)
    what = f"{protocol.n} patients x {len(protocol.visits)} visits, a fifth lost, ANCOVA, full record"
    print(f"fixed design, {what}")
    print(f"  trials per second, one core     {BLOCK_SIZE / whole:12,.0f}   budget 20,000")
    print(f"  random numbers alone, per second{BLOCK_SIZE / floor:12,.0f}")
    print(f"  ratio to the random numbers     {whole / floor:12.2f}   budget  2.50")
    files_ = tuple(sorted((name, str(file)) for name, file in files.items()))
    job = Job(Cell("two_arm", "expected"), protocol, scenario, study.seed, 0, files_, "")
    begin = time.perf_counter()
    compute_block(job)
    print(
        f"  with true values from potential outcomes, a block: {(time.perf_counter() - begin) * 1e3:.0f} ms"
    )


if __name__ == "__main__":
    fixed_design()
