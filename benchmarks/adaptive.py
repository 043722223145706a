"""``python -m benchmarks.adaptive``: response-adaptive trials a second, the published example of adaptr."""

from benchmarks.measures import Measure, own_seconds, show
from sim.core.streams import Streams
from sim.sufficient.response_adaptive import BLOCK, AdaptiveDesign, simulate

ROUNDS = 5
RATES = (0.25, 0.25, 0.25)
EXAMPLE = AdaptiveDesign(
    arms=3,
    looks=tuple(range(300, 2001, 100)),
    randomised=(*range(400, 2001, 100), 2000),
    superiority=0.9814318,
    inferiority=1 - 0.9814318,
    equivalence={"probability": 0.9, "within": 0.05},
    allocation={"at_least": 0.2},
    better="lower",
)


def trials() -> list[Measure]:
    """Measure trials a second, in processor time."""
    (taken,) = own_seconds(lambda block: simulate(EXAMPLE, RATES, Streams(1, block)), rounds=ROUNDS)
    of = "three-arm Bayesian adaptive, 18 looks, response-adaptive, outcomes lag 100 patients"
    return [Measure(of, "trials per second", BLOCK / taken, "700")]


if __name__ == "__main__":
    show(trials())
