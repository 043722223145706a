"""Differences of two runs' operating characteristics, each with its own Monte Carlo error."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.archive import SUCCESS
from sim.core.errors import InputError
from sim.designs import WITHIN
from sim.performance import COLUMNS, FAMILY, of_family, one_truth, successes
from sim.results import Results
from sim.study import Study

Floats = NDArray[np.float64]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """One characteristic in both runs; ``mcse`` is that of ``second`` less ``first``.

    Attributes
    ----------
    n
        Patients in the first and the second run.
    paired
        Whether the same patients were seen by both, so that what they share cancels.
    """

    protocol: str
    scenario: str
    n: tuple[int, int]
    estimand: str
    arm: str
    metric: str
    first: float
    second: float
    mcse: float
    paired: bool

    @property
    def difference(self) -> float:
        """The second run's value less the first's."""
        return self.second - self.first

    @property
    def verdict(self) -> str:
        """What the difference shows beyond the error of the simulation."""
        if self.difference == 0 and (self.paired or not self.mcse):
            return "equal"
        if not abs(self.difference) > WITHIN * self.mcse:
            return f"within {WITHIN:g} Monte Carlo errors"
        return "higher" if self.difference > 0 else "lower"


@dataclass(frozen=True)
class Run:
    """A finished run: its study, its table, and each replicate's share in a characteristic."""

    results: Results

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Open the run in ``folder``.

        Raises
        ------
        InputError
            The folder holds no finished run, or a study that this version cannot read.
        """
        run = cls(Results.open(folder))
        if not (folder / "provenance.json").exists():
            raise InputError(f"{folder}: holds no finished run (no provenance.json)")
        return run

    @cached_property
    def study(self) -> Study:
        """The study with everything resolved."""
        return Study.load(self.results.folder / "study.yaml")

    @cached_property
    def rows(self) -> dict[Key, Mapping[str, Any]]:
        """Rows of the operating characteristics; the size of the whole trial is not part of the key."""
        found: dict[Key, Mapping[str, Any]] = {}
        for row in self.results.characteristics.fillna({"estimand": "", "arm": ""}).to_dict("records"):
            whole = row["n"] == self.study.protocols[str(row["protocol"])].n
            names = (str(row[name]) for name in ("protocol", "scenario", "estimand", "arm", "metric"))
            found[(*names, "" if whole else str(row["n"]))] = {c: row[c] for c in COLUMNS}
        return found

    def shares(self, row: Mapping[str, Any]) -> Floats | None:
        """What each replicate adds to a characteristic, (replicate,); None where no record tells."""
        table = _TABLES.get(row["metric"])
        if table is None:
            return None
        records = self._records[row["protocol"], row["scenario"], table].sort_values("replicate")
        if table == "arms":
            week = self.study.protocols[row["protocol"]].primary_week
            return _arm_share(records[records["arm"] == row["arm"]], row, week)
        chosen = records[records["n"] == row["n"]]
        if table == "trials":
            return np.asarray(chosen["finished"], dtype=np.float64)
        if row["metric"] in FAMILY:
            every = row["metric"].startswith("conjunctive")
            chosen = chosen[of_family(self.study.protocols[row["protocol"]], chosen)]
            won = successes(chosen["replicate"].to_numpy(), chosen["success"].to_numpy(), every)
            return np.asarray(won, dtype=np.float64)
        chosen = chosen[(chosen["estimand"] == row["estimand"]) & (chosen["arm"] == row["arm"])]
        drawn = self.study.scenarios[row["scenario"]].claims.is_drawn
        return _estimate_share(chosen, row["metric"], drawn)

    @cached_property
    def _records(self) -> "_Records":
        return _Records(self.results)


class _Records(dict[tuple[str, str, str], Any]):
    """Records of a run by protocol, scenario and table, each read when first asked for."""

    def __init__(self, results: Results) -> None:
        super().__init__()
        self.results = results

    def __missing__(self, key: tuple[str, str, str]) -> Any:
        self[key] = self.results.records(*key)
        return self[key]


_TABLES = {
    **dict.fromkeys((*SUCCESS, *FAMILY, "failed", "truth", "bias", "rmse", "coverage"), "estimates"),
    **dict.fromkeys(("empirical_se", "mean_se"), "estimates"),
    **dict.fromkeys(("responder_rate", "mean_change", "dropout"), "arms"),
    "duration_weeks": "trials",
}
"""Which records a characteristic is computed from."""


def _estimate_share(rows: Any, metric: str, drawn: bool) -> Floats:
    """Each replicate's term in the mean (or, for a root or an SD, in the mean square) behind a metric."""
    column = {name: rows[name].to_numpy(float) for name in ("estimate", "se", "low", "high", "truth")}
    estimate, truth = column["estimate"], column["truth"]
    if not drawn:
        truth, _ = one_truth(truth)
    error = estimate - truth
    terms = {
        "failed": np.isnan(estimate),
        "truth": column["truth"],
        "bias": error,
        "rmse": error**2,
        "coverage": (column["low"] <= truth) & (truth <= column["high"]),
        "empirical_se": (error - error[~np.isnan(error)].mean()) ** 2,
        "mean_se": column["se"],
    }
    return np.asarray(terms.get(metric, rows["success"].to_numpy()), dtype=np.float64)


