"""Arms: a treatment, or several in sequence or side by side, and a run-in that they share."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.core.parts import Part, suggest, wrong
from sim.endpoints import PAIN, Endpoint

Floats = NDArray[np.float64]


class Step(Part):
    """A treatment that comes later in an arm, or beside the one before.

    From week ``at`` for ``weeks`` (by default to the end); the treatments before it end there, unless it is
    given ``beside`` them. ``unless`` names a response by then that spares a patient the step: an arm with
    such a step is a dynamic treatment regime (Murphy 2005, doi:10.1002/sim.2022).
    """

    treatment: str
    at: float = Field(ge=0, description="weeks since randomisation, or since the run-in began")
    weeks: float | None = Field(None, gt=0)
    beside: bool = False
    unless: str | None = Field(None, description="a binary endpoint at the visit of week 'at'")

    def words(self) -> str:
        """Say the step in words."""
        length = f" for {self.weeks:g} weeks" if self.weeks else ""
        how = " besides" if self.beside else ""
        who = f", unless {self.unless} by then" if self.unless else ""
        return f"{self.treatment}{how} from week {self.at:g}{length}{who}"


class RunIn(Part):
    """What everybody passes before randomisation: the first weeks of every arm, which are the same.

    Randomised are those who are still on treatment and in the study at the visit of week ``weeks``, and
    respond (``only``) or do not (``unless``): an enriched-enrolment randomised withdrawal, or a run-in on
    placebo. Up to ``enter`` patients enter; n are randomised. The score at randomisation is the analyses'
    baseline.
    """

    weeks: float = Field(gt=0, description="visit at which patients are randomised")
    enter: int = Field(ge=2, le=50_000, description="patients who may enter at most")
    only: str | None = Field(None, description="a binary endpoint that randomised patients have met")
    unless: str | None = Field(None, description="a binary endpoint that they have not met")

    def check(
        self, arms: Sequence["Arm"], visits: Sequence[float], endpoints: Mapping[str, Endpoint]
    ) -> None:
        """Refuse arms that differ before randomisation, and a response that is not known by then."""
        early = {(arm.treatment, arm.weeks if (arm.weeks or np.inf) < self.weeks else None) for arm in arms}
        if len(early) > 1 or any(step.at < self.weeks for arm in arms for step in arm.then):
            raise wrong(f"run_in: the arms must be the same until week {self.weeks:g}")
        if self.weeks not in visits[1:]:
            allowed = ", ".join(f"{week:g}" for week in visits[1:])
            raise wrong(f"run_in.weeks: there is no visit at week {self.weeks:g}; allowed: {allowed}")
        known = [name for name, endpoint in endpoints.items() if endpoint.outcome == "binary"]
        for name in (self.only, self.unless):
            if name is not None and name not in known:
                raise wrong(f"run_in: '{name}' is no binary endpoint:{suggest(name, known)}")

    def words(self) -> str:
        """Say who is randomised."""
        if_ = f", if {self.only}" if self.only else ""
        unless = f", unless {self.unless}" if self.unless else ""
        return (
            f"Up to {self.enter} patients enter; those still treated at week {self.weeks:g} are randomised"
            f"{if_}{unless}; weeks count from entry, and the score at randomisation is the baseline"
        )


class Arm(Part):
    """One arm of the trial: a treatment, and those that follow it or are given beside it."""

    name: str
    treatment: str
    weeks: float | None = Field(None, gt=0, description="after which the first treatment ends")
    then: tuple[Step, ...] = ()
    opens: float = Field(0.0, ge=0, description="week in which the arm begins to recruit, of a platform")
    closes: float | None = Field(None, gt=0, description="week in which it ends to recruit")
    ratio: int = Field(1, ge=1, le=20)
    therapists: int | None = Field(None, ge=1, le=1000, description="who take the arm's patients in turn")

    @property
    def treatments(self) -> tuple[str, ...]:
        """Every treatment of the arm."""
        return (self.treatment, *(step.treatment for step in self.then))

    def check(self, where: str, visits: Sequence[float], endpoints: Mapping[str, Endpoint]) -> None:
        """Refuse steps out of order, or on a response that is not known by then."""
        if any(b.at < a.at for a, b in pairwise(self.then)):
            raise wrong(f"{where}.then: steps must be in the order of their weeks")
        if self.closes is not None and self.closes <= self.opens:
            raise wrong(f"{where}.closes: must be after 'opens', week {self.opens:g}")
        known = [n for n, e in endpoints.items() if e.outcome == "binary" and e.instrument == PAIN]
        for number, step in enumerate(self.then):
            if step.unless is None:
                continue
            if step.unless not in known:
                hint = suggest(step.unless, known)
                raise wrong(f"{where}.then[{number}].unless: no response of pain:{hint}")
            if step.at not in visits[1:]:
                weeks = ", ".join(f"{week:g}" for week in visits[1:])
                raise wrong(f"{where}.then[{number}].at: a response needs a visit; allowed: {weeks}")

    def recruits(self, week: Floats) -> NDArray[np.bool_]:
        """Whether the arm recruits in these weeks since the first site opened."""
        return np.asarray((week >= self.opens) & (week < (self.closes or np.inf)))

    def course(self) -> str:
        """Say what its patients get."""
        length = f" for {self.weeks:g} weeks" if self.weeks else ""
        return ", then ".join([f"{self.treatment}{length}", *(step.words() for step in self.then)])
