"""Trials that run from look to look: what changes nothing, and the past where something is changed."""

import numpy as np
import pytest

from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.data import ABSENT
from sim.observation import Ground, analyse, observe
from sim.performance import summarise
from sim.protocol import Protocol
from sim.records import tabulate
from sim.rules.group_sequential import GroupSequential
from sim.seen import blinded_sd
from sim.trial import simulate
from tests.adaptations.trials import (
    ANCOVA,
    BAYES,
    COMBINATION,
    SEED,
    SEQUENTIAL,
    Draws,
    Streams,
    four_arms,
    nature,
    protocol,
    run,
    success,
    together,
)
from tests.montecarlo import assert_share

THIRDS = {"fractions": [0.5, 0.75, 1]}
KEEP_ALL = [{"kind": "drop_arms", "keep": "all"}]


@pytest.mark.parametrize("rule", [SEQUENTIAL, BAYES])
def test_stages_that_change_nothing_are_the_trial_itself(two_arm, rule):
    look = {"when": THIRDS, "rule": rule}
    at_once = run(protocol(two_arm, look), two_arm.scenarios["expected"], 1)[0]
    staged = run(protocol(two_arm, look, adaptations=KEEP_ALL), two_arm.scenarios["expected"], 1)[0]
    assert protocol(two_arm, look, adaptations=KEEP_ALL).is_staged
    for name in ("ended", "finished", "randomised", "analysed", "unfinished"):
        assert getattr(staged, name) == pytest.approx(getattr(at_once, name)), name
    for ours, theirs in zip(staged.findings, at_once.findings, strict=True):
        assert ours.estimate.estimate == pytest.approx(theirs.estimate.estimate, abs=1e-9)
        assert ours.estimate.se == pytest.approx(theirs.estimate.se, abs=1e-9)
        assert (ours.verdict.look == theirs.verdict.look).all()
        assert (ours.success == theirs.success).all()


ANALYSES = {
    "primary": [
        ANCOVA,
        ANCOVA | {"errors": "hc3", "missing": "last_or_baseline"},
        {"kind": "t", "estimand": "primary"},
        {"kind": "mmrm", "estimand": "primary"},
        {"kind": "clda", "estimand": "primary"},
        {
            "kind": "bayes_normal",
            "estimand": "primary",
            "control": {"components": [{"weight": 1, "mean": 4.5, "sd": 1}]},
        },
    ],
    "responder": [
        {"kind": "responder_difference", "estimand": "responder"},
        {"kind": "logistic", "estimand": "responder"},
        {"kind": "mantel_haenszel", "estimand": "responder"},
        {"kind": "beta_binomial", "estimand": "responder"},
    ],
    "time": [{"kind": "cox", "estimand": "time"}, {"kind": "log_rank", "estimand": "time"}],
}


@pytest.mark.parametrize(
    "analysis", [a for group in ANALYSES.values() for a in group], ids=lambda a: f"{a['kind']}-{len(a)}"
)
def test_absent_patients_count_nowhere(two_arm, analysis):
    """The analysis of a look's patients is that of a trial which never had the others."""
    tree = dump(two_arm.protocols["small"]) | {"n": 80, "sizes": []}
    tree["endpoints"]["relief"] = {"kind": "time_to_response", "reduction": 0.3}
    tree["estimands"]["time"] = tree["estimands"]["primary"] | {
        "endpoint": "relief",
        "summary": "hazard_ratio",
    }
    bayesian = analysis["kind"] in ("bayes_normal", "beta_binomial")
    rule = BAYES["final"] if bayesian else {"kind": "one_sided", "alpha": 0.025}
    chosen = validate({**tree, "looks": [{"analysis": analysis, "rule": rule}]}, Protocol, "t")
    record = simulate(chosen, two_arm.scenarios["expected"], Draws(Streams(SEED, 0), {}))
    first = np.arange(80)[:, None] < np.full(128, 60)
    seen = record.data.only(first)
    cut = analyse(chosen, chosen.looks[0], record.data.__class__(**{**vars(record.data), "sizes": (60,)}))[0]
    masked = analyse(chosen, chosen.looks[0], seen)[0]
    for name in ("estimate", "se", "low"):
        assert getattr(masked, name) == pytest.approx(getattr(cut, name), abs=1e-7, nan_ok=True), name


def test_the_past_stays_as_it_was(two_arm):
    """Who was randomised before a look has the arm and the scores of the trial that changes nothing."""
    look = {"when": THIRDS, "rule": BAYES}
    plain = run(protocol(two_arm, look), nature(two_arm), 1)[0]
    change = [{"kind": "response_adaptive", "power": 1}]
    moved = run(protocol(two_arm, look, adaptations=change), nature(two_arm), 1)[0]
    enrolled = plain.conduct.enrolled
    first_look = np.sort(enrolled, axis=0)[99] + 12
    before = (enrolled <= first_look) & (moved.data.arm != ABSENT)
    assert (moved.data.arm[before] == plain.data.arm[before]).all()
    assert np.array_equal(moved.data.score[before], plain.data.score[before], equal_nan=True)
    after = (enrolled > first_look) & (moved.data.arm != ABSENT)
    assert (moved.data.arm[after] != plain.data.arm[after]).mean() > 0.2
    assert (moved.randomised[0] == (enrolled <= moved.finished[0]).sum(axis=0)).all()
    assert len(set(moved.randomised[0])) > 1


