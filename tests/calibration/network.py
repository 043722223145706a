"""The network meta-analysis: six small studies, every kind of row that it takes."""

import warnings
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pymc as pm
import pytensor

from sim.core.loading import validate
from sim.synthesis import Synthesis
from sim.synthesis.harmonise import ENTRY
from sim.synthesis.model import build_model
from sim.synthesis.network import Network, Plan, build
from sim.synthesis.question import NetworkQuestion
from sim.synthesis.responders import COUNT
from sim.synthesis.sampling import Compiled
from sim.synthesis.scales import Spread
from tests.calibration.case import Replication, fit, rank, seed_of

POOL = 400
"""Draws of the prior that are made at once; replication r takes the r-th."""
TOO_WIDE = 1.3
"""The fault: errors of means are so much larger than the model takes them to be."""
WHY = {"because": "configs/syntheses/chronic.yaml, narrower where its tails put arms on the floor"}
SPREAD = Spread(level=0.5, growth=0.1, residual=0.2)
OBSERVED = ("seen", "sds")
QUANTITIES = (
    "response", "tau_response", "response_half_weeks", "class_effect", "omega", "effect", "tau_effect",
    "effect_half_weeks", "persistence_half_weeks", "sd_level", "sd_growth", "tau_sd", "reliability",
    "study_baseline", "study_response", "study_sd",
)  # fmt: skip


def _class(treatments: list[str], sd: float, onset: tuple[float, float], stays: tuple[float, float]) -> Any:
    halves = [{"median": median, "log_sd": log_sd, **WHY} for median, log_sd in (onset, stays)]
    return {
        "treatments": treatments,
        "effect": {"mean": 0, "sd": sd, **WHY},
        "effect_half_weeks": halves[0],
        "persistence_half_weeks": halves[1],
    }


def question() -> NetworkQuestion:
    """Priors of the chronic synthesis, four treatments in three classes.

    Baseline, effects and their spreads between trials vary less: the tails would put the latent mean of whole
    arms far below 0, where a fit takes minutes and no trial lies.
    """
    log_normal = {
        "tau_response": (0.5, 0.4), "tau_effect": (0.3, 0.4), "omega": (0.2, 0.6),
        "response_half_weeks": (2.5, 0.5),
    }  # fmt: skip
    tree = {
        "kind": "longitudinal_nma", "name": "calibration", "stage": "chronic", "seed": 0,
        "classes": {
            "inert": _class(["placebo"], 0.2, (2, 0.5), (8, 1)),
            "antidepressant": _class(["snri", "tca"], 0.5, (1.5, 0.5), (2, 0.7)),
            "physical": _class(["exercise"], 0.5, (3, 0.7), (26, 1)),
        },
        "priors": {
            "baseline": {"mean": 5.7, "sd": 0.8, **WHY},
            "response": {"mean": 1.5, "sd": 0.7, **WHY},
            **{name: {"median": m, "log_sd": s, **WHY} for name, (m, s) in log_normal.items()},
        },
        "patients": {
            "sd_level": {"mean": 0.45, "sd": 0.25, **WHY},
            "sd_growth": {"median": 0.12, "log_sd": 0.5, **WHY},
            "tau_sd": {"median": 0.2, "log_sd": 0.5, **WHY},
            "reliability": {"median": 0.8, "logit_sd": 0.4, **WHY},
        },
        "correlation": {"floor": 0.5, "rise": 0.25, "half_weeks": 13, **WHY},
    }  # fmt: skip
    made = validate(tree, Synthesis, "calibration")
    assert isinstance(made, NetworkQuestion)
    return made


def _entries() -> pd.DataFrame:
    """Rows without values: means with SDs, changes from baseline, and a contrast of three pooled trials."""
    means = [
        ("a", ("placebo", "snri"), (0, 4, 12), 120),
        ("b", ("placebo", "tca"), (0, 6, 12), 60),
        ("c", ("placebo", "exercise"), (0, 12, 26), 80),
        ("d", ("placebo", "snri"), (0, 8, 20), 150),
    ]
    rows: list[dict[str, Any]] = [
        {"study_id": study, "unit": arm, "form": "mean", "treatment": arm, "weeks": week, "n": n, "k": 1}
        for study, arms, weeks, n in means
        for arm in arms
        for week in weeks
    ]
    rows += [
        {"study_id": "e", "unit": arm, "form": "change", "treatment": arm, "weeks": week, "n": 70, "k": 1}
        for arm in ("snri", "exercise")
        for week in (4, 8)
    ]
    rows.append(
        {"study_id": "f", "unit": "contrasts", "form": "contrast", "treatment": "exercise", "weeks": 10,
         "n": 400, "k": 3, "comparator": "placebo"}
    )  # fmt: skip
    table = pd.DataFrame(rows).astype({"weeks": float, "n": float, "k": float})
    printed = table["form"] == "mean"
    return table.assign(
        comparator=table["comparator"].fillna(""), value=0.0, se=2 / np.sqrt(table["n"]), sd=np.nan,
        sd_reported=pd.Series(2.0, index=table.index).where(printed), se_from="sd", n_from="", file="f",
        row=range(len(table)), note="",
    )[ENTRY]  # fmt: skip


