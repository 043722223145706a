"""Rules that compare one p-value with a level."""

from typing import Annotated

import numpy as np
from pydantic import Field

from sim.analyses.base import Estimate, Floats
from sim.rules.base import Mask, Rule


class Significance(Rule):
    """Success when a p-value is at or below ``alpha``; such rules can share a level by a ``multiplicity``."""

    alpha: Annotated[float, Field(gt=0, lt=1)]

    def p_value(self, estimate: Estimate, better: str) -> Floats:
        """Return the one-sided p-value, (compared arm, size, replicate); nan where the estimate failed."""
        raise NotImplementedError

    def success(self, estimate: Estimate, better: str) -> Mask:
        """Compare the p-value with ``alpha``."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.p_value(estimate, better) <= self.alpha)
