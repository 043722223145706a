"""What a decision rule has to offer, and the looks at which it is asked."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.analyses.base import Estimate
from sim.core.parts import Family

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Looks:
    """When a trial is looked at.

    Attributes
    ----------
    fractions
        Share of the patients with the primary visit at each look, (look,), increasing to 1.
    place
        Position of each look's patients among the analysed cuts of an estimate, (size, look).
    observed
        Share of the planned patients that each look really had, (look, replicate); None: as planned.
    done
        Share of the patients planned when the look comes that it had, (look, replicate), 1 at looks to come;
        None: as planned. It is not ``observed`` in a trial that has grown or shrunk.
    against_control
        Patients planned in each compared arm for one of the control, (compared arm,); empty: not known.
    nested
        Whether the hypotheses are not arms, but one arm's in all patients and in a subgroup of them.
    """

    fractions: tuple[float, ...]
    place: Ints
    observed: NDArray[np.float64] | None = None
    done: NDArray[np.float64] | None = None
    against_control: tuple[float, ...] = ()
    nested: bool = False

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Arrange (compared arm, cut, replicate) as (compared arm, size, look, replicate)."""
        return values[:, self.place]

    def cut(self, look: Ints) -> Ints:
        """Position among the cuts of looks (…, size, replicate), same shape."""
        return np.asarray(self.place[np.arange(len(self.place))[:, None], look])

    def at(self, look: Ints, cuts: tuple[int, ...]) -> Ints:
        """Patients with the primary visit at looks (…, size, replicate), same shape."""
        return np.asarray(np.array(cuts)[self.cut(look)])


@dataclass(frozen=True)
class Verdict:
    """How each compared arm ended; arrays are (compared arm, size, replicate).

    ``look`` is the position of the look at which it ended, ``futile`` whether that was an early stop
    without success.
    """

    look: Ints
    success: Mask
    futile: Mask

    @classmethod
    def first(cls, success: Mask, futile: Mask) -> "Verdict":
        """End each arm at its first look with a decision, both (compared arm, size, look, replicate).

        At the last look every arm ends, as a success or not.
        """
        ended = success | futile
        ended[:, :, -1] = True
        look = ended.argmax(axis=2)
        at = np.expand_dims(look, 2)
        won = np.take_along_axis(success, at, axis=2)[:, :, 0]
        early = look < success.shape[2] - 1
        return cls(look, won, early & ~won)

    def one(self, place: int) -> "Verdict":
        """Return that of one compared arm, or hypothesis."""
        rows = slice(place, place + 1)
        return Verdict(self.look[rows], self.success[rows], self.futile[rows])


class Rule(Family):
    """When an analysis counts as success."""

    home: ClassVar[str] = "sim.rules"
    looks_early: ClassVar[bool] = False
    """Whether the rule can end a trial before its last look."""
    by_stage: ClassVar[bool] = False
    """Whether the rule asks for the estimates of each stage's own patients instead of all so far."""

    @property
    def tests_no_effect(self) -> bool:
        """Whether success without any effect is a type I error; with a margin it is none."""
        return True

    def success(self, estimate: Estimate, better: str) -> Mask:
        """Decide for each compared arm, size and replicate; a failed estimate is no success."""
        raise NotImplementedError

    def at_looks(self, estimate: Estimate, better: str, looks: Looks) -> Mask:
        """Whether each look would be a success, (compared arm, size, look, replicate)."""
        return np.array(looks.of(self.success(estimate, better)), dtype=bool)

    def check_looks(self, interim: int) -> None:
        """Refuse a number of interim looks that the rule does not fit."""

    def monitor(self, estimate: Estimate, better: str, looks: Looks) -> Verdict:
        """Follow a trial from look to look; by default only the last look decides."""
        success = np.array(self.success(estimate, better)[:, looks.place[:, -1]], dtype=bool)
        last = np.full(success.shape, len(looks.fractions) - 1)
        return Verdict(last, success, np.zeros_like(success))

    def words(self) -> str:
        """Say the rule in words."""
        raise NotImplementedError
