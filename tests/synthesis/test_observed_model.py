"""The likelihood of SDs and responders: density against a plain twin, and a fit that finds a known truth."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, multivariate_normal

from sim.core.loading import dump, validate
from sim.endpoints import PairedRatings, clipped_sd, rounding_variance, state_share
from sim.synthesis import Synthesis
from sim.synthesis.draws import Labels, joint_draws
from sim.synthesis.model import build_model
from sim.synthesis.network import Network, build
from sim.synthesis.question import NetworkQuestion
from sim.synthesis.responders import COUNT
from sim.synthesis.sampling import sample
from sim.synthesis.scales import BOUNDS
from tests.synthesis.small_network import FOUR_TRIALS as TRUTH
from tests.synthesis.small_network import WHY, latent, plan, question, rows, seen

LEVEL, GROWTH, RELIABILITY = float(np.log(1.6)), 0.12, 0.75
STUDY_SD = np.exp(LEVEL + np.array([0.1, -0.1, 0.15, -0.15]))
ARMS = [["placebo", "nsaid"], ["placebo", "exercise"], ["placebo", "nsaid", "exercise"], ["placebo", "nsaid"]]
WEEKS = [0.0, 4.0, 12.0]
N = 1000


def with_patients() -> NetworkQuestion:
    """The small question, with SDs and responders."""
    tree = dump(question())
    tree["patients"] = {
        "sd_level": {"mean": 0.5, "sd": 0.3, **WHY},
        "sd_growth": {"median": 0.1, "log_sd": 0.6, **WHY},
        "tau_sd": {"median": 0.2, "log_sd": 0.5, **WHY},
        "reliability": {"median": 0.7, "logit_sd": 0.6, **WHY},
        "responders": {},
    }
    made = validate(tree, Synthesis, "test")
    assert isinstance(made, NetworkQuestion)
    return made


def sd_at(study: int, week: float) -> float:
    return float(STUDY_SD[study] * (1 + week) ** GROWTH)


def expected(study: int, treatment: str, week: float) -> dict[str, float]:
    """Mean, SD and responder shares of one arm and week, from the formulas of the document."""
    mean, sd = latent(TRUTH, study, treatment, week), sd_at(study, week)
    first = TRUTH.study_baseline[study], float(STUDY_SD[study])
    paired = PairedRatings(first, (mean, sd), RELIABILITY * first[1] / sd)
    shown = clipped_sd(mean, sd, BOUNDS) ** 2 + rounding_variance(mean, sd, BOUNDS, 1.0)
    return {
        "mean": seen(mean, sd),
        "sd": float(np.sqrt(shown)),
        "responder_30": float(paired.responders(0.3)),
        "pain_free": float(state_share(mean, sd, 1.0)),
    }


def evidence(seed: int | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Entries and counts; with a seed, with their sampling error."""
    rng = np.random.default_rng(seed)
    entries = pd.concat([rows(i, arms, WEEKS, n=N) for i, arms in enumerate(ARMS)], ignore_index=True)
    told = [expected(int(r["study_id"][1:]), r["treatment"], r["weeks"]) for r in entries.to_dict("records")]
    error, log_error = np.zeros(len(told)), np.zeros(len(told))
    if seed is not None:
        error, log_error = rng.standard_normal((2, len(told)))
    entries["se"] = [t["sd"] / np.sqrt(N) for t in told]
    entries["value"] = [t["mean"] for t in told] + entries["se"] * error
    entries["sd_reported"] = [t["sd"] for t in told] * np.exp(log_error / np.sqrt(2 * (N - 1)))
    made = []
    for row, shares in zip(entries.to_dict("records"), told, strict=True):
        for outcome, limit in (("responder_30", (0.3, np.nan)), ("pain_free", (np.nan, 1.0))):
            if row["weeks"] > 0:
                value = N * shares[outcome] if seed is None else rng.binomial(N, shares[outcome])
                made.append({**row, "outcome": outcome, "reduction": limit[0], "at_most": limit[1],
                             "value": value, "n": float(N)})  # fmt: skip
    return entries, pd.DataFrame(made)[COUNT]


def network(seed: int | None, independent: bool) -> Network:
    """The trials as a network; rows were drawn without correlation, so ``independent`` ones have none."""
    entries, counts = evidence(seed)
    stated = replace(plan(TRUTH.end, len(ARMS)), estimate_sd=True)
    if independent:
        stated = replace(stated, correlation=lambda gap: 1.0 if gap == 0 else 0.0)
    return build(entries, stated, counts)


