"""Looks on the way: simulated stops against the exact ones, and what ending early means for the rest."""

import numpy as np
import pytest

from sim.analyses.base import Estimate
from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.mixtures import NormalMixture
from sim.performance import summarise
from sim.protocol import Protocol
from sim.records import tabulate
from sim.rules.base import Looks, Rule, Verdict
from sim.rules.group_sequential import GroupSequential
from sim.rules.predictive_probability import of_mean
from sim.trial import TrialRecord, simulate
from tests.montecarlo import assert_share

FRACTIONS = (0.5, 0.75, 1.0)
RULE = {
    "kind": "group_sequential",
    "spending": {"kind": "ld_obrien_fleming"},
    "futility": {"kind": "hsd", "gamma": -2},
}
BLOCKS = 40


def protocol(two_arm, rule: dict[str, object] | None = None, **changes: object) -> Protocol:
    tree = dump(two_arm.protocols["small"])
    first, second = tree["looks"]
    first |= {"when": {"fractions": FRACTIONS}, "rule": rule or RULE}
    return validate({**tree, "n": 200, "sizes": [], "looks": [first, second], **changes}, Protocol, "t")


def scenario(two_arm, name: str):
    """The study's own, but nobody stops or leaves: the estimate is then normal with a known drift."""
    nature = two_arm.scenarios[name]
    stays = {
        key: t.model_copy(update={"discontinuation": type(t.discontinuation)(), "withdrawal": None})
        for key, t in nature.treatments.items()
    }
    return nature.model_copy(update={"treatments": stays})


@pytest.fixture(scope="module")
def records(two_arm) -> dict[str, list[TrialRecord]]:
    chosen = protocol(two_arm)
    return {
        name: [
            simulate(chosen, scenario(two_arm, name), Draws(Streams(3, block), {})) for block in range(BLOCKS)
        ]
        for name in ("null", "expected")
    }


def shares(records: list[TrialRecord], what: str) -> np.ndarray:
    """Whether each trial stopped at each look in this way, (look, trial)."""
    verdicts = [record.findings[0].verdict for record in records]
    look = np.concatenate([v.look[0, 0] for v in verdicts])
    won = np.concatenate([v.success[0, 0] for v in verdicts])
    return np.stack([(look == k) & (won if what == "efficacy" else ~won) for k in range(len(FRACTIONS))])


def drift(records: list[TrialRecord]) -> float:
    """Expected z at the end, from trials in which nothing stops (every cut is analysed)."""
    z = [-(r.findings[0].estimate.estimate / r.findings[0].estimate.se)[0, -1] for r in records]
    return float(np.mean(z))


@pytest.mark.parametrize("name", ["null", "expected"])
def test_stops_are_those_of_the_exact_recursion(records, name):
    found, rule = records[name], validate(RULE, GroupSequential, "t")
    bounds = rule.boundaries(FRACTIONS)
    effect = 0.0 if name == "null" else drift(found) / bounds.drift
    efficacy, without = bounds.stopping(effect)
    for k in range(len(FRACTIONS)):
        assert_share(shares(found, "efficacy")[k], float(efficacy[k]), detects=0.06)
        assert_share(shares(found, "futility")[k], float(without[k]), detects=0.06)


def test_an_interim_look_is_the_trial_of_that_size(two_arm):
    looked = simulate(protocol(two_arm), two_arm.scenarios["expected"], Draws(Streams(3, 0), {}))
    tree = dump(two_arm.protocols["small"])
    for cut, n in enumerate((100, 150, 200)):
        alone = simulate(
            validate({**tree, "n": n, "sizes": []}, Protocol, "t"),
            two_arm.scenarios["expected"],
            Draws(Streams(3, 0), {}),
        )
        for ours, own in zip(looked.findings, alone.findings, strict=True):
            assert ours.estimate.estimate[:, cut] == pytest.approx(own.estimate.estimate[:, 0], abs=1e-12)


def test_the_other_estimands_are_analysed_where_the_trial_ends(records):
    record = records["expected"][0]
    first, second = record.findings
    assert (record.ended == first.verdict.look[0]).all()
    assert (second.verdict.look[0] == record.ended).all()
    cut = first.cut[0, 0]
    expected = second.estimate.estimate[0][cut, np.arange(BLOCK_SIZE)]
    assert (second.at_end(second.estimate.estimate)[0, 0] == expected).all()


