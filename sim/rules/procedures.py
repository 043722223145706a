"""Several hypotheses that share one family-wise level: which of them a trial rejects."""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.special import ndtri

from sim.core.parts import Family, suggest, wrong
from sim.rules.base import Mask
from sim.rules.crossing import Floats
from sim.rules.dunnett import critical_value, loadings
from sim.rules.graphs import Graph
from sim.rules.multiplicity import bonferroni, hochberg, holm, hommel, subsets

Share = Annotated[float, Field(ge=0, le=1)]
Shares = dict[str, Share]
SLACK = 1e-9
"""By which shares that are written with few digits may sum to more than 1."""


class Multiplicity(Family):
    """How the hypotheses of a trial share its level.

    A hypothesis is one compared arm of one look's estimand, named ``estimand.arm``; they come in the order of
    the looks, then of the arms. The level is the looks' common ``alpha``.
    """

    one_estimand: ClassVar[bool] = False
    """Whether the hypotheses must be arms of a single estimand."""

    def check(self, names: tuple[str, ...]) -> None:
        """Raise an error where this procedure does not fit the hypotheses."""

    def rejects(self, p: Floats, alpha: float, names: tuple[str, ...], ratio: Floats) -> Mask:
        """Decide on p-values (hypothesis, …), same shape; a missing one rejects nothing.

        Parameters
        ----------
        names
            Of the hypotheses, (hypothesis,).
        ratio
            Patients of each hypothesis' arm for one of its control, (hypothesis,).
        """
        raise NotImplementedError

    def words(self) -> str:
        """Say the procedure in words."""
        raise NotImplementedError


class _ByRank(Multiplicity):
    """A procedure that needs nothing but the order of the p-values."""

    adjust: ClassVar[Callable[[Floats], Floats]]

    def rejects(self, p: Floats, alpha: float, names: tuple[str, ...], ratio: Floats) -> Mask:
        """Compare the adjusted p-values with the level."""
        return np.asarray(type(self).adjust(p) <= alpha)

    def words(self) -> str:
        """Say the procedure in words."""
        return f"by the procedure of {type(self).__name__}"


class Unadjusted(Multiplicity):
    """Every hypothesis at the whole level: what happens without a procedure (ICH E9, section 2.2.5)."""

    kind: Literal["unadjusted"] = "unadjusted"

    def rejects(self, p: Floats, alpha: float, names: tuple[str, ...], ratio: Floats) -> Mask:
        """Compare each p-value with the level."""
        with np.errstate(invalid="ignore"):
            return np.asarray(p <= alpha)

    def words(self) -> str:
        """Say the procedure in words."""
        return "without any adjustment, each at the whole level"


class Bonferroni(_ByRank):
    """Each hypothesis at an equal share of the level (Bonferroni inequality; ICH E9, section 2.2.5)."""

    kind: Literal["bonferroni"] = "bonferroni"
    adjust: ClassVar[Callable[[Floats], Floats]] = staticmethod(bonferroni)


class Holm(_ByRank):
    """Bonferroni stepping down from the smallest p-value (Holm 1979, Scandinavian J Statistics 6, 65)."""

    kind: Literal["holm"] = "holm"
    adjust: ClassVar[Callable[[Floats], Floats]] = staticmethod(holm)


class Hochberg(_ByRank):
    """Stepping up, under positive dependence (Hochberg 1988, doi:10.1093/biomet/75.4.800)."""

    kind: Literal["hochberg"] = "hochberg"
    adjust: ClassVar[Callable[[Floats], Floats]] = staticmethod(hochberg)


class Hommel(_ByRank):
    """Closed Simes tests, under positive dependence (Hommel 1988, doi:10.1093/biomet/75.2.383)."""

    kind: Literal["hommel"] = "hommel"
    adjust: ClassVar[Callable[[Floats], Floats]] = staticmethod(hommel)


class Dunnett(Multiplicity):
    """Several arms against one control, stepping down (Dunnett & Tamhane 1991, doi:10.1002/sim.4780100614).

    The correlation is that of the allocation ratio. p-values are turned into z and compared with normal
    bounds, so that a t test keeps its own level and only the correlation of the tests is taken as normal.
    """

    kind: Literal["dunnett"] = "dunnett"
    one_estimand: ClassVar[bool] = True

    def rejects(self, p: Floats, alpha: float, names: tuple[str, ...], ratio: Floats) -> Mask:
        """Reject a hypothesis when every intersection that holds it exceeds its bound."""
        with np.errstate(invalid="ignore", divide="ignore"):
            z = np.where(np.isnan(p), -np.inf, -ndtri(p))
        load = tuple(loadings(ratio, 1.0).tolist())
        rejected = np.ones(z.shape, dtype=bool)
        for member in subsets(len(z)):
            bound = _bound(
                alpha, tuple(sorted(share for share, held in zip(load, member, strict=True) if held))
            )
            rejected[member] &= z[member].max(axis=0) >= bound
        return rejected

    def words(self) -> str:
        """Say the procedure in words."""
        return "by Dunnett's step-down test against the common control"


