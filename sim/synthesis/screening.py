"""Which rows enter a synthesis: every other pain row gets the first reason that keeps it out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd

from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.evidence import Evidence
from sim.evidence.vocabulary import CHANGES, RANGES, STAGES

CHECK = "kept aside to check the fit"
Scales = Mapping[str, tuple[float, float]]
Rules = Iterator[tuple[pd.Series, str | pd.Series]]


@dataclass(frozen=True)
class Choices:
    """What decides which rows enter, and how: from the configuration.

    ``treatments`` maps a treatment to its class; ``omitted`` a study, or a study and arm, to the reason;
    ``weeks`` holds (study, words in the note, weeks) where a row prints none; ``correlation`` is that
    of one patient's pain over a gap of weeks; ``sd_stages`` are the stages whose SDs are pooled;
    ``lumped`` maps a treatment to the one it counts as; ``scales`` are ranges that hold whatever a row
    prints.
    """

    stage: str
    provenance: tuple[str, ...]
    treatments: Mapping[str, str]
    admitted: frozenset[str]
    omitted: Mapping[tuple[str, str | None], str]
    weeks: tuple[tuple[str, str, float], ...]
    correlation: Callable[[float], float]
    reference: str
    sd_stages: tuple[str, ...]
    lumped: Mapping[str, str] = field(default_factory=dict)
    outcome: str = "pain"
    scales: Scales = field(default_factory=dict)

    def node(self, treatments: pd.Series) -> pd.Series:
        """Treatments as the network knows them: those that are lumped under the name of their node."""
        return treatments.map(lambda name: self.lumped.get(name, name))

    def omission(self, study: str, arm: str | None) -> str:
        """Reason why the configuration leaves this arm out, or ""."""
        return self.omitted.get((study, None)) or self.omitted.get((study, arm)) or ""

    def week(self, study: str, note: str) -> float:
        """Week assumed for a row that prints none, or nan."""
        found = [weeks for s, words, weeks in self.weeks if s == study and words in note]
        return found[0] if found else float("nan")


def require_known(tables: Evidence, choices: Choices) -> None:
    """Check that the studies and arms that the configuration names exist.

    Raises
    ------
    InputError
        One line for each name that the tables do not have.
    """
    studies = set(tables.studies["study_id"])
    named = {s for s, _ in choices.omitted} | choices.admitted | {s for s, _, _ in choices.weeks}
    arms = set(zip(tables.arms["study_id"], tables.arms["arm_id"], strict=True))
    lost = [
        f"study '{s}' is not in the evidence:{suggest(s, studies).partition(' allowed')[0]}"
        for s in sorted(named - studies)
    ]
    lost += [
        f"exclude: study '{s}' has no arm '{a}'"
        for s, a in choices.omitted
        if a is not None and s in studies and (s, a) not in arms
    ]
    if lost:
        raise InputError(*lost)


def screen_arms(tables: Evidence, choices: Choices) -> pd.DataFrame:
    """Pain rows of arms with ``reason`` ("" = may enter), values still on the source's scale."""
    rows = join_arms(tables, (choices.outcome,), choices.scales)
    rows["treatment"] = choices.node(rows["treatment"])
    rows["form"] = np.where(rows["statistic"].isin(CHANGES), "change", "mean")
    return with_reason(rows, _mean_rules(rows, choices))


def screen_contrasts(tables: Evidence, choices: Choices) -> pd.DataFrame:
    """Pain rows of contrasts with ``reason``: "" (may enter), ``CHECK``, or why not."""
    rows = tables.contrasts[tables.contrasts["outcome"] == choices.outcome].reset_index(drop=True)
    rows = rows.merge(tables.studies[["study_id", "stage"]], on="study_id", how="left")
    for side in ("treatment", "comparator"):
        rows[side] = choices.node(rows[side])
    rows["stage"] = [_stage(p, s) for p, s in zip(rows["population"], rows["stage"], strict=True)]
    rows["weeks"] = [
        choices.week(s, note) if np.isnan(w) else w
        for s, note, w in zip(rows["study_id"], rows["note"], rows["weeks"], strict=True)
    ]
    rows = _ranged(rows, choices.scales)
    return with_reason(rows, _contrast_rules(rows, choices))


