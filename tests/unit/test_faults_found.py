"""Faults that a reading found, each held by what it got wrong."""

from pathlib import Path

import numpy as np
import pytest

from sim.analyses.base import Estimate
from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import Streams
from sim.lives import create, experience, lose
from sim.operations.costs import rows_of_last
from sim.protocol import Protocol
from sim.rules.base import Looks, Rule
from sim.scenario import Scenario
from sim.study import Study, code_digest
from sim.trial import TrialRecord, simulate
from sim.true_values import true_values
from tests.montecarlo import assert_mc
from tests.unit.test_persons import assume, four_therapists

DROPOUT = {"mechanism": "mcar", "weekly_hazard": assume(0.03)}


NATURE = "scenarios.expected"
DRUG = f"{NATURE}.treatments.drug"
EVENTS = "protocols.small.estimands.responder.intercurrent_events"


def nature(two_arm, **changes: object) -> Scenario:
    return validate({**dump(two_arm.scenarios["expected"]), **changes}, Scenario, "t")


def design(two_arm, **changes: object) -> Protocol:
    return validate({**dump(two_arm.protocols["small"]), "n": 400, "sizes": [], **changes}, Protocol, "t")


def run(protocol: Protocol, scenario: Scenario, blocks: int = 6) -> list[TrialRecord]:
    return [simulate(protocol, scenario, Draws(Streams(9, block), {})) for block in range(blocks)]


def test_being_lost_is_non_response_in_the_truth_as_in_the_data(two_arm):
    protocol, scenario = design(two_arm), nature(two_arm, missing={"dropout": DROPOUT})
    found = np.concatenate([r.findings[1].estimate.estimate[0, 0] for r in run(protocol, scenario)])
    true = true_values(protocol, scenario, Draws(Streams(9, 0), {}), 512)["responder"][0]
    se = np.hypot(found.std() / np.sqrt(len(found)), true.std() / np.sqrt(len(true)))
    assert_mc(found.mean(), true.mean(), se, detects=0.04)


def test_a_treatment_is_not_stopped_by_who_has_left(two_arm):
    protocol, scenario = design(two_arm), nature(two_arm, missing={"dropout": DROPOUT})
    events = run(protocol, scenario, 1)[0].events
    assert not ((events.stop < np.inf) & (events.leave < events.stop)).any()
    assert ((events.reason > 0) == np.isfinite(events.stop)).all()


def test_a_flare_does_not_move_another_instrument(two_arm):
    odi = {
        "baseline": assume(40), "baseline_sd": assume(5), "per_point": assume(4), "change_sd": assume(8),
        "correlation": assume(0.6),
    }  # fmt: skip
    endpoints = {"disability": {"kind": "measure", "measure": "ODI"}}
    protocol = design(two_arm, endpoints=endpoints)
    plain = nature(two_arm, other_outcomes={"ODI": odi})
    tree = dump(plain)
    tree["population"]["pain"]["flare"] = {
        "size": assume(1.5), "sd": assume(0.8), "half_weeks": assume(2)
    }  # fmt: skip
    scenario = validate(tree, Scenario, "t")
    record = run(protocol, scenario, 1)[0]
    scores = record.data.others["ODI"]
    means = np.nanmean(scores.visits, axis=(0, 1))
    course = scenario.realise(protocol, Draws(Streams(9, 0), {})).course.at(protocol.weeks).mean(axis=0)
    assert scores.baseline.mean() == pytest.approx(40, abs=0.2)
    control = np.where((record.data.arm == 0)[:, :, None], scores.visits, np.nan)
    assert np.nanmean(control, axis=(0, 1)) == pytest.approx(40 + 4 * course, abs=0.5)
    assert (np.diff(means, prepend=40) < 0).all()


