"""``python -m benchmarks.group_sequential``: three-look trials a second on sufficient statistics."""

import os
import statistics
import time

from sim.core.streams import Streams
from sim.rules.boundaries import Design, solve
from sim.rules.spending import OBrienFleming
from sim.sufficient.group_sequential import BLOCK, simulate

ROUNDS = 201


def main() -> None:
    found = solve(Design(information=(1 / 3, 2 / 3, 1.0), spending=OBrienFleming()))
    simulate(found.path, found.drift, Streams(1, 0))
    wall, own = [], []
    for block in range(1, ROUNDS + 1):
        begin, cpu = time.perf_counter(), time.process_time()
        simulate(found.path, found.drift, Streams(1, block))
        wall.append(time.perf_counter() - begin)
        own.append(time.process_time() - cpu)
    print("group sequential, 3 looks, sufficient statistics, under the alternative")
    print(f"  trials per second               {BLOCK / statistics.median(wall):12,.0f}   budget 1,000,000")
    print(f"  trials per second of own time   {BLOCK / statistics.median(own):12,.0f}")
    print(f"  load of the machine, 1 minute   {os.getloadavg()[0]:12.1f}   on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
