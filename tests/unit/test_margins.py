"""Distributions of baseline measures against scipy's, and their uncertain correlations."""

import numpy as np
import pytest
from scipy import optimize, stats

from sim.copula import Copula, nearest_correlations
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import Streams
from sim.margins import Margin
from tests.montecarlo import assert_mean

Z = np.linspace(-4, 4, 999)


def margin(shape: str, mean: float, sd: float | None = None, **others: object) -> Margin:
    tree = {"shape": shape, "units": "points", "mean": {"assume": mean, "because": "t"}, **others}
    return validate({**tree, **({"sd": {"assume": sd, "because": "t"}} if sd else {})}, Margin, "test")


GAMMA = stats.gamma((11.9 / 9) ** 2, scale=81 / 11.9)
SIZE = (22.2 / 52) * (1 - 22.2 / 52) / (14.3 / 52) ** 2 - 1
BETA = stats.beta(22.2 / 52 * SIZE, (1 - 22.2 / 52) * SIZE, scale=52)
LOG_SD = np.sqrt(np.log(2))
SMOOTH = {
    "normal": (margin("normal", 5, 2), stats.norm(5, 2)),
    "lognormal": (margin("lognormal", 9.5, 9.5), stats.lognorm(LOG_SD, scale=9.5 / np.sqrt(2))),
    "gamma": (margin("gamma", 11.9, 9.0), GAMMA),
    "beta": (margin("beta", 22.2, 14.3, bounds=[0, 52]), BETA),
}


@pytest.mark.parametrize("shape", SMOOTH)
def test_quantiles_are_scipys(shape):
    mine, reference = SMOOTH[shape]
    assert mine.quantile(Z, *mine.values()) == pytest.approx(reference.ppf(stats.norm.cdf(Z)), abs=2e-4)
    assert mine.moments(*mine.values()) == pytest.approx((reference.mean(), reference.std()), rel=1e-3)


@pytest.mark.parametrize("shape", SMOOTH)
def test_the_score_of_a_value_is_scipys(shape):
    mine, reference = SMOOTH[shape]
    for value in (3.0, 7.0, 20.0):
        assert mine.score(value) == pytest.approx(stats.norm.ppf(reference.cdf(value)), abs=1e-3)


def test_a_binary_measure_has_its_share():
    female = margin("binary", 0.575)
    assert female.moments(*female.values()) == pytest.approx((0.575, np.sqrt(0.575 * 0.425)), abs=1e-4)


@pytest.mark.parametrize("shape", ["gamma", "lognormal"])
def test_zeros_and_the_rest_have_the_reported_moments(shape):
    """Sick leave: many without a day, few with months; mean and SD are of everybody."""
    leave = margin(shape, 17, 30, zeros={"assume": 0.6, "because": "t"})
    values = leave.quantile(Z, *leave.values())
    assert np.array_equal(values == 0, stats.norm.cdf(Z) <= 0.6)
    assert leave.moments(*leave.values()) == pytest.approx((17, 30), rel=5e-3)


def test_values_are_rounded_and_stay_on_the_scale():
    score = margin("beta", 10, 6, bounds=[0, 28], step=1)
    values = score.quantile(np.linspace(-8, 8, 999), *score.values())
    assert set(np.unique(values)) == set(range(29))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("beta", 30, 40), "needs 'bounds'"),
        (("normal", 30), "'sd' is needed"),
        (("binary", 1.2), "not within 0 to 1"),
        (("gamma", -2, 1), "not above 0"),
    ],
)
def test_an_impossible_margin_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        margin(*arguments)


def test_moments_that_no_distribution_has_are_refused():
    with pytest.raises(InputError, match="no distribution on 0 to 10 has the mean 5 and the SD 6"):
        margin("beta", 5, 6, bounds=[0, 10])
    with pytest.raises(InputError, match="SD must be above"):
        margin("gamma", 10, 5, zeros={"assume": 0.5, "because": "t"})


def plain_nearest(matrix: np.ndarray) -> np.ndarray:
    """Search the unit vectors whose products are nearest to the matrix: a plain twin of the projections."""
    k = len(matrix)

    def products(free: np.ndarray) -> np.ndarray:
        rows = free.reshape(k, k)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return rows @ rows.T

    starts = (np.random.default_rng(seed).standard_normal(k * k) for seed in range(8))
    found = [optimize.minimize(lambda f: ((products(f) - matrix) ** 2).sum(), s, tol=1e-12) for s in starts]
    return products(min(found, key=lambda f: f.fun).x)


def test_the_nearest_correlations_are_those_of_a_plain_search():
    wild = np.array([[1.0, 0.9, -0.6], [0.9, 1.0, 0.5], [-0.6, 0.5, 1.0]])
    higham = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    fine = np.array([[1.0, 0.2, 0.1], [0.2, 1.0, 0.3], [0.1, 0.3, 1.0]])
    nearest = nearest_correlations(np.stack([wild, higham, fine]))
    for mine, given in zip(nearest, (wild, higham, fine), strict=True):
        assert mine == pytest.approx(plain_nearest(given), abs=1e-3)
        assert np.linalg.eigvalsh(mine)[0] > 0
        assert np.diag(mine) == pytest.approx(np.ones(3))


def test_uncertain_correlations_differ_between_trials_about_the_stated_ones():
    matrix = [[1.0, 0.3, 0.2], [0.3, 1.0, 0.25], [0.2, 0.25, 1.0]]
    tree = {"names": ["a", "pain", "b"], "matrix": matrix, "uncertainty": 0.15, "because": "t"}
    copula = validate(tree, Copula, "test")
    assert validate(dump(copula), Copula, "again") == copula
    order = copula.ordered(["b"])
    assert order == ["pain", "b", "a"]
    factors = np.concatenate([copula.factors(order, Streams(2, block)) for block in range(60)])
    drawn = factors @ factors.transpose(0, 2, 1)
    for i, j, stated in ((0, 1, 0.25), (0, 2, 0.3), (1, 2, 0.2)):
        values = drawn[:, i, j]
        assert np.abs(values - stated).max() <= 0.15 + 1e-9
        assert_mean(values, stated, detects=0.01)
        assert_mean((values - stated) ** 2, 0.15**2 / 3, detects=0.001)


def test_correlations_are_certain_unless_asked_otherwise():
    tree = {"names": ["pain", "b"], "matrix": [[1, 0.4], [0.4, 1]], "because": "t"}
    copula = validate(tree, Copula, "test")
    assert copula.factors(["pain", "b"], Streams(2, 0)).shape == (1, 2, 2)
