"""Priors of an analysis: finite mixtures, written out or as RBesT's JSON."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field, model_validator

from sim.core.errors import InputError
from sim.core.parts import Part, wrong
from sim.mixtures import BetaMixture, NormalMixture
from sim.mixtures.exchange import from_tree


def written_out(value: Any, kind: type[NormalMixture] | type[BetaMixture], names: tuple[str, str]) -> Any:
    """Turn RBesT's JSON (``meta``, ``comp``) into ``components``; leave anything else as it is."""
    if not isinstance(value, Mapping) or not {"meta", "comp"} <= set(value):
        return value
    try:
        mixture = from_tree(value, "prior")
    except InputError as error:
        raise wrong(str(error)) from error
    if not isinstance(mixture, kind):
        raise wrong(f"a {type(mixture).__name__} is given, allowed: {kind.__name__}")
    rows = zip(mixture.weight, *mixture.parameters(), strict=True)
    return {"components": [dict(zip(("weight", *names), map(float, row), strict=True)) for row in rows]}


def check_weights(weights: list[float]) -> None:
    """Refuse weights that do not sum to 1."""
    if abs(sum(weights) - 1) > 1e-6:
        raise wrong(f"components: weights must sum to 1, they sum to {sum(weights):g}")


class NormalComponent(Part):
    """One normal distribution of a mixture."""

    weight: float = Field(1.0, ge=0, le=1)
    mean: float
    sd: float = Field(gt=0)


class NormalPrior(Part):
    """Mixture of normal distributions; ``from: prior.json`` takes a file that RBesT wrote."""

    names: ClassVar[tuple[str, str]] = ("mean", "sd")
    components: tuple[NormalComponent, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_rbest(cls, value: Any) -> Any:
        return written_out(value, NormalMixture, cls.names)

    @model_validator(mode="after")
    def _sums_to_one(self) -> "NormalPrior":
        check_weights([each.weight for each in self.components])
        return self

    @cached_property
    def mixture(self) -> NormalMixture:
        """The distribution."""
        return NormalMixture.of(*((each.weight, each.mean, each.sd) for each in self.components))

    def words(self) -> str:
        """Say the prior in words."""
        parts = [f"{c.weight:g} × N({c.mean:g}, sd {c.sd:g})" for c in self.components]
        return " + ".join(parts)


class BetaComponent(Part):
    """One beta distribution of a mixture: worth ``a`` responders and ``b`` others."""

    weight: float = Field(1.0, ge=0, le=1)
    a: float = Field(gt=0)
    b: float = Field(gt=0)


class BetaPrior(Part):
    """Mixture of beta distributions; ``from: prior.json`` takes a file that RBesT wrote."""

    names: ClassVar[tuple[str, str]] = ("a", "b")
    components: tuple[BetaComponent, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_rbest(cls, value: Any) -> Any:
        return written_out(value, BetaMixture, cls.names)

    @model_validator(mode="after")
    def _sums_to_one(self) -> "BetaPrior":
        check_weights([each.weight for each in self.components])
        return self

    @cached_property
    def mixture(self) -> BetaMixture:
        """The distribution."""
        return BetaMixture.of(*((each.weight, each.a, each.b) for each in self.components))

    def words(self) -> str:
        """Say the prior in words."""
        return " + ".join(f"{c.weight:g} × Beta({c.a:g}, {c.b:g})" for c in self.components)
