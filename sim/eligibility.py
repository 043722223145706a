"""Who may enter a trial: rules on ratings of pain, on age and on other baseline measures."""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.core.parts import Part, wrong

Floats = NDArray[np.float64]


class EntryRule(Part):
    """Pain ratings that a protocol admits, both ends included, in points of the scale.

    ``occasion: baseline``: the baseline rating itself admits. ``screening``: an earlier rating does, so
    that a baseline rating may lie below the rule. ``both``: each of the two must lie within.
    """

    at_least: float | None = Field(None, ge=0, le=10)
    at_most: float | None = Field(None, ge=0, le=10)
    occasion: Literal["baseline", "screening", "both"] = Field(
        "baseline", description="which rating admits: the baseline, an earlier one, or each of them"
    )
    days: int | None = Field(
        None,
        ge=1,
        le=28,
        description="daily ratings whose mean is the earlier one; else as at baseline",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise wrong(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        if self.days is not None and self.occasion == "baseline":
            raise wrong("'days' belongs to an earlier rating; allowed with occasion: screening or both")
        return self

    @property
    def is_open(self) -> bool:
        """Whether the rule admits every rating."""
        return not self.at_least and (self.at_most is None or self.at_most >= 10)

    def limits(self, step: float) -> tuple[float, float]:
        """Limits of the unrounded rating: a rating of 4 on a step of 1 is anything from 3.5."""
        low = -np.inf if not self.at_least else self.at_least - step / 2
        high = np.inf if self.at_most is None or self.at_most >= 10 else self.at_most + step / 2
        return float(low), float(high)

    def words(self) -> str:
        """Say the rule in words."""
        if self.is_open:
            return "any pain"
        low = f"pain of at least {self.at_least:g}" if self.at_least else "pain"
        high = f"at most {self.at_most:g}" if self.at_most is not None else ""
        limits = " and ".join([low, high]) if self.at_least and high else f"{low} {high}".rstrip()
        mean = f", the mean of {self.days} daily ratings" if self.days and self.days > 1 else ""
        when = {
            "baseline": "at baseline",
            "screening": f"at screening{mean}, before the baseline rating",
            "both": f"at screening{mean} and again at baseline",
        }
        return f"{limits} {when[self.occasion]}"


class Range(Part):
    """An age range, both ends included, in years."""

    between: tuple[float, float]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 <= self.between[0] < self.between[1] <= 120:
            raise wrong(f"between {list(self.between)}: expected two ages in order within 0 to 120 years")
        return self


class Limits(Part):
    """Values of a baseline measure that a protocol admits, both ends included, in its units."""

    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _limit_something(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise wrong("give at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise wrong(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self

    def admit(self, values: Floats) -> NDArray[np.bool_]:
        """Tell which values are admitted, same shape."""
        low = -np.inf if self.at_least is None else self.at_least
        high = np.inf if self.at_most is None else self.at_most
        return np.asarray((values >= low - 1e-9) & (values <= high + 1e-9))

    def words(self) -> str:
        """Say the limits in words."""
        low = "" if self.at_least is None else f"at least {self.at_least:g}"
        high = "" if self.at_most is None else f"at most {self.at_most:g}"
        return " and ".join(part for part in (low, high) if part)


class Eligibility(Part):
    """Who may enter the trial."""

    pain: EntryRule = EntryRule()
    age: Range | None = None
    covariates: dict[str, Limits] = Field({}, description="limits of other baseline measures, by name")

    @property
    def limits(self) -> dict[str, Limits]:
        """Every rule but that on pain, by the covariate's name."""
        age = {"age": Limits(at_least=self.age.between[0], at_most=self.age.between[1])} if self.age else {}
        return {**age, **self.covariates}

    def words(self) -> str:
        """Say who may enter, in one sentence."""
        age = [f"aged {self.age.between[0]:g} to {self.age.between[1]:g}"] if self.age else []
        others = [f"{name.replace('_', ' ')} {limits.words()}" for name, limits in self.covariates.items()]
        return f"Eligible: {', '.join([self.pain.words(), *age, *others])}."
