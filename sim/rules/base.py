"""What a decision rule has to offer."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.analyses.base import Estimate
from sim.core.parts import Family


class Rule(Family):
    """When an analysis counts as success."""

    home: ClassVar[str] = "sim.rules"

    def success(self, estimate: Estimate, better: str) -> NDArray[np.bool_]:
        """Decide for each compared arm, size and replicate; a failed estimate is no success."""
        raise NotImplementedError

    def words(self) -> str:
        """Say the rule in words."""
        raise NotImplementedError
