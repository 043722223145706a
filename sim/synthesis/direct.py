"""Differences between treatments as the studies report them: one time of each study, its end of treatment."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.synthesis.network import Floats, Network
from sim.synthesis.network_check import Study


@dataclass(frozen=True, eq=False)
class Reported:
    """What one study says of its treatments at ``week``.

    Parameters
    ----------
    treatments
        In alphabetical order.
    weights
        Shape (treatment, row): turns the network's rows into each treatment's position; only differences
        between positions mean anything.
    covariance
        Of the rows, shape (row, row).
    shared
        Variance of the one arm with which contrasts compare; 0 where arms stand for themselves.
    """

    study: str
    week: float
    treatments: tuple[str, ...]
    weights: Floats
    covariance: Floats
    shared: float = 0.0

    def contrasts(self, observed: Floats) -> Study:
        """Contrasts with the first arm, points of 0 to 10, for a network meta-analysis."""
        position = self.weights @ observed
        own = np.diag(self.weights @ self.covariance @ self.weights.T)
        variance = np.where(own > 0, own - self.shared, self.shared)
        return Study(self.treatments, position[1:] - position[0], variance)

    def difference(self, treatment: str, comparator: str, rows: Floats) -> Floats:
        """Difference between two of its treatments, from rows (…, row): reported ones, or the fit's draws."""
        first, second = (self.weights[self.treatments.index(name)] for name in (treatment, comparator))
        return np.asarray(rows @ (first - second))

    def se(self, treatment: str, comparator: str) -> float:
        """Standard error of that difference as reported."""
        unit = np.eye(len(self.covariance))
        weight = self.difference(treatment, comparator, unit)
        return float(np.sqrt(weight @ self.covariance @ weight))


def reported_differences(network: Network, entries: pd.DataFrame) -> tuple[Reported, ...]:
    """Differences within each study at the follow-up nearest to its end of treatment.

    Arms are compared by their changes from baseline where every arm reports one, else by final means; arms of
    one treatment, and contrasts of one pair, are averaged by their precision. Contrasts of one study that do
    not share a comparator are taken as apart.

    Parameters
    ----------
    entries
        The rows of ``network``, in its order (see ``harmonise.ENTRY``).
    """
    root = np.linalg.inv(network.whiten)
    covariance = np.asarray(root @ root.T)
    found: list[Reported] = []
    for study, rows in entries[entries["weeks"] > 0].groupby("study_id", sort=True):
        now = _at_end(rows, float(network.end[network.studies.index(str(study))]))
        if now.empty:
            continue
        make = _of_contrasts if (now["form"] == "contrast").all() else _of_arms
        found += make(str(study), now, covariance)
    return tuple(found)


def _at_end(rows: pd.DataFrame, end: float) -> pd.DataFrame:
    """Rows that compare treatments at the week nearest to ``end`` (the earlier of two; the last of all where
    there is no end)."""
    contrasts = rows[rows["form"] == "contrast"]
    several = rows.groupby("weeks")["treatment"].transform("nunique") > 1
    compared = contrasts if len(contrasts) else rows[several]
    away = (compared["weeks"] - end).abs() if np.isfinite(end) else -compared["weeks"]
    week = compared.loc[away.index[away == away.min()], "weeks"].min()
    nearest: pd.DataFrame = compared[compared["weeks"] == week]
    return nearest


def _of_arms(study: str, rows: pd.DataFrame, covariance: Floats) -> Iterator[Reported]:
    changes = rows[rows["form"] == "change"]
    use = changes if set(changes["unit"]) == set(rows["unit"]) else rows[rows["form"] == "mean"]
    arms = {str(name): _average(mine, covariance) for name, mine in use.groupby("treatment")}
    if len(arms) > 1:
        week = float(rows["weeks"].iloc[0])
        yield Reported(study, week, tuple(arms), np.array(list(arms.values())), covariance)


def _of_contrasts(study: str, rows: pd.DataFrame, covariance: Floats) -> Iterator[Reported]:
    """A contrast is its treatment's position, the comparator's is 0."""
    week = float(rows["weeks"].iloc[0])
    for comparator, block in rows.groupby("comparator"):
        arms = {str(name): _average(mine, covariance) for name, mine in block.groupby("treatment")}
        weights = np.array(list(arms.values()))
        between = weights @ covariance @ weights.T
        apart = between[~np.eye(len(arms), dtype=bool)]
        shared = float(apart.mean() if len(apart) else between[0, 0] / 2)
        arms[str(comparator)] = np.zeros(len(covariance))
        names = tuple(sorted(arms))
        yield Reported(study, week, names, np.array([arms[name] for name in names]), covariance, shared)


def _average(rows: pd.DataFrame, covariance: Floats) -> Floats:
    """Weights of the mean of rows that estimate the same (generalised least squares), shape (row,)."""
    places = rows.index.to_numpy(dtype=np.int64)
    precision = np.linalg.inv(covariance[np.ix_(places, places)]).sum(axis=1)
    weights = np.zeros(len(covariance))
    weights[places] = precision / precision.sum()
    return weights
