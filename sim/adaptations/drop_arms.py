"""Arms that recruit no more after a look."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from sim.adaptations.base import Adaptation, Floats, Mask, Plan, Standing
from sim.core.parts import wrong
from sim.rules.best_normal import best_probability
from sim.rules.selection import best, epsilon, promising

WORDS = {
    "best": "the {value:g} best of the arms compared go on",
    "within": "arms within {value:g} of the best go on",
    "above": "arms with an effect better than {value:g} go on",
    "probable": "arms go on that are the best of all with a probability of {value:g} or more",
    "all": "arms go on until their test has ended",
}


class DropArms(Adaptation):
    """Drop compared arms by their effects so far; one that is dropped is not tested any more.

    Selection of the best, of those near it (Kelly, Stallard & Todd 2005, doi:10.1081/BIP-200062857), of those
    above a threshold (in the summary's unit, positive is better), or of those with a sufficient posterior
    probability to be the best of all arms. The patients whom closed arms would have got are ``reallocated``
    to the others, or ``saved``: the trial then gets smaller. A test that ends closes its arm too.
    """

    kind: Literal["drop_arms"] = "drop_arms"
    keep: Literal["best", "within", "above", "probable", "all"] = "best"
    value: float = 1.0
    freed: Literal["reallocated", "saved"] = "reallocated"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.keep == "best" and (self.value < 1 or self.value != int(self.value)):
            raise wrong(f"value: the number of arms to keep, 1 or more (given: {self.value:g})")
        if self.keep == "probable" and not 0 < self.value < 0.5:
            raise wrong(f"value: a probability between 0 and 0.5 (given: {self.value:g})")
        return self

    def adapt(self, plan: Plan, standing: Standing) -> Plan:
        """Close the arms that are dropped or whose test has ended."""
        compared = list(standing.compared)
        going = np.zeros_like(plan.open)
        going[compared] = self._kept(plan, standing)
        dropped = plan.open & ~going & ~standing.ended
        dropped[[arm for arm in range(len(dropped)) if arm not in compared]] = False
        after = replace(plan.close(dropped | standing.ended), dropped=plan.dropped | dropped)
        if self.freed == "reallocated":
            return after
        share = _weight(after.open, standing) / _weight(plan.open, standing)
        left = np.rint(np.maximum(plan.size - standing.randomised, 0) * share).astype(np.int64)
        return replace(after, size=np.minimum(plan.size, standing.randomised + left))

    def _kept(self, plan: Plan, standing: Standing) -> Mask:
        """Compared arms that go on, (compared arm, replicate)."""
        compared = list(standing.compared)
        going = (plan.open & ~standing.ended)[compared]
        if self.keep == "all":
            return np.asarray(going)
        if self.keep == "best":
            return best(standing.effect, going, int(self.value))
        if self.keep == "within":
            return epsilon(standing.effect, self.value, going)
        if self.keep == "above":
            return promising(standing.effect, self.value, going)
        among = plan.open.copy()
        chance = best_probability(standing.mean, standing.variance, among)[compared]
        return np.asarray(going & (chance >= self.value))

    def words(self, arms: Sequence[str]) -> str:
        """Say which arms go on, and who gets their patients."""
        kept = WORDS[self.keep].format(value=self.value)
        freed = "go to the other arms" if self.freed == "reallocated" else "are not recruited"
        return f"At an interim look {kept}; the patients of a closed arm {freed}"


def _weight(opened: Mask, standing: Standing) -> Floats:
    """Sum of the allocation ratio over the open arms, (replicate,)."""
    return np.asarray((opened * standing.ratio[:, None]).sum(axis=0))
