"""A block of trials from look to look: what is seen at one changes what happens to the patients to come.

The patients are those of every other design. At a look those who are not yet randomised get new arms, and
the block is lived through again: who was randomised before lives as before, since a patient's random
numbers hang on nothing that comes later.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.adaptations.base import Plan, Standing
from sim.allocation import among_open, by_shares
from sim.analyses.base import Estimate
from sim.core.streams import BLOCK_SIZE
from sim.data import ABSENT, TrialData
from sim.findings import Analysed, End, decide
from sim.observation import Ground, Lived, analyse, goes_on, join, observe
from sim.protocol import Protocol
from sim.rules.base import Looks, Verdict
from sim.seen import Seen, standing_at

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Passage:
    """How the trials of one size went, and what is known of their patients."""

    end: End
    data: TrialData
    lived: Lived


def pass_through(ground: Ground, size: int) -> Passage:
    """Run trials of ``size`` planned patients from the first look to the last."""
    protocol = ground.protocol
    capacity, looks = len(ground.world.baseline), len(protocol.fractions)
    plan = Plan.at_start(len(protocol.arms), size, BLOCK_SIZE)
    lived, arm = _begin(ground, capacity)
    seen: list[Seen] = []
    dropped = np.full((len(_tested(protocol, plan)), 1, BLOCK_SIZE), looks)
    for look in range(looks):
        seen.append(_see(ground, lived, _within(arm, plan.size), (plan, seen)))
        verdict = _without(_verdict(protocol, size, seen), dropped)
        if look == looks - 1 or not protocol.adaptations:
            continue
        enrolled = lived.conduct.enrolled
        began = np.where(_within(arm, plan.size) == ABSENT, np.inf, enrolled)
        standing = standing_at(protocol, (seen, protocol.planned(size)), verdict, began)
        before, plan = plan, _adapt(protocol, plan, standing)
        fresh = _given_up(protocol, before, plan) & ~standing.decided
        dropped = np.where(fresh[:, None], look, dropped)
        late = _closed_until(seen[-1].week, enrolled, arm, (before.size, plan.size))
        if late.any():
            put_off = late if ground.put_off is None else ground.put_off + late
            ground = replace(ground, put_off=put_off)
        enrolled = enrolled + late  # so patients whom the plan has grown by come after the look
        later = ((enrolled > seen[-1].week) | (late > 0), _outside(protocol, seen[-1].data))
        arm, moved = _reassign(ground, (before, plan), (arm, *later, enrolled), look)
        moved |= bool(late.any())
        lived = ground.live(arm) if moved else lived
    verdict = _without(_verdict(protocol, size, seen), dropped)
    return _passage(ground, lived, _within(arm, plan.size), (seen, verdict))


def _tested(protocol: Protocol, plan: Plan) -> Mask:
    """Hypotheses that patients to come can test, (hypothesis, replicate): of open arms, or of populations."""
    if protocol.subgroup is None:
        return plan.open[list(protocol.compared)]
    return np.stack([~plan.narrowed, np.ones_like(plan.narrowed)])


def _given_up(protocol: Protocol, before: Plan, after: Plan) -> Mask:
    """Hypotheses that a change of plan leaves without a further test, (hypothesis, replicate)."""
    if protocol.subgroup is None:
        return (after.dropped & ~before.dropped)[list(protocol.compared)]
    return _tested(protocol, before) & ~_tested(protocol, after)


def _outside(protocol: Protocol, data: TrialData) -> Mask:
    """Who is not in the subgroup in which the trial may go on, (patient, replicate)."""
    if protocol.subgroup is None:
        return np.zeros(data.arm.shape, dtype=bool)
    return ~protocol.estimands[protocol.subgroup].holds(data)


def _begin(ground: Ground, capacity: int) -> tuple[Lived, Ints]:
    """Let patients enter, pass a run-in where there is one, and be randomised to the arms then open."""
    protocol, streams = ground.protocol, ground.streams
    arm = protocol.allocation.assign(capacity, protocol.ratio, streams)
    lived = ground.live(arm)
    enrolled = lived.conduct.enrolled
    windows = np.stack([one.recruits(enrolled) for one in protocol.arms])
    if not windows.all():
        arm = among_open(protocol.allocation, protocol.ratio, windows, streams)
        return ground.live(arm), arm
    if protocol.run_in is not None:
        passes = goes_on(protocol, observe(ground, lived, arm, (capacity,)))
        turn = np.maximum(np.cumsum(passes, axis=0) - 1, 0)
        arm = np.where(passes, np.take_along_axis(arm, turn, axis=0), ABSENT)
        return ground.live(arm), arm
    return lived, arm


def _closed_until(week: Floats, enrolled: Floats, arm: Ints, sizes: tuple[Ints, Ints]) -> Floats:
    """Weeks by which patients beyond the plan come later, (patient, replicate), where it grows at this look.

    Where the plan was full before, recruitment had closed: nobody comes between the last planned patient
    and the look, and the arrivals go on from there.
    """
    number = np.cumsum(arm != ABSENT, axis=0)
    last = np.where((number == sizes[0]) & (arm != ABSENT), enrolled, -np.inf).max(axis=0)
    closed = np.where((sizes[1] > sizes[0]) & np.isfinite(last), np.maximum(week - last, 0.0), 0.0)
    return np.where(number > sizes[0], closed, 0.0)


def _within(arm: Ints, size: Ints) -> Ints:
    """Leave out who would be randomised after the last patient, (patient, replicate)."""
    number = np.cumsum(arm != ABSENT, axis=0)
    return np.where(number <= size, arm, ABSENT)


def _see(ground: Ground, lived: Lived, arm: Ints, at: tuple[Plan, list[Seen]]) -> Seen:
    """Look at the trials: the plan since the look before, and the looks before."""
    plan, before = at
    protocol, enrolled, size = ground.protocol, lived.conduct.enrolled, plan.size
    passed = np.where(arm == ABSENT, np.inf, enrolled + protocol.last_week)
    week = protocol.looks[0].when.due(len(before), size, passed, _share(protocol, size, before))
    week = np.maximum(week, before[-1].week) if before else week
    who = passed <= np.minimum(week, protocol.operations.latest)
    whole = observe(ground, lived, arm, (len(arm),))
    data = whole.only(who)
    analysed = tuple(analyse(protocol, one, data) for one in protocol.looks)
    fresh = data if not before else whole.only(who & ~before[-1].who)
    return Seen(week, size, who, data, analysed, _of_stage(protocol, plan, analysed, fresh, first=not before))


def _of_stage(
    protocol: Protocol, plan: Plan, analysed: tuple[Analysed, ...], fresh: TrialData, first: bool
) -> Estimate:
    """Estimate of each hypothesis that decides the trial; where the rule asks for it of a stage alone.

    A hypothesis that nobody was to test any more has none, though patients were in the pipeline when it was
    given up: they are in the estimate of the end.
    """
    places = protocol.deciding
    if first or not protocol.looks[0].rule.by_stage:
        return join(0, *(analysed[place][0] for place in places))
    alone = join(0, *(analyse(protocol, protocol.looks[place], fresh)[0] for place in places))
    tested = _tested(protocol, plan)[:, None]
    return replace(
        alone, **{name: np.where(tested, getattr(alone, name), np.nan) for name in ("estimate", "se")}
    )


def _share(protocol: Protocol, size: Ints, before: list[Seen]) -> Floats | None:
    """Share of the patients at which a look is due: in a trial made smaller, spread over those to come."""
    planned, look = protocol.looks[0].when.fractions, len(before)
    if not before or not planned:
        return None
    now, done = before[-1].who.sum(axis=0), planned[look - 1]
    spread = (now + (planned[look] - done) / (1 - done) * (size - now)) / size
    return np.where(size < before[0].size, spread, planned[look])


def _verdict(protocol: Protocol, size: int, seen: list[Seen]) -> Verdict:
    """Ask the first look's rule about the looks so far; at those to come nothing is known."""
    looks, rule = len(protocol.fractions), protocol.looks[0].rule
    estimates = [one.stage for one in seen]
    unknown = replace(
        estimates[0], **{name: np.full_like(estimates[0].estimate, np.nan) for name in ("estimate", "se")}
    )
    whole = join(1, *estimates, *[unknown] * (looks - len(seen)))
    verdict = rule.monitor(whole, seen[0].analysed[0][1], _looks(protocol, size, seen))
    return verdict if protocol.subgroup is None else _with_the_whole(verdict)


