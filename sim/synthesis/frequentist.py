"""The frequentist answer beside each pooled effect: pair by pair, and over the network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from sim.synthesis.heterogeneity import Studies
from sim.synthesis.network_check import Fit, Network, Study, decompose, estimate_tau2, split
from sim.synthesis.pairwise import pool

Z = 1.959963984540054
ONE, PAIRWISE, NETWORK = "one study", "REML, Hartung-Knapp", "network, REML"
FEWEST_TO_PREDICT = 3
COLUMNS = ["treatment", "comparator", "k", "method", "estimate", "low", "high", "tau2", "i2",
           "predict_low", "predict_high"]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Check:
    """Frequentist meta-analysis of the differences that the studies report.

    A review counts as one study. ``order`` lists the treatments, the reference first: a pair is told as the
    later treatment against the earlier.
    """

    studies: tuple[Study, ...]
    order: tuple[str, ...]

    @cached_property
    def network(self) -> Network:
        """Studies joined to the reference by some path; the others cannot be compared with it."""
        joined, grown = {self.order[0]}, True
        while grown:
            more = {t for s in self.studies if joined & set(s.treatments) for t in s.treatments}
            grown = not more <= joined
            joined |= more
        return Network(tuple(study for study in self.studies if set(study.treatments) <= joined))

    @cached_property
    def fit(self) -> Fit | None:
        """Network meta-analysis at REML's τ² (0 where nothing is left for it); None without studies."""
        if not self.network.studies:
            return None
        return self.network.fit(estimate_tau2(self.network, "REML") if self.network.df else 0.0)

    def pairs(self) -> Iterator[tuple[str, str, Studies]]:
        """Each pair compared within a study, with its studies' differences."""
        for first, second in combinations(self.order, 2):
            found = [d for study in self.studies if (d := _difference(study, second, first))]
            if found:
                value, variance = np.array(found).T
                yield second, first, Studies(value, variance)

    def table(self) -> pd.DataFrame:
        """Columns ``COLUMNS``: each pair alone, then each treatment over the network."""
        rows = [_pooled(*pair) for pair in self.pairs()]
        return pd.DataFrame([*rows, *self._over_network()], columns=COLUMNS)

    def _over_network(self) -> Iterator[dict[str, Any]]:
        if self.fit is None:
            return
        i2 = decompose(self.network).i2 if self.network.df else np.nan
        for treatment in self.order[1:]:
            if treatment not in self.network.treatments:
                continue
            value, se = self.fit.contrast(treatment, self.order[0])
            wide = float(np.sqrt(se**2 + self.fit.tau2))
            k = sum(treatment in study.treatments for study in self.network.studies)
            yield {
                "treatment": treatment, "comparator": self.order[0], "k": k, "method": NETWORK,
                "estimate": value, "low": value - Z * se, "high": value + Z * se,
                "tau2": self.fit.tau2, "i2": i2,
                "predict_low": value - Z * wide, "predict_high": value + Z * wide,
            }  # fmt: skip

    def inconsistency(self) -> pd.DataFrame:
        """Does direct evidence agree with indirect? The network's Q by design, then each comparison split.

        Columns ``what, treatment, comparator, direct, indirect, statistic, df, p``.
        """
        rows: list[Mapping[str, Any]] = []
        if self.fit is not None and self.network.df:
            q = decompose(self.network)
            told = {"statistic": q.inconsistency, "df": q.df_inconsistency, "p": q.p_inconsistency}
            rows += [{"what": "between designs (common effect)", **told}] if q.df_inconsistency else []
            rows += self._splits(self.fit.tau2)
        columns = ["what", "treatment", "comparator", "direct", "indirect", "statistic", "df", "p"]
        return pd.DataFrame(rows, columns=columns)

    def _splits(self, tau2: float) -> Iterator[dict[str, Any]]:
        for treatment, comparator, _ in self.pairs():
            if not {treatment, comparator} <= set(self.network.treatments):
                continue
            found = split(self.network, treatment, comparator, tau2)
            if found:
                yield {
                    "what": "direct against indirect", "treatment": treatment, "comparator": comparator,
                    "direct": found.direct, "indirect": found.indirect, "p": found.p,
                }  # fmt: skip


def _difference(study: Study, treatment: str, comparator: str) -> tuple[float, float] | None:
    """Difference of two arms of a study and its variance, or None where it has not both."""
    if not {treatment, comparator} <= set(study.treatments):
        return None
    i, j = study.treatments.index(treatment), study.treatments.index(comparator)
    position = np.append(0.0, study.effect)
    return float(position[i] - position[j]), float(study.variance[i] + study.variance[j])


def _pooled(treatment: str, comparator: str, studies: Studies) -> dict[str, Any]:
    k = len(studies.estimate)
    named = {"treatment": treatment, "comparator": comparator, "k": k}
    if k == 1:
        value, half = float(studies.estimate[0]), Z * float(np.sqrt(studies.variance[0]))
        return {**named, "method": ONE, "estimate": value, "low": value - half, "high": value + half}
    made = pool(studies, "REML", "knapp_hartung")
    low, high = made.interval()
    told = {
        "estimate": made.estimate,
        "low": low,
        "high": high,
        "tau2": made.tau2,
        "i2": studies.i2(made.tau2),
    }
    if k >= FEWEST_TO_PREDICT:
        told["predict_low"], told["predict_high"] = made.prediction_interval(df=k - 2)
    return {**named, "method": PAIRWISE, **told}
