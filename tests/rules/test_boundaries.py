"""Group-sequential boundaries against nested integrals, the multivariate normal and what must hold."""

from itertools import pairwise

import numpy as np
import pytest
from plain_twin import Looks, crosses
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from sim.core.errors import InputError, RunError
from sim.core.loading import validate
from sim.rules import crossing
from sim.rules.boundaries import Design, solve
from sim.rules.crossing import crossing_probabilities
from sim.rules.spending import SpendingFunction, parse_spending

EFFICACY = [
    "obrien_fleming",
    "pocock",
    "wang_tsiatis:0.2",
    "wang_tsiatis:0.7",
    "ld_obrien_fleming",
    "ld_pocock",
    "hsd:-4",
    "hsd:0",
    "hsd:1.5",
    "kim_demets:2",
    "haybittle_peto",
    "user:0.001,0.01,0.025",
]
FUTILITY = [
    "ld_obrien_fleming",
    "hsd:-2",
    "obrien_fleming",
    "pocock",
    "haybittle_peto",
    "z:-0.5,0.7",
    "user:0,0.04,0.1",
]
UNEQUAL = (0.3, 0.65, 1.0)


def design(spending: str, futility: str | None = None, **fields: object) -> Design:
    parts = {
        "information": UNEQUAL,
        "spending": parse_spending(spending, "spending"),
        "futility": futility and parse_spending(futility, "futility", given_bounds=True),
    }
    return Design(**(parts | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("spending", [*EFFICACY[:-1], "user:0.025"])
def test_one_look_is_the_fixed_test(spending: str) -> None:
    found = solve(design(spending, information=(1.0,)))
    assert found.efficacy_z == pytest.approx([-ndtri(0.025)], rel=1e-9)
    assert found.inflation == pytest.approx(1, rel=1e-9)
    assert [found.expected_n_ratio(effect) for effect in (0, 0.5, 1)] == pytest.approx([1, 1, 1], rel=1e-9)


@pytest.mark.parametrize("spending", EFFICACY)
def test_errors_are_as_asked(spending: str) -> None:
    found = solve(design(spending))
    assert crosses(UNEQUAL, found.efficacy_z) == pytest.approx(0.025, rel=1e-8)
    assert crosses(UNEQUAL, found.efficacy_z, found.drift) == pytest.approx(0.9, rel=1e-8)


@pytest.mark.parametrize(
    "spending", [kind for kind in EFFICACY if kind.startswith(("ld", "hsd", "kim", "user"))]
)
def test_each_look_spends_what_the_function_says(spending: str) -> None:
    chosen = design(spending)
    assert isinstance(chosen.spending, SpendingFunction)
    asked = chosen.spending.spent(chosen.looks_at, 0.025)
    assert asked[-1] == pytest.approx(0.025, rel=1e-12)
    bounds = solve(chosen).efficacy_z
    spent = [crosses(UNEQUAL[:looks], bounds[:looks]) for looks in (1, 2, 3)]
    assert spent == pytest.approx(asked, rel=1e-8)


@pytest.mark.parametrize("binding", [True, False])
@pytest.mark.parametrize("futility", FUTILITY)
@pytest.mark.parametrize("spending", ["ld_obrien_fleming", "pocock"])
def test_errors_with_futility_are_as_asked(spending: str, futility: str, binding: bool) -> None:
    found = solve(design(spending, futility, binding=binding))
    assert found.futility_z is not None
    counted = found.futility_z if binding else np.full(3, -np.inf)
    assert Looks(UNEQUAL, counted, found.efficacy_z).crosses() == pytest.approx(0.025, rel=1e-8)
    power = Looks(UNEQUAL, found.futility_z, found.efficacy_z, found.drift).crosses()
    assert power == pytest.approx(0.9, rel=1e-8)
    assert found.beta_spent[-1] == pytest.approx(0.1, rel=1e-8)
    assert found.futility_z[-1] == found.efficacy_z[-1]
    assert (found.futility_z[:-1] < found.efficacy_z[:-1]).all()


def test_a_futility_shape_keeps_its_distance_from_the_alternative() -> None:
    """Pampallona and Tsiatis: expected z less constant·t^(Δ − 1/2), here with Δ = 0."""
    found = solve(design("obrien_fleming", "obrien_fleming", binding=True))
    t = np.array(UNEQUAL)
    constant = (found.drift * np.sqrt(t) - found.futility_z) * np.sqrt(t)
    assert constant == pytest.approx(np.full(3, constant[0]), rel=1e-9)


def test_only_binding_futility_lowers_the_efficacy_bound() -> None:
    alone, ignored, counted = (
        solve(design("obrien_fleming", futility, binding=binding)).efficacy_z
        for futility, binding in [(None, False), ("z:0,0.5", False), ("z:0,0.5", True)]
    )
    assert ignored == pytest.approx(alone, rel=1e-12)
    assert (counted < alone - 1e-3).all()


def test_two_sided_bounds_leave_alpha_by_the_multivariate_normal() -> None:
    found = solve(design("pocock", alpha=0.05, sided=2))
    t = np.array(UNEQUAL)
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    normal = multivariate_normal(cov=correlation, abseps=1e-8, releps=1e-8, seed=1)
    stays = normal.cdf(found.efficacy_z, lower_limit=-found.efficacy_z)
    assert 1 - stays == pytest.approx(0.05, abs=1e-7)
    assert found.alpha_spent[-1] == pytest.approx(0.05, rel=1e-9)


def test_crossing_probabilities_agree_with_the_multivariate_normal() -> None:
    t, lower, upper, drift = np.array([0.2, 0.9]), np.array([-0.3, 0.1]), np.array([2.5, 1.7]), 1.8
    low, high = crossing_probabilities(t, (lower, upper), drift)
    normal = multivariate_normal(drift * np.sqrt(t), [[1, np.sqrt(2 / 9)], [np.sqrt(2 / 9), 1]])
    through = [normal.cdf([upper[0], x]) - normal.cdf([lower[0], x]) for x in (lower[1], upper[1], np.inf)]
    assert low[1] == pytest.approx(through[0], abs=1e-12)
    assert high[1] == pytest.approx(through[2] - through[1], abs=1e-12)


@pytest.mark.parametrize(
    "information", [(0.5, 0.501, 1.0), (0.01, 0.02, 0.97, 1.0), tuple(np.arange(1, 21) / 20)]
)
def test_a_finer_grid_changes_nothing(
    information: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = (np.full(len(information), -1.0), np.full(len(information), 2.5))
    coarse = [crossing_probabilities(information, bounds, drift) for drift in (0.0, 3.0, -4.0)]
    monkeypatch.setattr(crossing, "PANEL", crossing.PANEL / 3)
    fine = [crossing_probabilities(information, bounds, drift) for drift in (0.0, 3.0, -4.0)]
    np.testing.assert_allclose(coarse, fine, rtol=1e-8, atol=1e-14)


def test_everyone_stops_once() -> None:
    low, high = solve(design("ld_pocock", "hsd:-2")).path.crossing(1.3)
    assert (low + high).sum() == pytest.approx(1, rel=1e-10)


def test_a_look_that_spends_nothing_cannot_stop() -> None:
    found = solve(design("user:0,0.01,0.025"))
    assert found.efficacy_z[0] == np.inf
    assert found.alpha_spent == pytest.approx([0, 0.01, 0.025], rel=1e-9)


def test_more_looks_cost_more_patients_at_most_and_fewer_on_average() -> None:
    found = [solve(design("pocock", information=tuple(np.arange(1, k + 1) / k))) for k in (1, 2, 5)]
    assert all(few.inflation < many.inflation for few, many in pairwise(found))
    assert all(few.expected_n_ratio(1) > many.expected_n_ratio(1) for few, many in pairwise(found))


WRONG = {
    "alpha": ({"alpha": 1.4}, "alpha: input should be less than 0.5"),
    "beta": ({"beta": 0.99}, "beta: must be below 1 - alpha"),
    "sided": ({"sided": 3}, "sided: input should be 1 or 2"),
    "falling information": ({"information": (0.5, 0.4, 1)}, "information: fractions must increase"),
    "information short of 1": ({"information": (0.5, 0.9)}, "information: fractions must increase"),
    "no looks": ({"information": ()}, "information: "),
    "two values for three looks": (
        {"spending": {"kind": "user", "values": [0.01, 0.025]}},
        "spending: needs 3 values",
    ),
    "not the whole alpha": (
        {"spending": {"kind": "user", "values": [0, 0.01, 0.02]}},
        "spending: the last value",
    ),
    "z for efficacy": (
        {"spending": {"kind": "z", "values": [3, 3]}},
        "spending: 'z' gives futility bounds only",
    ),
    "two-sided futility": (
        {"futility": {"kind": "pocock"}, "sided": 2},
        "futility: a futility bound needs sided 1",
    ),
    "shape under the null": (
        {"futility": {"kind": "pocock"}, "futility_under": "null"},
        "futility: only a spending",
    ),
    "unknown key": ({"power": 0.9}, "unknown key 'power'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line_that_names_the_field(name: str) -> None:
    fields, line = WRONG[name]
    tree = {"information": UNEQUAL, "spending": {"kind": "pocock"}} | fields
    with pytest.raises(InputError) as caught:
        validate(tree, Design, "design")
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"design: {line}")


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        (design("haybittle_peto", alpha=0.001), "spending: 'haybittle_peto' spends"),
        (design("pocock", "z:2.5,0"), "futility: the bound meets the efficacy bound"),
        (design("pocock", "user:0.1,0.1,0.1"), "futility: the bound meets the efficacy bound"),
    ],
)
def test_bounds_that_cannot_be_are_refused(chosen: Design, line: str) -> None:
    with pytest.raises(InputError, match=line):
        solve(chosen)


def test_power_out_of_reach_is_a_failed_run() -> None:
    with pytest.raises(RunError, match="no sample size"):
        solve(design("user:0,0,0.025", "z:2.5,-3", beta=0.0001, information=(0.02, 0.9, 1.0)))
