"""Responder counts of a held-out study, foretold from the others."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from sim.synthesis.network import Counts, Floats, Ints, Network

FORM = "responders"


def held_counts(network: Network, study: str) -> Ints:
    """Places of the counts of the study's follow-up."""
    if network.counts is None:
        return np.zeros(0, dtype=np.int64)
    cell, cells = network.counts.cell, network.cells
    mine = (cells.study[cell] == network.studies.index(study)) & (cells.week[cell] > 0)
    return np.flatnonzero(mine)


def score_counts(network: Network, study: str, share: Floats, levels: tuple[float, ...]) -> pd.DataFrame:
    """Set each count, as a share, beside its predictive distribution, in the columns of ``backtest.score``.

    Over posterior draws of the expected share the prediction is a mixture of binomials. The PIT is that at
    the middle of the count's own probability (the non-randomised form of Czado et al. 2009,
    doi:10.1111/j.1541-0420.2009.01191.x).

    Parameters
    ----------
    share
        Expected share of each count of the network, shape (draw, count).
    """
    counts = network.counts
    if counts is None:
        return pd.DataFrame()
    rows = [
        _scored(network, counts, (int(i), study), share[:, i], levels) for i in held_counts(network, study)
    ]
    return pd.DataFrame(rows)


def _scored(
    network: Network, counts: Counts, which: tuple[int, str], share: Floats, levels: tuple[float, ...]
) -> dict[str, Any]:
    """One count: the probability of every possible number of responders, then its place among them."""
    i, study = which
    cell, n, seen = counts.cell[i], round(float(counts.n[i])), round(float(counts.value[i]))
    chance = np.asarray(binom.pmf(np.arange(n + 1)[:, None], n, share)).mean(axis=1)
    below = np.cumsum(chance)
    mean = float(np.arange(n + 1) @ chance) / n
    square = float(np.arange(n + 1) ** 2 @ chance) / n**2
    row: dict[str, Any] = {
        "study": study,
        "treatment": network.treatments[network.arm_treatment[network.cells.arm[cell]]],
        "comparator": "",
        "week": float(network.cells.week[cell]),
        "form": FORM,
        "reported": seen / n,
        "mean": mean,
        "sd": float(np.sqrt(max(square - mean**2, 0.0))),
    }
    for level in levels:
        name = f"{level:.0%}".rstrip("%")
        row[f"low_{name}"] = float(np.searchsorted(below, 0.5 - level / 2)) / n
        row[f"high_{name}"] = float(np.searchsorted(below, 0.5 + level / 2)) / n
    return row | {"pit": float(below[seen] - chance[seen] / 2), "log_score": float(np.log(chance[seen]))}
