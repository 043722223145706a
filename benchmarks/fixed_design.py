"""The two-arm trial on patients: speed, ratio to its random numbers, stages, and what makes it grow."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import sim.trial as trial_module
from benchmarks.draws import RecordingStreams
from benchmarks.measures import Measure, own_seconds
from sim import Study
from sim.claims import Draws
from sim.core.loading import dump, validate
from sim.core.memory import keep_freed_memory
from sim.core.streams import BLOCK_SIZE, Streams
from sim.execution import TRUTH_PATIENTS
from sim.protocol import Protocol
from sim.records import tabulate
from sim.trial import simulate
from sim.true_values import true_values

STUDY = Path(__file__).with_name("two_arm_assumed.yaml")
ROUNDS = 25
NAME = "fixed design, 300 patients x 6 visits, a fifth lost, ANCOVA and responders, full record"
GROWTH = "growth: processor time, relative to the first"
WEEKS = (0, 1, 2, 4, 8, 12)


@cache
def study() -> Study:
    """The benchmark on stated assumptions."""
    keep_freed_memory()
    return Study.load(STUDY)


def protocol_with(**changes: Any) -> Protocol:
    """The two-arm protocol, changed."""
    return validate({**dump(study().protocols["two_arm"]), **changes}, Protocol, "benchmark")


def trials(protocol: Protocol) -> Callable[[int], object]:
    """Give what simulates a block and lays its record out."""
    scenario = study().scenarios["expected"].only(protocol)

    def step(block: int) -> object:
        record = simulate(protocol, scenario, Draws(Streams(study().seed, block), {}))
        return tabulate(protocol, record, block, {})

    return step


def speed() -> list[Measure]:
    """Measure throughput, and its ratio to drawing the random numbers alone."""
    protocol = study().protocols["two_arm"]
    scenario = study().scenarios["expected"].only(protocol)
    recording = RecordingStreams(study().seed, 0)
    simulate(protocol, scenario, Draws(recording, {}))

    def truth(block: int) -> object:
        return true_values(protocol, scenario, Draws(Streams(study().seed, block), {}), TRUTH_PATIENTS)

    whole, floor, true = own_seconds(trials(protocol), recording.redraw, truth, rounds=ROUNDS)
    return [
        Measure(NAME, "trials per second", BLOCK_SIZE / whole, "20,000"),
        Measure(NAME, "its random numbers alone, per second", BLOCK_SIZE / floor),
        Measure(NAME, "ratio to the random numbers", whole / floor, "2.50"),
        Measure(NAME, "true values of a block, ms", true * 1e3),
    ]


def stages() -> list[Measure]:
    """Measure the stages of one block, each called as the trial calls it."""
    protocol = study().protocols["two_arm"]
    scenario = study().scenarios["expected"].only(protocol)
    kept: dict[str, Any] = {}

    def draws(block: int) -> Draws:
        return Draws(Streams(study().seed, block), {})

    def patients(block: int) -> None:
        truth = scenario.realise(protocol, draws(block))
        kept["world"] = trial_module.create(protocol, scenario, truth, protocol.n, draws(block).streams)

    def lives(block: int) -> None:
        ground = trial_module.Ground(protocol, scenario, kept["world"], draws(block).streams)
        arm = protocol.allocation.assign(protocol.n, protocol.ratio, ground.streams)
        kept["lived"] = ground, arm, ground.live(arm)

    def seen(_: int) -> None:
        ground, arm, lived = kept["lived"]
        cuts, kept["looks"] = protocol.looks_of((protocol.n,))
        kept["data"] = trial_module.observe(ground, lived, arm, cuts)

    def decided(_: int) -> None:
        analysed = [trial_module.analyse(protocol, look, kept["data"]) for look in protocol.looks]
        verdict = protocol.looks[0].rule.monitor(*analysed[0], kept["looks"])
        trial_module.decide(protocol, analysed, verdict, kept["looks"])

    record = simulate(protocol, scenario, draws(0))

    def written(block: int) -> None:
        tabulate(protocol, record, block, {})

    names = ("patients and their own courses", "allocation, arrival, life in the arm", "what is seen")
    names = (*names, "analyses and decision", "record as tables")
    taken = own_seconds(patients, lives, seen, decided, written, rounds=ROUNDS)
    return [
        Measure("stages of a block of 128 trials", f"{name}, ms", second * 1e3)
        for name, second in zip(names, taken, strict=True)
    ]


def growth() -> list[Measure]:
    """Measure how the time grows with blocks of replicates, and a block's with patients, visits and arms."""
    arms = [{"name": name, "treatment": "snri"} for name in ("snri", "b", "c", "d", "e")]
    control = {"name": "placebo", "treatment": "placebo"}
    cases = {
        "patients": {str(n): {"n": n} for n in (150, 300, 600, 1200)},
        "visits": {str(v): {"visits": list(WEEKS[:1] + WEEKS[-v + 1 :])} for v in (2, 3, 4, 6)},
        "arms": {str(k): {"arms": [control, *arms[: k - 1]]} for k in (2, 3, 4, 6)},
    }
    found = []
    for axis, changes in cases.items():
        taken = own_seconds(*(trials(protocol_with(**change)) for change in changes.values()), rounds=9)
        found += [
            Measure(GROWTH, f"{axis} {value}", seconds / taken[0])
            for value, seconds in zip(changes, taken, strict=True)
        ]
    counts = (1, 2, 4, 8)
    taken = own_seconds(*(several(count) for count in counts), rounds=9)
    return found + [
        Measure(GROWTH, f"replicates {count * BLOCK_SIZE}", seconds / taken[0])
        for count, seconds in zip(counts, taken, strict=True)
    ]


def several(count: int) -> Callable[[int], object]:
    """Give what simulates so many blocks."""
    step = trials(protocol_with())
    return lambda block: [step(block * count + place) for place in range(count)]


SIZES = tuple(range(80, 301, 20))


def power_curve() -> list[Measure]:
    """Measure a power curve over twelve sample sizes against the largest alone."""
    many, one = own_seconds(
        trials(protocol_with(sizes=list(SIZES[:-1]))), trials(protocol_with()), rounds=ROUNDS
    )
    of = f"power curve over {len(SIZES)} sample sizes, {SIZES[0]} to {SIZES[-1]}"
    return [Measure(of, "time, relative to the largest size alone", many / one, "1.30")]
