"""Operating characteristics of how trials are run: waiting, kits of the drug, and money."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.performance import Characteristic, Measured, average, proportion
from sim.protocol import Protocol

Floats = NDArray[np.float64]
Table = Mapping[str, Any]

QUANTILES = {"cost_q05": 0.05, "cost_q50": 0.5, "cost_q95": 0.95}
BEFORE = {
    "held up": "wait_to_randomisation",
    "lost before": "lost_before_randomisation",
    "visits outside": "visits_outside",
}
"""Metrics of a trial by the column that holds them."""
Z = 1.959964


def run_of_trials(protocol: Protocol, estimates: Table, trials: Table) -> Iterator[Characteristic]:
    """Yield what only some operations know of a protocol's trials, at each size."""
    for size in np.unique(trials["n"]).tolist():
        mine = Rows(size, {name: column[trials["n"] == size] for name, column in trials.items()})
        if "unfinished" in trials:
            yield mine.of("unfinished", proportion(mine["unfinished"]))
        if "screened" in trials:
            yield mine.of("screened", average(mine["screened"]))
        for column, metric in BEFORE.items():
            if column in trials:
                yield mine.of(metric, average(mine[column]))
        for arm in (arm.name for arm in protocol.arms if f"waited {arm.name}" in trials):
            yield from _waiting(mine, arm)
        if "kits shipped" in trials and not np.isnan(mine["kits shipped"]).all():
            yield from _kits(mine, protocol)
        if "cost" in trials:
            yield from _money(mine, protocol)
            yield from _success_for_money(mine, protocol, estimates)


class Rows:
    """The trials of one size, as columns (replicate,)."""

    def __init__(self, size: int, columns: Table):
        self._size, self._columns = size, columns

    def __getitem__(self, name: str) -> Floats:
        """Take a column as numbers."""
        return np.asarray(self._columns[name], dtype=np.float64)

    def of(self, metric: str, found: Measured, arm: str = "", estimand: str = "") -> Characteristic:
        """Lay a number out as a row of the tidy table."""
        replicates = len(self["replicate"])
        return Characteristic(self._size, estimand, arm, metric, found.value, found.mcse, replicates)

    def successes(self, estimates: Table, estimand: str, arm: str) -> Floats:
        """Whether each trial succeeds, (replicate,), in the order of the trials."""
        rows = (estimates["n"] == self._size) & (estimates["estimand"] == estimand)
        rows &= estimates["arm"] == arm
        order = np.argsort(np.asarray(estimates["replicate"])[rows])
        place = np.searchsorted(np.asarray(estimates["replicate"])[rows][order], self["replicate"])
        return np.asarray(np.asarray(estimates["success"])[rows][order][place], dtype=np.float64)


def _waiting(rows: Rows, arm: str) -> Iterator[Characteristic]:
    """Yield how long those who began had waited, how many had to, and how many never began."""
    begun, never = rows[f"begun {arm}"], rows[f"never began {arm}"]
    with np.errstate(invalid="ignore"):
        yield rows.of("waiting_weeks", average(rows[f"waited {arm}"] / begun), arm)
        yield rows.of("never_treated", average(never / (begun + never)), arm)
        yield rows.of("delayed", average((rows[f"delayed {arm}"] + never) / (begun + never)), arm)


def _kits(rows: Rows, protocol: Protocol) -> Iterator[Characteristic]:
    """Yield the kits sent to sites, those that nobody took, and the weeks that a patient went without."""
    yield rows.of("kits_shipped", average(rows["kits shipped"]))
    yield rows.of("kits_wasted", average(rows["kits shipped"] - rows["kits taken"]))
    for arm in protocol.arms:
        with np.errstate(invalid="ignore"):
            yield rows.of("gap_weeks", average(rows[f"gap {arm.name}"] / rows[f"begun {arm.name}"]), arm.name)


def _money(rows: Rows, protocol: Protocol) -> Iterator[Characteristic]:
    """Yield the mean cost, its quantiles over trials, and the mean cost of each arm's patients."""
    yield rows.of("cost", average(rows["cost"]))
    for metric, level in QUANTILES.items():
        yield rows.of(metric, quantile(rows["cost"], level))
    for arm in protocol.arms:
        yield rows.of("cost", average(rows[f"cost {arm.name}"]), arm.name)


def _success_for_money(rows: Rows, protocol: Protocol, estimates: Table) -> Iterator[Characteristic]:
    """Yield what one success costs on average: all trials' cost by the number that succeed."""
    estimand = protocol.looks[0].analysis.estimand
    for arm in protocol.estimands[estimand].contrast.of:
        won, cost = rows.successes(estimates, estimand, arm), rows["cost"]
        if won.any():
            yield rows.of("cost_per_success", ratio(cost, won), arm, estimand)


def ratio(above: Floats, below: Floats) -> Measured:
    """Ratio of two means over the same trials, with its delta-method error (Cochran 1977, section 6.3)."""
    value = float(above.mean() / below.mean())
    if len(above) < 2:
        return Measured(value, np.nan)
    spread = (above - value * below).std(ddof=1) / np.sqrt(len(above))
    return Measured(value, float(spread / below.mean()))


def quantile(values: Floats, level: float) -> Measured:
    """Quantile over trials; its error is the width of its 95 % interval by order statistics, over 2 × 1.96.

    The interval holds for any distribution (Conover 1999, section 3.2).
    """
    ordered, n = np.sort(values), len(values)
    half = Z * np.sqrt(n * level * (1 - level))
    low, high = np.clip(np.round([n * level - half, n * level + half]), 0, n - 1).astype(int)
    return Measured(
        float(np.quantile(values, level, method="median_unbiased")),
        float((ordered[high] - ordered[low]) / (2 * Z)),
    )
