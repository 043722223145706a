"""What a shape of effect has to offer."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.claims import Read
from sim.core.parts import Family

Floats = NDArray[np.float64]

Shape = Callable[[Any, Any, Any], Floats]
"""Share of the effect that is there ``weeks`` after the treatment began, if it stopped at ``stop`` weeks.

``replicate`` indexes the block; the three broadcast together.
"""


class Effect(Family):
    """How far a treatment moves the mean of true pain, against placebo, through time (negative is better).

    The effect is a size times a shape: the size differs between patients, the shape is the treatment's.
    """

    home: ClassVar[str] = "sim.effects"

    def size(self, name: str, read: Read) -> Floats:
        """Give the effect at the end of a completed course, (replicate,), points of 0 to 10.

        Parameters
        ----------
        name
            Path of this part, which names the streams of its claims.
        """
        raise NotImplementedError

    def shape(self, name: str, read: Read, length: Floats) -> Shape:
        """Give the share of the size through time for a block.

        Parameters
        ----------
        name
            Path of this part.
        length
            Planned length of the treatment, (replicate,), weeks.
        """
        raise NotImplementedError
