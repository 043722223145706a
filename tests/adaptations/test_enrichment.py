"""A trial that may go on in a subgroup alone: its test against a plain twin, its level, and who enters."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import multivariate_normal, norm

from sim import Study
from sim.analyses.base import Estimate
from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import Streams
from sim.data import ABSENT
from sim.protocol import Protocol
from sim.rules.base import Looks
from sim.rules.combination import closed_combination, simes_intersection_p
from sim.rules.combination_test import CombinationTest
from sim.rules.nested import both_below, nested_correlation, nested_intersection_p
from sim.scenario import Scenario
from sim.stages import _adapt, _see
from sim.true_values import true_values
from tests.adaptations.trials import ANCOVA, COMBINATION, SEQUENTIAL, nature, run, success
from tests.montecarlo import assert_mc, assert_share

RULE = CombinationTest.model_validate(COMBINATION)
FRACTIONS = (0.5, 1.0)
SHARE = 0.4
"""Of the patients who are in the subgroup."""


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8, 0.999, 1.0])
def test_two_correlated_normals_below_a_bound(correlation):
    for h in (-1.5, 0.0, 2.2, 3.1):
        law = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], allow_singular=True)
        exact = law.cdf([h, h]) if correlation < 1 else norm.cdf(h)
        assert float(both_below(h, correlation)) == pytest.approx(exact, abs=2e-6)


def test_the_intersection_is_uniform_where_nobody_is_helped():
    normal = np.random.default_rng(3).standard_normal((2, 200_000))
    subgroup = normal[0]
    whole = np.sqrt(SHARE) * subgroup + np.sqrt(1 - SHARE) * normal[1]
    z = np.stack([whole, subgroup])
    found = [nested_intersection_p(z, rho)[2] for rho in (SHARE**0.5, np.full(200_000, SHARE**0.5))]
    for p in found:
        for level in (0.01, 0.025, 0.3):
            assert_share(p <= level, level, detects=0.2 * level)
    assert (simes_intersection_p(ndtr(-z))[2] <= 0.025).mean() < 0.025


def test_the_intersection_where_the_subgroup_varies_less():
    """Six in ten with 0.8 of the others' SD: the root of the share is too large a correlation."""
    share, spread = 0.6, np.array([0.8, 1.0])[:, None]
    error = spread / np.sqrt([[share], [1 - share]])
    parts = error * np.random.default_rng(5).standard_normal((2, 500_000))
    whole = share * parts[0] + (1 - share) * parts[1]
    se = np.array([np.hypot(share * error[0, 0], (1 - share) * error[1, 0]), error[0, 0]])
    rho = nested_correlation([1000, 600], se)
    assert_share(
        nested_intersection_p(np.stack([whole, parts[0]]) / se[:, None], rho)[2] <= 0.025,
        0.025,
        detects=0.0025,
    )


def test_simes_of_two_and_three():
    p = np.array([[0.02, 0.04], [0.03, np.nan], [0.5, np.nan]])
    found = simes_intersection_p(p)  # subsets in the order 0, 1, 01, 2, 02, 12, 012
    assert found[:, 0] == pytest.approx([0.02, 0.03, 0.03, 0.5, 0.04, 0.06, 0.045])
    assert found[:, 1] == pytest.approx([0.04, np.nan, 0.04, np.nan, 0.04, np.nan, 0.04], nan_ok=True)


def test_a_stage_without_patients_hands_its_weight_on():
    rng = np.random.default_rng(4)
    z = rng.standard_normal((3, 150_000))
    p = ndtr(-z)
    p[1, z[0] < 0.3] = np.nan  # what is seen first decides whether a second stage is made
    combined = closed_combination(p, [0.3, 0.6, 1.0])
    empty = np.isnan(p[1])
    assert np.isneginf(combined[1, empty]).all()
    assert combined[2, empty] == pytest.approx((np.sqrt(0.3) * z[0] + np.sqrt(0.7) * z[2])[empty])
    assert_share(combined[2] >= 1.96, 1 - norm.cdf(1.96), detects=0.004)
    p[1:, :10] = np.nan  # nor is a third
    assert np.isneginf(closed_combination(p, [0.3, 0.6, 1.0])[1:, :10]).all()


