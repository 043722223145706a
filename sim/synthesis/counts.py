"""From reported counts to observations: how many patients of an arm had an event by a week."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.evidence import Evidence

COMPLETED = {"dropout_any": "completed"}
"""Outcomes that count everybody else: patients of the arm less those is the total."""
COUNTED = [
    "study_id",
    "arm_id",
    "treatment",
    "weeks",
    "rates",
    "rest",
    "count",
    "n",
    "n_from",
    "file",
    "rows",
]
"""Columns of a group; ``rest``: those without any of ``rates``, which are joined by ``+``."""


@dataclass(frozen=True)
class CountChoices:
    """Which rows enter.

    ``parts`` maps an outcome to its rate, ``totals`` a total to every rate that it adds up; ``treatments``
    maps a treatment to its class, ``omitted`` a study, or study and arm, to the reason.
    """

    stage: str
    provenance: tuple[str, ...]
    parts: Mapping[str, str]
    totals: Mapping[str, tuple[str, ...]]
    treatments: Mapping[str, str]
    admitted: frozenset[str]
    omitted: Mapping[tuple[str, str | None], str]
    reference: str

    @property
    def outcomes(self) -> frozenset[str]:
        """Every outcome that is looked at."""
        others = {COMPLETED[total] for total in self.totals if total in COMPLETED}
        return frozenset({*self.parts, *self.totals, *others})


@dataclass(frozen=True)
class Counted:
    """``entries``: one row a group of patients; ``exclusions``: every other row, with its reason."""

    entries: pd.DataFrame
    exclusions: pd.DataFrame


def count(tables: Evidence, choices: CountChoices) -> Counted:
    """Sort every row of the outcomes into groups of patients and exclusions.

    Raises
    ------
    InputError
        The choices name a study or outcome that the tables do not have, or nothing enters.
    """
    _require_known(tables, choices)
    rows = _rows(tables, choices)
    reason = pd.Series("", index=rows.index)
    for wrong, why in _rules(rows, choices):
        texts = why if isinstance(why, pd.Series) else pd.Series(why, index=rows.index)
        reason = reason.where((reason != "") | ~wrong, texts)
    rows = _once_each(rows.assign(reason=reason), choices)
    kept = rows[rows["reason"] == ""]
    if kept.empty:
        raise InputError(f"no count of stage '{choices.stage}' enters the synthesis")
    found = [group for _, arm in kept.groupby(["study_id", "arm_id"]) for group in _groups(arm, choices)]
    left_out = rows.loc[rows["reason"] != "", ["study_id", "file", "row", "reason"]]
    entries = pd.DataFrame(found, columns=COUNTED)
    return Counted(
        entries.sort_values(["study_id", "arm_id", "weeks", "rest", "rates"], ignore_index=True),
        left_out.sort_values(["file", "row"], ignore_index=True),
    )


def _require_known(tables: Evidence, choices: CountChoices) -> None:
    studies = set(tables.studies["study_id"])
    named = {study for study, _ in choices.omitted} | choices.admitted
    lost = [f"study '{s}' is not in the evidence" for s in sorted(named - studies)]
    outcomes = set(tables.outcomes["outcome"])
    wanted = {*choices.parts, *choices.totals}
    lost += [
        f"outcome '{o}' is not in the evidence:{suggest(o, outcomes)}" for o in sorted(wanted - outcomes)
    ]
    if lost:
        raise InputError(*lost)


def _rows(tables: Evidence, choices: CountChoices) -> pd.DataFrame:
    """Rows of the outcomes with their study and arm; ``count`` is rounded from a percentage."""
    studies = tables.studies[["study_id", "stage", "n_randomised"]].rename(
        columns={"n_randomised": "n_study"}
    )
    arms = tables.arms[["study_id", "arm_id", "treatment", "n_randomised", "note"]]
    arms = arms.rename(columns={"note": "arm_note"})
    arms["arms"] = arms.groupby("study_id")["arm_id"].transform("size")
    rows = tables.outcomes[tables.outcomes["outcome"].isin(choices.outcomes)]
    rows = rows.merge(studies, on="study_id").merge(arms, on=["study_id", "arm_id"]).reset_index(drop=True)
    printed = rows["n"].fillna(rows["n_randomised"])
    n = printed.fillna((rows["n_study"] / rows["arms"]).round())
    n_from = np.where(printed.notna(), "", "equal split of N")
    share = (rows["value"] / 100 * n).round()
    value = rows["value"].where(rows["statistic"] == "count", share)
    is_rest = rows["outcome"].isin(COMPLETED.values())
    totals = {other: total for total, other in COMPLETED.items()}
    return rows.assign(
        n=n, n_from=n_from, count=(n - value).where(is_rest, value), outcome=rows["outcome"].replace(totals)
    )


def _rules(rows: pd.DataFrame, choices: CountChoices) -> Iterator[tuple[pd.Series, str | pd.Series]]:
    admitted = rows["study_id"].isin(choices.admitted)
    yield (rows["stage"] != choices.stage) & ~admitted, "stage: " + rows["stage"]
    yield ~rows["provenance"].isin(choices.provenance), "provenance: " + rows["provenance"]
    omission = pd.Series(
        [
            choices.omitted.get((study, None)) or choices.omitted.get((study, arm)) or ""
            for study, arm in zip(rows["study_id"], rows["arm_id"], strict=True)
        ],
        index=rows.index,
    )
    yield omission != "", omission
    yield rows["arm_note"].str.contains("pseudo-arm"), "a cohort, not a randomised arm"
    yield rows["arms"] < 2, "one arm: no randomised comparison"
    yield rows["note"].str.contains("Kaplan-Meier"), "a Kaplan-Meier share, not a count"
    yield ~rows["statistic"].isin(["count", "percent"]), "statistic: " + rows["statistic"]
    yield ~rows["treatment"].isin(list(choices.treatments)), "no class for treatment: " + rows["treatment"]
    yield rows["weeks"].isna() | (rows["weeks"] <= 0), "no week after the start"
    yield rows["n"].isna() | (rows["n"] <= 0), "no number of patients"
    yield (rows["count"] < 0) | (rows["count"] > rows["n"]), "the count is outside 0 to n"


def _once_each(rows: pd.DataFrame, choices: CountChoices) -> pd.DataFrame:
    """Keep the last week of each arm's outcome, and studies that compare treatments or have the reference."""
    live = rows[rows["reason"] == ""].sort_values(["weeks", "row"])
    last = live.duplicated(["study_id", "arm_id", "outcome"], keep="last")
    earlier = rows.index.isin(live.index[last])
    rows = rows.assign(reason=rows["reason"].mask(earlier, "a later week, or the same number, enters"))
    seen = rows[rows["reason"] == ""].groupby("study_id")["treatment"].agg(set)
    lonely = {str(s) for s, names in seen.items() if len(names) == 1 and names != {choices.reference}}
    alone = (rows["reason"] == "") & rows["study_id"].isin(lonely)
    return rows.assign(reason=rows["reason"].mask(alone, "one treatment left: no randomised comparison"))


