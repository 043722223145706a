"""What the simulator reads: joint posterior draws as plain arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.synthesis.network import Network

MOST_DRAWS = 4000
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Labels:
    """What the arrays are labelled with: digest of the fit, and the basis of each treatment's effect."""

    digest: str
    basis: tuple[str, ...]
    seed: int


def joint_draws(posterior: Any, network: Network, labels: Labels) -> Arrays:
    """Flatten chains, thin to at most 4000 draws and add the predictive draws for a new trial.

    Returns
    -------
    dict
        S draws, K treatments, C classes, N studies, P arms. Effects in latent points of 0 to 10 against the
        reference (negative is better), responses as improvement (positive is better), half-lives in weeks,
        those of onset and persistence by class, (S, C).
    """
    values = _flat(posterior)
    rng = np.random.default_rng(np.random.SeedSequence(labels.seed, spawn_key=(1,)))
    size, k = values["effect"].shape
    column = (slice(None), None)
    effect_new = values["effect"] + values["tau_effect"][column] * rng.standard_normal((size, k))
    effect_new[:, network.reference] = 0.0
    classes = len(network.classes)
    member = values["omega"][column] * rng.standard_normal((size, classes))
    trial = values["tau_effect"][column] * rng.standard_normal((size, classes))
    return {
        **_labels(network, labels),
        "effect": values["effect"],
        "effect_new": effect_new,
        "class_new": values["class_effect"] + member + trial,
        "study_baseline": values["study_baseline"],
        "study_response": values["study_response"],
        "study_effect": values["study_effect"],
        "response": values["response"],
        "response_new": values["response"] + values["tau_response"] * rng.standard_normal(size),
        "response_half_weeks": values["response_half_weeks"],
        "effect_half_weeks": values["effect_half_weeks"],
        "persistence_half_weeks": values["persistence_half_weeks"],
        **_patients(values, rng),
    }


def _patients(values: Arrays, rng: np.random.Generator) -> Arrays:
    """Where SDs are estimated: of ratings at baseline (by study, (S, N), and of a new one), their growth with
    log(1 + week), and the reliability of a rating."""
    if "study_sd" not in values:
        return {}
    deviation = values["tau_sd"] * rng.standard_normal(len(values["tau_sd"]))
    names = ("study_sd", "sd_growth", "reliability")
    return {"sd_new": np.exp(values["sd_level"] + deviation), **{name: values[name] for name in names}}


def _labels(network: Network, labels: Labels) -> Arrays:
    return {
        "digest": np.array(labels.digest),
        "treatments": np.array(network.treatments),
        "classes": np.array(network.classes),
        "class_of": network.class_of.astype(np.int64),
        "basis": np.array(labels.basis),
        "studies": np.array(network.studies),
        "study_arm_study": np.array([network.studies[s] for s in network.arm_study]),
        "study_arm_treatment": np.array([network.treatments[t] for t in network.arm_treatment]),
    }


def _flat(posterior: Any) -> Arrays:
    """Draws by name, chains one after the other, thinned evenly."""
    data = posterior.posterior
    total = data.sizes["chain"] * data.sizes["draw"]
    keep = np.linspace(0, total - 1, min(total, MOST_DRAWS)).round().astype(int)
    return {
        str(name): np.asarray(data[name], dtype=float).reshape(total, *data[name].shape[2:])[keep]
        for name in data.data_vars
    }
