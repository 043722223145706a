"""True values of estimands, from the potential outcomes of other patients."""

import numpy as np
from numpy.typing import NDArray

from sim.analyses.survival import Times, fit_cox
from sim.claims import Draws
from sim.core.streams import Streams
from sim.data import ABSENT, TrialData
from sim.endpoints import Endpoint
from sim.estimand import OF_PAIRS, Estimand
from sim.lives import Possible, World, create, experience, lose
from sim.observation import goes_on
from sim.priority import between_lives, of_shares
from sim.protocol import Protocol
from sim.scenario import Scenario

Floats = NDArray[np.float64]

OTHER_PATIENTS = 2_000_000_000
"""First block of the patients whose potential outcomes give the true values."""
ACTUAL = Possible(therapists_shared=False)
"""What happens in a trial, as far as it says who is randomised."""
NEVER_AT_RISK = -1.0
"""Week until which those are followed who were not randomised."""


def true_values(protocol: Protocol, scenario: Scenario, draws: Draws, n: int) -> dict[str, Floats]:
    """Compute every estimand's true value from the potential outcomes of ``n`` patients a replicate.

    The same patients live through each arm, nothing is missing, and the estimand's strategies are
    applied: shape (compared arm, replicate), in the units of the summary. They are others than the
    trial's own, so that an estimate and its true value do not share the luck of one sample.
    """
    others = Streams(draws.streams.seed, OTHER_PATIENTS + draws.streams.block)
    world = create(protocol, scenario, scenario.realise(protocol, draws), n, others)
    lives = {name: _whole_lives(protocol, world, name, others) for name in _compared_arms(protocol)}
    different = {
        estimand: _contrast(protocol, estimand, lives) for estimand in set(protocol.estimands.values())
    }
    return {name: different[estimand] for name, estimand in protocol.estimands.items()}


def _compared_arms(protocol: Protocol) -> set[str]:
    contrasts = [estimand.contrast for estimand in protocol.estimands.values()]
    names = {name for contrast in contrasts for name in (*contrast.of, contrast.to)}
    return {protocol.arms[arm].name for name in names for arm in protocol.members(name)}


Lives = dict[Possible, TrialData]
"""Complete data of everybody in one arm, by what can happen."""


def _whole_lives(protocol: Protocol, world: World, name: str, streams: Streams) -> Lives:
    arm = np.full(world.baseline.shape, protocol.position(name), dtype=np.int64)
    lives, possibles = {}, {Possible.under(estimand) for estimand in protocol.estimands.values()}
    for possible in possibles | ({ACTUAL} if protocol.run_in else set()):
        life = experience(protocol, world, arm, streams, possible)
        events = lose(life, world, protocol.weeks, streams).events if possible.stopping else life.events
        whole = TrialData(
            arm=arm,
            baseline=world.baseline,
            score=life.score,
            weeks=protocol.weeks,
            stopped=events.ended,
            sizes=(len(arm),),
            others=life.others,
            rescued=life.rescued,
            covariates=world.covariates,
        )
        lives[possible] = whole
    return _from_randomisation(protocol, lives) if protocol.run_in else lives


def _from_randomisation(protocol: Protocol, lives: Lives) -> Lives:
    """Keep the lives of those who pass the run-in as it happens, the same in every arm, from its end.

    A strategy that supposes that nobody stops supposes it of the patients who are randomised.
    """
    assert protocol.run_in is not None
    passes = goes_on(protocol, lives[ACTUAL])
    return {key: whole.only(passes).since(protocol.run_in.weeks) for key, whole in lives.items()}


def _contrast(protocol: Protocol, estimand: Estimand, lives: dict[str, Lives]) -> Floats:
    """Summary of the variable in each compared arm against that in the control, (compared arm, replicate)."""
    endpoint, possible = protocol.endpoints[estimand.endpoint], Possible.under(estimand)
    stratum = estimand.intercurrent_events.discontinuation == "principal_stratum"
    lives = {arm: {possible: estimand.of_population(lived[possible])} for arm, lived in lives.items()}

    def pooled(name: str) -> Floats:
        """Mean over the arms of a group, by their patients, (replicate,)."""
        arms = [protocol.arms[arm] for arm in protocol.members(name)]
        means = [np.nanmean(_values(estimand, endpoint, lives[arm.name][possible]), axis=0) for arm in arms]
        return np.average(means, axis=0, weights=[arm.ratio for arm in arms])

    def compare(of: str) -> Floats:
        if {of, estimand.contrast.to} & set(protocol.groups):
            return estimand.compare(*(pooled(name) for name in (of, estimand.contrast.to)))
        data = [lives[arm][possible] for arm in (of, estimand.contrast.to)]
        if endpoint.outcome == "time":
            return _log_hazard_ratio(estimand, endpoint, data)
        values = [_values(estimand, endpoint, one) for one in data]
        if estimand.summary in OF_PAIRS:
            return _by_pairs(estimand, endpoint, data, values)
        if stratum:
            stays = ~np.any([one.stopped < estimand.visit for one in data], axis=0)
            values = [np.where(stays, value, np.nan) for value in values]
        with np.errstate(divide="ignore", invalid="ignore"):  # the logarithm of a share of 0 is infinite
            return estimand.compare(*(np.nanmean(value, axis=0) for value in values))

    return np.stack([compare(arm) for arm in estimand.contrast.of])


def _values(estimand: Estimand, endpoint: Endpoint, data: TrialData) -> Floats:
    """The variable of those who are in the data, (patient, replicate); nan for the others."""
    value = estimand.variable(data, endpoint)
    return np.where(data.arm == ABSENT, np.nan, value) if data.arm.min() == ABSENT else value


def _by_pairs(estimand: Estimand, endpoint: Endpoint, data: list[TrialData], values: list[Floats]) -> Floats:
    """Win ratio, win odds or net benefit of lives in an arm against those in the control, (replicate,)."""
    groups = [
        [
            np.where(one.arm == ABSENT, np.nan, level.of(estimand.on_treatment(one), value, endpoint.better))
            for level in estimand.order
        ]
        for one, value in zip(data, values, strict=True)
    ]
    shares = between_lives(groups[0], groups[1], estimand.order)
    return np.array([of_shares(won, lost, estimand.measure)[0] for won, lost in shares.T])


def _log_hazard_ratio(estimand: Estimand, endpoint: Endpoint, data: list[TrialData]) -> Floats:
    """Cox's coefficient between the lives in an arm and in the control, (replicate,), unadjusted.

    Where hazards are not proportional this is the average that the analysis estimates over the same weeks
    (Struthers & Kalbfleisch 1986, doi:10.1093/biomet/73.2.363); a replicate's own value carries the noise of
    its patients.
    """
    absent = np.concatenate([one.arm == ABSENT for one in data])
    time = np.concatenate([estimand.variable(one, endpoint) for one in data])
    time = np.where(absent, NEVER_AT_RISK, time)
    event = np.concatenate([np.asarray(estimand.event(one, endpoint)) for one in data])
    event = np.where(absent, np.zeros_like(event), event)
    treated = np.repeat([1.0, 0.0], len(time) // 2)[:, None] * np.ones(time.shape[1])
    times = Times(time, event, np.zeros(time.shape, dtype=np.int64))
    return fit_cox(times, (treated,)).coefficients[:, 0]
