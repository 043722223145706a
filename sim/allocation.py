"""Who gets which arm."""

from itertools import combinations
from math import comb, prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.core.parts import Family
from sim.core.streams import BLOCK_SIZE, Streams

Ints = NDArray[np.int64]

MOST_ARRANGEMENTS = 10_000


class Allocation(Family):
    """A way of assigning patients to arms."""

    def assign(self, n: int, ratio: tuple[int, ...], streams: Streams) -> Ints:
        """Arm of each patient in the order of enrolment, shape (patient, replicate)."""
        raise NotImplementedError


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
            table = _arrangements(tuple(counts))
            chosen = stream.integers(len(table), size=(blocks, BLOCK_SIZE))
            order = np.stack([table[:, place][chosen] for place in range(size)], axis=1)
        else:
            keys = stream.random((blocks, size, BLOCK_SIZE))
            order = np.repeat(np.arange(len(ratio)), counts)[np.argsort(keys, axis=1)]
        return np.ascontiguousarray(order.reshape(blocks * size, BLOCK_SIZE)[:n])


def _arrangement_count(counts: list[int]) -> int:
    return prod(comb(sum(counts[: i + 1]), count) for i, count in enumerate(counts))


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
