"""A small network whose truth is known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from sim.core.loading import validate
from sim.synthesis import Synthesis
from sim.synthesis.harmonise import ENTRY
from sim.synthesis.network import Network, Plan, build
from sim.synthesis.question import NetworkQuestion
from sim.synthesis.scales import Spread

SPREAD = Spread(level=float(np.log(2.0)), growth=0.0, residual=0.2)
CLASSES = {"placebo": "inert", "nsaid": "drug", "exercise": "physical"}
WHY = {"because": "test"}


def question() -> NetworkQuestion:
    """Weak priors for three treatments in three classes."""
    effect, half = {"mean": 0, "sd": 1, **WHY}, {"median": 3, "log_sd": 0.7, **WHY}
    tau = {"median": 0.3, "log_sd": 0.7, **WHY}
    tree = {
        "kind": "longitudinal_nma",
        "name": "small",
        "stage": "chronic",
        "seed": 7,
        "classes": {
            c: {
                "treatments": [t],
                "effect": effect,
                "effect_half_weeks": half,
                "persistence_half_weeks": half,
            }
            for t, c in CLASSES.items()
        },
        "priors": {
            "baseline": {"mean": 6, "sd": 1, **WHY},
            "response": {"mean": 1, "sd": 1, **WHY},
            "tau_response": tau,
            "tau_effect": tau,
            "omega": tau,
            "response_half_weeks": half,
        },
        "correlation": {"floor": 0.5, "rise": 0.25, "half_weeks": 13, **WHY},
        "sampling": {"chains": 4, "tune": 500, "draws": 1000, "target_accept": 0.95},
    }
    made = validate(tree, Synthesis, "test")
    assert isinstance(made, NetworkQuestion)
    return made


@dataclass(frozen=True)
class Truth:
    """What the trials are made of; ``study_*`` are by study."""

    effect: dict[str, float]
    response: float
    response_half: float
    effect_half: float
    persistence: float
    study_baseline: tuple[float, ...]
    study_response: tuple[float, ...]
    end: float


FOUR_TRIALS = Truth(
    effect={"placebo": 0.0, "nsaid": -0.8, "exercise": -1.2},
    response=1.5,
    response_half=2.5,
    effect_half=3.0,
    persistence=10.0,
    study_baseline=(6.0, 5.5, 6.5, 5.8),
    study_response=(1.2, 1.8, 1.4, 1.6),
    end=12.0,
)


def latent(truth: Truth, study: int, treatment: str, week: float) -> float:
    """Latent mean, written out with the formula of the document and nothing of the package."""
    falls = truth.study_response[study] * (1 - 0.5 ** (week / truth.response_half))
    present = (1 - 0.5 ** (min(week, truth.end) / truth.effect_half)) / (
        1 - 0.5 ** (truth.end / truth.effect_half)
    )
    if week > truth.end:
        present *= 0.5 ** ((week - truth.end) / truth.persistence)
    return truth.study_baseline[study] - falls + truth.effect[treatment] * present


def seen(mean: float, sd: float = 2.0) -> float:
    """Mean of the clipped normal by numerical integration, apart from the package's closed form."""
    grid = np.linspace(0, 10, 20001)
    body = np.trapezoid(grid * norm.pdf(grid, mean, sd), grid)
    return float(body + 10 * norm.sf(10, mean, sd))


def rows(study: int, arms: list[str], weeks: list[float], n: int = 200) -> pd.DataFrame:
    """Entries of one study without values: a mean for each arm and week, SD 2."""
    table = pd.DataFrame(
        [(f"s{study}", a, w) for a in arms for w in weeks], columns=["study_id", "unit", "weeks"]
    )
    return table.assign(
        form="mean", treatment=table["unit"], comparator="", value=np.nan, se=2 / np.sqrt(n), sd=2.0,
        n=float(n), se_from="sd", n_from="", k=1.0, file="f", row=0, note="", sd_reported=np.nan,
    )[ENTRY]  # fmt: skip


def plan(end: float, studies: int) -> Plan:
    correlation = question().correlation.at
    return Plan(CLASSES, "placebo", {f"s{i}": end for i in range(studies)}, correlation, SPREAD)


def network(entries: pd.DataFrame, end: float = 12.0) -> Network:
    return build(entries, plan(end, entries["study_id"].nunique()))
