"""Mixtures and effective sample sizes of RBesT."""

import json
from functools import lru_cache

import pytest

from sim.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture
from sim.mixtures.effective_sample_size import elir, moment, morita
from tests.rules.reference_rows import ABSENT, FILE, Row, parameters, read

ROWS = read("mixture")
ESS = {"ess_elir": elir, "ess_moment": moment, "ess_morita": morita}


def prior(case: str, given: dict) -> Mixture:
    if "norm" in case:
        return NormalMixture.of(*given["mixture"], sigma=given["sigma_ref"])
    kind = GammaMixture if "gamma" in case else BetaMixture
    return kind.of(*given["mixture"])


@lru_cache
def posterior(inputs: str) -> BetaMixture:
    given = json.loads(inputs)
    return BetaMixture.of((0.6, 19, 29), (0.4, 4, 5)).robust(0.2, 0.5, 1).posterior(given["r"], given["n"])


def computed(row: Row) -> float:
    if row.case.startswith("postmix"):
        updated = posterior(row.inputs)
        name, component = row.quantity[0], int(row.quantity[1]) - 1
        return {"w": updated.weight, "a": updated.a, "b": updated.b}[name][component]
    mixture = prior(row.case, row.given)
    if row.quantity in ESS:
        return ESS[row.quantity](mixture)
    if row.quantity.startswith("q"):
        return float(mixture.quantile(float(row.quantity[1:])))
    return float({"mean": mixture.mean, "sd": mixture.sd}[row.quantity]())


@pytest.mark.parametrize("row", parameters(ROWS))
def test_reference_value(row: Row) -> None:
    assert row.tolerance == "1e-4 relative (ESS: 1e-2)"
    relative = 1e-2 if row.quantity in ESS else 1e-4
    assert computed(row) == pytest.approx(row.value, rel=relative, abs=0)


@pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])
def test_no_row_is_left_out() -> None:
    assert len(ROWS) == 69
    assert all(computed(row) is not None for row in ROWS)
