"""What one look sees of the trials, and how they stand by it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.adaptations.base import Standing, arm_posteriors
from sim.analyses.base import Estimate
from sim.data import ABSENT, TrialData
from sim.findings import Analysed
from sim.observation import analyse, join
from sim.protocol import Protocol
from sim.rules.base import Verdict
from sim.rules.sequential import Sequential

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


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
        Of each hypothesis that decides the trial, from the patients since the look before where the rule asks
        for it.
    """

    week: Floats
    size: Ints
    who: Mask
    data: TrialData
    analysed: tuple[Analysed, ...]
    stage: Estimate


def standing_at(
    protocol: Protocol, so_far: tuple[list[Seen], tuple[float, ...]], verdict: Verdict, began: Floats
) -> Standing:
    """Say how the trials stand, from the looks so far and the shares planned at all.

    ``began`` is inf for who is not among the patients planned now.
    """
    (seen, planned), rule = so_far, protocol.looks[0].rule
    now, look = seen[-1], len(seen) - 1
    compared, control = protocol.compared, protocol.control
    estimate = join(0, *(now.analysed[place][0] for place in protocol.deciding))
    sign = -1.0 if now.analysed[0][1] == "lower" else 1.0
    effect, se = sign * estimate.estimate[:, 0], estimate.se[:, 0]
    patients = np.stack([(now.data.arm == k).sum(axis=0) for k in range(len(protocol.arms))])
    arms = slice(len(compared))
    mean, variance = arm_posteriors(effect[arms], se[arms], patients.astype(float), (compared, control))
    decided = (verdict.look <= look)[:, 0]
    ended = np.zeros(patients.shape, dtype=bool)
    ended[list(compared)] = decided if protocol.subgroup is None else decided.all(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = effect / se
    return Standing(
        look=look,
        planned=planned,
        z=z,
        se=se,
        mean=mean,
        variance=variance,
        compared=compared,
        control=control,
        ended=ended,
        decided=decided,
        passed=now.who.sum(axis=0),
        randomised=(began <= now.week).sum(axis=0),
        sd=blinded_sd(protocol, now.data),
        ratio=np.array(protocol.ratio, dtype=np.float64),
        bounds=rule.boundaries(planned).efficacy_z if isinstance(rule, Sequential) else None,
        outside=None if protocol.subgroup is None else sign * outside(protocol, protocol.subgroup, now.data),
    )


def outside(protocol: Protocol, subgroup: str, data: TrialData) -> Floats:
    """Estimate of the first look among those who are not in the subgroup, analysed alone, (replicate,)."""
    others = data.only(~protocol.estimands[subgroup].holds(data))
    return np.asarray(analyse(protocol, protocol.looks[0], others)[0].estimate[0, 0])


def blinded_sd(protocol: Protocol, data: TrialData) -> Floats:
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
