"""Probabilities to be best, to be better and to be alike, against adaptive integration and draws."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from sim.rules.best_arm import Posteriors
from tests.montecarlo import assert_share

CASES = {
    "middling": ([19, 30, 25], [80, 70, 75]),
    "few responders": ([1, 3, 2], [26, 20, 30]),
    "unequal": ([400, 20, 140], [1201, 90, 400]),
    "many alike": ([250, 260, 245], [751, 760, 770]),
    "far apart": ([10, 60, 90], [90, 40, 10]),
}


def posteriors(name: str, active: tuple[bool, ...] = (True, True, True)) -> Posteriors:
    a, b = (np.array(shape, dtype=float)[:, None] for shape in CASES[name])
    return Posteriors.of(a, b, np.array(active)[:, None])


def integral(name: str, arm: int, factor) -> float:
    """Integrate an arm's density times a factor of the rate."""
    a, b = (shape[arm] for shape in CASES[name])
    mean, sd = beta.mean(a, b), beta.std(a, b)
    low, high = max(0.0, mean - 10 * sd), min(1.0, mean + 10 * sd)
    return quad(lambda x: beta.pdf(x, a, b) * factor(x), low, high, limit=400, epsabs=1e-12)[0]


def cdf(name: str, arm: int, x: float) -> float:
    return float(beta.cdf(x, CASES[name][0][arm], CASES[name][1][arm]))


@pytest.mark.parametrize("name", CASES)
def test_probability_to_be_best(name: str) -> None:
    higher, lower = (posteriors(name).best(better)[:, 0] for better in ("higher", "lower"))
    for arm in range(3):
        others = [other for other in range(3) if other != arm]
        above = integral(name, arm, lambda x, o=others: np.prod([cdf(name, other, x) for other in o]))
        below = integral(name, arm, lambda x, o=others: np.prod([1 - cdf(name, other, x) for other in o]))
        assert higher[arm] == pytest.approx(above, abs=3e-5)
        assert lower[arm] == pytest.approx(below, abs=3e-5)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("difference", [0.02, 0.1])
def test_probability_that_all_are_alike(name: str, difference: float) -> None:
    total = 0.0
    for arm in range(3):
        others = [other for other in range(3) if other != arm]

        def near(x: float, others: list[int] = others) -> float:
            shares = (cdf(name, other, x + difference) - cdf(name, other, x) for other in others)
            return float(np.prod(list(shares)))

        total += integral(name, arm, near)
    assert float(posteriors(name).all_within(difference)[0]) == pytest.approx(total, abs=6e-5)


def test_probability_to_beat_the_control() -> None:
    found = posteriors("middling").better_than(0, "higher")[:, 0]
    assert found[0] == pytest.approx(0.5, abs=1e-6)
    assert found[1] == pytest.approx(integral("middling", 1, lambda x: cdf("middling", 0, x)), abs=1e-5)


def test_an_arm_left_out_is_not_compared() -> None:
    found = posteriors("middling", (True, True, False)).best("higher")[:, 0]
    assert found[2] == 0
    assert found[1] == pytest.approx(integral("middling", 1, lambda x: cdf("middling", 0, x)), abs=1e-5)
    alone = posteriors("middling", (False, True, False))
    assert alone.best("lower")[1, 0] == 1
    assert alone.all_within(0.01)[0] == pytest.approx(1)


def test_one_grid_for_many_against_draws() -> None:
    """Replicates of unlike sizes share the grid of the largest."""
    a, b = np.array([[5.0, 300.0], [9.0, 320.0]]), np.array([[12.0, 700.0], [14.0, 690.0]])
    found = Posteriors.of(a, b, np.ones((2, 2), bool)).best("higher")
    rng = np.random.default_rng(1)
    for replicate in range(2):
        draws = rng.beta(a[:, replicate], b[:, replicate], (200_000, 2))
        assert_share(draws[:, 1] > draws[:, 0], float(found[1, replicate]), detects=0.01)