def _with_the_whole(verdict: Verdict) -> Verdict:
    """End the subgroup's test, the second, where all patients are found to be helped."""
    won = verdict.success[0] & (verdict.look[0] < verdict.look[1])
    look, success, futile = verdict.look.copy(), verdict.success.copy(), verdict.futile.copy()
    look[1] = np.where(won, look[0], look[1])
    success[1] &= ~won
    futile[1] &= ~won
    return Verdict(look, success, futile)


def _looks(protocol: Protocol, size: int, seen: list[Seen]) -> Looks:
    planned = protocol.planned(size)
    observed = None
    if protocol.information_varies:
        known = np.array([one.who.sum(axis=0) for one in seen]) / size
        to_come = [np.maximum(known[-1], share) for share in planned[len(seen) :]]
        if to_come:
            whole = known[-1] >= 1 if not protocol.resizes else np.zeros(known.shape[1], dtype=bool)
            to_come[-1] = np.where(whole, known[-1], np.maximum(to_come[-1], known[-1] + 0.01))
        observed = np.array([*known, *to_come])
    against = tuple(float(share) for share in protocol.against_control[: len(protocol.compared)])
    nested = protocol.subgroup is not None
    done = np.ones((len(planned), BLOCK_SIZE))
    done[: len(seen)] = [one.who.sum(axis=0) / one.size for one in seen]
    return Looks(planned, np.arange(len(planned))[None], observed, done, against, nested)