def test_a_trial_that_ends_early_is_shorter_and_randomises_fewer(records):
    record = records["null"][0]
    early = record.ended[0] < 2
    assert early.any()
    assert (record.randomised[0][~early] == 200).all()
    assert (record.randomised[0][early] >= 100).all()
    assert record.randomised[0][early].mean() < 200
    assert record.finished[0][early].mean() < record.finished[0][~early].mean()


def test_the_tidy_table_says_how_often_it_stops(two_arm, records):
    chosen = protocol(two_arm)
    tables = [tabulate(chosen, record, block, {}) for block, record in enumerate(records["null"])]
    whole = {
        part: {
            key: np.concatenate([getattr(t, part)[key] for t in tables]) for key in getattr(tables[0], part)
        }
        for part in ("estimates", "arms", "trials")
    }
    rows = list(
        summarise(chosen, two_arm.scenarios["null"], whole["estimates"], whole["arms"], whole["trials"])
    )
    found = {(row.estimand, row.metric): row.value for row in rows}
    assert found["primary", "efficacy_stop"] == shares(records["null"], "efficacy")[:2].sum(axis=0).mean()
    assert found["primary", "futility_stop"] == shares(records["null"], "futility")[:2].sum(axis=0).mean()
    assert found["", "expected_n"] == np.mean([record.randomised[0] for record in records["null"]])
    assert ("responder", "efficacy_stop") not in found


def posterior(p: float | list[float]) -> dict[str, object]:
    return {"kind": "posterior_probability", "benefits": [{"beyond": 0, "probability": p}]}


def test_interim_rules_stop_for_success_and_for_futility(two_arm):
    rule = {
        "kind": "interim_rules",
        "stop_if": posterior(0.99),
        "go_on_if": posterior(0.4),
        "final": posterior(0.975),
    }
    record = simulate(protocol(two_arm, rule), two_arm.scenarios["expected"], Draws(Streams(3, 1), {}))
    found = record.findings[0]
    p = 1 - found.estimate.probability_beyond(0, "lower")[0]
    for r in range(BLOCK_SIZE):
        look = next((k for k in range(2) if p[k, r] < 0.01 or p[k, r] >= 0.6), 2)
        won = p[look, r] < (0.01 if look < 2 else 0.025)
        assert (found.verdict.look[0, 0, r], found.verdict.success[0, 0, r]) == (look, won)
        assert found.verdict.futile[0, 0, r] == (look < 2 and not won)


def test_thresholds_of_looks_in_turn(two_arm):
    rule = {"kind": "interim_rules", "stop_if": posterior([0.999, 0.98]), "final": posterior(0.975)}
    record = simulate(protocol(two_arm, rule), two_arm.scenarios["expected"], Draws(Streams(3, 1), {}))
    found = record.findings[0]
    sure = found.estimate.probability_beyond(0, "lower")[0]
    early = [(sure[0] > 0.999), (sure[1] > 0.98)]
    look = np.where(early[0], 0, np.where(early[1], 1, 2))
    assert found.verdict.look[0, 0].tolist() == look.tolist()
    assert set(look) == {0, 1, 2}
    with pytest.raises(InputError, match=r"looks\[0\].rule.benefits: 3 probabilities for 2 interim looks"):
        protocol(two_arm, rule | {"stop_if": posterior([0.999, 0.99, 0.98])})
    with pytest.raises(InputError, match="2 probabilities for 0 interim looks"):
        protocol(two_arm, rule | {"final": posterior([0.99, 0.98])})


def test_predicted_success_is_the_share_of_futures_that_succeed(two_arm):
    """Against the mixture's predictive probability under a wide prior, and futures drawn one by one."""
    rule = validate({"kind": "predicted_success", "at_least": 0.3}, Rule, "t")
    looks = Looks(FRACTIONS, np.arange(3)[None])
    z = np.linspace(-1, 4, 64)
    each = np.stack([z, z, z])[None]
    ones = np.ones_like(each)
    given = Estimate(-each, ones, np.full_like(ones, np.inf), -each, -each, ones)
    met = rule.at_looks(given, "lower", looks)[0, 0]
    wide, rng = NormalMixture(np.ones(1), np.zeros(1), np.full(1, 1e4), 1.0), np.random.default_rng(2)
    for look, t in enumerate(FRACTIONS[:2]):
        exact = of_mean(z / np.sqrt(t), (1 / np.sqrt(t), 1.0), 1.959964, wide)
        assert (met[look] == (exact >= 0.3)).all()
        one = 40
        drift = z[one] / np.sqrt(t) + rng.standard_normal(100_000) / np.sqrt(t)
        end = np.sqrt(t) * z[one] + (1 - t) * drift + np.sqrt(1 - t) * rng.standard_normal(100_000)
        assert_share(end >= 1.959964, float(exact[one]), detects=0.02)
    assert (met[2] == (z >= 1.959964)).all()


