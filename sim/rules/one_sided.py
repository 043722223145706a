"""Superiority at a one-sided level."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.analyses.base import Estimate
from sim.rules.base import Rule


class OneSided(Rule):
    """Success when the one-sided p-value is at or below ``alpha`` (ICH E9, section 5.5)."""

    kind: Literal["one_sided"] = "one_sided"
    alpha: Annotated[float, Field(gt=0, lt=1)]

    def success(self, estimate: Estimate, better: str) -> NDArray[np.bool_]:
        """Compare the one-sided p-value with ``alpha``."""
        with np.errstate(invalid="ignore"):
            return np.asarray(estimate.one_sided_p(better) <= self.alpha)

    def words(self) -> str:
        """Say the rule in words."""
        return f"superiority at one-sided {self.alpha:g}"