def _counts() -> pd.DataFrame:
    """One count an arm, so that each has weight 1: more of one arm enter as a composite likelihood."""
    made = [
        (study, arm, week, reduction, at_most, n)
        for study, arms, week, reduction, at_most, n in (
            ("a", ("placebo", "snri"), 12, 0.3, np.nan, 120),
            ("b", ("placebo", "tca"), 6, 0.5, np.nan, 60),
            ("d", ("placebo", "snri"), 8, np.nan, 1.0, 150),
        )
        for arm in arms
    ]
    table = pd.DataFrame(made, columns=["study_id", "treatment", "weeks", "reduction", "at_most", "n"])
    return table.assign(unit=table["treatment"], outcome="", value=0.0, file="f", row=0, note="")[COUNT]


def _network(config: NetworkQuestion) -> Network:
    treatments = {t: name for name, c in config.classes.items() for t in c.treatments}
    ends = {study: 12.0 for study in "abcdef"}
    plan = Plan(treatments, "placebo", ends, config.correlation.at, SPREAD, estimate_sd=True)
    return build(_entries(), plan, _counts())


class NetworkCase:
    """Means, SDs, changes, a contrast and responder counts, made by the built model itself."""

    name: ClassVar[str] = "longitudinal_nma"
    fault: ClassVar[str] = f"errors of means {TOO_WIDE} times as large as their standard errors"
    modules: ClassVar[tuple[str, ...]] = (
        "sim.synthesis.model",
        "sim.synthesis.observed",
        "sim.synthesis.network",
        "sim.synthesis.page",
        "sim.synthesis.plain_loops",
        "sim.synthesis.density",
        "sim.synthesis.sampling:Compiled",
        "sim.synthesis.sampling:derived",
        "sim.endpoints:clipped_mean",
        "sim.endpoints:clipped_variance",
        "sim.endpoints:rounding_variance",
        "sim.endpoints:state_share",
        "sim.endpoints:PairedRatings",
        "sim.endpoints:_nodes",
        "sim.endpoints:_density",
        "tests.calibration.case",
        "tests.calibration.network",
    )

    @cached_property
    def network(self) -> Network:
        """The layout; its counts are a shared variable, so that they can be exchanged after compiling."""
        made = _network(question())
        assert made.counts is not None
        value: Any = pytensor.shared(made.counts.value, name="count_value")
        return replace(made, counts=replace(made.counts, value=value))

    @cached_property
    def model(self) -> pm.Model:
        """The model as a fit builds it, and what it expects of each normal observation."""
        model = build_model(question(), self.network)
        with model:
            for name in OBSERVED:
                node = model[name].owner
                pm.Deterministic(f"{name}_expected", node.op.dist_params(node)[0])
        return model

    @cached_property
    def compiled(self) -> Compiled:
        """The compiled model, whose data are exchanged."""
        return Compiled.of(self.model)

    @cached_property
    def pool(self) -> dict[str, np.ndarray]:
        """Draws of the prior and of the data given them, (draw, …)."""
        names = [*QUANTITIES, *(f"{name}_expected" for name in OBSERVED), *OBSERVED, "share"]
        seed = int(seed_of(self.name, POOL).generate_state(1)[0])
        with warnings.catch_warnings():
            # responders are a potential, which draws from the prior leave out: they are drawn in data()
            warnings.filterwarnings("ignore", "The effect of Potentials", UserWarning)
            made = pm.sample_prior_predictive(POOL, self.model, var_names=names, random_seed=seed)
        return {
            str(name): group[name].to_numpy()[0]
            for group in (made.prior, made.prior_predictive)
            for name in group.data_vars
        }

    def data(self, number: int, faulty: bool) -> dict[str, np.ndarray]:
        """What the studies of one replication report."""
        pool, counts = self.pool, self.network.counts
        expected = pool["seen_expected"][number]
        errors = pool["seen"][number] - expected
        rng = np.random.default_rng(seed_of(self.name, number))
        return {
            "whitened": expected + errors * (TOO_WIDE if faulty else 1.0),
            "sd_whitened": pool["sds"][number],
            "count_value": rng.binomial(counts.n.astype(int), pool["share"][number]).astype(float),
        }

    def replicate(self, number: int, faulty: bool) -> Replication:
        """Fit the data of one draw of the prior and rank the draw's parameters and log likelihood."""
        data = self.data(number, faulty)
        draws, told = fit(self.compiled.with_data(data), int(seed_of(self.name, number).generate_state(1)[0]))
        truth = {name: values[number] for name, values in self.pool.items()}
        effect = np.flatnonzero(np.arange(len(self.network.treatments)) != self.network.reference)
        ranked = [self._ranked(values, data, effect) for values in (truth, draws)]
        return Replication(rank(*ranked), **told)

    def _ranked(self, values: dict[str, np.ndarray], data: dict[str, np.ndarray], effect: Any) -> Any:
        """Quantities of which ranks are taken; the effect of the reference is 0 and has none.

        The log likelihood of each kind of data depends on data and parameters, and shows faults that no
        single parameter does (Modrák et al. 2023, doi:10.1214/23-BA1404).
        """
        share, n = values["share"], self.network.counts.n
        of_counts = data["count_value"] * np.log(share) + (n - data["count_value"]) * np.log1p(-share)
        return {
            **{name: values[name] for name in QUANTITIES},
            "effect": values["effect"][..., effect],
            "log_likelihood_means": -0.5 * ((values["seen_expected"] - data["whitened"]) ** 2).sum(axis=-1),
            "log_likelihood_sds": -0.5 * ((values["sds_expected"] - data["sd_whitened"]) ** 2).sum(axis=-1),
            "log_likelihood_counts": of_counts.sum(axis=-1),
        }