def stages(effects: tuple[float, float], trials: int, narrow_below: float) -> tuple[np.ndarray, ...]:
    """Two stages of known SD: z (stage, hypothesis, trial), patients likewise, and who was narrowed.

    ``effects`` are those in the subgroup and outside, in standard errors of a stage of all patients.
    """
    rng, effect = np.random.default_rng(11), np.array(effects)[:, None]
    parts = np.array([SHARE, 1 - SHARE])[:, None]
    first = effect + rng.standard_normal((2, trials)) / np.sqrt(parts)
    second = effect + rng.standard_normal((2, trials)) / np.sqrt(parts)
    alone = effect[0] + rng.standard_normal(trials)  # as many patients, all of the subgroup
    narrowed = first[1] < narrow_below
    z = np.empty((2, 2, trials))
    for stage, found in enumerate((first, second)):
        z[stage] = (parts * found).sum(axis=0), found[0] * np.sqrt(SHARE)
    z[1, 0, narrowed], z[1, 1, narrowed] = np.nan, alone[narrowed]
    patients = np.broadcast_to(np.array([1000.0, 1000 * SHARE])[None, :, None], z.shape).copy()
    patients[1, 1, narrowed] = 1000
    return z, patients, narrowed


def rejected(z: np.ndarray, patients: np.ndarray, rule: CombinationTest = RULE) -> np.ndarray:
    """What the rule rejects by the end, (hypothesis, trial)."""
    n = np.moveaxis(patients, 0, 1)  # (hypothesis, look, trial)
    se = 1 / np.sqrt(n)
    estimate = -np.moveaxis(z, 0, 1) * se  # lower is better
    given = Estimate(estimate, se, np.full_like(se, np.inf), estimate, estimate, n)
    looks = Looks(FRACTIONS, np.arange(2)[None], nested=True)
    return rule.monitor(given, "lower", looks).success[:, 0]


def plainly(z: np.ndarray, narrowed: bool) -> tuple[bool, bool]:
    """The same for one trial by the book: stage-wise p-values, three combinations, closure."""
    bound = RULE.boundaries(FRACTIONS).efficacy_z
    law = multivariate_normal([0, 0], [[1, np.sqrt(SHARE)], [np.sqrt(SHARE), 1]])
    p = [[norm.sf(z[k, 0]), norm.sf(z[k, 1]), 1 - law.cdf([z[k].max()] * 2)] for k in range(2)]
    if narrowed:
        p[1] = [np.nan, norm.sf(z[1, 1]), norm.sf(z[1, 1])]
    first = [norm.isf(p[0][i]) >= bound[0] for i in range(3)]
    last = [(norm.isf(p[0][i]) + norm.isf(p[1][i])) / np.sqrt(2) >= bound[1] for i in range(3)]
    crossed = [a or b for a, b in zip(first, last, strict=True)]
    whole = (first[0] and first[2]) if narrowed else (crossed[0] and crossed[2])
    return whole, crossed[1] and crossed[2]


def test_the_rule_is_that_of_a_plain_twin():
    z, patients, narrowed = stages((2.2, 0.6), 300, 0.5)
    found = rejected(z, patients)
    assert found.any(axis=1).all()
    for i in range(300):
        assert tuple(found[:, i]) == plainly(z[:, :, i], bool(narrowed[i]))


NULLS = {
    "nobody": ((0.0, 0.0), (0, 1)),
    "harm outside": ((1.5, -1.5 * SHARE / (1 - SHARE)), (0,)),
    "those outside alone": ((0.0, 2.0), (1,)),
}


@pytest.mark.parametrize("name", NULLS)
@pytest.mark.parametrize("intersection", ["correlated", "simes"])
def test_the_family_wise_error_holds_whatever_is_true(name, intersection):
    effects, true_nulls = NULLS[name]
    rule = RULE.model_copy(update={"intersection": intersection})
    for below in (-9.0, 0.3):  # never, or often narrowed
        z, patients, _ = stages(effects, 100_000, below)
        false = rejected(z, patients, rule)[list(true_nulls)].any(axis=0)
        rate, se = false.mean(), np.sqrt(0.025 * 0.975 / false.size)
        assert_mc(max(rate, 0.025), 0.025, se, detects=0.005)


SEVERITY = {"shape": "normal", "mean": {"assume": 0, "because": "test"}, "units": "points"}
SEVERITY["sd"] = {"assume": 1, "because": "test"}


def world(study: Study, size: float, slope: float, a_week: float = 2.0) -> Scenario:
    """Patients who differ in severity, on which the drug's effect hangs."""
    tree = dump(nature(study, a_week=a_week))
    tree["population"]["covariates"] = {"severity": SEVERITY}
    drug = tree["treatments"]["drug"]
    drug["effect"]["plateau"] = {"assume": size, "because": "test"}
    drug["modification"] = {"severity": {"assume": slope, "because": "test"}}
    return validate(tree, Scenario, "t")


