"""Superiority at a one-sided level."""

from typing import Literal

from sim.analyses.base import Estimate, Floats
from sim.rules.significance import Significance


class OneSided(Significance):
    """Success when the one-sided p-value is at or below ``alpha`` (ICH E9, section 5.5)."""

    kind: Literal["one_sided"] = "one_sided"

    def p_value(self, estimate: Estimate, better: str) -> Floats:
        """Test against no benefit."""
        return estimate.one_sided_p(better)

    def words(self) -> str:
        """Say the rule in words."""
        return f"superiority at one-sided {self.alpha:g}"
