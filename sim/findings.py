"""What a trial finds: estimates at its looks, and what its rules make of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.analyses.base import Estimate
from sim.observation import join
from sim.protocol import Protocol
from sim.rules.base import Looks, Verdict
from sim.rules.significance import Significance

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Analysed = tuple[Estimate, str]
"""An estimate and which direction is better."""


@dataclass(frozen=True)
class Finding:
    """One estimand at the look where it was decided, arrays (compared arm, size, replicate).

    Attributes
    ----------
    estimate
        At every cut of the patients, (compared arm, cut, replicate).
    cut
        Position of the deciding look's cut.
    verdict
        When it was decided and how.
    lacking
        Trials that were stopped before that look, (size, replicate); None: none was.
    """

    estimand: str
    arms: tuple[str, ...]
    estimate: Estimate
    cut: Ints
    verdict: Verdict
    lacking: Mask | None = None

    def at_end(self, values: Floats) -> Floats:
        """Take (compared arm, cut, replicate) at the deciding look: (compared arm, size, replicate).

        A trial that was stopped before has none: nan, or 0 of what is counted.
        """
        one = values.shape[1] == self.cut.shape[1] == 1
        found = values if one else np.take_along_axis(values, self.cut, axis=1)
        if self.lacking is None:
            return found
        return np.where(
            self.lacking, np.zeros((), found.dtype) if found.dtype.kind in "iu" else np.nan, found
        )

    def without(self, lacking: Mask) -> "Finding":
        """Take the result from trials that were stopped before it: they have no success."""
        if not lacking.any():
            return self
        won, futile = self.verdict.success & ~lacking, self.verdict.futile & ~lacking
        return replace(self, verdict=replace(self.verdict, success=won, futile=futile), lacking=lacking)

    @property
    def success(self) -> Mask:
        """Whether each compared arm succeeded."""
        return self.verdict.success


@dataclass(frozen=True)
class End:
    """How trials ended; arrays are (size, replicate), see ``trial.TrialRecord``."""

    findings: tuple[Finding, ...]
    ended: Ints
    finished: Floats
    randomised: Ints
    analysed: Ints
    unfinished: Mask

    @classmethod
    def of_sizes(cls, each: Sequence["End"]) -> "End":
        """Put trials of single sizes side by side."""
        findings = tuple(side_by_side(found) for found in zip(*(end.findings for end in each), strict=True))
        names = ("ended", "finished", "randomised", "analysed", "unfinished")
        return cls(findings, *(np.concatenate([getattr(end, name) for end in each]) for name in names))


def decide(
    protocol: Protocol, analysed: Sequence[Analysed], verdict: Verdict, looks: Looks
) -> tuple[tuple[Finding, ...], Ints]:
    """Decide every look's estimand; the verdict on those that decide ends the trial, (size, replicate)."""
    ended = verdict.look.max(axis=0)
    deciding = {place: verdict.one(row) for row, place in enumerate(protocol.deciding)}
    if protocol.subgroup is None:
        deciding = {0: verdict}
    findings = []
    for place, (look, (estimate, better)) in enumerate(zip(protocol.looks, analysed, strict=True)):
        if place in deciding:
            found = deciding[place]
        else:
            success = np.array(looks.of(look.rule.success(estimate, better)), dtype=bool)
            at = np.broadcast_to(ended, (len(success), *ended.shape))
            won = success[:, np.arange(len(ended))[:, None], ended, np.arange(ended.shape[1])]
            found = Verdict(at, won, np.zeros_like(won))
        name = look.analysis.estimand
        arms = protocol.estimands[name].contrast.of
        findings.append(Finding(name, arms, estimate, looks.cut(found.look), found))
    return (tuple(findings) if protocol.multiplicity is None else together(protocol, findings)), ended


def together(protocol: Protocol, findings: list[Finding]) -> tuple[Finding, ...]:
    """Decide all hypotheses of a trial by its multiplicity procedure, instead of each look by its rule."""
    p = []
    for look, found in zip(protocol.looks, findings, strict=True):
        assert isinstance(look.rule, Significance)
        better = protocol.better(found.estimand)
        p.append(found.at_end(look.rule.p_value(found.estimate, better)))
    rejected = protocol.share_level(np.concatenate(p))
    each = np.split(rejected, np.cumsum([len(found.arms) for found in findings])[:-1])
    return tuple(
        replace(found, verdict=replace(found.verdict, success=won))
        for found, won in zip(findings, each, strict=True)
    )


def side_by_side(findings: Sequence[Finding]) -> Finding:
    """Put findings of one estimand at single sizes together."""
    first = findings[0]
    starts = np.cumsum([0, *(found.estimate.estimate.shape[1] for found in findings[:-1])])
    return Finding(
        first.estimand,
        first.arms,
        join(1, *(found.estimate for found in findings)),
        np.concatenate([found.cut + start for found, start in zip(findings, starts, strict=True)], axis=1),
        Verdict(
            *(
                np.concatenate([getattr(found.verdict, name) for found in findings], axis=1)
                for name in ("look", "success", "futile")
            )
        ),
    )
