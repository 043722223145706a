"""What each analysis makes of values missing completely at random, at random, and not at random.

python experiments/002-missing-data/simulate.py [--replicates N] writes characteristics.csv and run.json here.
"""

import argparse
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

import sim.analyses
from sim.analyses.ancova import Ancova
from sim.analyses.base import Analysis, Estimate
from sim.analyses.bayes_normal import BayesNormal
from sim.analyses.beta_binomial import BetaBinomial
from sim.analyses.clda import Clda
from sim.analyses.conditional_mean import ConditionalMean
from sim.analyses.logistic import Logistic
from sim.analyses.mantel_haenszel import MantelHaenszel
from sim.analyses.mmrm import Mmrm
from sim.analyses.multiple_imputation import MultipleImputation
from sim.analyses.priors import NormalPrior
from sim.analyses.responder_difference import ResponderDifference
from sim.analyses.survival import Times, fit_cox, log_rank
from sim.analyses.t import TTest
from sim.analyses.win_ratio import WinRatio
from sim.data import TrialData
from sim.endpoints import Responder, Score
from sim.estimand import Contrast, Estimand, Observations
from sim.priority import Level

HERE = Path(__file__).parent
SEED = 20261121
BLOCK = 500
N = 120
WEEKS = np.array([2.0, 4.0, 8.0, 12.0])
MEANS = np.array([6.2, 5.4, 4.9, 4.5, 4.3])
"""Of pain at baseline and at the visits without an effect; assumed, as are all numbers of this experiment."""
ONSET = np.array([0.0, 0.4, 0.7, 0.9, 1.0])
COVARIANCE = 2.1**2 * 0.8 ** np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
LEAVE, SLOPE = -2.6, (0.2, 0.6)
"""Log odds of leaving before a visit at a score of 5, and what a point adds, in control and treated."""
MECHANISMS = ("mcar", "mar", "mnar")
EFFECTS = {"null": 0.0, "effect": -1.0}
CONTRAST = Contrast(of="treated", to="control")
MEAN = Estimand(endpoint="pain", visit=12, contrast=CONTRAST, summary="mean_difference")
SHARE = Estimand(endpoint="responder", visit=12, contrast=CONTRAST, summary="risk_difference")
FLAT = NormalPrior(components=[{"mean": 0, "sd": 1000}])
FEWER = {
    "conditional_mean": 1_000,
    "multiple_imputation": 5_000,
    "multiple_imputation_jump_to_reference": 5_000,
    "mmrm_kenward_roger": 5_000,
    "mmrm_ar1": 5_000,
    "clda": 5_000,
    "beta_binomial_non_response": 5_000,
    "win_ratio_net_benefit": 5_000,
}
"""Most replicates of the slow analyses."""

