"""Responder counts: which rows are shares of patients by a definition that the model knows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import Field

from sim.core.errors import InputError
from sim.core.parts import Part
from sim.evidence import Evidence
from sim.evidence.vocabulary import RANGES
from sim.synthesis.priors import Reason
from sim.synthesis.screening import Choices, Rules, arm_rules, join_arms, with_reason

COUNT = [
    "study_id", "unit", "treatment", "weeks", "outcome", "reduction", "at_most", "value", "n", "file", "row",
    "note",
]  # fmt: skip
"""Columns of a count: ``value`` of ``n`` patients fell by the share ``reduction``, or are at ``at_most`` or
below (nan where the other holds)."""

UNNAMED = ("count", "percent", "pct_of_patients", "n_patients")
"""Words in the scale's column that name no scale: the definition is the outcome's."""


@dataclass(frozen=True)
class Definition:
    """Who counts: a fall by a share of the patient's own baseline, or a score at or below a limit."""

    reduction: float = np.nan
    at_most: float = np.nan


DEFINITIONS = {
    "responder_30": Definition(reduction=0.3),
    "responder_50": Definition(reduction=0.5),
    "pain_free": Definition(at_most=1.0),
}
"""By the outcome's word in the tables; 'free or nearly free of pain' is a rating of 0 or 1."""


class Omission(Part):
    """Counts of a study (or of one arm, or of one outcome) that stay out."""

    study: str
    arm: str | None = None
    outcome: str | None = None
    because: Reason

    def holds(self, rows: pd.DataFrame) -> pd.Series:
        """Which rows are meant."""
        meant = rows["study_id"] == self.study
        for column, wanted in (("arm_id", self.arm), ("outcome", self.outcome)):
            if wanted is not None:
                meant &= rows[column] == wanted
        return meant


class Limit(Part):
    """A study whose 'free of pain' is another rating than 0 or 1."""

    study: str
    at_most: float = Field(ge=0, le=10)
    because: Reason


class Responders(Part):
    """Responder counts that enter beside means and SDs."""

    exclude: tuple[Omission, ...] = ()
    limits: tuple[Limit, ...] = ()

    def screen(self, tables: Evidence, choices: Choices, by_contrast: frozenset[str]) -> pd.DataFrame:
        """Responder rows with definition and ``reason`` ("" = enters).

        ``by_contrast`` are the studies that enter by a contrast: their counts would be the same patients
        again.

        Raises
        ------
        InputError
            A name in ``exclude`` or ``limits`` matches no row.
        """
        rows = join_arms(tables, tuple(DEFINITIONS))
        rows["treatment"] = choices.node(rows["treatment"])
        for column in ("reduction", "at_most"):
            rows[column] = [getattr(DEFINITIONS[outcome], column) for outcome in rows["outcome"]]
        for limit in self.limits:
            meant = (rows["study_id"] == limit.study) & rows["at_most"].notna()
            _require(meant, f"limits: study '{limit.study}' has no row of pain_free")
            rows.loc[meant, "at_most"] = limit.at_most
        rows = with_reason(rows, self._rules(rows, choices, by_contrast))
        kept = rows[rows["reason"] == ""].groupby("study_id")["treatment"].agg(set)
        alone = [s for s, names in kept.items() if len(names) == 1 and names != {choices.reference}]
        lonely = (rows["reason"] == "") & rows["study_id"].isin(alone)
        return rows.assign(reason=rows["reason"].mask(lonely, "one treatment left: no randomised comparison"))

    def _rules(self, rows: pd.DataFrame, choices: Choices, by_contrast: frozenset[str]) -> Rules:
        yield from arm_rules(rows, choices)
        for omission in self.exclude:
            meant = omission.holds(rows)
            _require(meant, f"exclude: study '{omission.study}' has no such responder row")
            yield meant, omission.because
        yield ~rows["scale"].isin([*RANGES, *UNNAMED]), "no pain scale: " + rows["scale"]
        yield ~rows["statistic"].isin(["count", "percent"]), "statistic: " + rows["statistic"]
        yield rows["denominator"].isna(), "no denominator"
        yield ~(rows["weeks"] > 0), "no week of follow-up"
        yield (
            rows["study_id"].isin(by_contrast),
            "the study enters by its contrast, not also by its responders",
        )


def _require(meant: pd.Series, what: str) -> None:
    if not meant.any():
        raise InputError(f"patients.responders.{what}")


def as_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn the rows that enter into counts; a percentage becomes the nearest whole number of patients."""
    kept = rows[rows["reason"] == ""]
    percent = (kept["value"] * kept["denominator"] / 100).round()
    value = kept["value"].mask(kept["statistic"] == "percent", percent)
    made = kept.assign(value=value, n=kept["denominator"])[COUNT]
    return made.sort_values(["study_id", "unit", "weeks", "row"], ignore_index=True)