SEVERE = {"measure": "severity", "at_least": 0.5244}


def enriched(study: Study, population=SEVERE, **changes):
    """A trial that may be narrowed to the severe, who are three in ten."""
    primary = dump(study.protocols["small"])["estimands"]["primary"]
    severe = primary | {"population": population}
    look = {"analysis": ANCOVA, "rule": COMBINATION}
    looks = [look | {"when": {"fractions": [0.5, 1]}}, look | {"analysis": ANCOVA | {"estimand": "severe"}}]
    adaptation = {"kind": "enrichment", "subgroup": "severe", "value": 0.3, **changes}
    tree = dump(study.protocols["small"]) | {"n": 200, "sizes": []}
    tree |= {"estimands": {"primary": primary, "severe": severe}, "looks": looks}
    return validate(tree | {"adaptations": [adaptation]}, Protocol, "t")


def test_who_is_turned_away(two_arm):
    chosen, scenario = enriched(two_arm, most_times=6), world(two_arm, 0.0, -1.0)
    record = run(chosen, scenario, 1)[0]
    plain = run(enriched(two_arm, only_if="never"), scenario, 1)[0]
    data, enrolled = record.data, record.conduct.enrolled
    severe = data.covariates["severity"] >= 0.5244
    week = np.sort(enrolled, axis=0)[99] + 12
    inside, later = data.arm != ABSENT, enrolled > week
    on = record.ended[0] == 1
    mild = (later & ~severe & inside).any(axis=0)
    narrowed = on & ~mild
    assert narrowed.mean() > 0.5
    assert (on & mild).mean() > 0.05
    assert (inside.sum(axis=0)[on] == 200).all()
    assert (data.arm[:100] == plain.data.arm[:100]).all()
    assert np.array_equal(data.score[:100], plain.data.score[:100], equal_nan=True)
    assert (record.finished[0] > plain.finished[0])[narrowed].all()
    treated = (inside & later & (data.arm == 1)).sum(axis=0)[narrowed]
    control = (inside & later & (data.arm == 0)).sum(axis=0)[narrowed]
    assert np.abs(treated - control).max() <= 1
    first, severe_found = record.findings
    assert first.verdict.look[0, 0][narrowed].max() == 0
    assert severe_found.verdict.look[0, 0][narrowed].min() == 1
    for r in np.flatnonzero(narrowed)[:3]:
        used = inside[:, r] & severe[:, r]
        x = np.column_stack([np.ones(used.sum()), data.arm[used, r] == 1, data.baseline[used, r]])
        beta = np.linalg.lstsq(x, data.score[used, r, -1], rcond=None)[0]
        estimate = severe_found.at_end(severe_found.estimate.estimate)
        assert estimate[0, 0, r] == pytest.approx(beta[1])


def test_who_is_outside_is_analysed_alone(two_arm, monkeypatch):
    """Where most are severe and the effect falls steeply, its difference to that in all tells it badly."""
    looked, changed = [], []

    def see(*given: object):
        looked.append(_see(*given))
        return looked[-1]

    def adapt(protocol, plan, standing):
        changed.append((standing, _adapt(protocol, plan, standing)))
        return changed[-1][1]

    monkeypatch.setattr("sim.stages._see", see)
    monkeypatch.setattr("sim.stages._adapt", adapt)
    most = {"measure": "severity", "at_least": -1.0}
    run(enriched(two_arm, population=most, value=-2.7), world(two_arm, 0.0, -2.0), 1)
    data, outside = looked[0].data, np.empty(128)
    for r in range(128):
        used = (data.arm[:, r] != ABSENT) & (data.covariates["severity"][:, r] < -1)
        x = np.column_stack([np.ones(used.sum()), data.arm[used, r] == 1, data.baseline[used, r]])
        outside[r] = -np.linalg.lstsq(x, data.score[used, r, -1], rcond=None)[0][1]
    (standing, plan), (whole, part) = changed[0], changed[0][0].decided
    assert standing.outside == pytest.approx(outside)
    assert (plan.narrowed == (~part & (whole | (outside < -2.7)))).all()
    assert 10 < plan.narrowed.sum() < 118


def test_few_who_come_make_a_smaller_trial(two_arm):
    record = run(enriched(two_arm, most_times=1.5), world(two_arm, 0.0, -1.0), 1)[0]
    assert record.randomised[0].min() < 170
    assert len(record.data.arm) == 300


