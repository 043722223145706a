"""What a shape of effect has to offer."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.claims import Read
from sim.core.parts import Family

Floats = NDArray[np.float64]

Course = Callable[[Any, Any, Any], Floats]
"""Effect in points at ``weeks`` of a treatment that stopped at ``stop`` weeks, in replicates ``replicate``.

``replicate`` indexes the block; the three broadcast together.
"""


class Effect(Family):
    """How far a treatment moves the mean of true pain, against placebo, through time (negative is better)."""

    home: ClassVar[str] = "sim.effects"

    def course(self, name: str, read: Read, length: Floats) -> Course:
        """Give the effect its values for a block.

        Parameters
        ----------
        name
            Path of this part, which names the streams of its claims.
        length
            Planned length of the treatment, (replicate,), weeks.
        """
        raise NotImplementedError
