"""Simulated trials against theory and against other software, on the same data where that is possible."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from sim.analyses.ancova import Ancova
from sim.analyses.responder_difference import ResponderDifference
from sim.claims import Draws
from sim.core.loading import dump, validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.data import TrialData
from sim.endpoints import Score
from sim.estimand import Estimand, Observations
from sim.events import NEVER
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.trial import simulate
from sim.true_values import true_values
from tests.montecarlo import assert_mc, assert_mean, assert_share

BLOCKS = 160


def made_up_data(arms: int = 3, n: int = 90, missing: float = 0.2) -> Observations:
    rng = np.random.default_rng(3)
    shape = (n, BLOCK_SIZE)
    arm = rng.integers(arms, size=shape)
    baseline = rng.normal(6, 1.5, shape)
    value = 2 + 0.4 * baseline - 0.5 * arm + rng.normal(0, 2, shape)
    value[rng.random(shape) < missing] = np.nan
    data = TrialData(arm, baseline, value[:, :, None], np.array([12.0]), np.full(shape, NEVER), (40, n))
    estimand = Estimand.model_validate(
        {
            "endpoint": "pain",
            "visit": 12,
            "contrast": {"of": ["a", "b"], "to": "c"},
            "summary": "mean_difference",
        }
    )
    return Observations(value, baseline, arm, (1, 2), 0, arms, data, estimand, Score())


def test_ancova_is_statsmodels_on_the_same_data():
    observed = made_up_data()
    mine = Ancova(estimand="x").estimate(observed)
    for place, size in enumerate(observed.data.sizes):
        for r in range(0, BLOCK_SIZE, 16):
            kept = ~np.isnan(observed.value[:size, r])
            arm = observed.arm[:size, r][kept]
            x = np.column_stack([np.ones(kept.sum()), arm == 1, arm == 2, observed.baseline[:size, r][kept]])
            fit = sm.OLS(observed.value[:size, r][kept], x.astype(float)).fit()
            for k in (0, 1):
                assert mine.estimate[k, place, r] == pytest.approx(fit.params[k + 1], abs=1e-10)
                assert mine.se[k, place, r] == pytest.approx(fit.bse[k + 1], abs=1e-10)
                assert mine.df[k, place, r] == fit.df_resid
                assert (mine.low[k, place, r], mine.high[k, place, r]) == pytest.approx(
                    fit.conf_int()[k + 1], abs=1e-9
                )
                one_sided = stats.t.cdf(fit.tvalues[k + 1], fit.df_resid)
                assert mine.one_sided_p("lower")[k, place, r] == pytest.approx(one_sided, abs=1e-10)


def test_responder_difference_is_statsmodels_on_the_same_data():
    observed = made_up_data(arms=3)
    response = np.where(np.isnan(observed.value), np.nan, observed.value > 4)
    observed = replace(observed, value=response)
    mine = ResponderDifference(estimand="x").estimate(observed)
    size, r = observed.data.sizes[1], 5
    hits = [np.nansum(response[:size, r][observed.arm[:size, r] == k]) for k in range(3)]
    n = [(observed.arm[:size, r] == k).sum() for k in range(3)]
    for k in (1, 2):
        low, high = confint_proportions_2indep(hits[k], n[k], hits[0], n[0], compare="diff", method="newcomb")
        assert (mine.low[k - 1, 1, r], mine.high[k - 1, 1, r]) == pytest.approx((low, high), abs=1e-10)
        shares = hits[k] / n[k], hits[0] / n[0]
        se = np.sqrt(shares[0] * (1 - shares[0]) / n[k] + shares[1] * (1 - shares[1]) / n[0])
        assert mine.se[k - 1, 1, r] == pytest.approx(se, abs=1e-12)


def test_an_analysis_of_nothing_fails_instead_of_inventing():
    observed = made_up_data()
    empty = replace(observed, value=np.full_like(observed.value, np.nan))
    estimate = Ancova(estimand="x").estimate(empty)
    assert np.isnan(estimate.estimate).all()


def plain(two_arm, **changes) -> tuple[Protocol, Scenario]:
    """The small study without rounding, clipping, events or losses, so that normal theory is exact."""
    protocol = validate(
        {
            **dump(two_arm.protocols["small"]),
            "n": 120,
            "sizes": [],
            "eligibility": {},
            "endpoints": {"pain": {"kind": "score", "scale": {"low": -100, "high": 100, "step": 0.001}}},
        },
        Protocol,
        "test",
    )
    tree = dump(two_arm.scenarios["expected"])
    for treatment in tree["treatments"].values():
        treatment.pop("discontinuation", None)
        treatment.pop("withdrawal", None)
    tree["treatments"]["drug"]["effect"]["plateau"] = {"assume": -1.0, "because": "t"}
    return protocol, validate({**tree, **changes}, Scenario, "test")


def estimates(protocol: Protocol, scenario: Scenario, look: int = 0, blocks: int = BLOCKS):
    for block in range(blocks):
        yield simulate(protocol, scenario, Draws(Streams(11, block), {})).findings[look]


def test_ancova_power_is_the_closed_form(two_arm):
    """Noncentral t with the residual SD of the generating model given baseline."""
    protocol, scenario = plain(two_arm)
    truth = -1.0
    rated = 1.7**2 + 0.9**2
    after = 1.7**2 + 2.1**2 + 0.9**2
    residual = np.sqrt(after - 1.7**4 / rated)
    df = 120 - 3
    # the difference of baseline means inflates the variance by 1 / (df - 1) on average (Borm 2007)
    ncp = truth / (residual * np.sqrt(2 / 60 * (1 + 1 / (df - 1))))
    power = stats.nct.cdf(stats.t.ppf(0.025, df), df, ncp)
    findings = list(estimates(protocol, scenario))
    assert_share(np.concatenate([f.success.ravel() for f in findings]), power, detects=0.03)
    assert_mean(np.concatenate([f.estimate.estimate.ravel() for f in findings]), truth, detects=0.03)


def test_the_truth_is_the_effect_where_the_scale_does_not_bind(two_arm):
    protocol, scenario = plain(two_arm)
    truth = true_values(protocol, scenario, Draws(Streams(11, 0), {}), 50)["primary"]
    assert truth == pytest.approx(-1.0, abs=1e-3)


def test_the_truth_shrinks_on_a_clipped_scale(two_arm):
    """A latent effect near the floor is smaller on the observed scale, by the score's closed form."""
    protocol, scenario = plain(two_arm)
    protocol = protocol.model_copy(update={"endpoints": {**two_arm.protocols["small"].endpoints}})
    draws = [Draws(Streams(11, block), {}) for block in range(20)]
    truth = np.concatenate([true_values(protocol, scenario, d, 200)["primary"].ravel() for d in draws])
    sd = np.sqrt(1.7**2 + 2.1**2 + 0.9**2)
    reported_artefact = scenario.population.regression_to_mean(
        scenario.course.reported_under, scenario.realise(protocol, draws[0]).pain
    )[0]
    control = 4.8 - (1.9 - reported_artefact) * (1 - 2 ** (-12 / 2))
    means = np.array([control + -1.0, control])
    expected = protocol.pain.scale.mean(means, np.full(2, sd))
    assert abs(expected[0] - expected[1]) < 0.95
    assert_mean(truth, float(expected[0] - expected[1]), detects=0.02)