def _arm_share(rows: Any, row: Mapping[str, Any], week: float) -> Floats:
    at_visit, metric = rows[rows["week"] == week], row["metric"]
    if metric == "mean_change":
        change = at_visit["score_sum"] - at_visit["start_sum"]
        return np.asarray(change / at_visit["observed"], dtype=np.float64)
    count = "left" if metric == "dropout" else row["estimand"]
    return np.asarray(at_visit[count] / at_visit["randomised"], dtype=np.float64)


def differences(first: Run, second: Run) -> Iterator[Difference]:
    """Yield the difference of every characteristic that both runs have."""
    for key, row in first.rows.items():
        other = second.rows.get(key)
        if other is not None and not np.isnan([row["value"], other["value"]]).any():
            yield _difference((first, second), (row, other))


def _difference(runs: tuple[Run, Run], rows: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Difference:
    a, b = rows
    same_patients = runs[0].study.seed == runs[1].study.seed
    shares = [run.shares(row) if same_patients else None for run, row in zip(runs, rows, strict=True)]
    correlation = common_correlation(*shares)
    return Difference(
        protocol=str(a["protocol"]),
        scenario=str(a["scenario"]),
        n=(int(a["n"]), int(b["n"])),
        estimand=str(a["estimand"]),
        arm=str(a["arm"]),
        metric=str(a["metric"]),
        first=float(a["value"]),
        second=float(b["value"]),
        mcse=error_of_difference(
            (a["mcse"], b["mcse"]), (int(a["replicates"]), int(b["replicates"])), correlation or 0.0
        ),
        paired=correlation is not None,
    )


def common_correlation(first: Floats | None, second: Floats | None) -> float | None:
    """Correlation of two characteristics over the replicates that both runs have; None without records."""
    if first is None or second is None:
        return None
    common = min(len(first), len(second))
    pairs = np.stack([first[:common], second[:common]])
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    if pairs.shape[1] < 2 or not pairs.std(axis=1).all():
        return 0.0
    return float(np.asarray(np.corrcoef(pairs))[0, 1])


def error_of_difference(
    errors: tuple[float, float], replicates: tuple[int, int], correlation: float
) -> float:
    """Monte Carlo error of the difference of two means that have the first replicates in common.

    Var(A − B) = Var A + Var B − 2 Cov(A, B), where only the common replicates, min(R_A, R_B) of them,
    contribute to Cov(A, B) = ρ σ_A σ_B min / (R_A R_B) = ρ SE_A SE_B √(min / max); with as many
    replicates in both it is the error of paired differences.
    """
    a, b = errors
    shared = correlation * a * b * np.sqrt(min(replicates) / max(replicates))
    return float(np.sqrt(max(a * a + b * b - 2 * shared, 0.0)))
