"""Interim looks: information that came otherwise than planned, conditional and predictive power."""

import numpy as np
import pytest
from plain_twin import Looks, crosses
from scipy.integrate import quad
from scipy.special import ndtr, ndtri

from sim.core.errors import InputError
from sim.rules.boundaries import Boundaries, Design, solve
from sim.rules.interim import Interim, Schedule, conditional_power, predictive_power, replan
from sim.rules.sequential_inference import Ended, confidence_limits, effect_at, stagewise_p
from sim.rules.spending import parse_spending

PLANNED = (0.3, 0.65, 1.0)


def design(spending: str, **fields: object) -> Design:
    return Design(**({"information": PLANNED, "spending": parse_spending(spending, "spending")} | fields))  # type: ignore[arg-type]


def found(spending: str = "ld_pocock") -> Boundaries:
    futility = parse_spending("z:-0.2,0.6", "futility", given_bounds=True)
    return solve(design(spending, futility=futility))


def test_as_planned_nothing_moves() -> None:
    chosen = design("hsd:-2")
    planned = solve(chosen).efficacy_z
    for made in (1, 2, 3):
        assert replan(chosen, Schedule(PLANNED[:made])).upper == pytest.approx(planned, rel=1e-12)


@pytest.mark.parametrize("observed", [(0.25, 0.7, 0.9), (0.4, 0.65, 1.2), (0.3, 0.95), (1.1,)])
def test_the_last_look_spends_what_is_left(observed: tuple[float, ...]) -> None:
    chosen = design("ld_obrien_fleming")
    bounds = replan(chosen, Schedule(observed, complete=True)).upper
    spent = [crosses(observed[:looks], bounds[:looks]) for looks in range(1, len(observed) + 1)]
    due = chosen.spending.spent(np.array(observed), 0.025)  # type: ignore[attr-defined]
    assert spent[:-1] == pytest.approx(due[:-1], rel=1e-8)
    assert spent[-1] == pytest.approx(0.025, rel=1e-8)


def test_looks_to_come_stay_where_they_were_planned() -> None:
    path = replan(design("ld_pocock"), Schedule((0.4,)))
    assert path.information == pytest.approx([0.4, 0.65, 1.0])
    assert crosses(path.information, path.upper) == pytest.approx(0.025, rel=1e-8)


@pytest.mark.parametrize("spending", ["pocock", "user:0.001,0.01,0.025"])
def test_only_a_function_of_information_can_be_replanned(spending: str) -> None:
    with pytest.raises(InputError, match="spending functions only"):
        replan(design(spending), Schedule((0.4,)))


def test_observed_information_must_increase() -> None:
    with pytest.raises(InputError, match="must increase"):
        replan(design("ld_pocock"), Schedule((0.4, 0.4)))


@pytest.mark.parametrize("drift", [0.0, 3.0])
def test_conditional_powers_average_to_the_power_of_the_later_looks(drift: float) -> None:
    boundaries, mean = found(), drift * np.sqrt(PLANNED[0])
    low, high = boundaries.path.lower[0], boundaries.path.upper[0]

    def part(z: float) -> float:
        density = np.exp(-((z - mean) ** 2) / 2) / np.sqrt(2 * np.pi)
        return float(density * conditional_power(boundaries, Interim(1, z), drift))

    later = Looks(PLANNED, boundaries.path.lower, boundaries.path.upper, drift).crosses() - ndtr(mean - high)
    assert quad(part, low, high, epsabs=1e-10)[0] == pytest.approx(later, abs=1e-8)


@pytest.mark.parametrize(("mean", "sd"), [(2.0, 1.5), (-1.0, 0.3), (0.0, np.inf)])
def test_predictive_power_of_one_look_to_come_has_a_closed_form(mean: float, sd: float) -> None:
    """The last z is normal around its expectation given the interim z and the prior."""
    boundaries, z = solve(design("ld_pocock")), 1.1
    t = PLANNED[1]
    precision = 1 / sd**2 + t
    belief = (mean / sd**2 + z * np.sqrt(t)) / precision
    spread = np.sqrt((1 - t) + (1 - t) ** 2 / precision)
    closed = ndtr((z * np.sqrt(t) + belief * (1 - t) - boundaries.efficacy_z[-1]) / spread)
    assert predictive_power(boundaries, Interim(2, z), (mean, sd)) == pytest.approx(closed, rel=1e-9)


def test_a_certain_prior_gives_the_conditional_power() -> None:
    interim = Interim(1, 0.8)
    certain = predictive_power(found(), interim, (2.5, 1e-6))
    assert certain == pytest.approx(conditional_power(found(), interim, 2.5), rel=1e-6)


@pytest.mark.parametrize("look", [0, 3, 4])
def test_only_an_interim_look_has_looks_to_come(look: int) -> None:
    with pytest.raises(InputError, match="must be an interim look, 1 to 2"):
        conditional_power(found(), Interim(look, 1.0), 0.0)


def test_one_look_claims_what_the_fixed_test_claims() -> None:
    ended = Ended(np.array([4.0]), np.empty(0), 1.7)
    assert stagewise_p(ended) == pytest.approx(ndtr(-1.7), rel=1e-10)
    assert effect_at(ended, 0.5) == pytest.approx(0.85, abs=1e-9)
    limits = ((1.7 + ndtri(0.025)) / 2, (1.7 - ndtri(0.025)) / 2)
    assert confidence_limits(ended, 0.025) == pytest.approx(limits, abs=1e-9)


def test_a_two_sided_trial_may_have_stopped_on_the_other_side() -> None:
    information, upper = np.array([3.0, 7.0]), np.array([2.2])
    ended = Ended(information, upper, 1.4, two_sided=True)
    expected = Looks(information, [-2.2, -9.0], [2.2, 1.4]).crosses()
    assert stagewise_p(ended) == pytest.approx(expected, rel=1e-9)
    assert stagewise_p(ended) < stagewise_p(Ended(information, upper, 1.4))


def test_stopping_early_pulls_the_estimate_in() -> None:
    """The naive estimate of a trial that stopped for efficacy is too large."""
    ended = Ended(np.array([3.0, 7.0]), np.array([2.4]), 2.5)
    assert effect_at(ended, 0.5) < ended.estimate


def test_bounds_and_looks_must_fit() -> None:
    with pytest.raises(InputError, match="2 looks need 1 earlier bounds"):
        Ended(np.array([3.0, 7.0]), np.empty(0), 2.5)