def test_responder_power_is_the_exact_binomial(two_arm):
    """Wald's test enumerated over both binomials, at the shares that the model gives."""
    protocol, scenario = plain(two_arm)
    protocol = validate(
        {
            **dump(protocol),
            "estimands": {"responder": {**dump(protocol.estimands["responder"]), "endpoint": "low"}},
            "endpoints": {**dump(protocol)["endpoints"], "low": {"kind": "state", "at_most": 3.0}},
            "looks": [dump(protocol)["looks"][1]],
        },
        Protocol,
        "test",
    )
    findings = list(estimates(protocol, scenario))
    sd = np.sqrt(1.7**2 + 2.1**2 + 0.9**2)
    artefact = scenario.population.regression_to_mean(
        scenario.course.reported_under, scenario.realise(protocol, Draws(Streams(1, 0), {})).pain
    )[0]
    control = 4.8 - (1.9 - artefact) * (1 - 2 ** (-12 / 2))
    shares = stats.norm.cdf(3.0005, [control + -1.0, control], sd)
    k = np.arange(61)
    p1, p0 = k[:, None] / 60, k[None, :] / 60
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (p1 - p0) / np.sqrt((p1 * (1 - p1) + p0 * (1 - p0)) / 60)
    reject = np.nan_to_num(z, nan=0.0) >= stats.norm.ppf(0.975)
    joint = stats.binom.pmf(k, 60, shares[0])[:, None] * stats.binom.pmf(k, 60, shares[1])[None, :]
    assert_share(
        np.concatenate([f.success.ravel() for f in findings]), float((joint * reject).sum()), detects=0.03
    )


@pytest.mark.parametrize("look", [0])
def test_type_1_error_of_ancova_on_scores_with_losses(two_arm, look):
    """20,480 null trials on the clipped scale with discontinuation and withdrawal: 0.025 within 3 errors."""
    protocol = two_arm.protocols["small"].model_copy(update={"n": 120, "sizes": ()})
    hits = np.concatenate([f.success.ravel() for f in estimates(protocol, two_arm.scenarios["null"], look)])
    assert hits.size == 20_480
    assert_share(hits, 0.025, detects=0.0075, z=3)


def test_recruitment_time_is_gamma(two_arm):
    protocol = two_arm.protocols["small"].model_copy(update={"sizes": ()})
    weeks = np.concatenate(
        [
            simulate(protocol, two_arm.scenarios["null"], Draws(Streams(3, b), {})).finished.ravel() - 12
            for b in range(40)
        ]
    )
    assert_mean(weeks, 80 / 2.0, detects=1.0)
    assert_mc(float(weeks.std()), np.sqrt(80) / 2, float(weeks.std() / np.sqrt(2 * weeks.size)), detects=0.5)


def test_composite_and_its_analysis_mean_the_same(two_arm):
    """Leaving counts as non-response in the truth as in the analysis: no bias."""
    protocol = two_arm.protocols["small"].model_copy(update={"n": 200, "sizes": ()})
    scenario = two_arm.scenarios["expected"]
    draws = [Draws(Streams(21, block), {}) for block in range(60)]
    truth = np.concatenate([true_values(protocol, scenario, d, 200)["responder"].ravel() for d in draws])
    found = np.concatenate(
        [simulate(protocol, scenario, d).findings[1].estimate.estimate.ravel() for d in draws]
    )
    assert_mean(found - truth, 0.0, detects=0.01)
