"""The effect of placebo: nothing beyond the mean course, which is stated under placebo."""

from typing import Any, Literal

import numpy as np

from sim.claims import Read
from sim.effects.base import Course, Effect, Floats


class NoEffect(Effect):
    """The reference: the course of the population is that of its placebo arms (DESIGN, section 4)."""

    kind: Literal["none"] = "none"

    def course(self, name: str, read: Read, length: Floats) -> Course:
        """Return zero at any week."""

        def zero(weeks: Any, stop: Any, replicate: Any) -> Floats:
            return np.zeros(np.broadcast_shapes(np.shape(weeks), np.shape(stop), np.shape(replicate)))

        return zero