def test_the_order_of_the_looks_does_not_change_nature(two_arm):
    tree = dump(two_arm.protocols["small"])
    primary = tree["estimands"]["primary"]
    tree["estimands"] = {f"week{v}": {**primary, "visit": v} for v in (2, 6, 12)}
    look = {"rule": tree["looks"][0]["rule"]}
    found = []
    for order in ((2, 6, 12), (12, 6, 2)):
        looks = [{**look, "analysis": {"kind": "ancova", "estimand": f"week{v}"}} for v in order]
        protocol = validate({**tree, "looks": looks}, Protocol, "t")
        found.append(true_values(protocol, two_arm.scenarios["expected"], Draws(Streams(9, 0), {}), 64))
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


@pytest.fixture(scope="module")
def clustered(two_arm) -> tuple[Protocol, Scenario]:
    return four_therapists(two_arm, "null")


def test_therapists_differ_under_the_null_hypothesis_too(clustered):
    protocol, scenario = clustered
    truth = scenario.realise(protocol, Draws(Streams(9, 0), {}))
    assert not truth.therapist_sd(0).any()
    assert truth.therapist_sd(1).min() > 0.3


def test_a_true_value_does_not_hang_on_a_few_therapists(clustered):
    protocol, scenario = clustered
    true = true_values(protocol, scenario, Draws(Streams(9, 0), {}), 512)["primary"][0]
    assert true.std() < 0.06
    assert abs(true.mean()) < 0.02


def test_a_failed_interim_estimate_decides_nothing():
    nan = np.array([[[np.nan], [-1.0]]])
    estimate = Estimate.by_t(
        nan, np.full(nan.shape, 0.3), np.full(nan.shape, np.inf), np.full(nan.shape, 9.0)
    )
    benefit = {"kind": "posterior_probability", "benefits": [{"beyond": 0, "probability": 0.5}]}
    rule = validate({"kind": "interim_rules", "go_on_if": benefit, "final": benefit}, Rule, "t")
    verdict = rule.monitor(estimate, "lower", Looks((0.5, 1.0), np.array([[0, 1]])))
    assert (verdict.look.item(), verdict.success.item(), verdict.futile.item()) == (1, True, False)


def test_a_margin_inside_another_rule_has_no_type_1_error():
    margin = {"kind": "non_inferiority", "margin": 1}
    benefit = {"kind": "posterior_probability", "benefits": [{"beyond": 0, "probability": 0.5}]}
    loss = {"kind": "posterior_probability", "benefits": [{"beyond": -1, "probability": 0.9}]}
    inside = {"kind": "interim_rules", "go_on_if": benefit, "final": margin}
    found = [validate(tree, Rule, "t").tests_no_effect for tree in (margin, inside, loss, benefit)]
    assert found == [False, False, False, True]


def test_a_visit_that_is_always_missed_is_always_missed(two_arm):
    scenario = nature(two_arm, missing={"missed_visit": {"probability": assume(1)}})
    protocol, draws = design(two_arm), Draws(Streams(9, 0), {})
    world = create(protocol, scenario, scenario.realise(protocol, draws), 400, draws.streams)
    arm = protocol.allocation.assign(400, (1, 1), draws.streams)
    life = lose(experience(protocol, world, arm, draws.streams), world, protocol.weeks, draws.streams)
    assert life.missed is not None
    assert life.missed.all()


