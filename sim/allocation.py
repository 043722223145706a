"""Who gets which arm."""

from functools import lru_cache
from itertools import combinations
from math import comb, prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.core.loops import deal
from sim.core.parts import Family
from sim.core.streams import BLOCK_SIZE, Streams

Ints = NDArray[np.int64]

MOST_ARRANGEMENTS = 10_000
CLOSED = -1
"""Arm of a patient to whom none is open."""


class Allocation(Family):
    """A way of assigning patients to arms."""

    def assign(self, n: int, ratio: tuple[int, ...], streams: Streams) -> Ints:
        """Arm of each patient in the order of enrolment, shape (patient, replicate)."""
        raise NotImplementedError

    def cluster(self, n: int) -> Ints | None:
        """Number of each patient's cluster, (patient,); None: patients are randomised one by one."""
        return None

    def words(self) -> str:
        """Say what is not plain about the allocation; nothing where there is nothing to say."""
        return ""


class PermutedBlocks(Allocation):
    """Random permuted blocks (Rosenberger & Lachin 2016, chapter 3).

    A block holds ``multiple`` times the ratio; its order is one of all distinct arrangements with
    equal probability.
    """

    kind: Literal["permuted_blocks"] = "permuted_blocks"
    multiple: int = Field(1, ge=1, le=20)

    def assign(self, n: int, ratio: tuple[int, ...], streams: Streams) -> Ints:
        """Fill one block after the other; the last may be cut."""
        counts = [share * self.multiple for share in ratio]
        size, stream = sum(counts), streams("allocation")
        blocks = -(-n // size)
        if _arrangement_count(counts) <= MOST_ARRANGEMENTS:
            orders = _arrangements(tuple(counts))
            arm = np.empty((n, BLOCK_SIZE), dtype=np.int64)
            deal(orders, stream.integers(len(orders), size=(blocks, BLOCK_SIZE)), arm)
            return arm
        keys = stream.random((blocks, size, BLOCK_SIZE))
        order = np.repeat(np.arange(len(ratio)), counts)[np.argsort(keys, axis=1)]
        return np.ascontiguousarray(order.reshape(blocks * size, BLOCK_SIZE)[:n])


class Clusters(Allocation):
    """Whole clusters, such as clinics, are randomised, as many to each arm as the ratio allows.

    Patients come to the clusters in turn (Donner & Klar 2000, Design and Analysis of Cluster Randomization
    Trials). How much clusters differ is the scenario's ``cluster_icc``.
    """

    kind: Literal["clusters"] = "clusters"
    clusters: int = Field(ge=4, le=10_000)

    def assign(self, n: int, ratio: tuple[int, ...], streams: Streams) -> Ints:
        """Deal the arms to the clusters in random order."""
        arms = np.resize(np.repeat(np.arange(len(ratio)), ratio), self.clusters)
        order = np.argsort(streams("allocation").random((self.clusters, BLOCK_SIZE)), axis=0)
        return np.ascontiguousarray(arms[order][np.arange(n) % self.clusters])

    def cluster(self, n: int) -> Ints:
        """Patients come in turn."""
        return np.arange(n) % self.clusters

    def words(self) -> str:
        """Say what is randomised."""
        return f"{self.clusters} clusters are randomised with all their patients."


def _arrangement_count(counts: list[int]) -> int:
    return prod(comb(sum(counts[: i + 1]), count) for i, count in enumerate(counts))


@lru_cache(maxsize=16)
def _arrangements(counts: tuple[int, ...]) -> Ints:
    """Every distinct order of a block, shape (arrangement, place)."""
    free = [tuple(range(sum(counts)))]
    orders = [np.full(sum(counts), -1, dtype=np.int64)]
    for arm, count in enumerate(counts):
        filled, left = [], []
        for order, places in zip(orders, free, strict=True):
            for taken in combinations(places, count):
                new = order.copy()
                new[list(taken)] = arm
                filled.append(new)
                left.append(tuple(place for place in places if place not in taken))
        orders, free = filled, left
    return np.array(orders)


def among_open(
    allocation: Allocation, ratio: tuple[int, ...], opened: NDArray[np.bool_], streams: Streams
) -> Ints:
    """Assign every patient to one of the arms that are open to them, (patient, replicate).

    Patients who meet the same open arms are a trial of their own, in the order of enrolment and by the
    ratio of these arms; a patient to whom no arm is open is ``CLOSED``.

    Parameters
    ----------
    opened
        (arm, patient, replicate).
    """
    code = np.tensordot(2 ** np.arange(len(ratio)), opened, axes=1)
    arm = np.full(code.shape, CLOSED, dtype=np.int64)
    for number in np.unique(code[code > 0]):
        mine = code == number
        some = tuple(share if number >> k & 1 else 0 for k, share in enumerate(ratio))
        order = allocation.assign(len(arm), some, streams.at(f"arms {number}"))
        turn = np.maximum(np.cumsum(mine, axis=0) - 1, 0)
        arm = np.where(mine, np.take_along_axis(order, turn, axis=0), arm)
    return arm


def by_shares(shares: NDArray[np.float64], n: int, streams: Streams) -> Ints:
    """Assign every patient at random with the shares of (arm, replicate), (patient, replicate)."""
    below = np.cumsum(shares, axis=0)
    below[below > 1 - 1e-9] = np.inf  # the last arm that gets any, however the sum is rounded
    uniform = streams("share").random((n, shares.shape[1]))
    return np.asarray((uniform[None] >= below[:, None]).sum(axis=0))
