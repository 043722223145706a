"""A block of trials from randomisation to decision. This is the protocol in code: it holds no arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.analyses.base import Estimate
from sim.claims import Draws
from sim.conduct import after_waiting, operate, usage
from sim.data import Scores, TrialData, hide
from sim.estimand import Observations
from sim.events import Events
from sim.lives import Life, World, create, experience, lose
from sim.operations.base import Conduct
from sim.operations.costs import Spent
from sim.protocol import Look, Protocol
from sim.rules.base import Looks, Verdict
from sim.rules.significance import Significance
from sim.scenario import Scenario

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


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
        found = np.asarray(np.take_along_axis(values, self.cut, axis=1))
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
class TrialRecord:
    """What a block of trials leaves behind.

    Attributes
    ----------
    sizes
        Patients randomised, (size,).
    findings
        One a look of the protocol.
    ended
        Position of the look at which the trial ended, (size, replicate).
    data, events, adverse_events
        Of the largest size, patient by patient.
    finished
        Week of that look since the first site opened, (size, replicate).
    randomised
        Patients randomised by then, (size, replicate).
    analysed
        Patients with the primary visit at that look, the first of the randomised, (size, replicate).
    unfinished
        Trials that were stopped before that look, at the operations' latest week, (size, replicate).
    conduct
        When patients of the largest size were randomised and treated.
    cost
        In the scenario's currency; None: it has no prices.
    """

    sizes: tuple[int, ...]
    findings: tuple[Finding, ...]
    data: TrialData
    events: Events
    adverse_events: Mapping[str, Mask]
    ended: Ints
    finished: Floats
    randomised: Ints
    analysed: Ints
    unfinished: Mask
    conduct: Conduct
    cost: Spent | None


def simulate(
    protocol: Protocol, scenario: Scenario, draws: Draws, sizes: tuple[int, ...] = ()
) -> TrialRecord:
    """Run one block of trials.

    Parameters
    ----------
    protocol, scenario
        What we choose and what nature is.
    draws
        Random streams of the block, and the posteriors behind the claims.
    sizes
        Sample sizes to analyse, increasing, each a cut of the same patients; by default the protocol's.
    """
    sizes = sizes or (*protocol.sizes, protocol.n)
    truth = scenario.realise(protocol, draws)
    world = create(protocol, scenario, truth, sizes[-1], draws.streams)
    arm = protocol.allocation.assign(sizes[-1], protocol.ratio, draws.streams)
    conduct = operate(protocol, scenario, world, arm, draws.streams)
    world = after_waiting(world, conduct)
    life = lose(experience(protocol, world, arm, draws.streams), world, protocol.weeks, draws.streams)
    cuts, looks = protocol.looks_of(sizes)
    data = replace(observe(protocol, world, arm, life, cuts), streams=draws.streams)
    findings, ended = decide(protocol, data, looks)
    analysed = looks.at(ended, cuts)
    finished, randomised, unfinished = calendar(conduct.enrolled, protocol, analysed, sizes)
    cost = None
    if truth.costs is not None:
        cost = truth.costs.spent(usage(protocol, world, arm, life, conduct), randomised, finished)
    return TrialRecord(
        sizes=sizes,
        findings=tuple(found.without(unfinished) for found in findings),
        data=data,
        events=life.events,
        adverse_events=life.adverse_events,
        ended=ended,
        finished=finished,
        randomised=randomised,
        analysed=analysed,
        unfinished=unfinished,
        conduct=conduct,
        cost=cost,
    )


def observe(protocol: Protocol, world: World, arm: Ints, life: Life, sizes: tuple[int, ...]) -> TrialData:
    """See what is measured of the patients' lives: nothing after they left, nor at a missed visit."""
    weeks, leave, missed = protocol.weeks, life.events.leave, life.missed
    score = hide(life.score, weeks, leave, missed)
    return TrialData(
        arm=arm,
        baseline=world.baseline,
        score=score,
        weeks=weeks,
        stopped=life.events.ended,
        sizes=sizes,
        others={k: Scores(v.baseline, hide(v.visits, weeks, leave, missed)) for k, v in life.others.items()},
        rescued=None if life.rescued is None else life.rescued & ~np.isnan(score),
        therapist=life.therapist,
        reason=life.events.reason,
    )


def decide(protocol: Protocol, data: TrialData, looks: Looks) -> tuple[tuple[Finding, ...], Ints]:
    """Analyse every estimand and decide; the first one's rule ends the trial, (size, replicate)."""
    first, *others = protocol.looks
    estimate, better = analyse(protocol, first, data)
    verdict = first.rule.monitor(estimate, better, looks)
    ended = verdict.look.max(axis=0)
    findings = [_found(protocol, first, estimate, verdict, looks)]
    for look in others:
        estimate, better = analyse(protocol, look, data)
        success = np.array(looks.of(look.rule.success(estimate, better)), dtype=bool)
        at = np.broadcast_to(ended, (len(success), *ended.shape))
        won = np.take_along_axis(success, at[:, :, None], axis=2)[:, :, 0]
        findings.append(_found(protocol, look, estimate, Verdict(at, won, np.zeros_like(won)), looks))
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


def _found(protocol: Protocol, look: Look, estimate: Estimate, verdict: Verdict, looks: Looks) -> Finding:
    estimand = look.analysis.estimand
    arms = protocol.estimands[estimand].contrast.of
    return Finding(estimand, arms, estimate, looks.cut(verdict.look), verdict)


def calendar(
    enrolled: Floats, protocol: Protocol, analysed: Ints, sizes: tuple[int, ...]
) -> tuple[Floats, Ints, Mask]:
    """Week of the last look, patients randomised by then, and whether it came too late, (size, replicate).

    Parameters
    ----------
    enrolled
        Week of randomisation, (patient, replicate).
    analysed
        Patients with the primary visit at that look, (size, replicate).
    """
    due = np.take_along_axis(enrolled, analysed - 1, axis=0) + protocol.last_week
    late = due > protocol.operations.latest
    week = np.where(late, protocol.operations.latest, due)
    randomised = [(enrolled[:size] <= end).sum(axis=0) for size, end in zip(sizes, week, strict=True)]
    return week, np.stack(randomised), late


def analyse(protocol: Protocol, look: Look, data: TrialData) -> tuple[Estimate, str]:
    """Estimate a look's estimand at every cut, and say which direction is better."""
    estimand = protocol.estimands[look.analysis.estimand]
    endpoint = protocol.endpoints[estimand.endpoint]
    observed = Observations(
        value=estimand.variable(data, endpoint),
        baseline=data.of(endpoint.instrument).baseline,
        arm=data.arm,
        of=tuple(protocol.position(arm) for arm in estimand.contrast.of),
        to=protocol.position(estimand.contrast.to),
        arms=len(protocol.arms),
        data=data,
        estimand=estimand,
        endpoint=endpoint,
    )
    return look.analysis.estimate(observed), estimand.better(endpoint)
