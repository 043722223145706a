"""Strategies for intercurrent events, endpoints of other instruments and times, and their true values."""

from dataclasses import replace

import numpy as np
import pytest

from sim.claims import Draws
from sim.core.loading import dump, validate
from sim.core.streams import Streams
from sim.data import Scores, TrialData
from sim.endpoints import MeasureScore, Responder, Score, State, TimeToResponse
from sim.estimand import Estimand
from sim.measures import measure, measures
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.trial import simulate
from sim.true_values import true_values
from tests.montecarlo import assert_mc, assert_mean
from tests.unit.test_persons import assume

NAN = np.nan
WEEKS = np.array([2.0, 6.0, 12.0])
VISITS = np.array([[6.0, 4, 3], [6, 4, 3], [6, 4, 3], [6, NAN, 2]])
"""Four patients from 8 points; stopped never, at week 8, at week 1, never."""


def estimand(**tree) -> Estimand:
    whole = {
        "endpoint": "pain",
        "visit": 12,
        "contrast": {"of": "active", "to": "control"},
        "summary": "mean_difference",
        **tree,
    }
    return Estimand.model_validate(whole)


def data(rescued: np.ndarray | None = None) -> TrialData:
    return TrialData(
        arm=np.zeros((4, 1), dtype=np.int64),
        baseline=np.full((4, 1), 8.0),
        score=VISITS[:, None, :],
        weeks=WEEKS,
        stopped=np.array([[np.inf], [8], [1], [np.inf]]),
        sizes=(4,),
        rescued=rescued,
    )


@pytest.mark.parametrize(
    ("strategy", "at_six", "at_twelve"),
    [
        ("treatment_policy", [4, 4, 4, NAN], [3, 3, 3, 2]),
        ("hypothetical", [4, 4, NAN, NAN], [3, NAN, NAN, 2]),
        ("while_on_treatment", [4, 4, 8, NAN], [3, 4, 8, 2]),
        ("principal_stratum", [4, 4, NAN, NAN], [3, NAN, NAN, 2]),
    ],
)
def test_a_strategy_says_what_a_value_after_stopping_means(strategy, at_six, at_twelve):
    for visit, expected in ((6.0, at_six), (12.0, at_twelve)):
        one = estimand(visit=visit, intercurrent_events={"discontinuation": strategy})
        assert np.array_equal(one.variable(data(), Score())[:, 0], expected, equal_nan=True)


def test_while_on_treatment_takes_the_last_visit_that_was_seen():
    """Stopped at week 8: week 6 counts, or where it was missed week 2, or where that was too the baseline."""
    one = estimand(intercurrent_events={"discontinuation": "while_on_treatment"})
    visits = np.array([[6.0, 4, 3], [6, NAN, 3], [NAN, NAN, 3], [NAN, 4, NAN]])[:, None, :]
    seen = replace(data(), score=visits, stopped=np.full((4, 1), 8.0))
    assert one.variable(seen, Score())[:, 0].tolist() == [4, 6, 8, 4]
    response = estimand(
        summary="risk_difference", intercurrent_events={"discontinuation": "while_on_treatment"}
    )
    assert response.variable(seen, Responder(reduction=0.5))[:, 0].tolist() == [1, 0, 0, 1]


def test_rescue_has_its_own_strategy():
    taken = np.zeros((4, 1, 3), dtype=bool)
    taken[0, 0, 2] = True
    response = Responder(reduction=0.5)
    events = {"discontinuation": "treatment_policy", "rescue": "composite"}
    composite = estimand(summary="risk_difference", intercurrent_events=events)
    assert composite.variable(data(taken), response)[:, 0].tolist() == [0, 1, 1, 1]
    without = estimand(intercurrent_events={"rescue": "hypothetical"})
    assert np.array_equal(without.variable(data(taken), Score())[:, 0], [NAN, 3, 3, 2], equal_nan=True)
    assert without.variable(data(), Score())[:, 0].tolist() == [3, 3, 3, 2]


