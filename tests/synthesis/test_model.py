"""The PyMC model against slow plain twins, and a fit that finds a known truth."""

from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
from pytensor.graph.traversal import ancestors
from scipy.stats import multivariate_normal

from sim.core.errors import RunError
from sim.synthesis.draws import Labels, joint_draws
from sim.synthesis.model import build_model
from sim.synthesis.network import Network, covariance
from sim.synthesis.results import require_convergence
from sim.synthesis.sampling import diagnose, sample
from tests.synthesis.small_network import Truth, latent, network, plan, question, rows, seen

TRUTH = Truth(
    effect={"placebo": 0.0, "nsaid": -0.8, "exercise": -1.2},
    response=1.5,
    response_half=2.5,
    effect_half=3.0,
    persistence=10.0,
    study_baseline=(6.0, 5.5, 6.5, 5.8, 6.2),
    study_response=(1.2, 1.8, 1.4, 1.6, 1.5),
    end=12.0,
)
ARMS = [["placebo", "nsaid"]] * 2 + [["placebo", "exercise"]] * 2 + [["placebo", "nsaid", "exercise"]]
TRIALS = len(ARMS)
WEEKS = [0.0, 2.0, 6.0, 12.0, 24.0]


def observed(seed: int | None) -> pd.DataFrame:
    """The trials; with a seed, with their sampling error."""
    entries = pd.concat([rows(i, arms, WEEKS) for i, arms in enumerate(ARMS)], ignore_index=True)
    means = [
        seen(latent(TRUTH, int(r["study_id"][1:]), r["treatment"], r["weeks"]))
        for r in entries.to_dict("records")
    ]
    error = np.zeros(len(means))
    if seed is not None:
        rng = np.random.default_rng(seed)
        error = np.linalg.cholesky(covariance(entries, plan(TRUTH.end, TRIALS))) @ rng.standard_normal(
            len(means)
        )
    return entries.assign(value=np.array(means) + error)


def at_truth(model: Any, made: Network) -> dict[str, Any]:
    """Values of the model's free variables at the truth (study effects equal to their treatment's)."""
    priors = question().priors
    effects = np.array([TRUTH.effect[t] for t in made.treatments])
    log = {"tau_response": 0.3, "tau_effect": 0.3, "omega": 0.3, "response_half_weeks": TRUTH.response_half}
    point = {
        f"{k}_z": np.log(v / getattr(priors, k).median) / getattr(priors, k).log_sd for k, v in log.items()
    }
    by_class = np.zeros(len(made.classes))
    by_class[made.class_of] = effects
    point |= {
        "baseline_z": np.array(TRUTH.study_baseline) - 6.0,
        "response": 1.5,
        "response_own": np.array(TRUTH.study_response),
        "class_z": by_class,
        "treatment_z": np.zeros(len(made.treatments) - 1),
        "arm_z": np.zeros(int((made.arm_treatment != made.reference).sum())),
        "effect_half_weeks_z": np.full(len(made.classes), np.log(TRUTH.effect_half / 3) / 0.7),
        "persistence_half_weeks_z": np.full(len(made.classes), np.log(TRUTH.persistence / 3) / 0.7),
    }
    assert set(point) == {v.name for v in model.free_RVs}
    return point


def test_likelihood_equals_a_plain_multivariate_normal() -> None:
    """Twin: latent means by loops, clipping by quadrature, density by SciPy with the covariance itself."""
    entries = observed(seed=3)
    made = network(entries, TRUTH.end)
    model = build_model(question(), made)
    found = float(model.compile_logp(model.observed_RVs, mode="FAST_COMPILE")(at_truth(model, made)))
    means = observed(seed=None)["value"].to_numpy()
    sigma = covariance(entries, plan(TRUTH.end, TRIALS))
    plain = multivariate_normal(means, sigma).logpdf(entries["value"].to_numpy())
    # the model's density is that of the whitened values: it lacks log |L|
    assert found == pytest.approx(plain + 0.5 * np.linalg.slogdet(sigma)[1], abs=1e-5)


@pytest.mark.parametrize(("end", "told"), [(12.0, False), (4.0, True)])
def test_what_lasts_is_in_the_likelihood_only_where_it_was_seen(end: float, told: bool) -> None:
    """Without a follow-up after treatment it stays out: PyTensor rewrites zeros over a variable for ever."""
    entries = rows(0, ["placebo", "nsaid"], [0.0, 4.0, 12.0]).assign(value=5.0)
    model = build_model(question(), network(entries, end))
    assert (model["persistence_half_weeks"] in ancestors([model["reported"]])) == told


