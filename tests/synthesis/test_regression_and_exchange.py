"""Meta-regression and exchange between stages: the density is right, and finds what was put in."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from sim.core.errors import InputError
from sim.core.loading import dump, load, validate
from sim.synthesis import Synthesis
from sim.synthesis.covariates import Covariate, covariate_values, exposed
from sim.synthesis.model import build_model
from sim.synthesis.network import Network, build, covariance
from sim.synthesis.question import NetworkQuestion
from sim.synthesis.results import network_of
from sim.synthesis.sampling import sample
from tests.montecarlo import assert_mc
from tests.synthesis.small_network import FOUR_TRIALS as TRUTH
from tests.synthesis.small_network import WHY, latent, plan, question, rows, seen

ARMS = [["placebo", "nsaid"]] * 3 + [["placebo", "exercise"]]
SLOPE, STEEP, YEARS = -0.4, -1.0, (-1.5, 0.5, 1.0, 0.0)
REGRESSION = [{"name": "year", "classes": ["drug"], "slope": {"mean": 0, "sd": 0.5, **WHY}}]
ACUTE = {"stage": "acute", "treatment": "nsaid", "mean": -0.2, "sd": 0.1, "between_stages": 0.3, **WHY}


def asked(**more: Any) -> NetworkQuestion:
    made = validate(dump(question()) | more, Synthesis, "test")
    assert isinstance(made, NetworkQuestion)
    return made


def trials() -> Network:
    """Trials without sampling error, whose effects of the drug follow the year."""
    entries = pd.concat([rows(i, arms, [0.0, 4.0, 12.0]) for i, arms in enumerate(ARMS)], ignore_index=True)
    values = []
    for row in entries.to_dict("records"):
        study = int(row["study_id"][1:])
        drug = TRUTH.effect["nsaid"] + SLOPE * YEARS[study]
        truth = replace(TRUTH, effect=TRUTH.effect | {"nsaid": drug})
        values.append(seen(latent(truth, study, row["treatment"], row["weeks"])))
    years = {f"s{i}": year for i, year in enumerate(YEARS)}
    return build(entries.assign(value=values), replace(plan(12.0, 4), covariates={"year": years}))


def density(config: NetworkQuestion) -> Callable[..., float]:
    """Log density of the data at the truth, of chosen coordinates."""
    made = trials()
    model = build_model(config, made)
    logp = model.compile_logp(model.observed_RVs, mode="FAST_COMPILE")
    priors, by_class = config.priors, np.zeros(3)
    by_class[made.class_of] = [TRUTH.effect[t] for t in made.treatments]
    start = {name: np.zeros(shape) for name, shape in _shapes(model).items()} | {
        "baseline_z": np.array(TRUTH.study_baseline) - 6.0,
        "response_own": np.array(TRUTH.study_response),
        "class_z": by_class,
        "response_half_weeks_z": np.log(2.5 / priors.response_half_weeks.median) / 0.7,
        "persistence_half_weeks_z": np.full(3, np.log(10 / 3) / 0.7),
    }
    return lambda **point: float(logp(start | point))


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    return {v.name: tuple(v.shape.eval()) for v in model.free_RVs}


def test_the_slope_put_in_has_the_highest_density() -> None:
    """Without error the truth fits exactly, so the density of the data peaks there and nowhere else."""
    at = density(asked(regression=REGRESSION))
    slopes = np.linspace(-0.8, 0.8, 17)
    logs = [at(slope_year_z=slope / 0.5) for slope in slopes]
    assert slopes[int(np.argmax(logs))] == pytest.approx(SLOPE)
    assert max(logs) - logs[8] > 5, "no slope must be clearly worse, or this shows nothing"


def test_only_the_classes_named_have_the_slope() -> None:
    made = trials()
    for classes, expected in (("drug",), (YEARS[:3], 0.0)), (("physical",), ((0, 0, 0), YEARS[3])):
        covariate = validate(REGRESSION[0] | {"classes": classes}, Covariate, "test")
        value = exposed(covariate, made)
        of = [made.treatments[t] for t in made.arm_treatment]
        assert tuple(value[[t == "nsaid" for t in of]]) == expected[0]
        assert value[[t == "exercise" for t in of]] == expected[1]
        assert not value[[t == "placebo" for t in of]].any()


def test_another_stage_adds_its_normal_and_pulls_towards_its_mean() -> None:
    alone, borrowed = density(asked()), density(asked(exchange=[ACUTE]))
    spread = np.hypot(0.1, 0.3)
    for effect in (-1.4, -0.8, -0.2, 0.4):
        z = np.zeros(3)
        z[[i for i, n in enumerate(trials().classes) if n == "drug"]] = effect
        added = borrowed(class_z=z) - alone(class_z=z)
        assert added == pytest.approx(norm(-0.2, spread).logpdf(effect), abs=1e-8)


def test_nothing_is_added_by_default() -> None:
    model = build_model(asked(), trials())
    assert {v.name for v in model.observed_RVs} == {"seen"}
    assert not [v.name for v in model.free_RVs if v.name.startswith("slope")]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"regression": [REGRESSION[0] | {"classes": ["drugs"]}]}, "unknown class drugs"),
        ({"regression": [REGRESSION[0] | {"classes": ["inert"]}]}, "holds the reference"),
        ({"regression": REGRESSION * 2}, "each covariate once"),
        ({"regression": [REGRESSION[0] | {"slope": {"mean": 1, "sd": 1, **WHY}}]}, "has mean 0"),
        ({"exchange": [ACUTE | {"treatment": "placebo"}]}, "the reference: placebo"),
        ({"exchange": [ACUTE | {"stage": "chronic"}]}, "own stage"),
    ],
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        asked(**more)


def test_covariates_of_the_shipped_studies(configs: Path) -> None:
    """Centred over the studies that have one, in the units stated."""
    chronic = load(configs / "syntheses" / "chronic.yaml", Synthesis)
    names = ("baseline_pain", "year", "size", "open_label")
    every = [REGRESSION[0] | {"name": name, "classes": ["psychological"]} for name in names]
    config = validate(dump(chronic) | {"regression": every}, Synthesis, "test")
    assert isinstance(config, NetworkQuestion)
    studies, entries = config.tables.studies, config.harmonised.entries
    found = covariate_values(config.regression or (), studies, entries)
    for values in found.values():
        assert np.mean(list(values.values())) == pytest.approx(0, abs=1e-12)
    year = studies.set_index("study_id")["year"].astype(float)
    assert found["year"]["ashar2022"] - found["year"]["katz2011"] == pytest.approx(1.1)
    assert year["ashar2022"] - year["katz2011"] == 11
    n = studies.set_index("study_id")["n_randomised"].astype(float)
    apart = found["size"]["ashar2022"] - found["size"]["katz2011"]
    assert apart == pytest.approx(10 / n["ashar2022"] ** 0.5 - 10 / n["katz2011"] ** 0.5)
    assert found["open_label"]["ashar2022"] - found["open_label"]["katz2011"] == 1
    made = network_of(config)
    assert set(made.covariates) == set(names)
    assert made.covariates["year"][made.studies.index("ashar2022")] == found["year"]["ashar2022"]


ACROSS = 8
"""Trials of the drug, with years spread evenly about the mean."""


def across_years() -> Network:
    """Trials with their sampling error, whose effects of the drug fall by ``STEEP`` a decade."""
    years = dict(zip((f"s{i}" for i in range(ACROSS)), np.linspace(-1.75, 1.75, ACROSS), strict=True))
    entries = pd.concat(
        [rows(i, ["placebo", "nsaid"], [0.0, 4.0, 12.0]) for i in range(ACROSS)], ignore_index=True
    )
    truth = replace(TRUTH, study_baseline=(6.0, 5.5, 6.5, 5.8) * 2, study_response=(1.2, 1.8, 1.4, 1.6) * 2)
    values = []
    for study, treatment, week in entries[["study_id", "treatment", "weeks"]].to_numpy():
        effect = TRUTH.effect | {"nsaid": TRUTH.effect["nsaid"] + STEEP * years[study]}
        values.append(seen(latent(replace(truth, effect=effect), int(study[1:]), treatment, week)))
    stated = replace(plan(12.0, ACROSS), covariates={"year": years})
    error = np.linalg.cholesky(covariance(entries, stated)) @ np.random.default_rng(17).standard_normal(
        len(values)
    )
    return build(entries.assign(value=np.array(values) + error), stated)


def drawn(config: NetworkQuestion, made: Network, name: str) -> Any:
    """Posterior draws (chain, draw, …) of one quantity."""
    shorter = config.sampling.model_copy(update={"tune": 400, "draws": 600})
    return np.asarray(sample(build_model(config, made), shorter, seed=5, progress=False).posterior[name])


@pytest.mark.slow
def test_the_slope_of_a_simulated_network_is_recovered() -> None:
    """Within 5 posterior SDs, of which no slope at all lies 8 or more away."""
    slope = drawn(asked(regression=REGRESSION), across_years(), "slope_year")
    assert 8 * slope.std() < abs(STEEP), "the posterior is too wide to show that a slope was lost"
    assert abs(slope.mean() - STEEP) < 5 * slope.std()


@pytest.mark.slow
def test_an_exchange_moves_the_posterior_as_its_normal_says() -> None:
    """Twin: draws without the exchange, weighted by the other stage's density."""
    made, at = across_years(), "nsaid"
    other = ACUTE | {"mean": -0.4, "sd": 0.1, "between_stages": 0.2}
    alone, borrowed = (
        drawn(asked(**given), made, "effect")[..., made.treatments.index(at)]
        for given in ({}, {"exchange": [other]})
    )
    weight = norm(-0.4, np.hypot(0.1, 0.2)).pdf(alone)
    expected = float((weight * alone).sum() / weight.sum())
    weighted_ess = float(az.ess(alone)) * weight.sum() ** 2 / (weight**2).sum() / weight.size
    se = alone.std() * np.sqrt(1 / float(az.ess(borrowed)) + 1 / weighted_ess)
    assert_mc(float(borrowed.mean()), expected, se, detects=abs(expected - alone.mean()))
