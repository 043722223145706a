"""The network as arrays: what was observed, as linear combinations of study-treatment-week cells."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace

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
    """One latent mean each: study ``s``, arm ``p`` (study and treatment), week; (cell,) arrays.

    ``sd`` is the latent SD that holds where SDs are not estimated.
    """

    study: Ints
    arm: Ints
    week: Floats
    sd: Floats


@dataclass(frozen=True)
class Spreads:
    """Reported SDs: the cell of each, its logarithm, and the inverse Cholesky factor of their covariance."""

    cell: Ints
    log_sd: Floats
    whiten: Floats


@dataclass(frozen=True)
class Counts:
    """Responders: ``value`` of ``n`` patients of a cell; (count,) arrays.

    ``reduction`` is the share of the own baseline that defines them, nan where ``at_most``, a score, does.
    ``weight`` makes the repeated counts of one arm weigh as what they tell together.
    """

    cell: Ints
    value: Floats
    n: Floats
    weight: Floats
    reduction: Floats
    at_most: Floats


@dataclass(frozen=True)
class Network:
    """Everything that the likelihood needs.

    ``combine`` (observation, cell) turns cell means into what was reported; ``whiten`` is the inverse
    Cholesky factor of the covariance of ``observed``. ``arm_study`` and ``arm_treatment`` index
    ``studies`` and ``treatments``; ``arm_share`` is the share of the between-trial SD that an arm carries
    (1, and 1/sqrt(k) for a review, whose effect is the mean of k trials); ``class_of`` indexes ``classes``;
    ``end`` is the week of each study at which treatment ends; ``covariates`` are those of the studies, by
    name.
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
    spreads: Spreads | None = None
    counts: Counts | None = None
    covariates: Mapping[str, Floats] = field(default_factory=dict)

    def data(self) -> dict[str, Floats]:
        """Arrays of the likelihood that change, at the same shapes, when rows are held out."""
        made = {"mixing": self.whiten @ self.combine, "whitened": self.whiten @ self.observed}
        if self.spreads is not None:
            spreads = self.spreads
            made |= {"sd_mixing": spreads.whiten, "sd_whitened": spreads.whiten @ spreads.log_sd}
        if self.counts is not None:
            made |= {"count_weight": self.counts.weight}
        return made

    def without_spread(self, study: str) -> "Network":
        """The same network with the SDs and counts of a study's follow-up silenced; its means stay.

        What a study held out reports beside its means. The SDs left are whitened anew.
        """
        held = (self.cells.study == self.studies.index(study)) & (self.cells.week > 0)
        spreads, counts = self.spreads, self.counts
        if spreads is not None:
            root = np.linalg.inv(spreads.whiten)
            kept = np.flatnonzero(~held[spreads.cell])
            whiten = np.zeros_like(root)
            left = (root @ root.T)[np.ix_(kept, kept)]
            whiten[np.ix_(kept, kept)] = np.linalg.inv(np.linalg.cholesky(left))
            spreads = replace(spreads, whiten=whiten)
        if counts is not None:
            counts = replace(counts, weight=np.where(held[counts.cell], 0.0, counts.weight))
        return replace(self, spreads=spreads, counts=counts)

    @property
    def shows_course(self) -> NDArray[np.bool_]:
        """Which studies report a follow-up by arm, so that their own rows tell their course; (study,)."""
        cells = self.cells
        by_arm = self.combine @ (cells.week > 0) != 0  # of a contrast, two follow-ups cancel
        told = (self.combine[by_arm] != 0).any(axis=0) & (cells.week > 0)
        return np.isin(np.arange(len(self.studies)), cells.study[told])

    @property
    def shows_sd(self) -> NDArray[np.bool_]:
        """Which studies report an SD; (study,)."""
        cells = self.spreads.cell if self.spreads else np.empty(0, dtype=np.int64)
        return np.isin(np.arange(len(self.studies)), self.cells.study[cells])


@dataclass(frozen=True)
class Plan:
    """How entries become a network: the classes by treatment, the reference, treatment ends, correlation.

    ``estimate_sd``: SDs are parameters, so that reported ones are observations; ``covariates`` holds for each
    name the value of each study that has one.
    """

    treatments: dict[str, str]
    reference: str
    ends: dict[str, float]
    correlation: Correlation
    spread: Spread
    estimate_sd: bool = False
    covariates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Term:
    """One cell of one observation, with its weight in the sum."""

    key: "Key"
    weight: float


Key = tuple[str, str, float, float]
"""A cell by study, treatment, week and the SD that it has where SDs are not estimated."""


