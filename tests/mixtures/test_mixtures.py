"""Mixtures against sums, integrals and simulation that share no code with them."""

import json

import numpy as np
import pytest
from scipy import integrate, stats

from sim.core.errors import InputError
from sim.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture, fit, from_json, to_json
from sim.mixtures.effective_sample_size import elir, moment, morita
from tests.montecarlo import assert_mc

NORMAL = NormalMixture.of((0.7, -50, 10), (0.3, -45, 25), sigma=88)
BETA = BetaMixture.of((0.6, 19, 29), (0.4, 4, 5))
GAMMA = GammaMixture.of((0.6, 20, 4), (0.4, 5, 1.5))

TWINS = [
    (NORMAL, [stats.norm(-50, 10), stats.norm(-45, 25)], (-400.0, 300.0)),
    (BETA, [stats.beta(19, 29), stats.beta(4, 5)], (0.0, 1.0)),
    (GAMMA, [stats.gamma(20, scale=1 / 4), stats.gamma(5, scale=1 / 1.5)], (0.0, 60.0)),
]


@pytest.mark.parametrize(("mixture", "parts", "support"), TWINS)
def test_density_and_cdf_are_weighted_sums(mixture, parts, support) -> None:
    x = np.linspace(*support, 1001)[1:-1]
    density = sum(w * part.pdf(x) for w, part in zip(mixture.weight, parts, strict=True))
    cdf = sum(w * part.cdf(x) for w, part in zip(mixture.weight, parts, strict=True))
    np.testing.assert_allclose(mixture.density(x), density, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(mixture.cdf(x), cdf, rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize(("mixture", "parts", "support"), TWINS)
def test_moments_by_integration(mixture, parts, support) -> None:
    def moment_of(power: int) -> float:
        return integrate.quad(lambda x: x**power * mixture.density(x), *support, epsabs=1e-12, limit=400)[0]

    assert moment_of(0) == pytest.approx(1, abs=1e-9)
    assert mixture.mean() == pytest.approx(moment_of(1), rel=1e-8)
    assert mixture.sd() == pytest.approx(np.sqrt(moment_of(2) - moment_of(1) ** 2), rel=1e-7)


@pytest.mark.parametrize("mixture", [NORMAL, BETA, GAMMA])
def test_quantile_inverts_cdf(mixture: Mixture) -> None:
    p = np.array([1e-8, 0.001, 0.3, 0.5, 0.999])
    np.testing.assert_allclose(mixture.cdf(mixture.quantile(p)), p, rtol=1e-9)


@pytest.mark.parametrize("mixture", [NORMAL, BETA, GAMMA])
def test_more_draws_extend_fewer_and_have_the_distribution(mixture: Mixture) -> None:
    few, many = (mixture.sample(np.random.default_rng(5), size) for size in (100, 20_000))
    np.testing.assert_array_equal(few, many[:100])
    assert_mc(
        many.mean(), float(mixture.mean()), float(mixture.sd()) / np.sqrt(20_000), float(mixture.sd()) / 10
    )
    assert stats.kstest(many, mixture.cdf).pvalue > 1e-6


def posterior_by_integration(prior: Mixture, likelihood, support) -> tuple[float, float]:
    def integral(power: int) -> float:
        return integrate.quad(lambda x: x**power * prior.density(x) * likelihood(x), *support, limit=400)[0]

    total = integral(0)
    mean = integral(1) / total
    return mean, np.sqrt(integral(2) / total - mean**2)


@pytest.mark.parametrize(
    ("prior", "updated", "likelihood", "support"),
    [
        (NORMAL, NORMAL.posterior(-20, 9), lambda x: stats.norm.pdf(-20, x, 9), (-200, 150)),
        (BETA, BETA.posterior(30, 40), lambda x: stats.binom.pmf(30, 40, x), (0, 1)),
        (GAMMA, GAMMA.posterior(30, 3.5), lambda x: stats.poisson.pmf(30, 3.5 * x), (1e-9, 40)),
    ],
)
def test_posterior_by_integration(prior, updated, likelihood, support) -> None:
    """Data in conflict with the prior, so that the weights move."""
    mean, sd = posterior_by_integration(prior, likelihood, support)
    assert abs(updated.weight[0] - prior.weight[0]) > 0.05
    assert updated.mean() == pytest.approx(mean, rel=1e-7)
    assert updated.sd() == pytest.approx(sd, rel=1e-6)


def test_predictive_by_integration() -> None:
    for r in (0, 4, 10):
        wanted = integrate.quad(lambda x, r=r: BETA.density(x) * stats.binom.pmf(r, 10, x), 0, 1)[0]
        assert BETA.predictive(10)[r] == pytest.approx(wanted, rel=1e-8)
    for y in (0, 3, 20):
        wanted = integrate.quad(lambda x, y=y: GAMMA.density(x) * stats.poisson.pmf(y, 2 * x), 1e-12, 40)[0]
        assert GAMMA.predictive([y], 2.0)[0] == pytest.approx(wanted, rel=1e-7)
    assert BETA.predictive(200).sum() == pytest.approx(1, abs=1e-10)
    wanted = integrate.quad(lambda x: NORMAL.density(x) * stats.norm.pdf(-30, x, 9), -300, 200, limit=300)[0]
    assert NORMAL.predictive(9).density(-30) == pytest.approx(wanted, rel=1e-8)


def test_replicates_on_a_second_axis_are_one_by_one() -> None:
    r = np.array([3, 17, 40])
    together = BETA.posterior(r, 40)
    assert together.weight.shape == (2, 3)
    for column, one in enumerate(r):
        alone = BETA.posterior(int(one), 40)
        assert together.mean()[column] == pytest.approx(float(alone.mean()), rel=1e-12)
        assert together.cdf(0.4)[column] == pytest.approx(float(alone.cdf(0.4)), rel=1e-12)
        assert together.quantile(0.9)[column] == pytest.approx(float(alone.quantile(0.9)), rel=1e-12)
    again = NORMAL.posterior(np.array([-60.0, -10.0]), 9.0).posterior(np.array([-55.0, -20.0]), 5.0)
    both = NORMAL.posterior(-60.0, 9.0).posterior(-55.0, 5.0)
    assert again.mean()[0] == pytest.approx(float(both.mean()), rel=1e-12)


def test_impossible_data_keep_a_weight_of_zero() -> None:
    prior = BetaMixture.of((0.0, 500, 1), (1.0, 1, 1))
    np.testing.assert_allclose(prior.posterior(100, 100).weight, [0, 1])


MODE = 11 / 18  # of beta(12, 8)
BETA_MORITA = 20 * (
    ((12 - MODE / 100) / MODE**2 + (8 - (1 - MODE) / 100) / (1 - MODE) ** 2)
    / (12 / MODE**2 + 8 / (1 - MODE) ** 2)
)


@pytest.mark.parametrize(
    ("mixture", "worth", "by_morita"),
    [
        (NormalMixture.of((1, 3, 2), sigma=10), 25.0, 25 * 0.99),
        (BetaMixture.of((1, 12, 8)), 20.0, BETA_MORITA),
        (GammaMixture.of((1, 30, 4.5)), 4.5, 4.5 * (1 - 29 / (100 * 30 * 4.5))),
    ],
)
def test_one_component_is_worth_its_patients(mixture: Mixture, worth: float, by_morita: float) -> None:
    """Morita's number is smaller by the flattened prior's share, in closed form for one component."""
    assert moment(mixture) == pytest.approx(worth, rel=1e-12)
    assert elir(mixture) == pytest.approx(worth, rel=1e-8)
    assert morita(mixture) == pytest.approx(by_morita, rel=1e-8)


def test_elir_is_predictively_consistent() -> None:
    """n more patients add n in expectation: the defining property, by the exact predictive distribution."""
    n = 25
    expected = BETA.predictive(n) @ [elir(BETA.posterior(r, n)) for r in range(n + 1)]
    assert expected == pytest.approx(elir(BETA) + n, rel=1e-6)
    counts = np.arange(60)
    expected = GAMMA.predictive(counts, 2.0) @ [elir(GAMMA.posterior(y, 2.0)) for y in counts]
    assert expected == pytest.approx(elir(GAMMA) + 2, rel=1e-5)


def test_elir_of_unlike_scales_by_integration() -> None:
    mixture = NormalMixture.of((0.5, 0, 0.01), (0.5, 0.5, 100), sigma=1)

    def score_squared(x: float) -> float:
        step = 1e-5
        slope = (mixture.log_density(x + step) - mixture.log_density(x - step)) / (2 * step)
        return float(mixture.density(x) * slope**2)

    wanted = integrate.quad(score_squared, -0.2, 0.2, points=[-0.03, 0, 0.03], limit=500)[0]
    assert elir(mixture) == pytest.approx(wanted, rel=1e-4)


def test_elir_refuses_shapes_below_one() -> None:
    with pytest.raises(InputError, match="shapes of 1 or more"):
        elir(BetaMixture.of((1, 0.5, 0.5)))


@pytest.mark.parametrize("mixture", [NORMAL, BETA, GAMMA])
def test_fit_finds_the_distribution_that_was_drawn(mixture: Mixture) -> None:
    """No worse than the truth on its own draws, and as good on fresh ones up to estimation error."""
    draws, fresh = (mixture.sample(np.random.default_rng(seed), 5000) for seed in (11, 12))
    found = fit(type(mixture), draws)
    assert found.log_likelihood == pytest.approx(found.mixture.log_density(draws).sum(), abs=0.01)
    assert found.log_likelihood > mixture.log_density(draws).sum()
    assert found.mixture.size == 2
    excess = mixture.log_density(fresh) - found.mixture.log_density(fresh)
    assert excess.mean() < 8 / 5000 + 5 * excess.std() / np.sqrt(5000)


def test_one_component_fit_is_maximum_likelihood() -> None:
    draws = np.random.default_rng(3).beta(3, 8, 4000)
    a, b, _, _ = stats.beta.fit(draws, floc=0, fscale=1)
    found = fit(BetaMixture, draws, (1,)).mixture
    np.testing.assert_allclose([found.a[0], found.b[0]], [a, b], rtol=1e-5)
    draws = np.random.default_rng(3).gamma(3, 8, 4000)
    a, _, scale = stats.gamma.fit(draws, floc=0)
    found = fit(GammaMixture, draws, (1,)).mixture
    np.testing.assert_allclose([found.a[0], found.b[0]], [a, 1 / scale], rtol=1e-5)


def test_bounded_fit_keeps_shapes_at_one_or_more() -> None:
    """Draws with a pole at 0: the best bounded beta has a = 1 and its b in closed form."""
    draws = np.random.default_rng(4).beta(0.6, 3, 5000)
    assert fit(BetaMixture, draws, (1,)).mixture.a[0] < 0.7
    found = fit(BetaMixture, draws, (1,), bounded=True).mixture
    assert found.a[0] == 1
    assert found.b[0] == pytest.approx(-1 / np.log1p(-draws).mean())
    assert fit(GammaMixture, draws, (1,), bounded=True).mixture.b[0] == pytest.approx(1 / draws.mean())
    many = fit(BetaMixture, draws, (3,), bounded=True).mixture
    assert min(many.a.min(), many.b.min()) >= 1
    assert np.isfinite(elir(many))  # negative: this density is log-convex, so it curves the other way


@pytest.mark.parametrize(
    ("kind", "draws", "said"),
    [
        (BetaMixture, np.linspace(0, 1, 50), "inside its support"),
        (GammaMixture, np.linspace(-1, 1, 50), "inside its support"),
        (NormalMixture, np.ones(50), "not all equal"),
        (NormalMixture, np.arange(5.0), "at least 10"),
    ],
)
def test_fit_refuses_what_it_cannot_describe(kind, draws, said) -> None:
    with pytest.raises(InputError, match=said):
        fit(kind, draws)


def test_robust_component_takes_its_weight() -> None:
    robust = NORMAL.robust(0.2, -50, 1)
    np.testing.assert_allclose(robust.weight, [0.56, 0.24, 0.2])
    np.testing.assert_allclose(robust.s, [10, 25, 88])
    assert BETA.robust(0.2).a[-1] == BETA.robust(0.2).b[-1] == 1


@pytest.mark.parametrize("mixture", [NORMAL, BETA, GAMMA])
def test_json_round_trip_keeps_every_digit(mixture: Mixture) -> None:
    back = from_json(to_json(mixture.robust(1 / 3, float(mixture.mean()))))
    assert type(back) is type(mixture)
    assert to_json(back) == to_json(mixture.robust(1 / 3, float(mixture.mean())))
    if isinstance(back, NormalMixture):
        assert back.sigma == 88


def test_json_has_the_form_that_r_reads() -> None:
    """R's read_mix_json lays ``meta`` on the matrix ``comp`` as attributes: dim and dimnames must fit it."""
    tree = json.loads(to_json(NORMAL))
    assert tree["meta"]["dim"] == [3, 2]
    assert tree["meta"]["dimnames"] == [["w", "m", "s"], ["comp1", "comp2"]]
    assert tree["meta"]["class"] == ["normMix", "mix"]
    assert tree["comp"] == [[0.7, 0.3], [-50, -45], [10, 25]]


def test_json_reads_what_r_writes_with_few_digits() -> None:
    text = """{"meta": {"dim": [3, 3], "dimnames": [["w", "a", "b"], ["inf", "mid", "rob"]],
      "link": ["identity"], "class": ["betaMix", "mix"], "likelihood": ["binomial"]},
      "comp": [[0.33, 0.33, 0.33], [19, 4, 1], [29, 5, 1]]}"""
    mixture = from_json(text)
    assert isinstance(mixture, BetaMixture)
    np.testing.assert_allclose(mixture.weight, 1 / 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected 'meta'"),
        ('{"meta": {"class": ["betaMx"]}, "comp": [[1], [1], [1]]}', "did you mean 'betaMix'"),
        ('{"meta": {"class": ["betaMix"], "link": ["logit"]}, "comp": [[1], [1], [1]]}', "logit"),
        ('{"meta": {"class": ["gammaMix"], "likelihood": "exp"}, "comp": [[1], [1], [1]]}', "poisson"),
        ('{"meta": {"class": ["betaMix"]}, "comp": [[1], [1]]}', "3 rows"),
        ('{"meta": {"class": ["betaMix"]}, "comp": [[1], [-1], [1]]}', "out of range"),
    ],
)
def test_json_errors_say_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_json(text, "prior.json")


def test_weights_must_sum_to_one() -> None:
    with pytest.raises(InputError, match="sum to 1"):
        BetaMixture.of((0.5, 1, 1), (0.4, 2, 2))
    with pytest.raises(ValueError, match="read-only"):
        BETA.weight[0] = 0.5
