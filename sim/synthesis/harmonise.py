"""From reported rows to one scale: 0 to 10 points, negative is better, each with its standard error."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from sim.core.errors import InputError
from sim.endpoints import latent_moments
from sim.evidence import Evidence
from sim.synthesis.responders import as_counts
from sim.synthesis.scales import BOUNDS, Floats, Spread, pooled_spread
from sim.synthesis.screening import CHECK, Choices, once_each, require_known, screen_arms, screen_contrasts

ENTRY = [
    "study_id", "unit", "form", "treatment", "comparator", "weeks", "value", "se", "sd", "n", "se_from",
    "n_from", "k", "file", "row", "note", "sd_reported",
]  # fmt: skip
"""Columns of an entry; ``sd`` is the latent between-patient SD of a mean (nan for changes and contrasts),
``sd_reported`` the SD that its row prints (nan where it prints none)."""


@dataclass(frozen=True)
class Harmonised:
    """``entries``: one row an observation (``form``: mean, change, contrast); ``checks``: pooled results kept
    aside; ``exclusions``: every pain row that is neither, with its reason; ``counts``: responders
    (``responders.COUNT``), where the synthesis takes them."""

    entries: pd.DataFrame
    checks: pd.DataFrame
    exclusions: pd.DataFrame
    spread: Spread
    counts: pd.DataFrame = field(default_factory=pd.DataFrame)

    def with_responders(self, rows: pd.DataFrame) -> "Harmonised":
        """Add screened responder rows (``responders.screen``): as counts, or as exclusions."""
        left_out = rows.loc[rows["reason"] != "", ["study_id", "file", "row", "reason"]]
        exclusions = pd.concat([self.exclusions, left_out]).sort_values(["file", "row"], ignore_index=True)
        return replace(self, counts=as_counts(rows), exclusions=exclusions)


def harmonise(tables: Evidence, choices: Choices) -> Harmonised:
    """Sort every pain row of the tables into entries, checks and exclusions.

    Raises
    ------
    InputError
        The configuration names a study that the tables do not have, or nothing enters.
    """
    require_known(tables, choices)
    arms, contrasts = screen_arms(tables, choices), screen_contrasts(tables, choices)
    spread = pooled_spread(_reported_sds(arms, choices))
    arms, contrasts = once_each(arms, contrasts, choices.reference)
    entries = pd.concat(
        [
            _arm_entries(arms[arms["reason"] == ""], spread, choices),
            _contrast_entries(contrasts[contrasts["reason"] == ""], spread),
        ]
    )
    if entries.empty:
        raise InputError(f"no row of stage '{choices.stage}' enters the synthesis")
    left_out = [
        f.loc[~f["reason"].isin(["", CHECK]), ["study_id", "file", "row", "reason"]]
        for f in (arms, contrasts)
    ]
    return Harmonised(
        entries.sort_values(["study_id", "unit", "weeks", "row"], ignore_index=True),
        _contrast_entries(contrasts[contrasts["reason"] == CHECK], spread).reset_index(drop=True),
        pd.concat(left_out).sort_values(["file", "row"], ignore_index=True),
        spread,
    )


def _factor(rows: pd.DataFrame) -> pd.Series:
    factor: pd.Series = (BOUNDS[1] - BOUNDS[0]) / (rows["high"] - rows["low"])
    return factor


def _reported_sds(arms: pd.DataFrame, choices: Choices) -> pd.DataFrame:
    """SDs of pain that the stage's trials print, also of those that do not enter the fit."""
    use = (
        arms["stage"].isin(choices.sd_stages)
        & arms["provenance"].isin(choices.provenance)
        & arms["scale_known"]
    )
    rows = arms[use & (arms["form"] == "mean") & (arms["dispersion"] == "sd")]
    if rows["study_id"].nunique() < 3:
        stages = ", ".join(choices.sd_stages)
        raise InputError(f"sd_from: fewer than 3 studies of stage {stages} print an SD: none can be pooled")
    return rows.assign(sd=rows["disp_value"] * _factor(rows))[["study_id", "weeks", "sd"]]


def _arm_entries(rows: pd.DataFrame, spread: Spread, choices: Choices) -> pd.DataFrame:
    factor = _factor(rows)
    value = rows["value"].where(rows["form"] == "change", rows["value"] - rows["low"]) * factor
    assumed = pd.Series(
        [
            spread.change_sd(w, choices.correlation(w)) if form == "change" else float(spread.assumed_sd(w))
            for w, form in zip(rows["weeks"], rows["form"], strict=True)
        ],
        index=rows.index,
        dtype=float,
    )
    printed = rows["disp_value"] * factor
    half = (rows["disp_high"] - rows["disp_low"]) * factor / 2
    root_n, kind = np.sqrt(rows["n"]), rows["dispersion"]
    choice = [kind == "se", kind == "ci95", kind == "sd"]
    se = np.select(choice, [printed, half / _quantile(rows["n"] - 1), printed / root_n], assumed / root_n)
    made: dict[str, Any] = {"value": value, "se": se, "comparator": "", "k": 1.0}
    made["sd"] = assumed.where(rows["form"] != "change")
    given = (rows["form"] == "mean") & (kind == "sd")
    made["sd_reported"] = printed.where(given)
    made["sd"][given] = [
        latent_moments(m, s, BOUNDS)[1] for m, s in zip(value[given], printed[given], strict=True)
    ]
    basis = np.select(choice, ["se", "ci", "sd"], "pooled sd")
    return rows.assign(**made, se_from=basis)[ENTRY]


def _contrast_entries(rows: pd.DataFrame, spread: Spread) -> pd.DataFrame:
    """A standardised difference is multiplied by the pooled SD; both uncertainties enter (delta method)."""
    standard = rows["measure"] == "SMD"
    sd = pd.Series(spread.sd(rows["weeks"].fillna(12).to_numpy(dtype=float)), index=rows.index)
    factor: pd.Series = sd.where(standard, _factor(rows)) * np.where(
        rows["favours_when"] == "positive", -1, 1
    )
    df = (rows["n_participants"] - 2).where(rows["k_studies"] == 1)
    printed = (rows["ci_high"] - rows["ci_low"]) / 2 / _quantile(df) * factor.abs()
    value = rows["estimate"] * factor
    spread_of_sd = (value * spread.residual).where(standard, 0.0)
    se = np.hypot(printed, spread_of_sd)
    made: dict[str, Any] = {
        "value": value,
        "se": se,
        "sd": np.nan,
        "sd_reported": np.nan,
        "unit": "contrasts",
        "form": "contrast",
        "n_from": "",
    }
    basis = np.where(standard, "ci, pooled sd", "ci")
    named: dict[str, Any] = {"n": rows["n_participants"], "k": rows["k_studies"].fillna(1.0)}
    return rows.assign(**made, **named, se_from=basis)[ENTRY]


def _quantile(df: pd.Series) -> Floats:
    """Half-width of a 95 % interval in standard errors: t where the degrees of freedom are known, else z."""
    known = df.fillna(1.0).clip(lower=1).to_numpy(dtype=float)
    return np.where(df.isna(), ndtri(0.975), stdtrit(known, 0.975))