def test_a_time_to_response_needs_the_response_to_last():
    lasting = TimeToResponse(reduction=0.5, visits=2)
    baseline = np.full((4, 1), 8.0)
    scores = np.array([[4.0, 3, 2], [4, 6, 2], [NAN, 4, NAN], [8, 8, 8]])[:, None, :]
    when, event = lasting.times(baseline, scores, WEEKS)
    assert event[:, 0].tolist() == [1, 0, 0, 0]
    assert when[:, 0].tolist() == [2, 12, 6, 12]
    assert TimeToResponse(reduction=0.5, visits=1).times(baseline, scores, WEEKS)[0][1, 0] == 2


def test_a_time_under_the_composite_strategy_waits_until_the_end():
    endpoint = TimeToResponse(reduction=0.5, visits=1)
    tree = {"summary": "hazard_ratio", "endpoint": "time"}
    policy = estimand(**tree)
    assert policy.variable(data(), endpoint)[:, 0].tolist() == [6, 6, 6, 12]
    composite = estimand(**tree, intercurrent_events={"discontinuation": "composite"})
    assert composite.variable(data(), endpoint)[:, 0].tolist() == [6, 6, 12, 12]
    found = composite.event(data(), endpoint)
    assert found is not None
    assert found[:, 0].tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize("name", measures())
def test_every_measure_is_an_endpoint_by_its_row(name):
    endpoint, row = MeasureScore(measure=name), measure(name)
    latent = np.linspace(row.low - 5 * row.step, row.high + 5 * row.step, 999)
    scored = endpoint.scale.score(latent.copy())
    steps = (scored - row.low) / row.step
    assert endpoint.better == row.better
    assert scored.min() == row.low
    assert scored.max() <= row.high + 1e-9
    inside = scored < row.high - 1e-9
    assert np.allclose(steps[inside], np.rint(steps[inside]), atol=1e-6)
    assert np.abs(scored - np.clip(latent, row.low, row.high)).max() <= 0.51 * row.step


def test_a_response_looks_the_way_its_instrument_does():
    worse, better = np.array([[40.0]]), np.array([[52.0]])
    efficacy = Responder(of="PSEQ", points=11)
    assert efficacy.value(worse, better)[0, 0] == 1
    assert efficacy.value(better, worse)[0, 0] == 0
    assert Responder(of="ODI", points=10).value(better, worse)[0, 0] == 1
    assert State(of="PSEQ", at_least=50).value(worse, better)[0, 0] == 1


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"of": "ODJ", "points": 3}, "unknown measure 'ODJ'"),
        ({"points": 3, "reduction": 0.3}, "one of 'reduction'"),
        ({}, "one of 'reduction'"),
    ],
)
def test_a_wrong_responder_is_refused(tree, message):
    with pytest.raises(ValueError, match=message):
        Responder.model_validate(tree)


ODI = {
    "baseline": assume(40),
    "baseline_sd": assume(8),
    "per_point": assume(4),
    "change_sd": assume(8),
    "correlation": assume(0.44),
}


@pytest.fixture(scope="module")
def trial(two_arm) -> tuple[Protocol, Scenario]:
    tree, nature = dump(two_arm.protocols["small"]), dump(two_arm.scenarios["expected"])
    nature["other_outcomes"] = {"ODI": ODI}
    nature["rescue"] = {
        "share_at_five": assume(0.3),
        "odds_ratio_per_point": assume(1.4),
        "relief": assume(-1.0),
    }
    base = tree["estimands"]["primary"]
    response = tree["estimands"]["responder"]
    strategies = ("treatment_policy", "hypothetical", "while_on_treatment", "principal_stratum")
    tree |= {
        "n": 400,
        "sizes": [],
        "endpoints": {
            **tree["endpoints"],
            "disability": {"kind": "measure", "measure": "ODI"},
            "lasting": {"kind": "time_to_response", "reduction": 0.3, "visits": 2},
        },
    }
    tree["estimands"] = {
        **{name: {**base, "intercurrent_events": {"discontinuation": name}} for name in strategies},
        "no_rescue": {**base, "intercurrent_events": {"rescue": "hypothetical"}},
        "disability": {**base, "endpoint": "disability"},
        "ratio": {**response, "summary": "risk_ratio"},
        "odds": {**response, "summary": "odds_ratio"},
        "difference": response,
        "time": {**response, "endpoint": "lasting", "summary": "hazard_ratio"},
    }
    look = tree["looks"][0]
    tree["looks"] = [
        {**look, "analysis": {"kind": "ancova", "estimand": name}} for name in (*strategies, "disability")
    ]
    return validate(tree, Protocol, "t"), validate(nature, Scenario, "t")


