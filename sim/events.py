"""Stopping treatment, which changes what an outcome means, and leaving the study, which only hides it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import Streams
from sim.treatments import TreatmentLevels

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

REASONS = ("none", "adverse_event", "inefficacy", "other")
NEVER = np.inf


@dataclass(frozen=True)
class Events:
    """What goes wrong, in weeks since randomisation; ``inf`` is never. Arrays are (patient, replicate).

    Attributes
    ----------
    stop
        Week in which the treatment is discontinued.
    reason
        Position in ``REASONS``.
    leave
        Week in which the patient leaves the study.
    """

    stop: Floats
    reason: NDArray[np.int8]
    leave: Floats

    def until(self, leave: Floats) -> "Events":
        """Let patients leave in these weeks; what would have stopped a treatment after that is not seen."""
        if not self.reason.any():
            return Events(self.stop, self.reason, leave)
        gone = leave < self.stop
        return Events(np.where(gone, NEVER, self.stop), np.where(gone, 0, self.reason).astype(np.int8), leave)

    def or_earlier(self, other: "Events") -> "Events":
        """Take what happens first, of a treatment or of another one."""
        first = other.stop < self.stop
        reason = np.where(first, other.reason, self.reason).astype(np.int8)
        return Events(np.minimum(self.stop, other.stop), reason, np.minimum(self.leave, other.leave))

    @property
    def ended(self) -> Floats:
        """Week in which treatment was discontinued or the study left, (patient, replicate)."""
        return np.minimum(self.stop, self.leave) if self.reason.any() else self.leave


@dataclass(frozen=True)
class Hazards:
    """Levels of every arm, each (arm, replicate), looked up for a patient by arm and replicate.

    Attributes
    ----------
    levels
        Of each arm's treatment.
    begun, gave_up
        Week in which each patient's treatment begins, and in which a patient gives up the wait for it,
        (patient, replicate); None: as the treatments have it, and nobody does.
    ended
        Week in which another treatment takes its place, (patient, replicate); None: never.
    """

    levels: Sequence[TreatmentLevels]
    begun: Floats | None = None
    gave_up: Floats | None = None
    ended: Floats | None = None

    def of(self, quantity: str) -> Floats:
        """Stack one hazard over the arms, shape (arm, replicate)."""
        if quantity not in self._stacked:
            self._stacked[quantity] = np.stack([getattr(level.hazards, quantity) for level in self.levels])
        return self._stacked[quantity]

    @cached_property
    def _stacked(self) -> dict[str, Floats]:
        """Hazards that were asked for."""
        return {}

    def start(self, arm: Ints) -> Floats:
        """Week in which each patient's treatment begins, (patient, replicate), or zeros for all at once."""
        if self.begun is not None:
            return self.begun
        if all(level.waiting is None for level in self.levels):
            return np.zeros((1, arm.shape[1]))
        zero = np.zeros_like(self.levels[0].weeks)
        return _each(np.stack([zero if w is None else w for w in (lv.waiting for lv in self.levels)]), arm)

    def end(self, arm: Ints) -> Floats:
        """Week in which each patient's treatment ends as planned, (patient, replicate)."""
        planned = self.start(arm) + _each(np.stack([level.weeks for level in self.levels]), arm)
        return planned if self.ended is None else np.minimum(planned, self.ended)


@dataclass(frozen=True)
class Ratings:
    """What patients feel while treated as planned.

    Attributes
    ----------
    weeks
        Follow-up visits, (visit,).
    baseline, latent
        Unrounded ratings at week 0, (patient, replicate), and at the visits, (patient, replicate, visit).
    """

    weeks: Floats
    baseline: Floats
    latent: Floats

    def intervals(self) -> Iterator[tuple[float, float, Floats]]:
        """Yield each interval between visits, from week 0: its begin, its end and the rating at its begin."""
        ratings = [self.baseline, *(self.latent[:, :, visit] for visit in range(len(self.weeks) - 1))]
        yield from zip([0.0, *self.weeks[:-1]], self.weeks, ratings, strict=True)


