import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from sim.endpoints import Responder, Scale, Score, State, clipped_mean, clipped_sd, latent_moments

means = st.floats(-5, 15)
sds = st.floats(0.2, 5)


@settings(max_examples=60, deadline=None)
@given(means, sds)
def test_the_clipped_mean_is_its_integral(mean, sd):
    density = stats.norm(mean, sd)
    inside, _ = integrate.quad(
        lambda x: x * density.pdf(x), 0, 10, points=[np.clip(mean, 0, 10)], epsabs=1e-12
    )
    expected = inside + 10 * density.sf(10)
    assert clipped_mean(mean, sd, (0.0, 10.0)) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(means, sds, st.sampled_from([1.0, 0.5, 2.0]))
def test_the_mean_of_a_score_is_the_sum_over_its_values(mean, sd, step):
    scale = Scale(step=step)
    values = np.arange(0, 10 + step, step)
    edges = np.concatenate([[-np.inf], values[:-1] + step / 2, [np.inf]])
    shares = np.diff(stats.norm.cdf(edges, mean, sd))
    assert scale.mean(np.array(mean), np.array(sd)) == pytest.approx(shares @ values, abs=1e-10)


def test_scores_are_rounded_and_clipped():
    latent = np.array([-3.0, 0.4, 0.6, 4.49, 9.7, 14.0])
    assert np.array_equal(Scale().score(latent.copy()), [0, 0, 1, 4, 10, 10])
    week = Scale(step=1 / 7).score(np.array([3.0 + 1 / 7 + 0.01]))
    assert week[0] == pytest.approx(3 + 1 / 7)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize("every", [1, 2])
def test_scores_stay_in_their_places_whatever_the_layout(order, every):
    """Views of a larger array too: what is beside them stays as it was."""
    whole = np.random.default_rng(1).normal(5, 4, (3, 4, 6)).transpose(order)
    before, latent = whole.copy(), whole[:, :, ::every]
    expected = np.clip(np.rint(latent), 0, 10)
    assert Scale().score(latent) is latent
    assert np.array_equal(latent, expected)
    beside = np.arange(whole.shape[2]) % every > 0
    assert np.array_equal(whole[:, :, beside], before[:, :, beside])


def test_responders_count_from_their_own_baseline():
    baseline = np.array([6.0, 6.0, 5.0, 0.0, 6.0])
    score = np.array([4.2, 4.3, 3.5, 0.0, np.nan])
    assert np.array_equal(
        Responder(reduction=0.3).value(baseline, score), [1, 0, 1, 0, np.nan], equal_nan=True
    )
    assert np.array_equal(
        State(at_most=1).value(baseline, np.array([1, 2, 0, 1, np.nan])), [1, 0, 1, 1, np.nan], equal_nan=True
    )
    assert np.array_equal(Score().value(baseline, score), score, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(means, sds)
def test_the_clipped_sd_is_its_integral(mean, sd):
    density = stats.norm(mean, sd)
    middle = clipped_mean(mean, sd, (0.0, 10.0))
    inside, _ = integrate.quad(lambda x: (x - middle) ** 2 * density.pdf(x), 0, 10, epsabs=1e-12, limit=200)
    expected = inside + middle**2 * density.cdf(0) + (10 - middle) ** 2 * density.sf(10)
    assert clipped_sd(mean, sd, (0.0, 10.0)) == pytest.approx(np.sqrt(expected), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, 9.5), st.floats(0.8, 3))
def test_the_latent_of_reported_moments_gives_them_back(mean, sd):
    shown = clipped_mean(mean, sd, (0.0, 10.0)), clipped_sd(mean, sd, (0.0, 10.0))
    assert latent_moments(*shown, (0.0, 10.0)) == pytest.approx((mean, sd), abs=1e-5)
