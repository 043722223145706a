"""The model of counted events in PyMC: an arm's hazards from its trial and its treatment's class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from sim.synthesis.hazards import LEAST, Floats, Shape
from sim.synthesis.priors import LogNormalPrior, NormalPrior

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RatePriors:
    """Priors of the log hazards: ``reference`` by rate, and the effect of each class."""

    reference: tuple[NormalPrior, ...]
    effect: NormalPrior
    between_trials: LogNormalPrior
    tau: LogNormalPrior
    omega: LogNormalPrior


@dataclass(frozen=True, eq=False)
class CountedNetwork:
    """Groups of patients as arrays.

    ``study`` and ``arm`` (study and treatment) index each group; ``mask`` (group, rate) holds the events that
    put a patient into it, ``rest`` those groups that hold everybody else. ``arm_study`` and ``arm_treatment``
    index ``studies`` and ``treatments`` (the first is the reference); ``class_of`` indexes ``classes``.
    ``share`` (study,) is the share of the spread between trials that a study carries: 1, and 1/sqrt(k) for
    one that pools k trials.
    """

    rates: tuple[str, ...]
    studies: tuple[str, ...]
    treatments: tuple[str, ...]
    classes: tuple[str, ...]
    class_of: Ints
    share: Floats
    arm_study: Ints
    arm_treatment: Ints
    arm: Ints
    weeks: Floats
    mask: Floats
    rest: NDArray[np.bool_]
    count: Floats


def lay_out(
    entries: pd.DataFrame,
    treatments: Mapping[str, str],
    reference: str,
    rates: tuple[str, ...],
    pooled: Mapping[str, int],
) -> CountedNetwork:
    """Lay counted entries (see ``counts.COUNTED``) out as arrays.

    ``treatments`` maps to classes, ``pooled`` a study to the number of trials that it pools.
    """
    names = (reference, *sorted(t for t in treatments if t != reference))
    classes = tuple(sorted({treatments[t] for t in names[1:]} | {treatments[reference]}))
    studies = tuple(sorted(entries["study_id"].unique()))
    pairs = list(zip(entries["study_id"], entries["treatment"], strict=True))
    arms = sorted(set(pairs))
    return CountedNetwork(
        rates, studies, names, classes,
        class_of=np.array([classes.index(treatments[t]) for t in names]),
        share=np.array([pooled.get(s, 1) ** -0.5 for s in studies]),
        arm_study=np.array([studies.index(s) for s, _ in arms]),
        arm_treatment=np.array([names.index(t) for _, t in arms]),
        arm=np.array([arms.index(pair) for pair in pairs]),
        weeks=entries["weeks"].to_numpy(dtype=float),
        mask=np.array([[float(r in text.split("+")) for r in rates] for text in entries["rates"]]),
        rest=entries["rest"].to_numpy(dtype=bool),
        count=entries["count"].to_numpy(dtype=float),
    )  # fmt: skip


def build_rates(network: CountedNetwork, shape: Shape, priors: RatePriors) -> pm.Model:
    """Make the PyMC model; every location is non-centred, and what is sampled are standard normals.

    For trial s, arm with treatment k and rate r the log weekly hazard after the turn is
    ``baseline_sr + effect_kr + deviation``: baselines around the mean of placebo arms, effects around their
    class (0 for the reference), deviations N(0, tau_r²) (Dias et al. 2018, Network Meta-Analysis for
    Decision-Making, Wiley). A study that pools trials carries less of both spreads. Groups of one arm
    are multinomial.
    """
    rates = len(network.rates)
    sizes: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("reference", "between_trials", "tau", "omega"), (rates,)),
        "baseline": (len(network.studies), rates),
        "class": (len(network.classes), rates),
        "treatment": (len(network.treatments), rates),
        "arm": (len(network.arm_study), rates),
    }
    sign = np.where(network.rest, -1.0, 1.0)
    with pm.Model() as model:
        z = {name: pm.Normal(f"{name}_z", shape=size) for name, size in sizes.items()}
        level = quantities(z, network, priors, pt.exp)["study_level"]
        of_group = _pick(network.arm, len(network.arm_study)) @ level
        seen = (shape.shares(of_group, network.weeks[:, None], pt.exp) * network.mask).sum(axis=1)
        chance = network.rest + sign * seen
        pm.Potential("counts", (network.count * pt.log(chance + LEAST)).sum())
    return model


def quantities(
    z: Mapping[str, Any], network: CountedNetwork, priors: RatePriors, exp: Callable[[Any], Any] = np.exp
) -> dict[str, Any]:
    """What the standard normals stand for; draws may be on leading axes, (…, rate) and (…, item, rate).

    Selections are products with constant matrices, which compile in a fraction of the time of an index.
    """
    reference = np.array([p.mean for p in priors.reference]) + z["reference"] * np.array(
        [p.sd for p in priors.reference]
    )
    between, tau, omega = (
        prior.median * exp(prior.log_sd * z[name])
        for name, prior in (
            ("between_trials", priors.between_trials), ("tau", priors.tau), ("omega", priors.omega)
        )
    )  # fmt: skip
    classes = priors.effect.mean + priors.effect.sd * z["class"]
    share = network.share[:, None]
    baseline = reference[..., None, :] + share * (between[..., None, :] * z["baseline"])
    treated = (np.arange(len(network.treatments)) > 0).astype(float)[:, None]
    effect = treated * (
        _pick(network.class_of, len(network.classes)) @ classes + omega[..., None, :] * z["treatment"]
    )
    moved = (network.arm_treatment > 0).astype(float)[:, None] * share[network.arm_study]
    level = (
        _pick(network.arm_study, len(network.studies)) @ baseline
        + _pick(network.arm_treatment, len(network.treatments)) @ effect
        + moved * (tau[..., None, :] * z["arm"])
    )
    return {
        "reference": reference, "between_trials": between, "tau": tau, "omega": omega,
        "class_effect": classes, "effect": effect, "study_baseline": baseline, "study_level": level,
    }  # fmt: skip


def _pick(place: Ints, size: int) -> Floats:
    """Matrix (item, place) whose product with an array takes the rows at ``place``."""
    return np.eye(size)[place]
