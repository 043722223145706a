"""The network of counts: its density, its deviance and the spread it gives to contrasts."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from sim.core.errors import InputError
from sim.synthesis.binomial_network import CountedArms, VaguePriors, build, deviance

ARMS = CountedArms(
    ("s", "s", "t", "t", "t"),
    ("a", "b", "c", "b", "a"),
    np.array([4.0, 9, 0, 12, 7]),
    np.array([20.0, 22, 15, 30, 31]),
)


def test_density_is_the_formula() -> None:
    """Log density at one point: normal priors, half-normal τ (on the log scale), binomials."""
    model = build(ARMS, "b", VaguePriors(intercept=3, effect=2, tau=0.7))
    intercept, effect, z, tau = np.array([-1.0, 0.4]), np.array([0.3, -0.6]), np.linspace(-1, 1, 5), 0.5
    point = {"intercept": intercept, "effect": effect, "deviation_z": z, "tau_log__": np.log(tau)}
    logit = np.array([-1 + 0.3, -1, 0.4 - 0.6, 0.4, 0.4 + 0.3]) + z * tau / np.sqrt(2)
    wanted = stats.binom.logpmf(ARMS.r, ARMS.n, 1 / (1 + np.exp(-logit))).sum()
    wanted += stats.norm.logpdf(intercept, 0, 3).sum() + stats.norm.logpdf(effect, 0, 2).sum()
    wanted += stats.norm.logpdf(z).sum() + stats.halfnorm.logpdf(tau, scale=0.7) + np.log(tau)
    assert float(model.compile_logp(mode="FAST_COMPILE")(point)) == pytest.approx(wanted, rel=1e-9)


def test_contrasts_within_a_study_share_half_their_variance() -> None:
    model = build(ARMS, "b", VaguePriors(intercept=1e-6, effect=1e-6, tau=1.0))
    logit, tau = pm.draw([model["logit"], model["tau"]], draws=4_000, random_seed=1, mode="FAST_COMPILE")
    contrast = (logit[:, [2, 4]] - logit[:, [3]]) / tau[:, None]
    covariance = np.cov(contrast.T)
    np.testing.assert_allclose(covariance, [[1, 0.5], [0.5, 1]], atol=5 * np.sqrt(2 / 4_000))


def test_deviance_of_a_saturated_fit_is_zero() -> None:
    arms = CountedArms(("s", "s"), ("a", "b"), np.array([5.0, 10]), np.array([20.0, 20]))
    fits = np.log(arms.r / (arms.n - arms.r))
    assert deviance(arms, fits[None])["residual_deviance"] == pytest.approx(0, abs=1e-12)
    off = deviance(arms, np.stack([fits, np.zeros(2)]))
    alone = 2 * (5 * np.log(5 / 10) + 15 * np.log(15 / 10))
    assert off["residual_deviance"] == pytest.approx(alone / 2)
    assert off["DIC"] == pytest.approx(off["residual_deviance"] + off["pD"])


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="no treatment 'z'"):
        build(ARMS, "z", VaguePriors())
    with pytest.raises(InputError, match="between 0 and the number"):
        CountedArms(("s",), ("a",), np.array([3.0]), np.array([2.0]))