def test_an_ended_arm_recruits_no_more(two_arm):
    look = {"when": {"fractions": [0.4, 1]}, "rule": BAYES}
    record = run(four_arms(two_arm, "ddp", look, adaptations=KEEP_ALL), nature(two_arm), 1)[0]
    plain = run(four_arms(two_arm, "ddp", look), nature(two_arm), 1)[0]
    verdict, enrolled = record.findings[0].verdict, record.conduct.enrolled
    week = np.sort(enrolled, axis=0)[79] + 12
    for k in range(2):
        ended = (verdict.look[k, 0] == 0) & (record.ended[0] == 1)
        later = (enrolled > week) & ended
        assert (plain.data.arm[later] == k + 1).any()
        assert not (record.data.arm[later] == k + 1).any()
    assert (record.randomised[0][record.ended[0] == 1] == 200).all()


def test_a_smaller_size_is_the_trial_planned_with_it(two_arm):
    change = [{"kind": "blinded_sd", "planned_sd": 2.0, "most_times": 1.5}]
    look = {"when": {"fractions": [0.5, 1]}, "rule": BAYES}
    both = run(protocol(two_arm, look, sizes=[120], adaptations=change), nature(two_arm), 1)[0]
    alone = run(protocol(two_arm, look, n=120, adaptations=change), nature(two_arm), 1)[0]
    for name in ("ended", "finished", "randomised", "analysed"):
        assert (getattr(both, name)[0] == getattr(alone, name)[0]).all(), name
    assert (both.findings[0].success[:, 0] == alone.findings[0].success[:, 0]).all()
    first = both.findings[0].at_end(both.findings[0].estimate.estimate)[:, 0]
    assert first == pytest.approx(alone.findings[0].at_end(alone.findings[0].estimate.estimate)[:, 0])


def test_a_trial_that_grows_after_it_was_full_recruits_again_from_the_look(two_arm):
    """Fifty patients a week fill the plan before the first of them passes the primary visit."""
    change = [{"kind": "blinded_sd", "planned_sd": 1.0, "most_times": 1.5}]
    look = {"when": {"fractions": [0.5, 1]}, "rule": BAYES}
    record = run(protocol(two_arm, look, adaptations=change), nature(two_arm, a_week=50.0), 1)[0]
    enrolled, on = record.conduct.enrolled, record.ended[0] == 1
    plain = run(protocol(two_arm, look, n=300), nature(two_arm, a_week=50.0), 1)[0].conduct.enrolled
    week = enrolled[99] + 12
    assert (enrolled[199] < week).all()
    assert (record.randomised[0][on] == 300).all()
    assert enrolled[:200] == pytest.approx(plain[:200])
    first, gap = enrolled[200, on], plain[200, on] - plain[199, on]
    assert first == pytest.approx(week[on] + gap)
    assert np.diff(enrolled[200:, on], axis=0) == pytest.approx(np.diff(plain[200:, on], axis=0))
    assert record.finished[0][on] == pytest.approx(enrolled[299, on] + 12)


@pytest.mark.parametrize("change", [{"kind": "drop_arms", "keep": "best"}, {"kind": "response_adaptive"}])
def test_patients_whom_a_full_trial_grows_by_meet_the_arms_left_open(two_arm, change):
    """They come after the look, though they would have come before it had recruitment gone on."""
    sized = {"kind": "blinded_sd", "planned_sd": 1.0, "most_times": 1.5}
    look = {"when": {"fractions": [0.5, 1]}, "rule": BAYES}
    chosen = four_arms(two_arm, "ddp", look, adaptations=[change, sized])
    record = run(chosen, nature(two_arm, a_week=50.0), 1)[0]
    data, on = record.data, record.ended[0] == 1
    added = np.where(on, data.arm, ABSENT)[200:]
    closed = record.findings[0].verdict.look[:, 0] == 0
    for k in range(3):
        assert not (added[:, closed[k]] == k + 1).any()
    assert ((added != ABSENT).sum(axis=0)[on] == 100).all()
    if change["kind"] == "drop_arms":
        kept = [len({*added[:, r]} - {0, ABSENT}) for r in np.flatnonzero(on)]
        assert set(kept) == {1}
    else:
        assert closed[:, on].any()


def test_looks_by_week_see_who_has_passed(two_arm):
    when = {"weeks": [40, 60], "patients": [50, 120], "whichever": "latest"}
    record = run(protocol(two_arm, {"when": when, "rule": SEQUENTIAL}), nature(two_arm), 1)[0]
    passed = np.sort(record.conduct.enrolled, axis=0) + 12
    expected = [np.maximum(week, passed[n - 1]) for week, n in ((40, 50), (60, 120))]
    weeks = np.array([*expected, passed[-1]])
    each = np.arange(128)
    assert record.finished[0] == pytest.approx(weeks[record.ended[0], each])
    assert (record.analysed[0] == (passed <= record.finished[0]).sum(axis=0)).all()
    assert (record.randomised[0] == (record.conduct.enrolled <= record.finished[0]).sum(axis=0)).all()
    assert (record.randomised >= record.analysed).all()
    assert (record.randomised > record.analysed).any()


