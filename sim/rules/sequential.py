"""Rules whose bounds are solved for the looks of a trial."""

from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from sim.analyses.base import Estimate
from sim.rules.base import Mask, Rule
from sim.rules.boundaries import Boundaries, Design, solve
from sim.rules.spending import Spending


class Sequential(Rule):
    """A one-sided test at level ``alpha``, which ``spending`` shares among the looks."""

    looks_early: ClassVar[bool] = True
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.025
    spending: Spending

    def success(self, estimate: Estimate, better: str) -> Mask:
        """Test at the whole level: what a single look would find."""
        with np.errstate(invalid="ignore"):
            return np.asarray(estimate.one_sided_p(better) <= self.alpha)

    def design(self, fractions: tuple[float, ...]) -> Design:
        """Return the design whose bounds these looks have."""
        return Design(alpha=self.alpha, information=fractions, spending=self.spending)

    def boundaries(self, fractions: tuple[float, ...]) -> Boundaries:
        """Solve the bounds for these looks."""
        return _solved(self, fractions)


@lru_cache(maxsize=256)
def _solved(rule: Sequential, fractions: tuple[float, ...]) -> Boundaries:
    return solve(rule.design(fractions))


def spending_words(spending: Spending) -> str:
    """Say a spending function in words."""
    tree = spending.model_dump()
    kind = str(tree.pop("kind")).replace("ld_", "Lan-DeMets ").replace("_", " ")
    given = ", ".join(f"{name} {value}" for name, value in tree.items())
    return f"{kind} ({given})" if given else kind
