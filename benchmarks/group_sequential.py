"""``python -m benchmarks.group_sequential``: three-look trials a second on sufficient statistics."""

from benchmarks.measures import Measure, own_seconds, show
from sim.core.streams import Streams
from sim.rules.boundaries import Design, solve
from sim.rules.spending import OBrienFleming
from sim.sufficient.group_sequential import BLOCK, simulate

ROUNDS = 201


def trials() -> list[Measure]:
    """Measure trials a second under the alternative, in processor time."""
    found = solve(Design(information=(1 / 3, 2 / 3, 1.0), spending=OBrienFleming()))
    (taken,) = own_seconds(lambda block: simulate(found.path, found.drift, Streams(1, block)), rounds=ROUNDS)
    of = "group sequential, 3 looks, sufficient statistics"
    return [Measure(of, "trials per second", BLOCK / taken, "1,000,000")]


if __name__ == "__main__":
    show(trials())
