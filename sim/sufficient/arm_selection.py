"""Multi-stage trials that select arms at a look and test them closed across the stages."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.core.parts import Part, wrong
from sim.core.streams import Streams
from sim.rules.combination import closed_combination, rejects
from sim.rules.crossing import Floats
from sim.rules.dunnett import intersection_p, loadings
from sim.rules.selection import best, epsilon, promising
from sim.sufficient.base import Engine, Outcomes

Bools = NDArray[np.bool_]

BLOCK = 4_096
"""Trials in a block; always the same, whatever the number of trials or workers."""


class Selection(Part):
    """Which arms go on: the best, those within ``value`` of it, those above ``value``, or all."""

    how: Literal["best", "epsilon", "promising", "all"] = "best"
    value: float = 0.0

    def arms(self, effect: Floats, going: Bools) -> Bools:
        """Return the arms that go on, (arm, trial), from their observed effects alike."""
        if self.how == "best":
            return best(effect, going)
        if self.how == "epsilon":
            return epsilon(effect, self.value, going)
        return promising(effect, self.value, going) if self.how == "promising" else going


class SelectionDesign(Engine):
    """Several arms against a control, of which some are selected at each look.

    Stage-wise Dunnett tests of all intersections are combined by the inverse normal method and closed (Bretz
    et al. 2006, doi:10.1002/bimj.200510232), so that any selection keeps the family-wise error. ``patients``
    are those of each arm by the end of each stage; ``bounds`` the efficacy bounds on z. The trial stops when
    every arm left has been rejected, or one of them with ``stop: any``, or none is left.
    """

    kind: Literal["arm_selection"] = "arm_selection"
    truth_means: ClassVar[str] = "effects against the control, in SDs, better above 0:"

    patients: Annotated[tuple[int, ...], Field(min_length=1)]
    bounds: Annotated[tuple[float, ...], Field(min_length=1)]
    selection: Selection = Selection()
    stop: Literal["all", "any"] = "all"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (np.diff(self.patients, prepend=0) <= 0).any():
            raise wrong(f"patients: must increase from above 0 (given: {list(self.patients)})")
        if len(self.bounds) != len(self.patients):
            raise wrong(f"bounds: needs {len(self.patients)} values, one a stage (given: {len(self.bounds)})")
        return self

    def outcomes(self, truth: tuple[float, ...], seed: int, trials: int) -> Outcomes:
        """Success of any arm, of each, and of one that does not help; patients and stages."""
        effects = np.array(truth)
        found = run(self, effects, seed, trials)
        rejected = np.asarray(found.rejected.any(axis=0))
        return {
            "any_success": np.asarray(rejected.any(axis=0)),
            "any_false_success": np.asarray(rejected[effects <= 0].any(axis=0)),
            **{f"success_of_arm_{arm}": hits for arm, hits in enumerate(rejected, start=1)},
            "patients": found.size,
            "stages": found.made.sum(axis=0),
        }

    def words(self) -> str:
        """Say the design in words."""
        patients = ", ".join(str(n) for n in self.patients)
        chosen = {
            "best": "the best arm goes on",
            "epsilon": f"arms within {self.selection.value:g} of the best go on",
            "promising": f"arms above {self.selection.value:g} go on",
            "all": "all arms go on",
        }[self.selection.how]
        return (
            f"Arms with {patients} patients each by the end of each stage; {chosen}; closed testing with "
            f"inverse normal combination, bounds {', '.join(f'{bound:g}' for bound in self.bounds)}"
        )


@dataclass(frozen=True)
class SelectionTrials:
    """What came of each trial.

    Attributes
    ----------
    size
        Patients in all arms, (trial,).
    made
        Whether the trial made each stage, (stage, trial).
    selected
        Arms treated in each stage, (stage, arm, trial).
    rejected
        Arms rejected while treated, by each stage that was made, (stage, arm, trial).
    """

    size: NDArray[np.int64]
    made: Bools
    selected: Bools
    rejected: Bools


def simulate(design: SelectionDesign, effects: Floats, streams: Streams) -> SelectionTrials:
    """Run one block of ``BLOCK`` trials with true ``effects`` (arm,) in standard deviations, SD known."""
    arms, steps = len(effects), np.diff(design.patients, prepend=0)
    going, open_ = np.ones((arms, BLOCK), dtype=bool), np.ones(BLOCK, dtype=bool)
    total, loading = np.zeros((arms, BLOCK)), loadings(np.ones(arms), 1.0)
    size = np.zeros(BLOCK, dtype=np.int64)
    stagewise, made, selected, rejected = [], [], [], []
    for k, n in enumerate(steps):
        mean = effects[:, None] + _means(arms, int(n), streams, k)
        total += n * mean
        stagewise.append(intersection_p(mean * np.sqrt(n / 2), loading, selected=going))
        combined = closed_combination(np.stack(stagewise), design.patients)
        crossed = rejects(combined, design.bounds)[-1] & going & open_
        size += np.where(open_, n * (going.sum(axis=0) + 1), 0)
        made.append(open_.copy())
        selected.append(going & open_)
        rejected.append(crossed)
        enough = crossed.any(axis=0) if design.stop == "any" else (crossed | ~going).all(axis=0)
        going = design.selection.arms(total / design.patients[k], going)
        open_ = open_ & ~enough & going.any(axis=0)
    return SelectionTrials(size, np.stack(made), np.stack(selected), np.stack(rejected))


def _means(arms: int, n: int, streams: Streams, stage: int) -> Floats:
    """Return a stage's mean differences from the control without effects, (arm, trial)."""
    control = streams(f"control {stage}").standard_normal(BLOCK)
    treated = streams(f"treated {stage}").standard_normal((arms, BLOCK))
    return np.asarray((treated - control) / np.sqrt(n))


def run(design: SelectionDesign, effects: Floats, seed: int, trials: int) -> SelectionTrials:
    """Run ``trials`` trials, block by block; more trials extend fewer."""
    blocks = [simulate(design, effects, Streams(seed, block)) for block in range(-(-trials // BLOCK))]
    size, made, selected, rejected = (
        np.concatenate([getattr(block, name) for block in blocks], axis=-1)[..., :trials]
        for name in ("size", "made", "selected", "rejected")
    )
    return SelectionTrials(size, made, selected, rejected)
