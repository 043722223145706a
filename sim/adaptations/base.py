"""What an adaptation knows at an interim look, and what it may change for the patients to come."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sim.core.parts import Family, wrong
from sim.rules.base import Rule

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

TINY = 1e-12
VAGUE = 1e6
"""Variance of an arm without patients, in squares of the summary's unit: nothing is known of it."""


@dataclass(frozen=True)
class Plan:
    """What is planned for the patients to come.

    Attributes
    ----------
    open
        Arms that recruit, (arm, replicate).
    size
        Patients in all, (replicate,).
    shares
        Of new patients that each arm gets, (arm, replicate); None: as the allocation ratio has it.
    dropped
        Arms dropped so far without being tested any more, (arm, replicate).
    narrowed
        Whether only patients of the subgroup enter any more, (replicate,).
    """

    open: Mask
    size: Ints
    shares: Floats | None
    dropped: Mask
    narrowed: Mask

    @classmethod
    def at_start(cls, arms: int, size: int, replicates: int) -> Self:
        """All arms recruit, by the allocation ratio."""
        opened = np.ones((arms, replicates), dtype=bool)
        nobody = np.zeros_like(opened)
        return cls(opened, np.full(replicates, size), None, nobody, nobody[0])

    def close(self, arms: Mask) -> "Plan":
        """Let arms (arm, replicate) recruit no more."""
        return replace(self, open=self.open & ~arms)

    def share_among_open(self) -> "Plan":
        """Divide the shares of closed arms among the open ones, in proportion to theirs."""
        if self.shares is None:
            return self
        shares = np.where(self.open, self.shares, 0.0)
        return replace(self, shares=shares / np.maximum(shares.sum(axis=0), TINY))


@dataclass(frozen=True)
class Standing:
    """How trials stand at an interim look; larger effects are better.

    Attributes
    ----------
    look
        Its number, from 0.
    planned
        Share of the patients planned at each look, (look,).
    z, se
        Estimate over standard error, and standard error, of each compared arm (or of its hypotheses in all
        patients and in a subgroup), (compared arm, replicate); nan is not known.
    mean, variance
        Of each arm against the control under flat priors, (arm, replicate); the arms are independent.
    compared
        Positions of the compared arms; ``control`` is that of the control.
    ended
        Arms whose test has ended, (arm, replicate).
    decided
        The same of each of the hypotheses behind ``z``, (compared arm, replicate).
    passed, randomised
        Patients with the primary visit, and patients randomised by now, (replicate,).
    sd
        SD of the outcome given its baseline, arms not told apart, (replicate,).
    ratio
        Allocation ratio, (arm,).
    bounds
        Efficacy bounds on z, (look,); None: the rule has none.
    outside
        Effect in those who are not in the subgroup, analysed alone, (replicate,); None: there is no subgroup.
    """

    look: int
    planned: tuple[float, ...]
    z: Floats
    se: Floats
    mean: Floats
    variance: Floats
    compared: tuple[int, ...]
    control: int
    ended: Mask
    decided: Mask
    passed: Ints
    randomised: Ints
    sd: Floats
    ratio: Floats
    bounds: Floats | None
    outside: Floats | None = None

    @property
    def effect(self) -> Floats:
        """Observed effect of the compared arms, (compared arm, replicate)."""
        return self.mean[list(self.compared)]


def arm_posteriors(
    effect: Floats, se: Floats, patients: Floats, places: tuple[tuple[int, ...], int]
) -> tuple[Floats, Floats]:
    """Take contrasts with one control apart into arms, mean and variance (arm, replicate).

    Where arms have one variance, that of a contrast is σ²/n + σ²/n of the control, which tells σ². The
    control's mean is 0 by definition.

    Parameters
    ----------
    effect, se
        Of the compared arms, (compared arm, replicate).
    patients
        With an outcome, (arm, replicate).
    places
        Positions of the compared arms, and of the control.
    """
    compared, control = list(places[0]), places[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 1 / patients
        known = se**2 / (share[compared] + share[control])
        counted = np.isfinite(known)
        one = np.where(counted, known, 0.0).sum(axis=0) / counted.sum(axis=0)
        variance = one * share
    mean = np.zeros(patients.shape)
    mean[compared] = np.where(np.isfinite(effect), effect, 0.0)
    return mean, np.where(np.isfinite(variance), variance, VAGUE)


class Adaptation(Family):
    """A change of the plan at an interim look."""

    home: ClassVar[str] = "sim.adaptations"
    sets_shares: ClassVar[bool] = False
    """Whether new patients are allocated by shares that follow what was seen."""
    by_stages: ClassVar[bool] = False
    """Whether the level holds only if stages are combined, and only for one compared arm."""

    @property
    def narrows_to(self) -> str | None:
        """Estimand of the subgroup in which the trial may go on alone."""
        return None

    def most(self, n: int) -> int:
        """Return the most patients that a trial planned with ``n`` may recruit."""
        return n

    def check(self, rule: Rule, compared: int) -> None:
        """Refuse a rule, or a number of compared arms, that the adaptation cannot work with."""
        kind = self.model_dump().get("kind", "adaptation")
        if self.by_stages and not rule.by_stage:
            raise wrong(f"{kind}: the level holds with a rule of kind 'combination' only")
        if self.by_stages and compared > 1:
            raise wrong(f"{kind}: of a trial of one compared arm and a control")

    def adapt(self, plan: Plan, standing: Standing) -> Plan:
        """Change the plan at a look."""
        raise NotImplementedError

    def words(self, arms: Sequence[str]) -> str:
        """Say the adaptation in words, a sentence; ``arms`` are the compared ones."""
        raise NotImplementedError