MEAN_ANALYSES: dict[str, Analysis] = {
    "t": TTest(estimand="x"),
    "ancova": Ancova(estimand="x"),
    "ancova_hc3": Ancova(estimand="x", errors="hc3"),
    "ancova_locf": Ancova(estimand="x", missing="last_or_baseline"),
    "ancova_bocf": Ancova(estimand="x", missing="baseline_observation"),
    "mmrm_satterthwaite": Mmrm(estimand="x"),
    "mmrm_kenward_roger": Mmrm(estimand="x", df="kenward_roger"),
    "mmrm_ar1": Mmrm(estimand="x", covariance="ar1"),
    "clda": Clda(estimand="x"),
    "conditional_mean": ConditionalMean(estimand="x", groups=20),
    "multiple_imputation": MultipleImputation(estimand="x"),
    "multiple_imputation_jump_to_reference": MultipleImputation(estimand="x", strategy="jump_to_reference"),
    "bayes_normal_flat": BayesNormal(estimand="x", difference=FLAT),
    "win_ratio_net_benefit": WinRatio(estimand="x", levels=(Level(outcome="value"),), measure="net_benefit"),
}
SHARE_ANALYSES: dict[str, Analysis] = {
    "responder_difference_non_response": ResponderDifference(estimand="x"),
    "responder_difference_complete": ResponderDifference(estimand="x", missing="complete_case"),
    "mantel_haenszel_non_response": MantelHaenszel(estimand="x", cuts=(6.0,)),
    "logistic_non_response": Logistic(estimand="x"),
    "logistic_complete": Logistic(estimand="x", missing="complete_case"),
    "beta_binomial_non_response": BetaBinomial(estimand="x"),
}
Timed = Callable[[Times, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def cox(times: Times, arm: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log hazard ratio and standard error, (replicate,)."""
    fitted = fit_cox(times, (arm.astype(float), baseline - baseline.mean()))
    return fitted.coefficients[:, 0], np.sqrt(fitted.variance[:, 0, 0])


def log_rank_peto(times: Times, arm: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One-step log hazard ratio and standard error, (replicate,)."""
    excess, variance, _ = log_rank(times, arm == 1)
    return excess / variance, 1 / np.sqrt(variance)


TIME_ANALYSES: dict[str, Timed] = {"cox_time_to_response": cox, "log_rank_time_to_response": log_rank_peto}


def complete(effect: float, replicates: int, rng: np.random.Generator) -> TrialData:
    """Trials without anything missing; the difference of means at the last visit is the effect."""
    shape = (N, replicates)
    arm = np.ascontiguousarray(np.broadcast_to((np.arange(N) % 2)[:, None], shape))
    noise = rng.standard_normal((*shape, 5)) @ np.linalg.cholesky(COVARIANCE).T
    score = MEANS + effect * ONSET * arm[:, :, None] + noise
    return TrialData(arm, score[:, :, 0], score[:, :, 1:], WEEKS, np.full(shape, np.inf), (N,))


def leave(data: TrialData, mechanism: str, rng: np.random.Generator) -> TrialData:
    """Patients leave for good before a visit: whatever they score, by their last score, by the unseen one."""
    everything = np.concatenate([data.baseline[:, :, None], data.score], axis=2)
    slope = np.array(SLOPE)[data.arm][:, :, None]
    scores = {"mcar": np.full(data.score.shape, 5.0), "mar": everything[:, :, :-1], "mnar": data.score}
    chance = expit(LEAVE + slope * (scores[mechanism] - 5.0))
    gone = np.logical_or.accumulate(rng.random(chance.shape) < chance, axis=2)
    return TrialData(
        data.arm, data.baseline, np.where(gone, np.nan, data.score), WEEKS, data.stopped, data.sizes
    )


def observe(data: TrialData, estimand: Estimand) -> Observations:
    """Take one estimand's values."""
    endpoint = Score() if estimand is MEAN else Responder(reduction=0.3)
    value = estimand.variable(data, endpoint)
    return Observations(value, data.baseline, data.arm, (1,), 0, 2, data, estimand, endpoint)


def times(data: TrialData) -> Times:
    """Weeks to the first visit with 30 % less pain, censored at the last visit seen."""
    response = Responder(reduction=0.3).value(data.baseline[:, :, None], data.score) == 1
    seen = ~np.isnan(data.score)
    last = np.where(seen.any(axis=2), WEEKS[seen.shape[2] - 1 - np.argmax(seen[:, :, ::-1], axis=2)], np.nan)
    first = WEEKS[np.argmax(response, axis=2)]
    event = response.any(axis=2)
    return Times(np.where(event, first, last), event.astype(float), np.zeros(event.shape, dtype=np.int64))


def estimates(data: TrialData, before: int) -> Iterator[tuple[str, str, Estimate]]:
    """Name, direction and estimate of every analysis of a block, the slow ones only of the first blocks."""
    for estimand, analyses in ((MEAN, MEAN_ANALYSES), (SHARE, SHARE_ANALYSES)):
        observed = observe(data, estimand)
        for name, analysis in analyses.items():
            higher = estimand is SHARE or name.startswith("win_ratio")
            if before < FEWER.get(name, np.inf):
                yield name, "higher" if higher else "lower", analysis.estimate(observed)
    for name, analyse in TIME_ANALYSES.items():
        estimate, se = analyse(times(data), data.arm, data.baseline)
        shape = (1, 1, len(estimate))
        numbers = (estimate.reshape(shape), se.reshape(shape))
        yield name, "higher", Estimate.by_t(*numbers, np.full(shape, np.inf), np.full(shape, float(N)))


def summarise(found: np.ndarray, truth: float) -> dict[str, tuple[float, float]]:
    """Metric to (value, Monte Carlo error); found is (p, estimate, se, low, high) by replicate."""
    failed = np.isnan(found[1])
    p, estimate, se, low, high = found[:, ~failed]
    reject, covered = p <= 0.025, (low <= truth) & (truth <= high)

    def share(hits: np.ndarray) -> tuple[float, float]:
        return float(hits.mean()), float(np.sqrt(hits.mean() * (1 - hits.mean()) / hits.size))

    spread = float(estimate.std(ddof=1))
    size = estimate.size
    return {
        "success": share(reject),
        "bias": (float(estimate.mean() - truth), spread / np.sqrt(size)),
        "coverage": share(covered),
        "empirical_se": (spread, spread / np.sqrt(2 * (size - 1))),
        "mean_se": (
            float(np.sqrt(np.mean(se**2))),
            float(np.std(se**2) / (2 * np.sqrt(np.mean(se**2) * size))),
        ),
        "failed": share(failed),
    }


def study(mechanism: str, effect: str, replicates: int) -> Iterator[list[dict[str, object]]]:
    """Rows of one mechanism and effect after every few blocks, the last are of all replicates.

    The truth is the effect for means, else the mean of the same estimate in complete data.
    """
    rng = np.random.default_rng([SEED, zlib.crc32(f"{mechanism} {effect}".encode())])
    found: dict[str, list[np.ndarray]] = {}
    whole: dict[str, list[np.ndarray]] = {"share": [], "net": [], "time": []}
    blocks = -(-replicates // BLOCK)
    for block in range(blocks):
        data = complete(EFFECTS[effect], BLOCK, rng)
        if effect != "null":
            share = ResponderDifference(estimand="x").estimate(observe(data, SHARE))
            net = MEAN_ANALYSES["win_ratio_net_benefit"].estimate(observe(data, MEAN))
            whole["share"].append(share.estimate[0, 0])
            whole["net"].append(net.estimate[0, 0])
            whole["time"].append(cox(times(data), data.arm, data.baseline)[0])
        for name, better, estimate in estimates(leave(data, mechanism, rng), block * BLOCK):
            limits = (estimate.low, estimate.high)
            parts = (estimate.one_sided_p(better), estimate.estimate, estimate.se, *limits)
            found.setdefault(name, []).append(np.stack([part[0, 0] for part in parts]))
        if block % 4 == 3 or block == blocks - 1:
            truths = {kind: float(np.mean(np.concatenate(v))) if v else 0.0 for kind, v in whole.items()}
            truths["mean"] = EFFECTS[effect]
            yield rows_of(mechanism, effect, found, truths)


def rows_of(
    mechanism: str, effect: str, found: dict[str, list[np.ndarray]], truths: dict[str, float]
) -> list[dict[str, object]]:
    """Lay the metrics of every analysis out, a row each."""
    rows: list[dict[str, object]] = []
    cell = {"mechanism": mechanism, "scenario": effect}
    for name, blocks in found.items():
        columns = np.concatenate(blocks, axis=1)
        for metric, (value, mcse) in summarise(columns, truths[kind_of(name)]).items():
            label = {"success": "type_1_error" if effect == "null" else "power"}.get(metric, metric)
            numbers = {"value": value, "mcse": mcse, "replicates": columns.shape[1]}
            rows.append({**cell, "analysis": name, "metric": label, **numbers})
    return rows


def kind_of(name: str) -> str:
    """Which truth belongs to an analysis."""
    if name.startswith("win_ratio"):
        return "net"
    if name in TIME_ANALYSES:
        return "time"
    return "share" if name in SHARE_ANALYSES else "mean"


def digest() -> str:
    """Of this script and of the analyses' code."""
    files = [Path(__file__), *sorted(Path(sim.analyses.__path__[0]).glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def main() -> None:
    """Run every mechanism and effect and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=20_000)
    parser.add_argument("--with-effect", type=int, default=2_500)
    parser.add_argument("--only", help="MECHANISM-SCENARIO, kept in a file of its own, as in mar-null")
    asked = parser.parse_args()
    # before the run: the files may change while it lasts
    about = {"date": date.today().isoformat(), "digest": digest(), "seed": SEED, "numpy": version("numpy")}
    cells = [f"{mechanism}-{effect}" for mechanism in MECHANISMS for effect in EFFECTS]
    file = HERE / (f"part-{asked.only}.csv" if asked.only else "characteristics.csv")
    finished: list[dict[str, object]] = []
    for cell in [asked.only] if asked.only else cells:
        mechanism, effect = cell.split("-")
        count = asked.replicates if effect == "null" else asked.with_effect
        rows: list[dict[str, object]] = []
        for rows in study(mechanism, effect, count):
            # kept as it goes, so that an interrupted run loses nothing
            pd.DataFrame(finished + rows).to_csv(file, index=False, float_format="%.6g")
            print(cell, rows[0]["replicates"], flush=True)
        finished += rows
    (HERE / "run.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