PREDICTED = {"kind": "predicted_success", "at_least": 0.1}


@pytest.mark.parametrize("place", ["stop_if", "go_on_if"])
@pytest.mark.parametrize(
    "final",
    [{"kind": "non_inferiority", "margin": 1}, {"kind": "one_sided", "alpha": 0.05}, posterior(0.975)],
    ids=lambda final: final["kind"],
)
def test_another_test_than_that_of_the_end_is_not_predicted(place, final):
    with pytest.raises(InputError, match=f"{place}: predicted_success predicts one_sided at alpha 0.025"):
        validate({"kind": "interim_rules", place: PREDICTED, "final": final}, Rule, "t")
    same = {"kind": "interim_rules", place: PREDICTED, "final": {"kind": "one_sided", "alpha": 0.025}}
    validate(same, Rule, "t")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (posterior([0.998, 0.992]), "benefits: 2 probabilities for 0 interim looks"),
        (PREDICTED, "predicted_success: is for interim looks alone"),
        (
            {"kind": "interim_rules", "stop_if": posterior(0.99), "final": PREDICTED},
            "predicted_success: is for interim looks alone",
        ),
    ],
    ids=["thresholds in turn", "predicted_success", "final"],
)
def test_what_is_asked_at_interim_looks_is_no_rule_of_the_end(two_arm, rule, message):
    with pytest.raises(InputError, match=rf"looks\[0\].rule.{message}"):
        protocol(two_arm, rule)


def test_a_verdict_is_the_first_decision():
    success = np.zeros((1, 1, 3, 4), dtype=bool)
    futile = np.zeros_like(success)
    success[0, 0, :, 0] = [False, True, True]
    futile[0, 0, :, 1] = [True, False, False]
    success[0, 0, :, 2] = [False, False, True]
    verdict = Verdict.first(success, futile)
    assert verdict.look[0, 0].tolist() == [1, 0, 2, 2]
    assert verdict.success[0, 0].tolist() == [True, False, True, False]
    assert verdict.futile[0, 0].tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"when": {"fractions": [0.5, 0.9]}}, "must increase from above 0 to 1"),
        ({"when": {"fractions": [0.5, 0.5, 1]}}, "must increase from above 0 to 1"),
        ({"when": "all_primary"}, "this rule looks early"),
        ({"when": "sometimes"}, "'sometimes' is no time to look"),
    ],
)
def test_looks_that_cannot_be_are_refused(two_arm, changes, message):
    tree = dump(two_arm.protocols["small"])
    tree["looks"][0] |= {"when": {"fractions": FRACTIONS}, "rule": RULE, **changes}
    with pytest.raises(InputError, match=message):
        validate(tree, Protocol, "t")


def test_an_interim_rule_cannot_hold_another_one():
    with pytest.raises(InputError, match="a rule with looks of its own"):
        validate(
            {"kind": "interim_rules", "stop_if": RULE, "final": posterior(0.9)},
            Rule,
            "t",
        )


def test_rates_by_arm_are_those_of_the_analysed_patients(two_arm, records):
    """A trial that ends at its first look counts its first 100 patients by arm, not all 200 drawn."""
    chosen, record = protocol(two_arm), records["null"][0]
    arms = tabulate(chosen, record, 0, {}).arms
    analysed = np.array([100, 150, 200])[record.ended[0]]
    first = np.arange(200)[:, None] < analysed
    data = record.data
    for k, arm in enumerate(chosen.arms):
        rows = (arms["arm"] == arm.name) & (arms["week"] == 12)
        mine = first & (data.arm == k)
        better = data.score[:, :, -1] <= 0.7 * data.baseline + 1e-9
        assert (arms["randomised"][rows] == mine.sum(axis=0)).all()
        assert (arms["responder_30"][rows] == (mine & better).sum(axis=0)).all()
        assert (arms["left"][rows] == (mine & (record.events.leave < 12)).sum(axis=0)).all()
    assert (analysed < 200).any()
