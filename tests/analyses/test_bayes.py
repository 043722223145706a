"""Bayesian analyses against closed forms, integrals by another route, and the frequentist limit."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import betaln

from sim.analyses.ancova import Ancova
from sim.analyses.base import Analysis
from sim.analyses.bayes_normal import BayesNormal
from sim.analyses.beta_binomial import BetaBinomial, ShareDifference
from sim.analyses.posterior import PosteriorEstimate
from sim.analyses.priors import BetaPrior, NormalPrior
from sim.analyses.t import TTest
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.mixtures import BetaMixture
from tests.analyses.blocks import MEAN, SHARE, block, observe, single

NEAR = {"rtol": 1e-8, "atol": 1e-10}
FLAT = {"mean": 0, "sd": 1e7}
MIXED = ((0.7, 4.0, 0.3), (0.3, 3.0, 1.5))


def normal(*components: tuple[float, float, float]) -> NormalPrior:
    return NormalPrior(components=[dict(zip(("weight", "mean", "sd"), c, strict=True)) for c in components])


def test_a_flat_prior_of_the_difference_is_ancova_with_a_normal_reference():
    data = block()
    found = BayesNormal(estimand="x", difference=normal((1, 0, 1e7))).estimate(observe(data))
    plain = Ancova(estimand="x").estimate(observe(data))
    np.testing.assert_allclose(found.estimate, plain.estimate, **NEAR)
    np.testing.assert_allclose(found.se, plain.se, **NEAR)
    z = plain.estimate / plain.se
    np.testing.assert_allclose(found.one_sided_p("lower"), stats.norm.cdf(z), rtol=1e-6)
    np.testing.assert_allclose(found.low, plain.estimate - 1.959963984540054 * plain.se, rtol=1e-6)


@pytest.mark.parametrize("change", [False, True])
def test_flat_priors_of_the_means_are_the_pooled_t_test(change):
    data = block()
    measure = "change" if change else "value"
    found = BayesNormal(estimand="x", control=normal((1, 0, 1e7)), measure=measure).estimate(observe(data))
    score = data.score - data.baseline[:, :, None] if change else data.score
    data = type(data)(data.arm, data.baseline, score, data.weeks, data.stopped, data.sizes)
    plain = TTest(estimand="x", variance="pooled").estimate(observe(data))
    np.testing.assert_allclose(found.estimate, plain.estimate, **NEAR)
    np.testing.assert_allclose(found.se, plain.se, **NEAR)


def test_mixtures_equal_integrals_on_a_grid_data_set_by_data_set():
    """Prior × likelihood on a fine grid, mean by mean, then the difference of the two means."""
    data = block()
    prior = normal(*MIXED)
    found = BayesNormal(estimand="x", control=prior, treatment=normal((1, 3.5, 1.0))).estimate(observe(data))
    x = np.linspace(-4, 12, 8001)
    for at, size in enumerate(data.sizes):
        for replicate in range(3):
            one = single(data, size, replicate)
            y, arm = one.score[:, 0, 2], one.arm[:, 0]
            groups = [y[(arm == k) & ~np.isnan(y)] for k in range(3)]
            pooled = sum(((g - g.mean()) ** 2).sum() for g in groups) / (sum(map(len, groups)) - 3)

            def posterior(
                k: int, components: tuple, pooled: float = pooled, groups: list = groups
            ) -> tuple[float, float, np.ndarray]:
                likelihood = stats.norm.pdf(groups[k].mean(), x, np.sqrt(pooled / len(groups[k])))
                density = likelihood * sum(w * stats.norm.pdf(x, m, s) for w, m, s in components)
                density /= integrate.trapezoid(density, x)
                mean = integrate.trapezoid(density * x, x)
                return mean, integrate.trapezoid(density * (x - mean) ** 2, x), density

            control = posterior(0, MIXED)
            for place in (0, 1):
                treated = posterior(place + 1, ((1, 3.5, 1.0),))
                cell = (place, at, replicate)
                assert found.estimate[cell] == pytest.approx(treated[0] - control[0], rel=1e-8, abs=1e-8)
                assert found.se[cell] == pytest.approx(np.sqrt(treated[1] + control[1]), rel=1e-8)
                below = integrate.cumulative_trapezoid(treated[2], x, initial=0)
                inside = np.interp(x - 0.5, x, below)
                share = integrate.trapezoid(control[2] * inside, x)
                assert found.probability_beyond(0.5, "lower")[cell] == pytest.approx(share, abs=1e-5)


def test_limits_of_the_interval_hold_their_probability():
    data = block()
    found = BayesNormal(estimand="x", control=normal(*MIXED)).estimate(observe(data))
    assert isinstance(found, PosteriorEstimate)
    for limit, p in ((found.low, 0.025), (found.high, 0.975)):
        cell = found.posterior.cdf(limit)
        np.testing.assert_allclose(cell, p, atol=1e-9)


def greater(a1: float, b1: float, a0: int, b0: float) -> float:
    """P(treated > control) of two betas, a sum for a whole a0 (E. Miller 2014; Cook 2005, report 2005-54)."""
    terms = [
        np.exp(betaln(a1 + i, b1 + b0) - np.log(b0 + i) - betaln(1 + i, b0) - betaln(a1, b1))
        for i in range(a0)
    ]
    return 1 - float(np.sum(terms))


@pytest.mark.parametrize(("a1", "b1", "a0", "b0"), [(31, 71, 21, 81), (2, 3, 1, 1), (400, 900, 350, 950)])
def test_the_chance_of_a_better_arm_equals_the_finite_sum(a1, b1, a0, b0):
    pair = ShareDifference(BetaMixture.of((1, a1, b1)), BetaMixture.of((1, a0, b0)))
    expected = stats.beta(a1, b1).expect(lambda p: stats.beta(a0, b0).cdf(p))
    assert 1 - pair.cdf(0.0) == pytest.approx(expected, abs=1e-8)
    swapped = 1 - greater(a0, b0, a1, b1)
    assert 1 - pair.cdf(0.0) == pytest.approx(swapped, abs=1e-9)


def test_beta_mixtures_equal_integrals_data_set_by_data_set():
    data = block()
    prior = BetaPrior(components=[{"weight": 0.8, "a": 8, "b": 12}, {"weight": 0.2, "a": 0.5, "b": 0.5}])
    found = BetaBinomial(estimand="x", control=prior).estimate(observe(data, SHARE))
    for at, size in enumerate(data.sizes):
        for replicate in range(3):
            one = observe(single(data, size, replicate), SHARE)
            y, arm = np.nan_to_num(one.value[:, 0]), one.arm[:, 0]
            r, n = [y[arm == k].sum() for k in range(3)], [(arm == k).sum() for k in range(3)]
            marginal = [
                w * np.exp(betaln(a + r[0], b + n[0] - r[0]) - betaln(a, b))
                for w, a, b in ((0.8, 8, 12), (0.2, 0.5, 0.5))
            ]
            weights = np.array(marginal) / sum(marginal)
            parts = [stats.beta(a + r[0], b + n[0] - r[0]) for a, b in ((8, 12), (0.5, 0.5))]
            for place in (0, 1):
                treated = stats.beta(1 + r[place + 1], 1 + n[place + 1] - r[place + 1])
                cell = (place, at, replicate)
                mean = treated.mean() - sum(w * p.mean() for w, p in zip(weights, parts, strict=True))
                assert found.estimate[cell] == pytest.approx(mean, rel=1e-9)

                def above(p: float, treated=treated, weights=weights, parts=parts) -> float:
                    return treated.sf(p + 0.1) * sum(
                        w * q.pdf(p) for w, q in zip(weights, parts, strict=True)
                    )

                share = integrate.quad(above, 0, 1, points=[0.2, 0.4], epsabs=1e-11)[0]
                assert found.probability_beyond(0.1, "higher")[cell] == pytest.approx(share, abs=1e-8)
                low = found.low[cell]
                below = integrate.quad(
                    lambda p, low=low, treated=treated, weights=weights, parts=parts: (
                        treated.cdf(p + low) * sum(w * q.pdf(p) for w, q in zip(weights, parts, strict=True))
                    ),
                    0,
                    1,
                    points=[0.2, 0.4],
                    epsabs=1e-11,
                )[0]
                assert below == pytest.approx(0.025, abs=1e-7)


def test_an_arm_without_any_value_has_no_posterior_and_decides_nothing():
    data = block()
    data.score[data.arm[:, 2] == 1, 2, 2] = np.nan
    found = BayesNormal(estimand="x", control=normal(*MIXED)).estimate(observe(data))
    assert np.isnan(found.estimate[0, :, 2]).all()
    assert np.isnan(found.one_sided_p("lower")[0, :, 2]).all()
    assert np.isfinite(found.estimate[1]).all()


def test_beyond_is_the_other_side_of_the_p_value_for_every_estimate():
    data = block()
    plain = Ancova(estimand="x").estimate(observe(data, MEAN))
    share = BetaBinomial(estimand="x").estimate(observe(data, SHARE))
    for found, better in ((plain, "lower"), (share, "higher")):
        for margin in (0.0, 0.2):
            np.testing.assert_allclose(
                found.probability_beyond(margin, better) + found.one_sided_p(better, margin), 1.0
            )
        assert (found.probability_beyond(0.2, better) < found.probability_beyond(0.0, better)).all()


def test_a_prior_may_be_the_file_that_rbest_writes(configs: Path):
    tree = json.loads((configs / "analyses" / "control_share.json").read_text("utf-8"))
    prior = validate(tree, BetaPrior, "prior.json")
    assert prior == BetaPrior(components=[{"weight": 0.8, "a": 8, "b": 12}, {"weight": 0.2, "a": 1, "b": 1}])
    assert validate(dump(prior), BetaPrior, "again") == prior
    with pytest.raises(InputError, match="BetaMixture is given, allowed: NormalMixture"):
        validate(tree, NormalPrior, "prior.json")


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"kind": "bayes_normal"}, "give a prior of the 'difference', or of"),
        (
            {"kind": "bayes_normal", "control": {"components": [FLAT]}, "difference": {"components": [FLAT]}},
            "or of",
        ),
        (
            {"kind": "bayes_normal", "control": {"components": [{**FLAT, "weight": 0.4}]}},
            "weights must sum to 1",
        ),
    ],
)
def test_priors_that_cannot_be(part, problem):
    with pytest.raises(InputError, match=problem):
        validate({"estimand": "x", **part}, Analysis, "test")
