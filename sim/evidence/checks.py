"""What an evidence row must satisfy; each problem is one line: file, row, column, what is wrong."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.evidence.vocabulary import CHANGES, NEVER_NEGATIVE, NUMBERS, RANGES, RATIOS, VOCABULARY

Frames = dict[str, pd.DataFrame]
ROUNDING = 0.005
"""Half a unit of the second decimal: printed numbers may overstep an exact bound by their rounding."""


def problems(tables: Frames) -> list[str]:
    """Check all tables; an empty list means that every row may be used."""
    found: list[str] = []
    for name, frame in tables.items():
        found += _words(name, frame) + _sources(frame) + _signs(name, frame)
    found += _links(tables)
    found += _scales(tables["outcomes"]) + _dispersions(tables["outcomes"]) + _counts(tables["outcomes"])
    return found + _contrasts(tables["contrasts"])


def _lines(frame: pd.DataFrame, wrong: pd.Series, column: str, what: str) -> list[str]:
    hit = frame[wrong]
    return [
        f"{file}: row {row}: {column}: {what} (given: {value!r})"
        for file, row, value in zip(hit["file"], hit["row"], hit[column], strict=True)
    ]


def _words(name: str, frame: pd.DataFrame) -> list[str]:
    found: list[str] = []
    for column, allowed in VOCABULARY[name].items():
        what = f"unknown word; allowed: {', '.join(a or '(empty)' for a in allowed)}"
        found += _lines(frame, ~frame[column].isin(allowed), column, what)
    return found


def _sources(frame: pd.DataFrame) -> list[str]:
    bare = frame["provenance"].isin(["checked", "derived"]) & (frame["source_url"] == "")
    return _lines(frame, bare, "source_url", "a checked or derived row needs the page where it was read")


def _signs(name: str, frame: pd.DataFrame) -> list[str]:
    columns = [column for column in NUMBERS[name] if column in NEVER_NEGATIVE]
    return [
        line
        for column in columns
        for line in _lines(frame, frame[column] < 0, column, "must not be negative")
    ]


def _links(tables: Frames) -> list[str]:
    studies = tables["studies"]
    found = _lines(
        studies,
        studies["study_id"].duplicated() | (studies["study_id"] == ""),
        "study_id",
        "empty, or already used by an earlier row",
    )
    for name in ("arms", "outcomes", "contrasts"):
        frame = tables[name]
        found += _lines(frame, ~frame["study_id"].isin(studies["study_id"]), "study_id", "not in studies.csv")
    arms, outcomes = tables["arms"], tables["outcomes"]
    keys = pd.MultiIndex.from_frame(arms[["study_id", "arm_id"]])
    found += _lines(
        arms, pd.Series(keys.duplicated(), index=arms.index), "arm_id", "already used in this study"
    )
    mine = pd.MultiIndex.from_frame(outcomes[["study_id", "arm_id"]])
    return found + _lines(outcomes, _at(outcomes, ~mine.isin(keys)), "arm_id", "not in arms.csv")


def _at(frame: pd.DataFrame, mask: NDArray[np.bool_]) -> pd.Series:
    return pd.Series(mask, index=frame.index)


def _scales(outcomes: pd.DataFrame) -> list[str]:
    low, high, value = outcomes["scale_min"], outcomes["scale_max"], outcomes["value"]
    level, change = outcomes["statistic"].isin(["mean", "median"]), outcomes["statistic"].isin(CHANGES)
    percent = outcomes["statistic"] == "percent"
    found = _lines(outcomes, value.isna(), "value", "required, but not given")
    found += _lines(outcomes, high <= low, "scale_max", "must be above scale_min")
    found += _lines(outcomes, level & ((value < low) | (value > high)), "value", "outside its scale")
    found += _lines(outcomes, change & (value.abs() > high - low), "value", "a change wider than its scale")
    return found + _lines(
        outcomes, percent & ((value < 0) | (value > 100)), "value", "a percentage outside 0 to 100"
    )


def _dispersions(outcomes: pd.DataFrame) -> list[str]:
    kind, value = outcomes["dispersion"], outcomes["value"]
    single, interval = kind.isin(["sd", "se"]), kind.isin(["ci95", "iqr", "range"])
    found = _lines(outcomes, single & outcomes["disp_value"].isna(), "disp_value", "required with sd or se")
    for column in ("disp_low", "disp_high"):
        found += _lines(outcomes, interval & outcomes[column].isna(), column, "required with an interval")
    found += _lines(outcomes, interval & (outcomes["disp_low"] > value), "disp_low", "above the value")
    found += _lines(outcomes, interval & (outcomes["disp_high"] < value), "disp_high", "below the value")
    given = outcomes[["disp_value", "disp_low", "disp_high"]].notna().any(axis=1)
    found += _lines(outcomes, (kind == "none") & given, "dispersion", "a dispersion is given but called none")
    too_large = (kind == "sd") & (outcomes["disp_value"] > _largest_sd(outcomes) + ROUNDING)
    return found + _lines(outcomes, too_large, "disp_value", "an SD larger than the scale allows")


def _largest_sd(outcomes: pd.DataFrame) -> pd.Series:
    """Largest sample SD on a bounded scale.

    For a mean: sqrt((mean − low)(high − mean) n/(n − 1)) (Bhatia & Davis 2000,
    doi:10.1080/00029890.2000.12005203); a change spans at most twice the range, so its SD at most the range.
    """
    low, high, value, n = (outcomes[c] for c in ("scale_min", "scale_max", "value", "n"))
    shrink = (n / (n - 1)).where(n > 1, 1.0)
    bound = np.sqrt(((value - low) * (high - value)).clip(lower=0) * shrink)
    bound = bound.where(outcomes["statistic"] == "mean", (high - low) * np.sqrt(shrink))
    largest: pd.Series = bound.fillna(np.inf)
    return largest


def _counts(outcomes: pd.DataFrame) -> list[str]:
    """A count without a denominator is allowed (13 shipped rows lack it) and enters nothing."""
    count, value, n = outcomes["statistic"] == "count", outcomes["value"], outcomes["n"]
    found = _lines(
        outcomes, count & ((value < 0) | (value % 1 != 0)), "value", "a count must be a whole number"
    )
    return found + _lines(outcomes, count & (value > n), "value", "more than its denominator n")


def _contrasts(contrasts: pd.DataFrame) -> list[str]:
    estimate, low, high = (contrasts[c] for c in ("estimate", "ci_low", "ci_high"))
    found = _lines(contrasts, low > estimate, "ci_low", "above the estimate")
    found += _lines(contrasts, high < estimate, "ci_high", "below the estimate")
    ratio = contrasts["measure"].isin(RATIOS)
    found += _lines(contrasts, ratio & (estimate <= 0), "estimate", "a ratio must be above 0")
    found += _lines(
        contrasts,
        (contrasts["measure"] == "RD") & (estimate.abs() > 100),
        "estimate",
        "a risk difference outside -100 to 100",
    )
    width = contrasts["scale"].map({name: high - low for name, (low, high) in RANGES.items()})
    wide = (contrasts["measure"] == "MD") & (estimate.abs() > width)
    found += _lines(contrasts, wide, "estimate", "a difference wider than its scale")
    lone = (contrasts["role"] == "fit") & estimate.isna()
    return found + _lines(contrasts, lone, "estimate", "required for role fit")