def test_the_sceptic_doubts_every_effect(two_arm):
    tree = dump(two_arm.scenarios["expected"])
    tree["claims"] = {"kind": "sceptical", "factor": assume(0)}
    tree["other_outcomes"] = {
        "ODI": {"baseline": assume(40), "baseline_sd": assume(5), "per_point": assume(4),
                "change_sd": assume(8), "correlation": assume(0.6)}
    }  # fmt: skip
    tree["treatments"]["drug"]["beyond_pain"] = {"ODI": assume(-3)}
    truth = validate(tree, Scenario, "t").realise(design(two_arm), Draws(Streams(9, 0), {}))
    assert not truth.arms[1].size.any()
    assert not truth.beyond_pain("ODI").any()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            f"{NATURE}.unblinding={{events: [nonsense], shift: {{assume: -1, because: t}}}}",
            "the event 'nonsense'",
        ),
        (f"{DRUG}.beyond_pain={{ODDI: {{assume: -1, because: t}}}}", "unknown outcome 'ODDI'"),
        (f"{DRUG}.therapist_icc={{assume: 1, because: t}}", "can leave the allowed range"),
        ("protocols.small.endpoints.rescued={kind: state, at_most: 1}", "is the name of a count"),
        ("protocols.small.looks.1.analysis.estimand=primary", "needs a"),
        (f"{EVENTS}.discontinuation=hypothetical", "non_response counts"),
        (
            f"{NATURE}.missing={{dropout: {{mechanism: mar, weekly_hazard: {{assume: 0.01, because: t}}, "
            "ratio_by_treatment: {drog: {assume: 2, because: t}}}}",
            "ratio_by_treatment: unknown treatment 'drog'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(two_arm_file, override, message):
    with pytest.raises(InputError, match=message):
        Study.load(two_arm_file, (override,))


def test_an_estimand_is_analysed_once(two_arm_file):
    again = "{analysis: {kind: t, estimand: primary}, rule: {kind: one_sided, alpha: 0.025}}"
    first = "{analysis: {kind: ancova, estimand: primary}, rule: {kind: one_sided, alpha: 0.025}}"
    with pytest.raises(InputError, match="'primary' is analysed twice"):
        Study.load(two_arm_file, (f"protocols.small.looks=[{first}, {again}]",))


PRICES = {"fixed": assume(1000), "per_patient": assume(100), "per_screened": assume(1)}


def test_rows_of_the_last_randomised_pass_over_those_who_were_not():
    arm = np.array([[0, -1], [-1, -1], [1, 0], [0, 1]])
    found = rows_of_last(arm, np.array([[1, 0], [2, 1], [3, 2]]))
    assert found.tolist() == [[0, -1], [2, 2], [3, 3]]


def test_a_smaller_adaptive_trial_costs_what_it_costs_alone(two_arm):
    """Its patients have the arms of their own trial, not those of the largest size."""
    look = {
        "when": {"fractions": [0.5, 1]},
        "analysis": {"kind": "ancova", "estimand": "primary"},
        "rule": {"kind": "group_sequential", "spending": {"kind": "ld_obrien_fleming"}},
    }
    change = [{"kind": "blinded_sd", "planned_sd": 2.0, "most_times": 1.5}]
    scenario = nature(two_arm, costs=PRICES)
    sizes = {"both": [120], "alone": []}
    runs = {
        name: run(
            design(two_arm, looks=[look], adaptations=change, sizes=more, n=200 if more else 120), scenario, 1
        )
        for name, more in sizes.items()
    }
    both, alone = (runs[name][0].cost for name in ("both", "alone"))
    assert (both.total[0] == alone.total[0]).all()
    assert (both.by_arm[:, 0] == alone.by_arm[:, 0]).all()


def test_a_step_is_refused_what_is_simulated_of_a_first_treatment_alone(two_arm):
    tree = dump(two_arm.protocols["small"])
    step = {"treatment": "drug", "at": 4}
    tree["arms"][0] |= {"then": [step]}
    chosen = validate(tree, Protocol, "t")
    scenario = dump(two_arm.scenarios["expected"])
    scenario["treatments"]["drug"]["adverse_events"] = {"nausea": assume(0.3)}
    with pytest.raises((InputError, ValueError), match="adverse_events"):
        validate(scenario, Scenario, "t").check(chosen)


def test_another_range_of_a_measure_is_other_code(monkeypatch):
    """Blocks of a run are not taken over when the table of measures has changed."""
    read = Path.read_text
    before = code_digest.__wrapped__()

    def changed(self, *arguments, **named):
        return read(self, *arguments, **named) + ("\n" if self.name == "measures.csv" else "")

    monkeypatch.setattr(Path, "read_text", changed)
    assert code_digest.__wrapped__() != before
