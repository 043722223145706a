"""Operating characteristics with their Monte Carlo errors, from the records of one protocol and scenario."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Typed

import numpy as np
from numpy.typing import NDArray

from sim.endpoints import MeasureScore
from sim.events import REASONS
from sim.look import Look
from sim.protocol import Protocol
from sim.rules.base import Rule
from sim.rules.group_sequential import GroupSequential
from sim.scenario import Scenario
from sim.treatments import ReportedLoss

Floats = NDArray[np.float64]
Table = Mapping[str, Any]
"""Columns by name: numpy arrays, and for names what compares with a name and takes rows."""

FAMILY = (
    "family_wise_error",
    *(
        f"{together}_{single}"
        for together in ("disjunctive", "conjunctive")
        for single in ("power", "assurance")
    ),
)
"""Success rates of all hypotheses together, where they share a level."""

COLUMNS = ("protocol", "scenario", "n", "estimand", "arm", "metric", "value", "mcse", "replicates")


@dataclass(frozen=True)
class Characteristic:
    """One number of the tidy table; probabilities are 0–1, weeks are weeks, points are points."""

    n: int
    estimand: str
    arm: str
    metric: str
    value: float
    mcse: float
    replicates: int


@dataclass(frozen=True)
class Measured:
    """A value and its Monte Carlo standard error."""

    value: float
    mcse: float


def proportion(hits: NDArray[Any]) -> Measured:
    """Share of replicates, with sqrt(p (1 − p) / replicates)."""
    p = float(np.mean(hits))
    return Measured(p, float(np.sqrt(p * (1 - p) / len(hits))))


def average(values: Floats) -> Measured:
    """Mean over replicates (nan left out), with SD / sqrt(replicates)."""
    kept = values[~np.isnan(values)]
    if len(kept) < 2:
        return Measured(float(kept.mean()) if len(kept) else np.nan, np.nan)
    return Measured(float(kept.mean()), float(kept.std(ddof=1) / np.sqrt(len(kept))))


class ByVisit(Typed):
    """A table of arms that is read visit by visit."""

    def at(self, arm: str, week: float) -> Table:
        """Return the columns of one arm at one visit, a row a replicate."""


Arms = Table | ByVisit


def at_visit(arms: Arms, arm: str, week: float) -> Table:
    """Take the rows of one arm at one visit."""
    if not isinstance(arms, Mapping):
        return arms.at(arm, week)
    rows = (arms["arm"] == arm) & (arms["week"] == week)
    return {name: column[rows] for name, column in arms.items()}


def success_metric(scenario: Scenario, rule: Rule | None = None) -> str:
    """Name what a success rate is under this scenario (and by this rule)."""
    if scenario.null:
        return "type_1_error" if rule is None or rule.tests_no_effect else "power"
    return "assurance" if scenario.claims.is_drawn else "power"


def summarise(
    protocol: Protocol, scenario: Scenario, estimates: Table, arms: Arms, trials: Table
) -> Iterator[Characteristic]:
    """Yield every characteristic of one protocol under one scenario.

    Measures and Monte Carlo errors follow Morris, White & Crowther 2019, doi:10.1002/sim.8086, table 6.
    """
    for size in np.unique(estimates["n"]):
        yield from _whole_trial(protocol, int(size), trials)
        if protocol.has_family:
            family = (estimates["n"] == size) & of_family(protocol, estimates)
            known = {name: estimates[name][family] for name in ("replicate", "success")}
            yield from _family(scenario, protocol, int(size), known)
        yield from _estimands(protocol, scenario, int(size), estimates)
    yield from _by_arm(protocol, arms)


def _estimands(
    protocol: Protocol, scenario: Scenario, size: int, estimates: Table
) -> Iterator[Characteristic]:
    """Yield what is found of each estimand and compared arm at one size."""
    at_size = estimates["n"] == size
    for name, estimand in protocol.estimands.items():
        look = next((look for look in protocol.looks if look.analysis.estimand == name), None)
        for arm in estimand.contrast.of if look else ():
            rows = at_size & (estimates["estimand"] == name) & (estimates["arm"] == arm)
            if look and rows.any():
                chosen = {key: column[rows] for key, column in estimates.items()}
                yield from _estimand(look, arm, size, scenario, chosen)
                if look is protocol.looks[0] and len(protocol.fractions) > 1:
                    yield from _early_stops(name, arm, size, len(protocol.fractions), chosen)
                    yield from _after_stopping(protocol, scenario, (name, arm, size), chosen)


def _whole_trial(protocol: Protocol, size: int, trials: Table) -> Iterator[Characteristic]:
    """Yield patients and weeks; ``pipeline`` are those without the primary visit when the trial ended."""
    rows = trials["n"] == size
    known = [("expected_n", "randomised"), ("duration_weeks", "finished")]
    for metric, column in [*known, ("pipeline", "pipeline")] if len(protocol.fractions) > 1 else known:
        mean = average(np.asarray(trials[column][rows], dtype=np.float64))
        yield Characteristic(size, "", "", metric, mean.value, mean.mcse, int(rows.sum()))


def of_family(protocol: Protocol, estimates: Table) -> NDArray[np.bool_]:
    """Rows of the hypotheses that share a level, (row,): without ``multiplicity`` those that decide."""
    if protocol.multiplicity is not None:
        return np.ones(len(estimates["n"]), dtype=bool)
    return deciding(protocol, estimates)


def deciding(protocol: Protocol, estimates: Table) -> NDArray[np.bool_]:
    """Rows of the hypotheses that decide when a trial ends, (row,)."""
    named = [protocol.looks[place].analysis.estimand for place in protocol.deciding]
    return np.asarray(np.logical_or.reduce([estimates["estimand"] == name for name in named]))


def family_metrics(scenario: Scenario, protocol: Protocol) -> dict[str, bool]:
    """Name the success rates of all hypotheses together: whether each needs every one, or any."""
    single = success_metric(scenario, protocol.looks[0].rule)
    if single == "type_1_error":
        return {"family_wise_error": False}
    return {f"disjunctive_{single}": False, f"conjunctive_{single}": True}


def successes(replicate: Floats, success: Floats, every: bool) -> NDArray[np.bool_]:
    """Whether any (or every) hypothesis of each replicate succeeds, (replicate,), from a row for each."""
    place = np.asarray(replicate, dtype=np.int64) - int(np.min(replicate))
    rows, won = np.bincount(place), np.bincount(place, weights=success)
    return np.asarray(won == rows if every else won > 0)[rows > 0]


def _family(scenario: Scenario, protocol: Protocol, size: int, rows: Table) -> Iterator[Characteristic]:
    """Yield the success of the hypotheses together (Bretz, Hothorn & Westfall 2010, section 2.1)."""
    for metric, every in family_metrics(scenario, protocol).items():
        won = successes(rows["replicate"], rows["success"], every)
        share = proportion(won)
        yield Characteristic(size, "", "", metric, share.value, share.mcse, len(won))


def _estimand(look: Look, arm: str, size: int, scenario: Scenario, rows: Table) -> Iterator[Characteristic]:
    name, success = look.analysis.estimand, success_metric(scenario, look.rule)
    measures = {success: proportion(rows["success"]), "failed": proportion(np.isnan(rows["estimate"]))}
    truth, target_error = rows["truth"], 0.0
    if np.isinf(truth).any():
        measures["truth_undefined"] = proportion(np.isinf(truth[~np.isnan(truth)]))
    if not scenario.claims.is_drawn:
        truth, target_error = one_truth(truth)
    found = accuracy(rows["estimate"], rows["se"], (rows["low"], rows["high"]), truth)
    if "bias" in found:
        bias = found["bias"]
        found["bias"] = Measured(bias.value, float(np.hypot(bias.mcse, target_error)))
        found["truth"] = average(rows["truth"][np.isfinite(rows["truth"])])
    measures |= found
    for metric, measured in measures.items():
        yield Characteristic(size, name, arm, metric, measured.value, measured.mcse, len(rows["estimate"]))


def _early_stops(name: str, arm: str, size: int, looks: int, rows: Table) -> Iterator[Characteristic]:
    """Yield how often the arm ends before the last look, by success and by futility."""
    early = rows["look"] < looks
    for metric, hits in (("efficacy_stop", early & rows["success"]), ("futility_stop", rows["futile"])):
        share = proportion(hits)
        yield Characteristic(size, name, arm, metric, share.value, share.mcse, len(hits))


def _after_stopping(
    protocol: Protocol, scenario: Scenario, at: tuple[str, str, int], rows: Table
) -> Iterator[Characteristic]:
    """Yield what estimates are worth that allow for early stops; ``bias`` and ``coverage`` are of naive ones.

    ``median_unbiased_above`` is the share of trials with an estimate above the truth: a half, since the
    stage-wise ordering counts the futility bounds that the trials obey.
    ``early_`` and ``last_`` begin the bias among trials that ended early for efficacy, and at the last look:
    of naive, of median unbiased and of conditional estimates.
    """
    rule, (name, arm, size) = protocol.looks[0].rule, at
    if not isinstance(rule, GroupSequential) or protocol.is_staged:
        return
    truth = rows["truth"] if scenario.claims.is_drawn else one_truth(rows["truth"])[0]
    sign, look = -1.0 if protocol.better(name) == "lower" else 1.0, rows["look"] - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        effects = rule.after_stopping(protocol.fractions, look, sign * rows["estimate"] / rows["se"])
    unit = rows["se"] * np.sqrt(np.array(protocol.fractions)[look])
    estimate, first, second = sign * effects * unit
    known = ~np.isnan(estimate) & ~np.isnan(truth)
    if known.sum() < 2:
        return
    inside = (np.minimum(first, second) <= truth) & (truth <= np.maximum(first, second))
    measures = {
        "median_unbiased_bias": average((estimate - truth)[known]),
        "median_unbiased_above": proportion((estimate > truth)[known]),
        "stagewise_coverage": proportion(inside[known]),
    }
    for metric, found in measures.items():
        yield Characteristic(size, name, arm, metric, found.value, found.mcse, len(truth))
    last = look == len(protocol.fractions) - 1
    for group, mine in (("early", known & ~last & rows["success"]), ("last", known & last)):
        if mine.sum() < 2:
            continue
        z = (sign * rows["estimate"] / rows["se"])[mine]
        there = sign * rule.after_stopping_there(protocol.fractions, look[mine], z) * unit[mine]
        kinds = {"": rows["estimate"][mine], "median_unbiased_": estimate[mine], "conditional_": there}
        for kind, values in kinds.items():
            found = average(values - truth[mine])
            metric, trials = f"{group}_{kind}bias", int(mine.sum())
            yield Characteristic(size, name, arm, metric, found.value, found.mcse, trials)


def one_truth(computed: Floats) -> tuple[Floats, float]:
    """Return the one true value of a scenario whose truth does not differ between replicates, and its error.

    ``computed`` is nan where it was not computed; the mean of the others stands for every replicate. A ratio
    whose logarithm is infinite among the patients of any replicate has no such mean: nan.
    """
    known = computed[~np.isnan(computed)]
    if len(known) < 2 or np.isinf(known).any():
        return np.full(len(computed), np.nan), 0.0
    return np.full(len(computed), known.mean()), float(known.std(ddof=1) / np.sqrt(len(known)))


def accuracy(
    estimate: Floats, se: Floats, interval: tuple[Floats, Floats], truth: Floats
) -> dict[str, Measured]:
    """Bias, root mean squared error, coverage and standard errors against each replicate's true value.

    The empirical standard error is the SD of the errors: where every replicate has its own truth, the
    spread of the truths is no error.
    """
    kept = ~np.isnan(estimate) & np.isfinite(truth)
    if kept.sum() < 2:
        return {}
    error = estimate[kept] - truth[kept]
    replicates = len(error)
    rmse = float(np.sqrt(np.mean(error**2)))
    rmse_error = float(np.std(error**2, ddof=1) / np.sqrt(replicates) / (2 * rmse)) if rmse else 0.0
    empirical = float(error.std(ddof=1))
    return {
        "truth": average(truth[np.isfinite(truth)]),
        "bias": average(error),
        "rmse": Measured(rmse, rmse_error),
        "coverage": proportion(((interval[0] <= truth) & (truth <= interval[1]))[kept]),
        "empirical_se": Measured(empirical, empirical / np.sqrt(2 * (replicates - 1))),
        "mean_se": average(se[kept]),
    }


def _by_arm(protocol: Protocol, arms: Arms) -> Iterator[Characteristic]:
    """Yield what each arm shows at the primary visit: responders, mean change, patients who left."""
    responders = [name for name, endpoint in protocol.endpoints.items() if endpoint.outcome == "binary"]
    for arm in protocol.arms:
        seen = at_visit(arms, arm.name, protocol.primary_week)
        randomised = seen["randomised"]
        for name in responders:
            with np.errstate(divide="ignore", invalid="ignore"):
                rate = average(seen[name] / randomised)
            yield Characteristic(
                protocol.n, name, arm.name, "responder_rate", rate.value, rate.mcse, len(randomised)
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            change = average((seen["score_sum"] - seen["start_sum"]) / seen["observed"])
            for name in (n for n, e in protocol.endpoints.items() if isinstance(e, MeasureScore)):
                moved = average((seen[f"{name}_sum"] - seen[f"{name}_start"]) / seen[f"{name}_seen"])
                yield Characteristic(
                    protocol.n, name, arm.name, "mean_change", moved.value, moved.mcse, len(randomised)
                )
            left = average(seen["left"] / randomised)
        shown = {"mean_change": change, "dropout": left}
        if protocol.adaptations:
            shown["analysed_n"] = average(randomised.astype(np.float64))
        for metric, measured in shown.items():
            yield Characteristic(
                protocol.n, "", arm.name, metric, measured.value, measured.mcse, len(randomised)
            )


def responder_intervals(protocol: Protocol, arms: Arms) -> Iterator[dict[str, Any]]:
    """Yield each arm's responder share at every visit: mean over trials and 95 % predictive interval.

    ``of`` says of whom: all randomised (missing is no response) or the patients observed.
    """
    responders = [name for name, endpoint in protocol.endpoints.items() if endpoint.outcome == "binary"]
    for arm in protocol.arms:
        for week in protocol.visits[1:]:
            seen = at_visit(arms, arm.name, week)
            for name in responders:
                for of in ("randomised", "observed"):
                    with np.errstate(divide="ignore", invalid="ignore"):
                        share = seen[name] / seen[of]
                    yield {"arm": arm.name, "week": week, "endpoint": name, "of": of} | interval(share)


def mean_course(protocol: Protocol, arms: Arms) -> Iterator[dict[str, Any]]:
    """Yield each arm's mean observed score at every visit: mean over trials, 95 % predictive interval."""
    for arm in protocol.arms:
        for week in protocol.visits:
            seen = at_visit(arms, arm.name, week)
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = seen["score_sum"] / seen["observed"]
                square = seen["score_squares"] / seen["observed"]
            sd = np.sqrt(np.maximum(square - mean**2, 0))
            yield {"arm": arm.name, "week": week, "sd": float(np.nanmean(sd))} | interval(mean)