def test_a_trial_that_is_full_goes_on_in_all(two_arm):
    """Fifty patients a week: at the look nobody is left to turn away, so all patients stay tested."""
    record = run(enriched(two_arm), world(two_arm, -0.45, -0.3, a_week=50.0), 1)[0]
    verdict = record.findings[0].verdict
    at_the_look = verdict.look[0, 0] == 0
    assert not at_the_look.all()
    assert verdict.success[0, 0][at_the_look].all()


@pytest.mark.slow
@pytest.mark.parametrize(("slope", "true_nulls"), [(0.0, (0, 1)), (-1.0, (0,))])
def test_the_level_of_whole_trials(two_arm, slope, true_nulls):
    """Without any effect, and where the severe are helped as much as the others are harmed."""
    records = run(enriched(two_arm), world(two_arm, 0.0, slope), 80)
    won = np.stack([np.concatenate([r.findings[i].success[0, 0] for r in records]) for i in (0, 1)])
    rate = won[list(true_nulls)].any(axis=0).mean()
    assert_mc(max(rate, 0.025), 0.025, np.sqrt(0.025 * 0.975 / won.shape[1]), detects=0.013)
    assert slope == 0 or won[1].mean() > 0.5


def test_the_truth_of_a_subgroup(two_arm):
    """The severe, three in ten, are E[x | x > c] = φ(c)/0.3 = 1.16 SDs from the mean."""
    tree = dump(world(two_arm, -1.0, -0.5))
    tree["course"]["response"]["assume"], tree["population"]["variation"]["sd"]["assume"] = 0, 0.5
    scenario = validate(tree, Scenario, "t")  # far from the ends of the scale
    draws = Draws(Streams(5, 0), {})
    truth = true_values(enriched(two_arm), scenario, draws, 800)
    apart = truth["severe"][0] - truth["primary"][0]
    assert_mc(apart.mean(), -0.5 * norm.pdf(0.5244) / 0.3, apart.std() / np.sqrt(128), detects=0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adaptations": [{"kind": "enrichment", "subgroup": "sever"}]}, "did you mean 'severe'"),
        ({"adaptations": [{"kind": "enrichment", "subgroup": "primary"}]}, "needs a 'population'"),
        (
            {"adaptations": [{"kind": "enrichment", "subgroup": "severe"}, {"kind": "drop_arms"}]},
            "goes with no other",
        ),
        ({"looks": [{"analysis": ANCOVA, "rule": COMBINATION, "when": {"fractions": [0.5, 1]}}]}, "one look"),
        (
            {"looks": [{"analysis": ANCOVA, "rule": SEQUENTIAL, "when": {"fractions": [0.5, 1]}}]},
            "holds with a rule of kind 'combination' only",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(two_arm, change, message):
    with pytest.raises(InputError, match=message):
        validate(dump(enriched(two_arm)) | change, Protocol, "t")


def test_appointments_before_randomisation_are_refused(two_arm):
    scan = {"name": "scanner", "before": "randomisation", "a_week": 2}
    sites = {"kind": "sites", "max_weeks": 300, "appointments": [scan]}
    with pytest.raises(InputError, match="turned away would keep appointments"):
        validate(dump(enriched(two_arm)) | {"operations": sites}, Protocol, "t")


def test_a_ratio_in_a_subgroup_is_closed_by_simes(two_arm):
    tree = dump(enriched(two_arm))
    for estimand in tree["estimands"].values():
        estimand |= {"endpoint": "responder_30", "summary": "odds_ratio"}
    for look in tree["looks"]:
        chosen = look["analysis"]["estimand"]
        look["analysis"] = {"kind": "logistic", "estimand": chosen, "measure": "odds_ratio"}
    with pytest.raises(InputError, match="give the rules 'intersection: simes'"):
        validate(tree, Protocol, "t")
    for look in tree["looks"]:
        look["rule"]["intersection"] = "simes"
    validate(tree, Protocol, "t")


def test_a_population_by_a_measure_that_nobody_has_is_refused(two_arm):
    tree = dump(two_arm)
    tree["protocols"] = {"small": dump(enriched(two_arm))}
    with pytest.raises(InputError, match=r"severe.population.measure: .* no covariate 'severity'"):
        validate(tree, Study, "t")


def test_success_counts_of_both_hypotheses(two_arm):
    record = run(enriched(two_arm), world(two_arm, -1.5, 0.0), 1)[0]
    whole, part = (found.success[0, 0] for found in record.findings)
    assert whole.mean() > 0.8
    assert success([record])[0].tolist() == whole.tolist()
    assert (part | whole).mean() >= whole.mean()
