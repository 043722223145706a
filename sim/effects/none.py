"""The effect of placebo: nothing beyond the mean course, which is stated under placebo."""

from typing import Any, Literal

import numpy as np

from sim.claims import Read
from sim.core.streams import BLOCK_SIZE
from sim.effects.base import Effect, Floats, Shape


class NoEffect(Effect):
    """The reference: the course of the population is that of its placebo arms (DESIGN, section 4)."""

    kind: Literal["none"] = "none"

    def size(self, name: str, read: Read) -> Floats:
        """Return zero in every replicate."""
        return np.zeros(BLOCK_SIZE)

    def shape(self, name: str, read: Read, length: Floats) -> Shape:
        """Return zero at any week."""

        def zero(weeks: Any, stop: Any, replicate: Any) -> Floats:
            return np.zeros(np.broadcast_shapes(np.shape(weeks), np.shape(stop), np.shape(replicate)))

        return zero
