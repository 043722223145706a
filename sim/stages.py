"""A block of trials from look to look: what is seen at one changes what happens to the patients to come.

The patients are those of every other design. At a look those who are not yet randomised get new arms, and
the block is lived through again: who was randomised before lives as before, since a patient's random
numbers hang on nothing that comes later.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.adaptations.base import Plan, Standing, arm_posteriors
from sim.allocation import among_open, by_shares
from sim.analyses.base import Estimate
from sim.core.streams import BLOCK_SIZE
from sim.data import ABSENT, TrialData
from sim.findings import Analysed, Finding, decide
from sim.observation import Ground, Lived, analyse, goes_on, join, observe
from sim.protocol import Protocol
from sim.rules.base import Looks, Verdict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Passage:
    """How the trials of one size went; arrays are (replicate,), see ``TrialRecord``."""

    findings: tuple[Finding, ...]
    ended: Ints
    finished: Floats
    randomised: Ints
    analysed: Ints
    unfinished: Mask
    data: TrialData
    lived: Lived


@dataclass(frozen=True)
class Seen:
    """What one look sees.

    Attributes
    ----------
    week
        Of the look, (replicate,).
    size
        Patients planned in all when it comes, (replicate,).
    who
        Patients with the primary visit, (patient, replicate).
    data
        Of these alone.
    analysed
        Estimate of every look of the protocol, one cut.
    stage
        First estimate from the patients since the look before, where the rule asks for it.
    """

    week: Floats
    size: Ints
    who: Mask
    data: TrialData
    analysed: tuple[Analysed, ...]
    stage: Estimate


def pass_through(ground: Ground, size: int) -> Passage:
    """Run trials of ``size`` planned patients from the first look to the last."""
    protocol = ground.protocol
    capacity, looks = len(ground.world.baseline), len(protocol.fractions)
    plan = Plan.at_start(len(protocol.arms), size, BLOCK_SIZE)
    lived, arm = _begin(ground, capacity)
    enrolled = lived.conduct.enrolled
    seen: list[Seen] = []
    dropped = np.full((len(protocol.compared), 1, BLOCK_SIZE), looks)
    for look in range(looks):
        seen.append(_see(ground, lived, _within(arm, plan.size), (look, plan.size, seen)))
        verdict = _without(_verdict(protocol, size, seen), dropped)
        if look == looks - 1 or not protocol.adaptations:
            continue
        began = np.where(_within(arm, plan.size) == ABSENT, np.inf, enrolled)
        before, plan = plan, _adapt(protocol, plan, _standing(protocol, seen, verdict, began))
        fresh = (plan.dropped & ~before.dropped)[list(protocol.compared)]
        dropped = np.where(fresh[:, None], look, dropped)
        later = enrolled > seen[-1].week
        arm, moved = _reassign(ground, (before, plan), (arm, later, enrolled), look)
        lived = ground.live(arm) if moved else lived
    verdict = _without(_verdict(protocol, size, seen), dropped)
    return _passage(ground, lived, _within(arm, plan.size), (seen, verdict))


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


def _within(arm: Ints, size: Ints) -> Ints:
    """Leave out who would be randomised after the last patient, (patient, replicate)."""
    number = np.cumsum(arm != ABSENT, axis=0)
    return np.where(number <= size, arm, ABSENT)


def _see(ground: Ground, lived: Lived, arm: Ints, at: tuple[int, Ints, list[Seen]]) -> Seen:
    """Look at the trials: number of the look, sizes planned now, and the looks before."""
    look, size, before = at
    protocol, enrolled = ground.protocol, lived.conduct.enrolled
    passed = np.where(arm == ABSENT, np.inf, enrolled + protocol.last_week)
    week = protocol.looks[0].when.due(look, size, passed, _share(protocol, size, before))
    week = np.maximum(week, before[-1].week) if before else week
    who = passed <= np.minimum(week, protocol.operations.latest)
    whole = observe(ground, lived, arm, (len(arm),))
    data = whole.only(who)
    analysed = tuple(analyse(protocol, one, data) for one in protocol.looks)
    stage = analysed[0][0]
    if protocol.looks[0].rule.by_stage and before:
        stage = analyse(protocol, protocol.looks[0], whole.only(who & ~before[-1].who))[0]
    return Seen(week, size, who, data, analysed, stage)


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
    return rule.monitor(whole, seen[0].analysed[0][1], _looks(protocol, size, seen))


def _looks(protocol: Protocol, size: int, seen: list[Seen]) -> Looks:
    planned = protocol.looks[0].when.planned(size)
    observed = None
    if protocol.information_varies:
        known = np.array([one.who.sum(axis=0) for one in seen]) / size
        to_come = [np.maximum(known[-1], share) for share in planned[len(seen) :]]
        if to_come:
            whole = known[-1] >= 1 if not protocol.resizes else np.zeros(known.shape[1], dtype=bool)
            to_come[-1] = np.where(whole, known[-1], np.maximum(to_come[-1], known[-1] + 0.01))
        observed = np.array([*known, *to_come])
    against = tuple(float(share) for share in protocol.against_control[: len(protocol.compared)])
    return Looks(planned, np.arange(len(planned))[None], observed, against)


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


def _standing(protocol: Protocol, seen: list[Seen], verdict: Verdict, began: Floats) -> Standing:
    """Say how the trials stand; ``began`` is inf for who is not among the patients planned now."""
    now, look = seen[-1], len(seen) - 1
    estimate, better = now.analysed[0]
    compared, control = protocol.compared, protocol.control
    sign = -1.0 if better == "lower" else 1.0
    effect, se = sign * estimate.estimate[:, 0], estimate.se[:, 0]
    patients = np.stack([(now.data.arm == k).sum(axis=0) for k in range(len(protocol.arms))])
    mean, variance = arm_posteriors(effect, se, patients.astype(float), (compared, control))
    ended = np.zeros(patients.shape, dtype=bool)
    ended[list(compared)] = (verdict.look <= look)[:, 0]
    rule = protocol.looks[0].rule
    bounds = getattr(rule, "boundaries", None)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = effect / se
    return Standing(
        look=look,
        planned=protocol.fractions,
        z=z,
        mean=mean,
        variance=variance,
        compared=compared,
        control=control,
        ended=ended,
        passed=now.who.sum(axis=0),
        randomised=(began <= now.week).sum(axis=0),
        sd=_blinded_sd(protocol, now.data),
        ratio=np.array(protocol.ratio, dtype=np.float64),
        bounds=bounds(protocol.fractions).efficacy_z if bounds else None,
    )


def _blinded_sd(protocol: Protocol, data: TrialData) -> Floats:
    """SD of the primary variable about its regression on baseline, all arms together, (replicate,)."""
    estimand = protocol.estimands[protocol.looks[0].analysis.estimand]
    endpoint = protocol.endpoints[estimand.endpoint]
    y, x = estimand.variable(data, endpoint), data.of(endpoint.instrument).baseline
    used = ~np.isnan(y) & (data.arm != ABSENT)
    n = used.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        y = np.where(used, y - np.where(used, y, 0.0).sum(axis=0) / n, 0.0)
        x = np.where(used, x - np.where(used, x, 0.0).sum(axis=0) / n, 0.0)
        slope = (x * y).sum(axis=0) / (x * x).sum(axis=0)
        return np.asarray(np.sqrt(((y - slope * x) ** 2).sum(axis=0) / (n - 2)))


def _reassign(
    ground: Ground, plans: tuple[Plan, Plan], now: tuple[Ints, Mask, Floats], look: int
) -> tuple[Ints, bool]:
    """Give the patients to come (``later``) new arms where the plan has changed; say whether any has."""
    (before, after), (arm, later, enrolled) = plans, now
    protocol, streams = ground.protocol, ground.streams.at(f"after look {look + 1}")
    changed = after.open[list(protocol.compared)].any(axis=0)  # else the trial has ended
    if after.shares is not None:
        fresh = by_shares(after.shares, len(arm), streams)
    else:
        changed &= (after.open != before.open).any(axis=0)
        windows = np.stack([one.recruits(enrolled) for one in protocol.arms])
        asked = after.open[:, None] & windows & (later & changed)[None]
        fresh = among_open(protocol.allocation, protocol.ratio, asked, streams)
    fresh = np.where(later & changed & (fresh != ABSENT), fresh, arm)
    return fresh, bool((fresh != arm).any())


def _passage(ground: Ground, lived: Lived, arm: Ints, judged: tuple[list[Seen], Verdict]) -> Passage:
    """Close the books: patients randomised after the look at which the trial ended were never in it."""
    seen, verdict = judged
    protocol, enrolled = ground.protocol, lived.conduct.enrolled
    looks = Looks(protocol.fractions, np.arange(len(seen))[None])
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
    return Passage(findings, ended[0], finished, inside.sum(axis=0), counts, late, data, lived)