def occur(ratings: Ratings, arm: Ints, hazards: Hazards, streams: Streams) -> Events:
    """Let adverse events, inefficacy, other reasons and withdrawal compete, given the ratings while treated.

    Each cause has a unit exponential threshold for each patient and happens when its cumulated hazard
    passes it (Kalbfleisch & Prentice 2002, section 8.2), so the same patient meets every arm. A
    treatment that has not begun, or has ended as planned, cannot be stopped; who gives up the wait for it
    has stopped then, for another reason.
    """
    causes = [
        _adverse_event(arm, hazards, streams),
        _inefficacy(ratings, arm, hazards, streams),
        _constant("other", "other reason", arm, hazards, streams),
    ]
    stop, reason = _first(causes, arm, hazards)
    if hazards.gave_up is not None:
        stop = np.minimum(stop, hazards.gave_up)
        reason[hazards.gave_up < NEVER] = REASONS.index("other")
    leave = _constant("withdrawal", "withdrawal", arm, hazards, streams)
    if reason.any() or leave is None:
        leaves = _leaves_on_stopping(stop, arm, hazards, streams)
        leave = leaves if leave is None else np.minimum(leave, leaves, out=leave)
    return Events(stop, reason, leave)


def _first(causes: Sequence[Floats | None], arm: Ints, hazards: Hazards) -> tuple[Floats, NDArray[np.int8]]:
    """Week and number of the first cause before treatment ends, (patient, replicate); ``inf``, 0 if none."""
    first, reason = np.full(arm.shape, NEVER), np.zeros(arm.shape, dtype=np.int8)
    happening = [(number, cause) for number, cause in enumerate(causes, start=1) if cause is not None]
    for number, cause in happening:
        np.maximum(reason, np.int8(number) * (cause < first), out=reason)
        np.minimum(first, cause, out=first)
    if happening:
        too_late = first >= hazards.end(arm)
        np.copyto(first, NEVER, where=too_late)
        reason *= ~too_late
    return first, reason


def _each(table: Floats, arm: Ints) -> Floats:
    """Look up (arm, replicate) levels for each patient, shape (patient, replicate)."""
    if (table == table[0]).all():
        return np.broadcast_to(table[0], arm.shape)
    replicates = table.shape[1]
    return np.asarray(np.take(table.ravel(), arm * replicates + np.arange(replicates)))


def _waiting(threshold: Floats, hazard: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(threshold / hazard)


def _adverse_event(arm: Ints, hazards: Hazards, streams: Streams) -> Floats | None:
    early, later, until = hazards.of("event_early"), hazards.of("event_later"), hazards.of("early_weeks")
    if not (early.any() or later.any()):
        return None
    threshold = streams("adverse event").standard_exponential(arm.shape)
    reached = _each(early * until, arm)
    soon = _waiting(threshold, _each(early, arm))
    late = _each(until, arm) + _waiting(threshold - reached, _each(later, arm))
    return np.asarray(np.where(threshold < reached, soon, late) + hazards.start(arm))


def _inefficacy(ratings: Ratings, arm: Ints, hazards: Hazards, streams: Streams) -> Floats | None:
    """Cumulate the pain-dependent hazard between visits, the rating held since the last."""
    base, ratio, start = hazards.of("pain_at_five"), hazards.of("pain_ratio"), hazards.of("pain_from")
    if not base.any():
        return None
    threshold = streams("inefficacy").standard_exponential(arm.shape)
    longest = np.maximum(ratings.weeks[-1] - start, 0.0)
    most = base * np.maximum(ratio**5.0, ratio**-5.0) * longest
    at_risk = np.nonzero(threshold < most.max())
    level = (arm[at_risk], at_risk[1])
    begun = np.broadcast_to(hazards.start(arm), arm.shape)[at_risk]
    base, ratio, start = base[level], ratio[level], start[level] + begun
    left = threshold[at_risk]
    when = np.full(left.shape, NEVER)
    for begin, end, rating in ratings.intervals():
        since = np.maximum(begin, start)
        exposure = np.maximum(end - since, 0.0)
        if not exposure.any():
            continue
        hazard = base * ratio ** (np.clip(rating[at_risk], 0.0, 10.0) - 5.0)
        now = (left < hazard * exposure) & (when == NEVER)
        when[now] = since[now] + left[now] / hazard[now]
        left -= hazard * exposure
    happens = np.full(arm.shape, NEVER)
    happens[at_risk] = when
    return happens


def _constant(quantity: str, stream: str, arm: Ints, hazards: Hazards, streams: Streams) -> Floats | None:
    """Week of a cause whose hazard does not change; None where it never happens."""
    hazard = hazards.of(quantity)
    if not hazard.any():
        return None
    when = streams(stream).standard_exponential(arm.shape)
    with np.errstate(divide="ignore"):
        when /= _each(hazard, arm)
    if quantity != "withdrawal":
        when += hazards.start(arm)
    return when


def _leaves_on_stopping(stop: Floats, arm: Ints, hazards: Hazards, streams: Streams) -> Floats:
    share = hazards.of("leaves")
    if share.min() >= 1:
        return stop
    leaves = streams("leaving").random(arm.shape) < _each(share, arm)
    return np.where(leaves, stop, NEVER)
