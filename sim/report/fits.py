"""What the report shows of the syntheses: effects, checks, exclusions, diagnostics and their figures."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sim.report.grid import Entry, Grid, between, grid
from sim.report.material import Fit, rows_of
from sim.report.notation import NONE, Interval, number
from sim.report.picture import Picture

DIAGNOSTICS = {
    "max_rhat": "largest R-hat (1 is perfect, above 1.01 is refused)",
    "min_ess_bulk": "smallest effective sample size, centre",
    "min_ess_tail": "smallest effective sample size, tails",
}
PARAMETERS = {
    "tau_effect": "SD of one treatment's effect between trials, points",
    "tau_response": "SD of the placebo response between trials, points",
    "omega": "SD of effects between treatments of one class, points",
    "response": "placebo response at the plateau, points (positive is improvement)",
    "response_half_weeks": "weeks to half of the placebo response",
    "effect_half_weeks": "weeks to half of a treatment's effect",
    "tau_sd": "SD between trials of the logarithm of the SD between patients",
    "sd_growth": "growth of the SD between patients, as a power of 1 + week",
    "reliability": "share of the variance between patients at baseline that is not rating error",
}

OF_RATES = {
    "reference": "log hazard (or logit) under the reference",
    "between_trials": "SD between trials of the log hazard under the reference",
    "tau": "SD between trials of a treatment's log hazard ratio",
    "omega": "SD between treatments of one class of their log hazard ratios",
}
"""What a fit of rates tells of each cause, by the beginning of its name."""

FIGURES = {
    "forest": "Forest plot: each treatment's effect against the reference with its 95 % interval",
    "network": "Network: treatments as points, joined where trials compare them",
    "trials": "Forest plot of the trials: each as reported and as the fit sees it, below the pooled effect",
    "courses": "Mean change in pain through time under each treatment, beside the arms that report it",
    "ranks": "Rankogram: probability of each rank by treatment, and SUCRA",
    "check": "Pooled results that did not enter, each beside the fit at its week",
    "funnel": "Funnel: each trial's distance from the fit against its standard error",
    "priors": "Prior and posterior densities of the main parameters",
    "backtest": "Probability that the other studies gave to at most what a study reported, all and by study",
}
"""Figures that a fit may leave, in the order in which they are shown, with what they show."""


@dataclass(frozen=True)
class Synthesis:
    """What the report shows of one synthesis; None where the folder does not hold it."""

    name: str
    effects: Grid | None
    heterogeneity: Grid | None
    exclusions: Grid | None
    reasons: Grid | None
    shares: Grid | None
    coverage: Grid | None
    folded: Mapping[str, Grid]
    warning: str
    diagnostics: Mapping[str, str]
    pictures: tuple[Picture, ...]


def gather(fit: Fit) -> Synthesis:
    """Gather what one synthesis left in the folder."""
    return Synthesis(
        name=fit.name,
        effects=effects(fit),
        heterogeneity=heterogeneity(fit),
        exclusions=plain(fit, "exclusions", f"Rows left out of '{fit.name}'"),
        reasons=reasons(fit),
        shares=plain(fit, "prior_share", SHARES),
        coverage=coverage(fit),
        folded=dict(_folded(fit)),
        warning=_backtest_warning(fit),
        diagnostics=diagnostics(fit),
        pictures=tuple(picture for name in FIGURES if (picture := _picture(fit, name))),
    )


SHARES = (
    "Effects that rest on one or two studies: SD of the mean effect without and with the study's follow-up, "
    "the share of precision that goes with it (shares of two studies do not add up), and what the design "
    "prior is worth in patients per arm"
)
FOLDED = {
    "check": ("Pooled results kept aside as a check", "Pooled results that did not enter, beside the fit"),
    "verdicts": (
        "Verdicts of a review that gives no sizes",
        "Verdicts beside the posterior probability of a benefit, and of one of half a point or more",
    ),
    "frequentist": (
        "Frequentist meta-analysis beside each effect",
        "Differences in mean pain, points: pair by pair and over the network, beside the fit",
    ),
    "inconsistency": (
        "Does direct evidence agree with indirect?",
        "Inconsistency of the network: between designs, and each comparison split",
    ),
    "counts": (
        "Responder counts that entered (counts.csv)",
        "Counts of responders beside means and SDs: by at least a share of baseline, or a score of at most",
    ),
    "trials": (
        "Every trial as reported, as the fit sees it, and pooled",
        "Differences in mean pain within each study, points, with 95 % intervals",
    ),
    "backtest": (
        "Every reported value foretold from the other studies",
        "Reported values beside their predictions, with intervals, PIT and log score",
    ),
}
"""Tables behind a line to open: that line, and the caption."""


def _folded(fit: Fit) -> Iterator[tuple[str, Grid]]:
    for name, (title, caption) in FOLDED.items():
        table = plain(fit, name, caption)
        if table:
            yield title, table


def _picture(fit: Fit, name: str) -> Picture | None:
    file = fit.figure(name)
    if file is None:
        return None
    words = FIGURES[name]
    return Picture(
        file, f"{words}. The numbers are in the tables beside it.", f"{words} (synthesis '{fit.name}')."
    )


def _backtest(fit: Fit) -> dict[str, Any]:
    """What ``backtest.json`` holds; empty where studies were not left out."""
    file = fit.folder / "backtest.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def coverage(fit: Fit) -> Grid | None:
    """How often the intervals foretold from the other studies hold what a study reported."""
    told = _backtest(fit).get("coverage", {})
    rows: list[list[Entry | str]] = [
        [name, *(Entry(number(row[key], 0 if key in COUNTS else 2), row[key]) for key in COVERAGE)]
        for name, row in told.items()
    ]
    caption = f"Each study of '{fit.name}' foretold from the others: share of values within the interval"
    return grid(caption, ["values", *COVERAGE.values()], rows) if rows else None


COUNTS = ("predictions", "studies")
COVERAGE = {
    "predictions": "predictions",
    "studies": "studies",
    "50": "50 %",
    "80": "80 %",
    "95": "95 %",
    "95_by_study": "95 %, each study once",
    "log_score": "mean log score",
}


def _backtest_warning(fit: Fit) -> str:
    """A sentence where the predictions are not calibrated or a fold did not converge, else nothing."""
    told = _backtest(fit)
    said = []
    if told and not told["sound"]:
        low, high = told["bounds"]
        said.append(f"The 95 % intervals should hold {low} to {high} of the reported values, and do not.")
    if told and told["not_converged"]:
        said.append(f"The fit did not converge without {', '.join(told['not_converged'])}.")
    return " ".join(said)


def _saved(fit: Fit, part: str) -> dict[str, Any]:
    """One part of ``diagnostics.json``; empty where it is not there."""
    file = fit.folder / "diagnostics.json"
    return dict(json.loads(file.read_text(encoding="utf-8")).get(part, {})) if file.exists() else {}


def diagnostics(fit: Fit) -> dict[str, str]:
    """Read the numbers that say whether the fit converged, as text by name."""
    content = _saved(fit, "diagnostics")
    numbers = {key: value for key, value in content.items() if isinstance(value, int | float)}
    return {DIAGNOSTICS.get(key, key.replace("_", " ")): _said(value) for key, value in numbers.items()}


def _said(value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value, 0 if float(value).is_integer() or value > 100 else 3)


def heterogeneity(fit: Fit) -> Grid | None:
    """How far trials and treatments differ, and the placebo response through time."""
    rows: list[list[Entry | str]] = [
        [
            _quantity(name),
            between(Interval(row["mean"], row["low"], row["high"])),
        ]
        for name, row in _saved(fit, "heterogeneity").items()
    ]
    caption = f"What else the synthesis '{fit.name}' found"
    return grid(caption, ["quantity", "mean (95 % interval)"], rows) if rows else None


def _quantity(name: str) -> str:
    """Name a quantity of a fit in words."""
    for begin, words in OF_RATES.items():
        if name not in PARAMETERS and name.startswith(f"{begin}_"):
            return f"{words}: {name.removeprefix(begin + '_').replace('_', ' ')}"
    return PARAMETERS.get(name, name.replace("_", " "))


def effects(fit: Fit) -> Grid | None:
    """What the synthesis found for each treatment against its reference."""
    frame = fit.table("effects")
    if frame is None:
        return None
    rows: list[list[Entry | str]] = [
        [
            str(row["treatment"]).replace("_", " "),
            str(row["class"]).replace("_", " "),
            between(Interval(row["mean"], row["low"], row["high"])),
            Entry(number(row["sd"]), row["sd"]),
            Entry(number(row["trials"], 0), row["trials"]),
            _patients(row),
            str(row["basis"]),
        ]
        for row in rows_of(frame)
    ]
    header = ["treatment", "class", "effect (95 % interval)", "SD", "trials", "patients", "basis"]
    return grid(f"Effects from the synthesis '{fit.name}', points of 10, negative is better", header, rows)


def _patients(row: Mapping[str, Any]) -> Entry:
    """Patients on a treatment; 0 where there are trials means that none of them prints it."""
    if row["trials"] and not row["patients"]:
        return Entry("not printed")
    return Entry(number(row["patients"], 0), row["patients"])


def reasons(fit: Fit) -> Grid | None:
    """How many rows of the evidence were left out, by reason."""
    frame = fit.table("exclusions")
    if frame is None or "reason" not in frame:
        return None
    counts = frame["reason"].value_counts()
    rows: list[list[Entry | str]] = [
        [str(reason), Entry(number(count, 0), float(count))] for reason, count in counts.items()
    ]
    return grid(f"Why rows were left out of '{fit.name}'", ["reason", "rows"], rows)


def plain(fit: Fit, name: str, caption: str) -> Grid | None:
    """One of a synthesis' tables as it stands."""
    frame = fit.table(name)
    if frame is None:
        return None
    rows: list[list[Entry | str]] = [
        [_plain(value) for value in row] for row in frame.itertuples(index=False)
    ]
    return grid(caption, [str(column).replace("_", " ") for column in frame.columns], rows)


def _plain(value: Any) -> Entry | str:
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return NONE
    return Entry(number(float(value), 0 if float(value).is_integer() else 2), float(value))
