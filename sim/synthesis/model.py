"""The model in PyMC: arm-level network meta-analysis through time, seen through a clipped scale."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray

from sim.synthesis.covariates import exposed
from sim.synthesis.network import Network
from sim.synthesis.observed import Latent, observe
from sim.synthesis.priors import LogNormalPrior
from sim.synthesis.question import NetworkQuestion, Patients

LOG_2 = float(np.log(2))
ENDLESS = 520.0
"""Weeks that stand for a treatment without an end; infinity has no gradient."""

# numba takes its BLAS from SciPy; without this PyTensor looks for one for its C code, and warns
pytensor.config.blas__ldflags = ""


def build_model(config: NetworkQuestion, network: Network) -> pm.Model:
    """Make the PyMC model (docs/synthesis.md gives it in formulas); effects are non-centred.

    ``reported`` is what each row would read without its sampling error. The arrays of ``network.data()``
    can be exchanged after compiling: a backtest compiles once and holds out one study after another.
    """
    with pm.Model() as model:
        shape = _course(config, network)
        effect = _effects(config, network)
        cells = network.cells
        start = shape["baseline"][cells.study]
        mean = (
            start
            - shape["response"][cells.study] * shape["g"]
            + effect[cells.arm] * _presence(config, network)
        )
        sd = _spread(config.patients, network)
        observe(network, Latent(cells.study, mean, sd["visit"], start, sd["baseline"], sd["reliability"]))
    return model


def _log_normal(name: str, prior: LogNormalPrior, size: int | None = None) -> Any:
    z = pm.Normal(f"{name}_z", shape=size)
    return pm.Deterministic(name, prior.median * pt.exp(prior.log_sd * z))


def _around(name: str, centre: Any, spread: Any, told: NDArray[np.bool_]) -> Any:
    """Value of each study around ``centre``: centred where its own rows tell it, else non-centred.

    Each mixes well where the other does not (Papaspiliopoulos, Roberts & Sköld 2007,
    doi:10.1214/088342307000000014).
    """
    own, other = np.flatnonzero(told), np.flatnonzero(~told)
    parts = []
    if len(own):
        parts.append(pm.Normal(f"{name}_own", centre, spread, shape=len(own)))
    if len(other):
        parts.append(centre + spread * pm.Normal(f"{name}_z", shape=len(other)))
    return pt.concatenate(parts)[np.argsort(np.concatenate([own, other]))]


def _course(config: NetworkQuestion, network: Network) -> dict[str, Any]:
    """Baseline and placebo response of each study, and the response's rise at each cell."""
    priors, n = config.priors, len(network.studies)
    z = pm.Normal("baseline_z", shape=n)
    baseline = pm.Deterministic("study_baseline", priors.baseline.mean + priors.baseline.sd * z)
    centre = pm.Normal("response", priors.response.mean, priors.response.sd)
    tau = _log_normal("tau_response", priors.tau_response)
    response = pm.Deterministic("study_response", _around("response", centre, tau, network.shows_course))
    half = _log_normal("response_half_weeks", priors.response_half_weeks)
    return {"baseline": baseline, "response": response, "g": 1 - pt.exp(-LOG_2 * network.cells.week / half)}


def _spread(patients: Patients | None, network: Network) -> dict[str, Any]:
    """SD of ratings at each cell and at baseline of its study; the fixed ones where none are estimated."""
    cells = network.cells
    if patients is None:
        return {"visit": cells.sd, "baseline": cells.sd, "reliability": 1.0}
    level = patients.sd_level.mean + patients.sd_level.sd * pm.Normal("sd_level_z")
    pm.Deterministic("sd_level", level)
    growth, tau = _log_normal("sd_growth", patients.sd_growth), _log_normal("tau_sd", patients.tau_sd)
    baseline = pt.exp(_around("sd", level, tau, network.shows_sd))
    pm.Deterministic("study_sd", baseline)
    prior = patients.reliability
    logit = np.log(prior.median / (1 - prior.median)) + prior.logit_sd * pm.Normal("reliability_z")
    reliability = pm.Deterministic("reliability", pt.sigmoid(logit))
    start = baseline[cells.study]
    return {
        "visit": start * pt.exp(growth * np.log1p(cells.week)),
        "baseline": start,
        "reliability": reliability,
    }


def _effects(config: NetworkQuestion, network: Network) -> Any:
    """Effect of each study's arm during treatment: study around treatment around class; reference 0."""
    priors = [config.classes[name].effect for name in network.classes]
    z = pm.Normal("class_z", shape=len(priors))
    centre = pm.Deterministic(
        "class_effect", np.array([p.mean for p in priors]) + np.array([p.sd for p in priors]) * z
    )
    others = np.arange(len(network.treatments)) != network.reference
    omega = _log_normal("omega", config.priors.omega)
    spread = omega * pm.Normal("treatment_z", shape=int(others.sum()))
    free = centre[network.class_of[others]] + spread
    effect = pm.Deterministic("effect", pt.set_subtensor(pt.zeros(len(others))[np.flatnonzero(others)], free))
    _other_stages(config, network, effect)
    tau = _log_normal("tau_effect", config.priors.tau_effect)
    treated = np.flatnonzero(network.arm_treatment != network.reference)
    shift = tau * network.arm_share[treated] * pm.Normal("arm_z", shape=len(treated))
    arms = pt.set_subtensor(
        pt.zeros(len(network.arm_treatment))[treated], effect[network.arm_treatment[treated]] + shift
    )
    for covariate in config.regression or ():
        name = f"slope_{covariate.name}"
        slope = pm.Deterministic(name, covariate.slope.sd * pm.Normal(f"{name}_z"))
        arms = arms + slope * exposed(covariate, network)
    return pm.Deterministic("study_effect", arms)


def _other_stages(config: NetworkQuestion, network: Network, effect: Any) -> None:
    """Normal factors of the prior from other stages' fits; none by default."""
    if config.exchange:
        where = [network.treatments.index(other.treatment) for other in config.exchange]
        spread = np.array([other.spread for other in config.exchange])
        told = np.array([other.mean for other in config.exchange])
        pm.Normal("other_stages", effect[where], spread, observed=told)


def _presence(config: NetworkQuestion, network: Network) -> Any:
    """Share of the effect at each cell: rises to 1 at the end of treatment, then halves each half-life.

    A completed course, however short, has its whole effect at its end.
    """
    cells, end = network.cells, network.end[network.cells.study]
    rising = np.minimum(cells.week, end)
    since = np.maximum(cells.week - end, 0.0)
    classes = [config.classes[name] for name in network.classes]
    of_arm = network.class_of[network.arm_treatment[cells.arm]]
    onset = _by_class("effect_half_weeks", [c.effect_half_weeks for c in classes])[of_arm]
    half = _by_class("persistence_half_weeks", [c.persistence_half_weeks for c in classes])[of_arm]
    whole = 1 - pt.exp(-LOG_2 * np.minimum(end, ENDLESS) / onset)
    risen = (1 - pt.exp(-LOG_2 * rising / onset)) / whole
    if not since.any():  # PyTensor rewrites zeros divided by a variable without end
        return risen
    return risen * pt.exp(-LOG_2 * since / half)


def _by_class(name: str, stated: Sequence[LogNormalPrior]) -> Any:
    """A lognormal quantity of each class, non-centred."""
    z = pm.Normal(f"{name}_z", shape=len(stated))
    medians, widths = np.array([p.median for p in stated]), np.array([p.log_sd for p in stated])
    return pm.Deterministic(name, medians * pt.exp(widths * z))