def _without(verdict: Verdict, dropped: Ints) -> Verdict:
    """Let arms end without success at the look where they were dropped, (compared arm, size, replicate)."""
    gone = dropped < verdict.look
    return Verdict(
        np.minimum(verdict.look, dropped), verdict.success & ~gone, np.where(gone, True, verdict.futile)
    )


def _adapt(protocol: Protocol, plan: Plan, standing: Standing) -> Plan:
    """Make every change, then close the arms whose test has ended; nobody new goes to a closed arm."""
    for adaptation in protocol.adaptations:
        plan = adaptation.adapt(plan, standing)
    return plan.close(standing.ended).share_among_open()


def _reassign(
    ground: Ground, plans: tuple[Plan, Plan], now: tuple[Ints, Mask, Mask, Floats], look: int
) -> tuple[Ints, bool]:
    """Give the patients to come new arms where the plan has changed, or none; say whether any has.

    ``now`` are their arms, who comes after the look, who is outside the subgroup, and when they come.
    """
    (before, after), (arm, later, outside, enrolled) = plans, now
    protocol, streams = ground.protocol, ground.streams.at(f"after look {look + 1}")
    going = after.open[list(protocol.compared)].any(axis=0)  # else the trial has ended
    turned_away = later & outside & after.narrowed & going
    if after.shares is not None:
        changed, fresh = going, by_shares(after.shares, len(arm), streams)
    else:
        changed = going & ((after.open != before.open).any(axis=0) | (after.narrowed & ~before.narrowed))
        windows = np.stack([one.recruits(enrolled) for one in protocol.arms])
        asked = after.open[:, None] & windows & (later & changed & ~turned_away)[None]
        fresh = among_open(protocol.allocation, protocol.ratio, asked, streams)
    fresh = np.where(later & changed & (fresh != ABSENT), fresh, arm)
    fresh = np.where(turned_away, ABSENT, fresh)
    return fresh, bool((fresh != arm).any())


def _passage(ground: Ground, lived: Lived, arm: Ints, judged: tuple[list[Seen], Verdict]) -> Passage:
    """Close the books: patients randomised after the look at which the trial ended were never in it."""
    seen, verdict = judged
    protocol, enrolled = ground.protocol, lived.conduct.enrolled
    looks = Looks(protocol.fractions, np.arange(len(seen))[None])  # fractions are not asked for
    analysed = [
        (join(1, *(one.analysed[i][0] for one in seen)), seen[0].analysed[i][1])
        for i in range(len(protocol.looks))
    ]
    findings, ended = decide(protocol, analysed, verdict, looks)
    each = np.arange(BLOCK_SIZE)
    due = np.stack([one.week for one in seen])[ended[0], each]
    late = due > protocol.operations.latest
    finished = np.where(late, protocol.operations.latest, due)
    inside = (arm != ABSENT) & (enrolled <= finished)
    counts = np.stack([one.who.sum(axis=0) for one in seen])[ended[0], each]
    data = observe(ground, lived, np.where(inside, arm, ABSENT), (len(arm),))
    end = End(findings, ended, finished[None], inside.sum(axis=0)[None], counts[None], late[None])
    return Passage(end, data, lived)