@lru_cache(maxsize=256)
def _bound(alpha: float, load: tuple[float, ...]) -> float:
    return critical_value(alpha, load)


class FixedSequence(Multiplicity):
    """One after the other at the whole level, until one fails (Maurer, Hothorn & Lehmacher 1995).

    ``order`` names all hypotheses; by default that of the looks, then of the arms.
    """

    kind: Literal["fixed_sequence"] = "fixed_sequence"
    order: tuple[str, ...] = ()

    def check(self, names: tuple[str, ...]) -> None:
        """See that the order holds every hypothesis once."""
        for name in self.order:
            _known(name, names, "order")
        if self.order and sorted(self.order) != sorted(names):
            raise wrong(f"multiplicity.order: must name every hypothesis once: {', '.join(names)}")

    def rejects(self, p: Floats, alpha: float, names: tuple[str, ...], ratio: Floats) -> Mask:
        """Go on while the p-values are at or below the level."""
        places = [names.index(name) for name in self.order or names]
        with np.errstate(invalid="ignore"):
            going = np.logical_and.accumulate(p[places] <= alpha, axis=0)
        rejected = np.empty(going.shape, dtype=bool)
        rejected[places] = going
        return rejected

    def words(self) -> str:
        """Say the procedure in words."""
        given = f" ({', '.join(self.order)})" if self.order else ""
        return f"in a fixed sequence{given}, each at the whole level until one is not rejected"


class GraphicalProcedure(Multiplicity):
    """Hypotheses with shares of the level that they hand on (Bretz et al. 2009, doi:10.1002/sim.3495).

    ``weights`` are the shares at the start, ``transitions`` what a rejected hypothesis gives to each other
    one; a hypothesis that is left out of ``weights`` starts with nothing. Gatekeeping is a graph in which the
    primary hypotheses hold the whole level at the start and hand it to the secondary ones.
    """

    kind: Literal["graph"] = "graph"
    weights: Annotated[Shares, Field(min_length=1)]
    transitions: dict[str, Shares] = {}

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        sums = {"weights": sum(self.weights.values())}
        sums |= {f"transitions.{name}": sum(given.values()) for name, given in self.transitions.items()}
        for place, total in sums.items():
            if total > 1 + SLACK:
                raise wrong(f"{place}: the shares sum to {total:g}; allowed: at most 1")
        for name, given in self.transitions.items():
            if name in given:
                raise wrong(f"transitions.{name}: hands its share to itself")
        return self

    def check(self, names: tuple[str, ...]) -> None:
        """See that every name is a hypothesis."""
        for name in self.weights:
            _known(name, names, "weights")
        for name, given in self.transitions.items():
            _known(name, names, "transitions")
            for other in given:
                _known(other, names, f"transitions.{name}")

    def graph(self, names: tuple[str, ...]) -> Graph:
        """Return the graph in the order of ``names``."""
        given = self.transitions
        return Graph(
            np.array([self.weights.get(name, 0.0) for name in names]),
            np.array([[given.get(one, {}).get(other, 0.0) for other in names] for one in names]),
        )

    def rejects(self, p: Floats, alpha: float, names: tuple[str, ...], ratio: Floats) -> Mask:
        """Compare the graph's adjusted p-values with the level."""
        return np.asarray(self.graph(names).adjusted(p) <= alpha)

    def words(self) -> str:
        """Say the procedure in words."""
        start = _shared(self.weights)
        handed = "; ".join(f"{name} hands on {_shared(given)}" for name, given in self.transitions.items())
        return f"by a graph that starts with {start}" + (f"; when rejected, {handed}" if handed else "")


def _shared(shares: Shares) -> str:
    return ", ".join(f"{share:.3g} to {name}" for name, share in shares.items())


def _known(name: str, names: tuple[str, ...], place: str) -> None:
    if name not in names:
        raise wrong(f"multiplicity.{place}: unknown hypothesis '{name}':{suggest(name, names)}")