@pytest.fixture(scope="module")
def truth(trial) -> dict[str, np.ndarray]:
    found = [true_values(*trial, Draws(Streams(9, block), {}), 512) for block in range(8)]
    return {name: np.concatenate([one[name][0] for one in found]) for name in found[0]}


def test_true_values_order_as_the_strategies_say(truth):
    """Stopping loses effect, rescue hides it; the stratum of those who stay is near the hypothetical."""
    mean = {name: float(values.mean()) for name, values in truth.items()}
    assert mean["hypothetical"] < mean["treatment_policy"] < 0
    assert mean["no_rescue"] < mean["treatment_policy"]
    assert mean["hypothetical"] - 0.1 < mean["principal_stratum"] < mean["treatment_policy"]


def test_ratios_are_those_of_the_same_shares(trial, truth):
    difference, ratio, odds = (truth[name] for name in ("difference", "ratio", "odds"))
    control = difference / np.expm1(ratio)
    active = control + difference
    assert np.allclose(np.log(active / (1 - active)) - np.log(control / (1 - control)), odds)


def test_another_outcome_follows_pain_and_correlates_as_claimed(trial):
    record = simulate(*trial, Draws(Streams(9, 0), {}))
    odi, pain = record.data.others["ODI"], record.data
    assert_mean(odi.baseline.ravel(), 40, detects=0.5)
    control = pain.arm == 0
    change = odi.visits[:, :, -1] - odi.baseline
    seen = control & ~np.isnan(change)
    assert np.std(change[seen]) == pytest.approx(8, rel=0.06)
    own = pain.score[:, :, -1][seen] - pain.baseline[seen]
    assert 0.3 < np.corrcoef(own, change[seen])[0, 1] < 0.44, "rating error and rounding take a part of 0.44"


def test_the_analysis_of_disability_finds_its_true_value(trial, truth):
    found = [simulate(*trial, Draws(Streams(9, block), {})).findings[-1] for block in range(6)]
    estimate = np.concatenate([one.estimate.estimate[0, 0] for one in found])
    assert found[0].estimand == "disability"
    se = np.hypot(estimate.std(ddof=1) / np.sqrt(len(estimate)), truth["disability"].std() / np.sqrt(1024))
    assert_mc(float(estimate.mean()), float(truth["disability"].mean()), float(se), detects=0.5)


def test_the_hazard_of_a_response_is_higher_where_pain_falls_and_its_analysis_agrees(trial, truth):
    true = truth["time"]
    assert true.mean() > 0.2
    protocol, scenario = trial
    tree = dump(protocol)
    tree["looks"] = [{**tree["looks"][0], "analysis": {"kind": "cox", "estimand": "time", "adjust": False}}]
    timed = validate(tree, Protocol, "t")
    found = [simulate(timed, scenario, Draws(Streams(9, block), {})).findings[0] for block in range(6)]
    estimate = np.concatenate([one.estimate.estimate[0, 0] for one in found])
    se = np.hypot(estimate.std(ddof=1) / np.sqrt(len(estimate)), true.std() / np.sqrt(len(true)))
    assert_mc(float(estimate.mean()), float(true.mean()), float(se), detects=0.08)
    success = np.concatenate([one.success[0, 0] for one in found])
    assert np.corrcoef(success, estimate)[0, 1] > 0


def test_one_trial_holds_every_instrument(trial):
    one = simulate(*trial, Draws(Streams(9, 0), {})).data.one(3)
    assert one.others["ODI"].visits.shape == (400, 1, 3)
    assert one.rescued is not None
    assert one.rescued.shape == (400, 1, 3)
    assert isinstance(one.of("ODI"), Scores)
    assert one.of("pain").visits is one.score


def test_an_instrument_that_nature_does_not_describe_is_refused(trial):
    protocol, scenario = trial
    bare = scenario.model_copy(update={"other_outcomes": {}})
    with pytest.raises(ValueError, match="the protocol measures 'ODI', which is not described"):
        bare.check(protocol)