def test_bounds_follow_the_information_that_came():
    rule = GroupSequential.model_validate(SEQUENTIAL)
    observed = np.array([[0.5, 0.5, 0.8, 0.004], [1.0, 0.5, 0.9, 0.75], [1.0, 1.0, 1.0, 1.0]])
    bounds = rule.respent(observed)
    for fractions, place, looks in (((0.5, 1.0), 0, [0, 1]), ((0.8, 0.9, 1.0), 2, [0, 1, 2])):
        exact = rule.boundaries(fractions).efficacy_z
        assert bounds[looks, place] == pytest.approx(exact, abs=1e-6)
    assert np.isinf(bounds[2, 0])  # everybody was seen at the second look
    assert np.isinf(bounds[1, 1])  # nobody new came to it
    assert np.isinf(bounds[0, 3])


@pytest.mark.slow
def test_looks_by_week_keep_the_level(two_arm):
    when = {"weeks": [65, 85]}
    found = run(protocol(two_arm, {"when": when, "rule": SEQUENTIAL}), nature(two_arm, "null"), 120)
    assert_share(success(found)[0], 0.025, detects=0.011)
    assert len(set(together(found, "ended"))) == 3


def test_the_family_wise_error_is_printed_with_interim_looks(two_arm):
    chosen = four_arms(two_arm, "ppp", {"when": {"fractions": [0.5, 1]}, "rule": COMBINATION})
    scenario = two_arm.scenarios["null"]
    record = run(chosen, scenario, 1)[0]
    tables = tabulate(chosen, record, 0, {})
    rows = list(summarise(chosen, scenario, tables.estimates, tables.arms, tables.trials))
    found = {row.metric: row.value for row in rows if not row.arm}
    assert found["family_wise_error"] == success([record]).any(axis=0).mean()
    assert found["pipeline"] == (record.randomised - record.analysed)[0].mean()


def test_the_blinded_sd_is_that_of_least_squares(two_arm):
    chosen = protocol(two_arm, {"rule": {"kind": "one_sided", "alpha": 0.025}})
    record = run(chosen, two_arm.scenarios["expected"], 1)[0]
    found = blinded_sd(chosen, record.data)
    for r in (0, 17):
        y, x = record.data.score[:, r, -1], record.data.baseline[:, r]
        used = ~np.isnan(y)
        _, rest, *_ = np.polyfit(x[used], y[used], 1, full=True)
        assert found[r] == pytest.approx(np.sqrt(rest[0] / (used.sum() - 2)))


@pytest.mark.parametrize(
    ("look", "changes", "message"),
    [
        ({"rule": {"kind": "one_sided", "alpha": 0.025}}, {"adaptations": KEEP_ALL}, "no interim look"),
        ({"when": {"patients": [300]}, "rule": BAYES}, {}, "must be below n = 200"),
        ({"when": {"patients": [100, 90]}, "rule": BAYES}, {}, "patients: must increase"),
        ({"when": {"patients": [90], "weeks": [4, 8]}, "rule": BAYES}, {}, "one value for each interim look"),
        ({"when": {"weeks": [40]}, "rule": COMBINATION}, {}, "needs 'fractions' alone"),
        (
            {"when": {"weeks": [40]}, "rule": SEQUENTIAL | {"spending": {"kind": "pocock"}}},
            {},
            "need a spending function",
        ),
        (
            {"when": THIRDS, "rule": BAYES},
            {"adaptations": [{"kind": "promising_zone"}]},
            r"adaptations\[0\].promising_zone: the level holds with a rule of kind 'combination' only",
        ),
        (
            {"when": THIRDS, "rule": BAYES},
            {"adaptations": [{"kind": "response_adaptive", "at_least": 0.6}]},
            "at_least: 0.6 of 2 arms is more than 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(two_arm, look, changes, message):
    with pytest.raises(InputError, match=message):
        protocol(two_arm, look, **changes)


def test_a_ground_lives_the_same_life_twice(two_arm):
    """What makes stages possible: random numbers hang on the patient, not on how often he is asked."""
    chosen, scenario = protocol(two_arm, {"when": THIRDS, "rule": BAYES}), two_arm.scenarios["expected"]
    record = simulate(chosen, scenario, Draws(Streams(SEED, 0), {}))
    from sim.lives import create

    draws = Draws(Streams(SEED, 0), {})
    world = create(chosen, scenario, scenario.realise(chosen, draws), 200, draws.streams)
    ground = Ground(chosen, scenario, world, draws.streams)
    ground.live(1 - record.data.arm)
    again = observe(ground, ground.live(record.data.arm), record.data.arm, (200,))
    assert np.array_equal(again.score, record.data.score, equal_nan=True)