@pytest.mark.slow
def test_a_known_truth_is_found() -> None:
    """Each within 5 posterior SDs, which are small enough to show the fault beside it."""
    made, config = network(observed(seed=11), TRUTH.end), question()
    # five trials leave the spreads between them to wide priors, whose narrow end asks for small steps
    careful = config.sampling.model_copy(update={"tune": 1000, "draws": 2000, "target_accept": 0.99})
    posterior = sample(build_model(config, made), careful, seed=5, progress=False)
    assert diagnose(posterior)["converged"]
    data = posterior.posterior
    effects = {t: np.asarray(data["effect"])[..., made.treatments.index(t)] for t in ("nsaid", "exercise")}
    faults = [
        (effects["nsaid"], -0.8, 2.4),  # a lost sign shows as 1.6 and more
        (effects["exercise"], -1.2, 2.4),
        (np.asarray(data["response"]), 1.5, 3.0),
        (np.log(data["effect_half_weeks"])[..., made.classes.index("physical")], np.log(3.0), np.log(48.0)),
        (np.log(data["response_half_weeks"]), np.log(2.5), np.log(8.0)),
    ]
    for draws, truth, fault in faults:
        mean, sd = float(np.mean(draws)), float(np.std(draws))
        assert 8 * sd < fault, "the posterior is too wide to show this fault"
        assert abs(mean - truth) < 5 * sd


@pytest.fixture(scope="module")
def drawn() -> tuple[Network, Any]:
    """The network, and draws of everything that a posterior of it holds, from no sampler: quick."""
    made, rng = network(observed(seed=11), TRUTH.end), np.random.default_rng(5)
    sizes: dict[str, tuple[int, ...]] = {
        "response": (), "response_half_weeks": (), "effect": (3,), "class_effect": (3,),
        "effect_half_weeks": (3,), "persistence_half_weeks": (3,), "study_baseline": (TRIALS,),
        "study_response": (TRIALS,), "study_effect": (11,), "treatment_z": (2,), "response_own": (TRIALS,),
    }  # fmt: skip
    draws = {name: rng.standard_normal((4, 1000, *size)) for name, size in sizes.items()}
    draws["effect"][..., made.reference] = 0.0
    draws |= {name: rng.lognormal(-1, 0.5, (4, 1000)) for name in ("tau_effect", "tau_response", "omega")}
    return made, az.from_dict(posterior=draws, sample_stats={"diverging": np.zeros((4, 1000), dtype=bool)})


def test_draws_have_the_shapes_and_moments_that_the_simulator_expects(drawn: tuple[Network, Any]) -> None:
    made, posterior = drawn
    draws = joint_draws(posterior, made, Labels("abc", ("direct",) * 3, seed=1))
    size = draws["effect"].shape[0]
    assert size == 4000
    assert draws["effect"].shape == draws["effect_new"].shape == (size, 3)
    assert draws["class_new"].shape == draws["persistence_half_weeks"].shape == (size, 3)
    assert draws["study_response"].shape == draws["study_baseline"].shape == (size, TRIALS)
    assert draws["study_effect"].shape == (size, len(draws["study_arm_study"])) == (size, 11)
    assert all(a.dtype == np.float64 for a in draws.values() if a.ndim and a.dtype.kind == "f")
    assert (draws["effect"][:, 0] == 0).all()
    assert (draws["effect_new"][:, 0] == 0).all()
    tau = np.asarray(posterior.posterior["tau_effect"]).ravel()
    z = (draws["effect_new"] - draws["effect"])[:, 1:] / tau[:, None]
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / z.size)


def test_more_than_4000_draws_are_thinned(drawn: tuple[Network, Any]) -> None:
    made, posterior = drawn
    data = posterior.posterior
    longer = posterior.copy()
    longer.posterior = data.isel(draw=np.tile(np.arange(data.sizes["draw"]), 4)).assign_coords(
        draw=np.arange(4 * data.sizes["draw"])
    )
    assert joint_draws(longer, made, Labels("abc", ("direct",) * 3, 1))["response"].shape == (4000,)


def test_chains_that_disagree_are_refused_by_name(drawn: tuple[Network, Any]) -> None:
    _, posterior = drawn
    assert diagnose(posterior)["converged"]
    broken = posterior.copy()
    shifted = broken.posterior.copy(deep=True)
    shifted["response"][0] += 3.0
    broken.posterior = shifted
    told = diagnose(broken)
    assert "response" in told["failed"]
    with pytest.raises(RunError, match=r"bulk ESS < 400 in .*response"):
        require_convergence(told)


def test_a_divergence_is_refused(drawn: tuple[Network, Any]) -> None:
    _, posterior = drawn
    broken = posterior.copy()
    stats = broken.sample_stats.copy(deep=True)
    stats["diverging"][:] = False
    stats["diverging"][0, 0] = True
    broken.sample_stats = stats
    told = diagnose(broken)
    assert told["divergences"] == 1
    assert not told["converged"]
    with pytest.raises(RunError, match="1 divergences"):
        require_convergence(told)
