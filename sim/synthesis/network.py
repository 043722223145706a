"""The network as arrays: what was observed, as linear combinations of study-treatment-week cells."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.synthesis.scales import Spread

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Correlation = Callable[[float], float]

SHARED_ARM = 0.5
"""Correlation of two contrasts at one week that share an arm of equal size."""


@dataclass(frozen=True)
class Cells:
    """One latent mean each: study ``s``, arm ``p`` (study and treatment), week; (cell,) arrays."""

    study: Ints
    arm: Ints
    week: Floats
    sd: Floats


@dataclass(frozen=True)
class Network:
    """Everything that the likelihood needs.

    ``combine`` (observation, cell) turns cell means into what was reported; ``whiten`` is the inverse
    Cholesky factor of the covariance of ``observed``. ``arm_study`` and ``arm_treatment`` index
    ``studies`` and ``treatments``; ``arm_share`` is the share of the between-trial SD that an arm carries
    (1, and 1/sqrt(k) for a review, whose effect is the mean of k trials); ``class_of`` indexes ``classes``;
    ``end`` is the week of each study at which treatment ends.
    """

    studies: tuple[str, ...]
    treatments: tuple[str, ...]
    classes: tuple[str, ...]
    class_of: Ints
    reference: int
    arm_study: Ints
    arm_treatment: Ints
    arm_share: Floats
    end: Floats
    cells: Cells
    combine: Floats
    observed: Floats
    whiten: Floats

    def data(self) -> dict[str, Floats]:
        """Arrays of the likelihood that change, at the same shapes, when rows are held out."""
        return {"mixing": self.whiten @ self.combine, "whitened": self.whiten @ self.observed}


@dataclass(frozen=True)
class Plan:
    """How entries become a network: the classes by treatment, the reference, treatment ends, correlation."""

    treatments: dict[str, str]
    reference: str
    ends: dict[str, float]
    correlation: Correlation
    spread: Spread


@dataclass(frozen=True)
class _Term:
    """One cell of one observation, with its weight in the sum."""

    key: tuple[str, str, float, float]
    weight: float


def build(entries: pd.DataFrame, plan: Plan) -> Network:
    """Lay harmonised entries (see ``harmonise.ENTRY``) out as arrays."""
    treatments = (plan.reference, *sorted(t for t in plan.treatments if t != plan.reference))
    classes = tuple(sorted(set(plan.treatments.values())))
    terms = [_terms(row, entries, plan.spread) for row in entries.to_dict("records")]
    keys = list(dict.fromkeys(term.key for row in terms for term in row))
    place = {key: i for i, key in enumerate(keys)}
    combine = np.zeros((len(entries), len(keys)))
    for i, row in enumerate(terms):
        for term in row:
            combine[i, place[term.key]] += term.weight
    studies = tuple(sorted(entries["study_id"].unique()))
    arms = sorted({(key[0], key[1]) for key in keys})
    return Network(
        studies, treatments, classes,
        class_of=np.array([classes.index(plan.treatments[t]) for t in treatments]),
        reference=0,
        arm_study=np.array([studies.index(s) for s, _ in arms]),
        arm_treatment=np.array([treatments.index(t) for _, t in arms]),
        arm_share=np.array([_trials(entries, s) ** -0.5 for s, _ in arms]),
        end=np.array([plan.ends.get(s, np.inf) for s in studies]),
        cells=Cells(
            study=np.array([studies.index(key[0]) for key in keys]),
            arm=np.array([arms.index((key[0], key[1])) for key in keys]),
            week=np.array([key[2] for key in keys]),
            sd=np.array([key[3] for key in keys]),
        ),
        combine=combine,
        observed=entries["value"].to_numpy(dtype=float),
        whiten=np.linalg.inv(np.linalg.cholesky(covariance(entries, plan))),
    )  # fmt: skip


def _trials(entries: pd.DataFrame, study: str) -> float:
    return float(entries.loc[entries["study_id"] == study, "k"].max())


def _terms(row: dict[Hashable, object], entries: pd.DataFrame, spread: Spread) -> list[_Term]:
    """Cells of one observation: itself, or its difference from baseline or from the comparator's cell."""
    study, treatment, week = str(row["study_id"]), str(row["treatment"]), float(str(row["weeks"]))
    typical = float(spread.sd(week))
    if row["form"] == "mean":
        return [_Term((study, treatment, week, float(str(row["sd"]))), 1.0)]
    if row["form"] == "change":
        start = _baseline_sd(entries, study, str(row["unit"]), spread)
        return [_Term((study, treatment, week, typical), 1.0), _Term((study, treatment, 0.0, start), -1.0)]
    comparator = str(row["comparator"])
    return [_Term((study, treatment, week, typical), 1.0), _Term((study, comparator, week, typical), -1.0)]


def _baseline_sd(entries: pd.DataFrame, study: str, unit: str, spread: Spread) -> float:
    mine = (entries["study_id"] == study) & (entries["unit"] == unit) & (entries["form"] == "mean")
    found = entries.loc[mine & (entries["weeks"] == 0), "sd"]
    return float(found.iloc[0]) if len(found) else float(spread.sd(0.0))


def covariance(entries: pd.DataFrame, plan: Plan) -> Floats:
    """Covariance of the reported numbers (observation, observation), points squared.

    Arms are independent of each other; within an arm the correlation of patients over time holds for
    their mean, and for changes from baseline by linear combination. Contrasts of one study are
    correlated through the shared arm.
    """
    result = np.diag(entries["se"].to_numpy(dtype=float) ** 2)
    for _, block in entries.groupby(["study_id", "unit"]):
        places = block.index.to_numpy()
        correlation = (_contrast_correlation if block["form"].iloc[0] == "contrast" else _arm_correlation)(
            block, plan
        )
        se = block["se"].to_numpy(dtype=float)
        result[np.ix_(places, places)] = correlation * np.outer(se, se)
    return result


def _arm_correlation(block: pd.DataFrame, plan: Plan) -> Floats:
    weeks = np.unique(np.append(block["weeks"].to_numpy(dtype=float), 0.0))
    over_time = np.array([[plan.correlation(abs(a - b)) for b in weeks] for a in weeks])
    sd = plan.spread.sd(weeks)
    pick = (block["weeks"].to_numpy(dtype=float)[:, None] == weeks).astype(float)
    pick[:, 0] -= (block["form"] == "change").to_numpy(dtype=float)
    combined = pick @ (over_time * np.outer(sd, sd)) @ pick.T
    scale = np.sqrt(np.diag(combined))
    return np.asarray(combined / np.outer(scale, scale))


def _contrast_correlation(block: pd.DataFrame, plan: Plan) -> Floats:
    weeks = block["weeks"].to_numpy(dtype=float)
    over_time = np.array([[plan.correlation(abs(a - b)) for b in weeks] for a in weeks])
    other = (weeks[:, None] == weeks) & ~np.eye(len(weeks), dtype=bool)
    return np.where(other, SHARED_ARM, over_time)