def at_truth(model: Any, made: Network) -> dict[str, Any]:
    """The model's free variables at the truth."""
    priors, config = question().priors, with_patients().patients
    assert config is not None
    log = {"tau_response": 0.3, "tau_effect": 0.3, "omega": 0.3, "response_half_weeks": TRUTH.response_half}
    point: dict[str, Any] = {
        f"{k}_z": np.log(v / getattr(priors, k).median) / getattr(priors, k).log_sd for k, v in log.items()
    }
    by_class = np.zeros(len(made.classes))
    by_class[made.class_of] = [TRUTH.effect[t] for t in made.treatments]
    point |= {
        "baseline_z": np.array(TRUTH.study_baseline) - 6.0,
        "response": 1.5,
        "response_own": np.array(TRUTH.study_response),
        "class_z": by_class,
        "treatment_z": np.zeros(2),
        "arm_z": np.zeros(int((made.arm_treatment != made.reference).sum())),
        "effect_half_weeks_z": np.full(len(made.classes), np.log(TRUTH.effect_half / 3) / 0.7),
        "persistence_half_weeks_z": np.full(len(made.classes), np.log(TRUTH.persistence / 3) / 0.7),
        "sd_level_z": (LEVEL - 0.5) / 0.3,
        "sd_growth_z": np.log(GROWTH / 0.1) / 0.6,
        "tau_sd_z": 0.0,
        "sd_own": np.log(STUDY_SD),
        "reliability_z": (np.log(3.0) - np.log(0.7 / 0.3)) / 0.6,
    }
    assert set(point) == {v.name for v in model.free_RVs}
    return point


def test_likelihood_equals_normals_and_binomials_written_out() -> None:
    """Twin: closed forms of NumPy, covariances by loops, SciPy's densities; counts weighted."""
    entries, counts = evidence(seed=3)
    made = network(seed=3, independent=False)
    model = build_model(with_patients(), made)
    point = at_truth(model, made)
    terms = [*model.observed_RVs, *model.potentials]
    assert {term.name for term in terms} == {"seen", "sds", "responders"}
    found = {t.name: float(model.compile_logp(t, mode="FAST_COMPILE")(point)) for t in terms}
    at = question().correlation.at
    arm = (entries["study_id"] + entries["unit"]).to_numpy()
    same = arm[:, None] == arm
    r = np.array([[at(abs(a - b)) for b in entries["weeks"]] for a in entries["weeks"]]) * same
    told = [expected(int(s[1:]), t, w) for s, t, w in entries[["study_id", "treatment", "weeks"]].to_numpy()]
    log_sd, size = np.log([t["sd"] for t in told]), r**2 / (2 * (N - 1))
    plain = multivariate_normal(log_sd, size).logpdf(np.log(entries["sd_reported"]))
    assert found["sds"] == pytest.approx(plain + 0.5 * np.linalg.slogdet(size)[1], abs=1e-5)
    means, size = np.array([t["mean"] for t in told]), r * np.outer(entries["se"], entries["se"])
    plain = multivariate_normal(means, size).logpdf(entries["value"])
    assert found["seen"] == pytest.approx(plain + 0.5 * np.linalg.slogdet(size)[1], abs=1e-4)
    total = 0.0
    for row in counts.itertuples():
        share = expected(int(row.study_id[1:]), row.treatment, row.weeks)[row.outcome]
        lacking = binom.logpmf(row.value, N, row.value / N)  # the model leaves out the binomial coefficient
        own = row.value * np.log(row.value / N) + (N - row.value) * np.log(1 - row.value / N)
        total += (binom.logpmf(row.value, N, share) - lacking + own) / (1 + 3 * at(np.inf))
    assert found["responders"] == pytest.approx(total, abs=1e-4)


@pytest.fixture(scope="module")
def fitted() -> tuple[Network, Any]:
    made = network(seed=11, independent=True)
    config = with_patients()
    shorter = config.sampling.model_copy(update={"tune": 400, "draws": 500})
    return made, sample(build_model(config, made), shorter, seed=5, progress=False)


@pytest.mark.slow
def test_a_known_spread_is_found(fitted: tuple[Network, Any]) -> None:
    """Each within 5 posterior SDs, which are small enough to show the fault beside it."""
    made, posterior = fitted
    data = posterior.posterior
    faults = [
        (np.asarray(data["sd_growth"]), GROWTH, 0.12),  # none at all
        (np.asarray(data["reliability"]), RELIABILITY, 0.75),
        (np.asarray(data["study_sd"])[..., 2], STUDY_SD[2], 1.0),
        (np.asarray(data["effect"])[..., made.treatments.index("nsaid")], -0.8, 2.4),
    ]
    for draws, truth, fault in faults:
        mean, sd = float(np.mean(draws)), float(np.std(draws))
        assert 8 * sd < fault, "the posterior is too wide to show this fault"
        assert abs(mean - truth) < 5 * sd


@pytest.mark.slow
def test_draws_hold_the_spread_of_patients(fitted: tuple[Network, Any]) -> None:
    made, posterior = fitted
    draws = joint_draws(posterior, made, Labels("abc", ("direct",) * 3, seed=1))
    size = draws["effect"].shape[0]
    assert size == 2000
    assert draws["study_sd"].shape == (size, len(ARMS))
    assert draws["sd_new"].shape == draws["sd_growth"].shape == draws["reliability"].shape == (size,)
    level = np.log(draws["sd_new"])
    tau, centre = (np.asarray(posterior.posterior[name]).ravel() for name in ("tau_sd", "sd_level"))
    assert level.mean() == pytest.approx(centre.mean(), abs=5 * level.std() / np.sqrt(size))
    assert level.var() == pytest.approx(centre.var() + (tau**2).mean(), rel=0.25)
