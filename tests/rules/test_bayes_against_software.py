"""Characteristics of Bayesian decisions: RBesT and exact sums."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from reference_rows import ABSENT, FILE, Row, parameters, read
from scipy.special import ndtri

from sim.mixtures import BetaMixture, NormalMixture
from sim.rules.bayes_characteristics import (
    MeanArm,
    RateArm,
    mean_power,
    rate_assurance,
    rate_power,
    rate_table,
)
from sim.rules.bayes_decision import Criteria

ROWS = read("bayes_oc")
SIGNIFICANT = Criteria((0.0,), (0.975,), lower=False)

Quantities = dict[str, float]


def rate_arms(given: dict[str, Any]) -> tuple[RateArm, RateArm]:
    prior = BetaMixture(*np.array(given["prior2_matrix"], dtype=float))
    return RateArm(BetaMixture.of((1, 1, 1)), given["n1"]), RateArm(prior, given["n2"])


def rates(given: dict[str, Any]) -> Quantities:
    first, second = rate_arms(given)
    rate = np.array(given["p1"])
    power = rate_power(rate_table(SIGNIFICANT, first, second), (first, rate), (second, np.array(given["p2"])))
    name = "t1e[p={:g}]" if isinstance(given["p2"], list) else "power[p1={:g}]"
    return {name.format(p): value for p, value in zip(rate, power, strict=True)}


def means(given: dict[str, Any]) -> Quantities:
    sigma, centre = given["sigma_ref"], given["mean2"]
    first = MeanArm(NormalMixture.of((1, -50, 8800)), sigma / np.sqrt(given["n1"]))
    prior = NormalMixture(*np.array(given["prior2_matrix"], dtype=float))
    second = MeanArm(prior, sigma / np.sqrt(given["n2"]))
    return {
        f"power[delta={delta:g}]": mean_power(
            Criteria((0.0,), (0.95,)), (first, centre + delta), (second, centre)
        )
        for delta in given["delta"]
    }


def one_rate(given: dict[str, Any]) -> Quantities:
    """The row names no decision: 14 responders of 40 are the only limit that gives its number.

    That is what significance against 0.2 and a median above 0.35 ask for.
    """
    criteria = Criteria((0.2, 0.35), (0.95, 0.5), lower=False)
    arm = RateArm(BetaMixture.of((1, 1, 1)), given["n"])
    table = rate_table(criteria, arm)
    assert table.argmax() == 14
    return {"assurance": rate_assurance(table, (arm, BetaMixture.of((0.6, 19, 29), (0.4, 4, 5))))}


def two_rates(given: dict[str, Any]) -> Quantities:
    first, second = rate_arms(given)
    table = rate_table(SIGNIFICANT, first, second)
    priors = BetaMixture.of((1, 12, 12)), BetaMixture.of((1, 8, 16))
    return {"assurance": rate_assurance(table, (first, priors[0]), (second, priors[1]))}


def pooled_z(given: dict[str, Any]) -> Quantities:
    """The table may be of any test; here the z test of two rates."""
    n = given["n_per_arm"]
    priors = [BetaMixture.of((1, *given[f"beta_prior_{name}"])) for name in ("treat", "ctrl")]
    arms = [RateArm(prior, n) for prior in priors]
    share = arms[0].outcomes() / n
    mean = (share[:, None] + share) / 2
    error = np.sqrt(mean * (1 - mean) * 2 / n)
    z = (share[:, None] - share) / np.where(error > 0, error, np.inf)
    table = z > -ndtri(given["alpha_one_sided"])
    assured = rate_assurance(table, (arms[0], priors[0]), (arms[1], priors[1]))
    return {"assurance_pooled_z": assured}


CALLS: dict[str, Callable[[dict[str, Any]], Quantities]] = {
    "RBesT::oc2S(prior1=beta(1,1), prior2=robust mixture, n1=60, n2=30, P(p1-p2>0)>0.975)": rates,
    "RBesT::oc2S type I error p1=p2": rates,
    "RBesT::oc2S(prior1=N(-50,8800), prior2=robust mixture, n1=40, n2=20, P(m1-m2<=0)>0.95)": means,
    "RBesT::pos1S": one_rate,
    "RBesT::pos2S": two_rates,
    "sum over (x1,x2) of beta-binomial prior predictive mass where pooled one-sided z > z_alpha": pooled_z,
}


@lru_cache
def quantities(inputs: str) -> Quantities:
    given = json.loads(inputs)
    return CALLS[given["call"]](given)


@pytest.mark.parametrize("row", parameters(ROWS))
def test_reference_value(row: Row) -> None:
    number, unit = row.tolerance.split()
    assert unit == "absolute"
    assert quantities(row.inputs)[row.quantity] == pytest.approx(row.value, rel=0, abs=float(number))


@pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])
def test_no_row_is_left_out() -> None:
    assert len(ROWS) == 21
    assert not [row for row in ROWS if row.quantity not in quantities(row.inputs)]