def once_each(
    arms: pd.DataFrame, contrasts: pd.DataFrame, reference: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Let each comparison in once: by its arms where they report a follow-up, else by its contrast.

    Follow-up of a single treatment compares nothing and stays out, unless it is the reference, whose arms
    show the course by themselves.
    """
    kept = arms[arms["reason"] == ""]
    followed = set(kept.loc[kept["weeks"] > 0, "study_id"])
    by_arm = contrasts["study_id"].isin(followed) & (contrasts["reason"] == "")
    contrasts = contrasts.assign(
        reason=contrasts["reason"].mask(by_arm, "the study enters by its arms, not also by its contrast")
    )
    lonely = (arms["reason"] == "") & arms["study_id"].isin(_one_treatment(kept, reference))
    arms = arms.assign(reason=arms["reason"].mask(lonely, "one treatment left: no randomised comparison"))
    followed -= set(arms.loc[lonely, "study_id"])
    compared = set(contrasts.loc[contrasts["reason"] == "", "study_id"])
    alone = (arms["reason"] == "") & ~arms["study_id"].isin(followed | compared)
    reason = arms["reason"].mask(alone, "only a baseline: no follow-up of this study enters")
    reason = reason.mask(
        (reason == "") & _redundant(arms[reason == ""], arms.index), "the means say it already"
    )
    again = arms.assign(live=reason == "").duplicated(["study_id", "unit", "form", "weeks", "live"])
    return arms.assign(reason=reason.mask((reason == "") & again, "the same number, repeated")), contrasts


def _one_treatment(kept: pd.DataFrame, reference: str) -> set[str]:
    seen = kept[kept["weeks"] > 0].groupby("study_id")["treatment"].agg(set)
    return {str(study) for study, names in seen.items() if len(names) == 1 and names != {reference}}


def _redundant(kept: pd.DataFrame, index: pd.Index) -> pd.Series:
    """Changes whose two means, at baseline and at that week, also enter."""
    means = {(r.study_id, r.unit, r.weeks) for r in kept[kept["form"] == "mean"].itertuples()}
    known = {
        r.Index
        for r in kept[kept["form"] == "change"].itertuples()
        if {(r.study_id, r.unit, 0.0), (r.study_id, r.unit, r.weeks)} <= means
    }
    return pd.Series(index.isin(known), index=index)


def with_reason(frame: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Add ``reason``: what the first rule that a row breaks says, "" where it breaks none."""
    reason = pd.Series("", index=frame.index)
    for wrong, why in rules:
        texts = why if isinstance(why, pd.Series) else pd.Series(why, index=frame.index)
        reason = reason.where((reason != "") | ~wrong, texts)
    return frame.assign(reason=reason)


def join_arms(
    tables: Evidence, outcomes: tuple[str, ...], scales: Scales = MappingProxyType({})
) -> pd.DataFrame:
    """Rows of these outcomes with their arm and study, ``unit`` (the arm, or all of them) and patients."""
    studies = tables.studies[["study_id", "stage", "n_randomised"]].rename(
        columns={"n_randomised": "n_study"}
    )
    arms = tables.arms[["study_id", "arm_id", "treatment", "n_randomised", "n_analysed", "note"]]
    arms = arms.rename(columns={"note": "arm_note"})
    arms["arms"] = arms.groupby("study_id")["arm_id"].transform("size")
    rows = tables.outcomes[tables.outcomes["outcome"].isin(outcomes)].reset_index(drop=True)
    rows = _ranged(rows.merge(studies, on="study_id").merge(arms, on=["study_id", "arm_id"]), scales)
    shared = rows["note"].str.contains("POOLED|OVERALL") & (rows["weeks"] == 0)
    rows["unit"] = rows["arm_id"].mask(shared, "all arms")
    split = rows["n_study"] / rows["arms"]
    own = rows["n"].fillna(rows["n_analysed"]).fillna(rows["n_randomised"]).fillna(split)
    rows["n_from"] = np.where(
        rows[["n", "n_analysed", "n_randomised"]].notna().any(axis=1), "", "equal split of N"
    )
    denominator = rows["n"]
    return rows.assign(n=own.mask(shared, rows["n_study"].fillna(rows["n"])), denominator=denominator)


def _ranged(rows: pd.DataFrame, scales: Scales) -> pd.DataFrame:
    """Add the range of the scale: as ``scales`` has it, else from the row, else by its name."""
    named = [RANGES.get(scale, (np.nan, np.nan)) for scale in rows["scale"]]
    low = pd.Series([r[0] for r in named], index=rows.index, dtype=float)
    high = pd.Series([r[1] for r in named], index=rows.index, dtype=float)
    if "scale_min" in rows:
        low, high = rows["scale_min"].fillna(low), rows["scale_max"].fillna(high)
    for name, ends in scales.items():
        low, high = (
            side.mask(rows["scale"] == name, end) for side, end in zip((low, high), ends, strict=True)
        )
    return rows.assign(low=low, high=high, scale_known=low.notna() & high.notna())


def _stage(population: str, stage: str) -> str:
    """Stage named first in a contrast's population, else that of its study."""
    words = population.replace("/", " ").replace("(", " ").split()
    return next((word for word in words if word in STAGES), stage)


def shared_rules(rows: pd.DataFrame, choices: Choices) -> Rules:
    """Rules of every row, whatever it reports."""
    admitted = rows["study_id"].isin(choices.admitted)
    yield (rows["stage"] != choices.stage) & ~admitted, "stage: " + rows["stage"]
    yield ~rows["provenance"].isin(choices.provenance), "provenance: " + rows["provenance"]


def arm_rules(rows: pd.DataFrame, choices: Choices) -> Rules:
    """Rules of every row of an arm: whose it is, whatever it reports."""
    yield from shared_rules(rows, choices)
    omission = pd.Series(
        [choices.omission(s, a) for s, a in zip(rows["study_id"], rows["arm_id"], strict=True)],
        index=rows.index,
    )
    yield omission != "", omission
    yield rows["arm_note"].str.contains("pseudo-arm"), "a cohort, not a randomised arm"
    yield rows["arms"] < 2, "one arm: no randomised comparison"
    yield ~rows["treatment"].isin(list(choices.treatments)), "no class for treatment: " + rows["treatment"]


def _mean_rules(rows: pd.DataFrame, choices: Choices) -> Rules:
    yield from arm_rules(rows, choices)
    yield ~rows["statistic"].isin(["mean", *CHANGES]), "statistic: " + rows["statistic"]
    yield ~rows["scale_known"], "no pain scale of known range: " + rows["scale"]
    yield rows["weeks"].isna(), "no week"
    bare = ~rows["dispersion"].isin(["se", "ci95"]) & rows["n"].isna()
    yield bare, "no standard error and no number of patients"


def _contrast_rules(rows: pd.DataFrame, choices: Choices) -> Rules:
    yield rows["role"] == "context", "role: context"
    yield from shared_rules(rows, choices)
    omission = pd.Series([choices.omission(s, None) for s in rows["study_id"]], index=rows.index)
    yield omission != "", omission
    yield rows["favours_when"] == "", "not known which sign favours the treatment"
    yield ~rows["measure"].isin(["MD", "SMD"]), "measure: " + rows["measure"]
    yield rows[["estimate", "ci_low", "ci_high"]].isna().any(axis=1), "no confidence interval"
    yield (rows["measure"] == "MD") & ~rows["scale_known"], "no pain scale of known range: " + rows["scale"]
    yield rows["role"] == "check", CHECK
    for side in ("treatment", "comparator"):
        yield ~rows[side].isin(list(choices.treatments)), f"no class for {side}: " + rows[side]
    yield rows["treatment"] == rows["comparator"], "the same treatment on both sides"
    yield rows["weeks"].isna(), "no week"
