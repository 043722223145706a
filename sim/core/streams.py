"""Named random streams: the same patients meet every arm, design and sample size."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np

BLOCK_SIZE = 128
"""Replicates in a block; always the same, whatever the number of workers."""


@dataclass(frozen=True)
class Streams:
    """Random generators of one block of replicates, one for each decision.

    A stream is keyed by (seed, block, name) and by nothing else: asking twice gives the same
    numbers, and the order of asking cannot matter. Draw with patients on the first axis and
    replicates on the second, so that fewer patients are a prefix of more
    (common random numbers: Glasserman & Yao 1992, doi:10.1287/mnsc.38.6.884).
    """

    seed: int
    block: int
    where: str = ""

    def __call__(self, name: str) -> np.random.Generator:
        """Return a fresh generator for the decision ``name``."""
        key = np.random.SeedSequence(self.seed, spawn_key=(self.block, crc32(f"{self.where}{name}".encode())))
        return np.random.Generator(np.random.SFC64(key))

    def at(self, where: str) -> "Streams":
        """Return the streams of the same decisions made elsewhere in the trial, as at a later look."""
        return Streams(self.seed, self.block, f"{self.where}{where}: ")