NEAR_WEEKS = 1.5
"""A reported loss is laid beside the visit that is at most so far from its week."""


def losses(protocol: Protocol, scenario: Scenario, arms: Arms) -> Iterator[dict[str, Any]]:
    """Yield the share lost by each follow-up visit, by arm and reason, beside what trials report.

    ``any`` is leaving the study; the others are reasons for stopping the treatment, whether the patient left
    with it or not. Reported shares are those of the arm's own treatment; under a null scenario none is
    laid beside, since every arm is the control.
    """
    columns = {"any": "left"} | {reason: f"stopped_{reason}" for reason in REASONS[1:]}
    for arm in protocol.arms:
        told = () if scenario.null else scenario.treatments[arm.treatment].reported_losses
        for week in protocol.visits[1:]:
            seen = at_visit(arms, arm.name, week)
            near: dict[str, ReportedLoss] = {
                loss.reason: loss for loss in told if abs(loss.weeks - week) <= NEAR_WEEKS
            }
            for reason, column in columns.items():
                share = average(seen[column] / seen["randomised"])
                simulated = {"share": share.value, "mcse": share.mcse}
                yield {"arm": arm.name, "reason": reason, "week": week} | simulated | _told(near.get(reason))


def _told(loss: ReportedLoss | None) -> dict[str, Any]:
    if loss is None:
        return {"reported": np.nan, "reported_week": np.nan, "source": None}
    return {"reported": loss.share.mean({}), "reported_week": loss.weeks, "source": loss.share.source}


def interval(values: Floats) -> dict[str, float]:
    """Mean and central 95 % of the values over replicates, and the Monte Carlo error of the mean."""
    measured = average(values)
    low, high = np.nanquantile(values, [0.025, 0.975])
    return {"mean": measured.value, "low": float(low), "high": float(high), "mcse": measured.mcse}
