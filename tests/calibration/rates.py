"""Counted events: five small studies, patients followed one by one."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pytensor

from sim.synthesis.hazards import Shape
from sim.synthesis.priors import LogNormalPrior, NormalPrior
from sim.synthesis.rates_model import CountedNetwork, RatePriors, build_rates, lay_out, quantities
from sim.synthesis.sampling import Compiled
from tests.calibration.case import Replication, fit, rank, seed_of

WHY = {"because": "as in configs/syntheses/discontinuation_chronic.yaml"}
TREATMENTS = {"placebo": "inert", "snri": "antidepressant", "tca": "antidepressant", "nsaid": "nsaid"}
POOLED = {"e": 4}
CAUSES = ("adverse_event", "inefficacy")
EACH, ALL, ONE = (("adverse_event",), ("inefficacy",)), (CAUSES,), (("adverse_event",),)
NAUSEA = (("nausea",),)
QUANTITIES = ("reference", "between_trials", "tau", "omega", "class_effect", "effect", "study_level")


@dataclass(frozen=True)
class Trial:
    """Arms of ``n`` patients, and the counts that each prints: sets of rates that split them."""

    study: str
    arms: tuple[str, str]
    weeks: float
    n: int
    splits: tuple[tuple[tuple[str, ...], ...], ...]

    def rows(self) -> list[dict[str, Any]]:
        """Groups of patients, each split with its rest."""
        return [
            {"study_id": self.study, "treatment": arm, "weeks": self.weeks, "n": self.n,
             "rates": "+".join(group), "rest": rest, "count": 0.0}
            for arm in self.arms
            for split in self.splits
            for group, rest in [*((g, False) for g in split), (sum(split, ()), True)]
        ]  # fmt: skip


@dataclass(frozen=True)
class RatesCase:
    """Hazards or shares of ``rates``; ``references`` are mean and SD of the prior of each."""

    name: str
    shape: Shape
    rates: tuple[str, ...]
    references: tuple[tuple[float, float], ...]
    trials: tuple[Trial, ...]
    fault: str = "each patient counted twice, with half as many patients"
    modules: tuple[str, ...] = (
        "sim.synthesis.rates_model",
        "sim.synthesis.hazards",
        "sim.synthesis.page",
        "sim.synthesis.plain_loops",
        "sim.synthesis.density",
        "sim.synthesis.sampling:Compiled",
        "sim.synthesis.sampling:derived",
        "tests.calibration.case",
        "tests.calibration.rates",
    )

    @cached_property
    def entries(self) -> pd.DataFrame:
        """Groups of patients, without counts."""
        return pd.DataFrame([row for trial in self.trials for row in trial.rows()])

    @cached_property
    def network(self) -> CountedNetwork:
        """The layout; its counts are a shared variable, so that they can be exchanged after compiling."""
        made = lay_out(self.entries, TREATMENTS, "placebo", self.rates, POOLED)
        count: Any = pytensor.shared(made.count, name="count")
        return replace(made, count=count)

    @cached_property
    def priors(self) -> RatePriors:
        """Priors of the chronic synthesis of discontinuation."""
        spreads = {"between_trials": (0.35, 0.5), "tau": (0.15, 0.6), "omega": (0.25, 0.6)}
        return RatePriors(
            tuple(NormalPrior(mean=mean, sd=sd, **WHY) for mean, sd in self.references),
            NormalPrior(mean=0, sd=0.8, **WHY),
            **{name: LogNormalPrior(median=m, log_sd=s, **WHY) for name, (m, s) in spreads.items()},
        )

    @cached_property
    def model(self) -> Any:
        """The model as a fit builds it."""
        return build_rates(self.network, self.shape, self.priors)

    @cached_property
    def start(self) -> dict[str, np.ndarray]:
        """An array of each coordinate's shape; the prior of all is standard normal."""
        return self.model.initial_point()

    @cached_property
    def compiled(self) -> Compiled:
        """The compiled model, whose counts are exchanged."""
        return Compiled.of(self.model)

    def replicate(self, number: int, faulty: bool) -> Replication:
        """Follow patients under one draw of the prior, fit their counts and rank the draw."""
        rng = np.random.default_rng(seed_of(self.name, number))
        z = {name: rng.standard_normal(value.shape) for name, value in self.start.items()}
        truth = quantities(_bare(z), self.network, self.priors)
        count = self._count(truth["study_level"], rng, faulty)
        draws, told = fit(self.compiled.with_data({"count": count}), int(rng.integers(2**32)))
        fitted = quantities(_bare(draws), self.network, self.priors)
        return Replication(rank(*(self._ranked(v, count) for v in (truth, fitted))), **told)

    def _count(self, level: np.ndarray, rng: np.random.Generator, faulty: bool) -> np.ndarray:
        """Size of each group, from events of single patients."""
        rows, copies = self.entries, 2 if faulty else 1
        count = np.zeros(len(rows))
        for arm in range(len(level)):
            mine = np.flatnonzero(self.network.arm == arm)
            first = rows.iloc[mine[0]]
            had = events(self.shape, level[arm], int(first["n"]) // copies, first["weeks"], rng)
            for row in mine:
                in_group = (had & (self.network.mask[row] == 1)).any(axis=1)
                count[row] = copies * (in_group != self.network.rest[row]).sum()
        return count

    def _ranked(self, values: dict[str, np.ndarray], count: np.ndarray) -> dict[str, np.ndarray]:
        """Quantities of which ranks are taken; the effect of the reference is 0 and has none."""
        network = self.network
        shares = self.shape.shares(values["study_level"][..., network.arm, :], network.weeks[:, None])
        seen = (shares * network.mask).sum(axis=-1)
        chance = np.where(network.rest, 1 - seen, seen)
        log_likelihood = (count * np.log(chance + 1e-12)).sum(axis=-1)
        found = {name: values[name] for name in QUANTITIES}
        return {**found, "effect": values["effect"][..., 1:, :], "log_likelihood": log_likelihood}


def events(shape: Shape, level: np.ndarray, n: int, weeks: float, rng: np.random.Generator) -> np.ndarray:
    """Which events each patient has, (patient, rate): the first of those that compete, if in time.

    A time is where the cumulative hazard, early and late, reaches an exponential draw.
    """
    if shape.timeless:
        return rng.random((n, len(level))) < 1 / (1 + np.exp(-level))
    reached, hazard = rng.exponential(size=(n, len(level))), np.exp(level)
    early = hazard * shape.early
    with np.errstate(divide="ignore"):
        soon = reached / early
    time = np.where(soon < shape.turn, soon, shape.turn + (reached - early * shape.turn) / hazard)
    rivals = np.where(shape.together == 1, time[:, None, :], np.inf)
    return (time <= rivals.min(axis=-1)) & (time <= weeks)


def _bare(z: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Coordinates by the name of what they stand for."""
    return {str(name).removesuffix("_z"): values for name, values in z.items()}


COMPETING = RatesCase(
    "class_rates",
    Shape(4.0, np.array([4.5, 0.0, 4.5]), np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])),
    (*CAUSES, "nausea"),
    ((-5.5, 0.7), (-4.8, 0.7), (-3.7, 0.7)),
    (
        Trial("a", ("placebo", "snri"), 12, 200, (EACH, NAUSEA)),
        Trial("b", ("placebo", "tca"), 8, 100, (ALL,)),
        Trial("c", ("snri", "nsaid"), 13, 160, (ONE, NAUSEA)),
        Trial("e", ("placebo", "snri"), 12, 300, (EACH,)),
    ),
)
SHARES = RatesCase(
    "class_rates_share",
    Shape(np.inf, np.ones(1), np.eye(1), timeless=True),
    ("responder",),
    ((-0.5, 0.7),),
    tuple(
        Trial(study, arms, 12, n, ((("responder",),),))
        for study, arms, n in (
            ("a", ("placebo", "snri"), 200), ("b", ("placebo", "tca"), 80), ("c", ("placebo", "nsaid"), 150),
            ("d", ("snri", "nsaid"), 120), ("e", ("placebo", "snri"), 300),
        )
    ),
)  # fmt: skip