def _groups(arm: pd.DataFrame, choices: CountChoices) -> Iterator[dict[str, Any]]:
    """Split an arm's patients by what happened to them: each rate, what remains of a total, and the rest.

    A total's remainder is shared by the rates of it that the arm does not report at that week.
    """
    of_total = {rate: total for total, rates in choices.totals.items() for rate in rates}
    rates = {row.Index: choices.parts.get(str(row.outcome), "") for row in arm.itertuples()}
    outcomes = arm["outcome"].to_dict()
    keys = {i: of_total.get(rate, rate) or outcomes[i] for i, rate in rates.items()}
    for (_, weeks), block in arm.groupby([pd.Series(keys), "weeks"]):
        shown = {
            "study_id": block["study_id"].iloc[0], "arm_id": block["arm_id"].iloc[0],
            "treatment": block["treatment"].iloc[0], "weeks": weeks, "n": block["n"].max(),
            "n_from": block["n_from"].iloc[0], "file": block["file"].iloc[0],
            "rows": " ".join(str(row) for row in block["row"]),
        }  # fmt: skip
        counts = block["count"].to_dict()
        parts = {rates[i]: float(counts[i]) for i in block.index if rates[i]}
        totals = block[[not rates[i] for i in block.index]]
        if len(totals):
            left = tuple(r for r in choices.totals[str(totals["outcome"].iloc[0])] if r not in parts)
            remain = float(totals["count"].iloc[0]) - sum(parts.values())
            if remain < 0 or (remain > 0 and not left):
                raise InputError(
                    f"{shown['file']}: rows {shown['rows']}: the causes do not add up to the total"
                )
            parts |= {"+".join(left): remain} if left else {}
        for rate, number in parts.items():
            yield {**shown, "rates": rate, "rest": False, "count": number}
        rest = float(shown["n"]) - sum(parts.values())
        yield {**shown, "rates": "+".join(parts), "rest": True, "count": rest}
