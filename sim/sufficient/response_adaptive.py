"""Bayesian adaptive trials of a response: arms are dropped, allocation follows the posterior, early stops."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import betaincinv

from sim.core.parts import Part, wrong
from sim.core.streams import Streams
from sim.rules.best_arm import Posteriors
from sim.rules.crossing import Floats
from sim.sufficient.base import Engine, Outcomes

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

BLOCK = 512
"""Trials in a block; always the same, whatever the number of trials or workers."""

Share = Annotated[float, Field(ge=0, le=1)]


class Equivalence(Part):
    """Stop when all arms left differ by less than ``within`` with more than this ``probability``."""

    probability: Annotated[float, Field(gt=0, lt=1)]
    within: Annotated[float, Field(gt=0, lt=1)]


class Reallocation(Part):
    """Allocation in proportion to the probability to be best, softened and bounded below.

    ``power`` flattens the shares (1 leaves them, 0 makes them equal; Thall & Wathen 2007,
    doi:10.1016/j.ejca.2007.01.006). An arm below ``at_least`` gets that share, and the rest is divided again.
    """

    power: Share = 1.0
    at_least: Share = 0.0

    def shares(self, best: Floats, active: Bools) -> Floats:
        """Return the shares of new patients, (arm, trial), from the probabilities to be best alike."""
        settled = ~active
        shares = np.zeros(best.shape)
        for _ in range(len(best)):
            left = 1 - shares.sum(axis=0, where=settled)
            weight = np.where(settled, 0.0, np.maximum(best, 1e-12) ** self.power)
            divided = weight * (left / np.maximum(weight.sum(axis=0), 1e-300))
            low = ~settled & (divided < self.at_least)
            shares = np.where(settled, shares, np.where(low, self.at_least, divided))
            if not low.any():
                break
            settled = settled | low
        return np.asarray(shares / shares.sum(axis=0))


class AdaptiveDesign(Engine):
    """A trial of several arms without a common control, analysed at many looks.

    At each look arms whose probability to be best is below ``inferiority`` are dropped, again and again
    among those left; the trial stops when one is above ``superiority`` (or alone), or all left are
    equivalent. The order of steps is that of the R package adaptr (Granholm et al. 2022,
    doi:10.21105/joss.04284). Posteriors are beta with ``prior`` responders and others, their probabilities
    exact to about 1e-5 instead of sampled. Shares are probabilities of each patient's allocation.

    ``looks`` are patients with an outcome at each look, ``randomised`` all patients by then, more where
    outcomes lag behind.
    """

    kind: Literal["response_adaptive"] = "response_adaptive"
    truth_means: ClassVar[str] = "shares of responders by arm:"

    arms: Annotated[int, Field(ge=2, le=8)]
    looks: Annotated[tuple[int, ...], Field(min_length=1)]
    randomised: tuple[int, ...] = ()
    superiority: Annotated[float, Field(gt=0, lt=1)] = 0.99
    inferiority: Annotated[float, Field(ge=0, lt=1)] = 0.01
    equivalence: Equivalence | None = None
    allocation: Reallocation | None = None
    better: Literal["higher", "lower"] = "higher"
    prior: tuple[Annotated[float, Field(ge=0.5)], Annotated[float, Field(ge=0.5)]] = (1.0, 1.0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (np.diff(self.looks, prepend=0) <= 0).any():
            raise wrong(f"looks: must increase from above 0 (given: {list(self.looks)})")
        enrolled = self.enrolled
        if len(enrolled) != len(self.looks) or (np.diff(enrolled, prepend=0) < 0).any():
            raise wrong(
                f"randomised: needs {len(self.looks)} values that do not fall (given: {list(enrolled)})"
            )
        if any(now < seen for now, seen in zip(enrolled, self.looks, strict=True)):
            raise wrong("randomised: must be at least the patients with an outcome at each look")
        if self.inferiority >= 1 / self.arms:
            raise wrong(f"inferiority: must be below 1/arms (given: {self.inferiority:g})")
        if self.allocation is not None and self.allocation.at_least * self.arms > 1:
            raise wrong("allocation.at_least: the least shares of all arms sum to more than 1")
        return self

    def values_needed(self) -> int:
        """Return the number of arms."""
        return self.arms

    def outcomes(self, truth: tuple[float, ...], seed: int, trials: int) -> Outcomes:
        """How trials end, which arm is found superior, patients and their responders."""
        found = run(self, truth, seed, trials)
        superior = found.stopped == SUPERIOR
        return {
            "superiority": superior,
            "equivalence": found.stopped == EQUIVALENT,
            **{f"superiority_of_arm_{k + 1}": superior & (found.selected == k) for k in range(self.arms)},
            "patients": found.size,
            "responders": found.responders,
            "share_of_responders": found.responders / found.size,
        }

    def words(self) -> str:
        """Say the design in words."""
        shares = "equal shares" if self.allocation is None else "shares by the probability to be best"
        looks = ", ".join(str(n) for n in self.looks)
        return (
            f"{self.arms} arms with {shares}, looks at {looks} outcomes; an arm is superior above a "
            f"probability of {self.superiority:g} to be best, and dropped below {self.inferiority:g}"
        )

    @property
    def enrolled(self) -> tuple[int, ...]:
        """Patients randomised by each look."""
        return self.randomised or self.looks

    def batches(self) -> list[tuple[int, int, int]]:
        """Return (look by which randomised, first, last) of the patients who are always seen together."""
        cuts = sorted({0, *self.looks, *self.enrolled})
        found = []
        for first, last in pairwise(cuts):
            look = next(k for k, enrolled in enumerate(self.enrolled) if last <= enrolled)
            found.append((look, first, last))
        return found


@dataclass(frozen=True)
class AdaptiveTrials:
    """What came of each trial; arrays (trial,) or (arm, trial).

    Attributes
    ----------
    size
        Patients randomised.
    responders
        Responders among all of them.
    stopped
        'superiority', 'equivalence' or 'max' as 0, 1, 2.
    selected
        The superior arm, or else the one that is most probably the best.
    estimate
        Posterior median of the selected arm's rate, all its patients counted.
    """

    size: Ints
    responders: Ints
    stopped: Ints
    selected: Ints
    estimate: Floats


SUPERIOR, EQUIVALENT, LAST = 0, 1, 2


def simulate(design: AdaptiveDesign, rates: tuple[float, ...], streams: Streams) -> AdaptiveTrials:
    """Run one block of ``BLOCK`` trials.

    Parameters
    ----------
    rates
        True rate of each arm.
    streams
        Of the block; each batch of patients has its own, so that another threshold meets the same patients.
    """
    state = _State.at_start(design)
    batches = design.batches()
    for look, seen in enumerate(design.looks):
        for batch in [b for b in batches if b[0] == look]:
            state.randomise(batch, rates, streams)
        going = np.flatnonzero(state.stopped < 0)
        if not len(going):
            break
        _look(design, state, going, seen)
        state.count(going, look)
    return state.finish()


def run(design: AdaptiveDesign, rates: tuple[float, ...], seed: int, trials: int) -> AdaptiveTrials:
    """Run ``trials`` trials, block by block; more trials extend fewer."""
    blocks = [simulate(design, rates, Streams(seed, block)) for block in range(-(-trials // BLOCK))]
    return AdaptiveTrials(
        *(
            np.concatenate([getattr(block, name) for block in blocks])[:trials]
            for name in AdaptiveTrials.__annotations__
        )
    )


@dataclass
class _State:
    """A block of trials in progress; the arrays change from look to look."""

    design: AdaptiveDesign
    patients: dict[int, Ints]
    responses: dict[int, Ints]
    share: Floats
    active: Bools
    best: Floats
    stopped: Ints
    last_look: Ints

    @classmethod
    def at_start(cls, design: AdaptiveDesign) -> "_State":
        """Equal shares in all arms."""
        shape = (design.arms, BLOCK)
        share = np.full(shape, 1 / design.arms)
        stopped, look = np.full(BLOCK, -1), np.full(BLOCK, len(design.looks) - 1)
        return cls(design, {}, {}, share, np.ones(shape, bool), share.copy(), stopped, look)

    def randomise(self, batch: tuple[int, int, int], rates: tuple[float, ...], streams: Streams) -> None:
        """Allocate a batch at the shares of its time, at random, and let its outcomes come."""
        _, first, last = batch
        allocated = streams(f"allocation {first}").multinomial(last - first, self.share.T).T
        chance = np.array(rates)[:, None]
        self.patients[last] = allocated
        self.responses[last] = streams(f"outcome {first}").binomial(allocated, chance)

    def seen(self, counts: dict[int, Ints], patients: int, trials: Ints) -> Ints:
        """Sum ``counts`` over the batches among the first ``patients``, (arm, trial)."""
        return np.asarray(sum(count[:, trials] for last, count in counts.items() if last <= patients))

    def count(self, going: Ints, look: int) -> None:
        """Note the look at which trials stopped."""
        self.last_look[going[self.stopped[going] >= 0]] = look

    def finish(self) -> AdaptiveTrials:
        """Count every patient randomised by the look at which each trial stopped."""
        enrolled = np.array(self.design.enrolled)
        size = enrolled[self.last_look]
        n, r = (np.zeros(self.active.shape, dtype=np.int64) for _ in range(2))
        for last in self.patients:
            counted = last <= size
            n += np.where(counted, self.patients[last], 0)
            r += np.where(counted, self.responses[last], 0)
        selected = self.best.argmax(axis=0)
        each = np.arange(BLOCK)
        a, b = self.design.prior
        r_selected, n_selected = r[selected, each], n[selected, each]
        estimate = betaincinv(a + r_selected, b + n_selected - r_selected, 0.5)
        stopped = np.where(self.stopped < 0, LAST, self.stopped)
        return AdaptiveTrials(size, r.sum(axis=0), stopped, selected, estimate)


def _look(design: AdaptiveDesign, state: _State, going: Ints, seen: int) -> None:
    """Drop, stop and reallocate in the trials that are ``going``."""
    responders = state.seen(state.responses, seen, going)
    a = design.prior[0] + responders
    b = design.prior[1] + state.seen(state.patients, seen, going) - responders
    active = state.active[:, going]
    posteriors = Posteriors.of(a, b, active)
    best = posteriors.best(design.better)
    while True:
        inferior = active & (best < design.inferiority)
        again = np.flatnonzero(inferior.any(axis=0))
        if not len(again):
            break
        active = active & ~inferior
        best[:, again] = Posteriors.of(a[:, again], b[:, again], active[:, again]).best(design.better)
    superior = best.max(axis=0) > design.superiority
    state.stopped[going[superior]] = SUPERIOR
    if design.equivalence is not None:
        alike = posteriors.among(active).all_within(design.equivalence.within)
        state.stopped[going[~superior & (alike > design.equivalence.probability)]] = EQUIVALENT
    state.active[:, going], state.best[:, going] = active, best
    equal = Reallocation(power=0.0)
    state.share[:, going] = (design.allocation or equal).shares(best, active)
