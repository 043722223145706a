"""``python -m benchmarks.adaptive``: response-adaptive trials a second, the published example of adaptr."""

import os
import statistics
import time

from sim.core.streams import Streams
from sim.sufficient.response_adaptive import BLOCK, AdaptiveDesign, simulate

ROUNDS = 9
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


def main() -> None:
    rates = (0.25, 0.25, 0.25)
    simulate(EXAMPLE, rates, Streams(1, 0))
    wall, own = [], []
    for block in range(1, ROUNDS + 1):
        begin, cpu = time.perf_counter(), time.process_time()
        simulate(EXAMPLE, rates, Streams(1, block))
        wall.append(time.perf_counter() - begin)
        own.append(time.process_time() - cpu)
    print("three-arm Bayesian adaptive, 18 looks, response-adaptive, outcomes lag 100 patients")
    print(f"  trials per second               {BLOCK / statistics.median(wall):12,.0f}   budget 700")
    print(f"  trials per second of own time   {BLOCK / statistics.median(own):12,.0f}")
    print(f"  load of the machine, 1 minute   {os.getloadavg()[0]:12.1f}   on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