def build(entries: pd.DataFrame, plan: Plan, counts: pd.DataFrame | None = None) -> Network:
    """Lay harmonised entries (``harmonise.ENTRY``) and counts (``responders.COUNT``) out as arrays."""
    treatments = (plan.reference, *sorted(t for t in plan.treatments if t != plan.reference))
    classes = tuple(sorted(set(plan.treatments.values())))
    counts = pd.DataFrame() if counts is None else counts
    terms = [_terms(row, entries, plan) for row in entries.to_dict("records")]
    counted = [_cell(row, float(plan.spread.sd(row["weeks"]))) for row in counts.to_dict("records")]
    keys = list(dict.fromkeys([term.key for row in terms for term in row] + counted))
    place = {key: i for i, key in enumerate(keys)}
    combine = np.zeros((len(entries), len(keys)))
    for i, row in enumerate(terms):
        for term in row:
            combine[i, place[term.key]] += term.weight
    studies = tuple(sorted({key[0] for key in keys}))
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
        spreads=_spreads(entries, plan, [place[row[0].key] for row in terms]) if plan.estimate_sd else None,
        counts=_counts(counts, plan, [place[key] for key in counted]) if len(counts) else None,
        covariates={
            name: np.array([of_study.get(s, 0.0) for s in studies])
            for name, of_study in plan.covariates.items()
        },
    )  # fmt: skip


def _cell(row: Mapping[Hashable, object], sd: float) -> Key:
    return str(row["study_id"]), str(row["treatment"]), float(str(row["weeks"])), sd


def _spreads(entries: pd.DataFrame, plan: Plan, cells: list[int]) -> Spreads | None:
    """Log SDs with their covariance for normal ratings.

    The variance is 1/(2(n − 1)); two weeks of an arm correlate as the square of what their means do
    (Anderson, An Introduction to Multivariate Statistical Analysis, 2003, section 3.4).
    """
    told = entries["sd_reported"].notna() & (entries["n"] > 1)
    rows, where = entries[told], np.array(cells)[told.to_numpy()]
    if rows.empty:
        return None
    rows = rows.reset_index(drop=True)
    variance = np.zeros((len(rows), len(rows)))
    for _, block in rows.groupby(["study_id", "unit"]):
        places, weeks = block.index.to_numpy(), block["weeks"].to_numpy(dtype=float)
        over_time = np.array([[plan.correlation(abs(a - b)) for b in weeks] for a in weeks])
        se = (2 * (block["n"].to_numpy(dtype=float) - 1)) ** -0.5
        variance[np.ix_(places, places)] = over_time**2 * np.outer(se, se)
    reported = np.log(rows["sd_reported"].to_numpy(dtype=float))
    return Spreads(where, reported, np.linalg.inv(np.linalg.cholesky(variance)))


def _counts(counts: pd.DataFrame, plan: Plan, cells: list[int]) -> Counts:
    """Counts with weights, since all counts of one arm are of the same patients.

    Each enters with weight 1/(1 + (m − 1)ρ), the inverse design effect of m values that correlate ρ (Kish,
    Survey Sampling, 1965, section 5.4); ρ is the correlation of pain long apart. A composite likelihood
    (Varin, Reid & Firth 2011, Statistica Sinica 21:5).
    """
    m = counts.groupby(["study_id", "unit"])["value"].transform("size").to_numpy(dtype=float)
    numbers = {name: counts[name].to_numpy(dtype=float) for name in ("value", "n", "reduction", "at_most")}
    return Counts(np.array(cells), weight=1 / (1 + (m - 1) * plan.correlation(np.inf)), **numbers)


def _trials(entries: pd.DataFrame, study: str) -> float:
    found = entries.loc[entries["study_id"] == study, "k"]
    return float(found.max()) if len(found) else 1.0


def _terms(row: dict[Hashable, object], entries: pd.DataFrame, plan: Plan) -> list[_Term]:
    """Cells of one observation: itself, or its difference from baseline or from the comparator's cell."""
    study, treatment, week = str(row["study_id"]), str(row["treatment"]), float(str(row["weeks"]))
    typical = float(plan.spread.sd(week))
    if row["form"] == "mean":
        own = typical if plan.estimate_sd else float(str(row["sd"]))
        return [_Term((study, treatment, week, own), 1.0)]
    if row["form"] == "change":
        start = _baseline_sd(entries, study, str(row["unit"]), plan)
        return [_Term((study, treatment, week, typical), 1.0), _Term((study, treatment, 0.0, start), -1.0)]
    comparator = str(row["comparator"])
    return [_Term((study, treatment, week, typical), 1.0), _Term((study, comparator, week, typical), -1.0)]


def _baseline_sd(entries: pd.DataFrame, study: str, unit: str, plan: Plan) -> float:
    mine = (entries["study_id"] == study) & (entries["unit"] == unit) & (entries["form"] == "mean")
    found = entries.loc[mine & (entries["weeks"] == 0), "sd"]
    return float(plan.spread.sd(0.0)) if plan.estimate_sd or found.empty else float(found.iloc[0])


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
