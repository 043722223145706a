"""Network meta-analyses of netmeta and multinma."""

import csv
import json
import re
from functools import lru_cache
from itertools import groupby

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from sim.synthesis.network_check import Network, decompose, estimate_tau2, split, study_of_pairs
from tests.rules.reference_rows import ABSENT, FILE, Row, parameters, read

ROWS = read("nma")

NOT_COMPUTED = {"MCSE_mean": "Monte Carlo error of the other program's chains"}
"""Quantities that have no counterpart, by a part of their name."""
DRAWS = {"multinma_smoking_FE": 15_000, "multinma_smoking_RE": 40_000}
"""Of each of two chains: a tail quantile's Monte Carlo error is 0.012 to 0.015 of the posterior SD."""
TAIL = (
    "multinma's Monte Carlo error in a tail (0.02 SD): over 300,000 draws ours is 1.3066, 0.03 SD off "
    "and within the tolerance, but a run short enough for a test may fall on either side of 0.05"
)
NOT_HELD = {("multinma_smoking_RE", "d[Self-help]_q97.5"): TAIL}
"""Rows that agree, too closely to their limit for a test of this length."""

needs_reference = pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])


def reason(row: Row) -> str | None:
    return next((why for part, why in NOT_COMPUTED.items() if part in row.quantity), None)


def bayesian(case: str) -> dict[str, tuple[float, float]]:
    """Each quantity of multinma's cases and the posterior SD of what it summarises."""
    import nutpie

    from sim.synthesis.binomial_network import CountedArms, VaguePriors, build, deviance

    with (FILE.parent / "data" / "multinma_smoking_arms.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    counts = [np.array([float(row[name]) for row in rows]) for name in ("r", "n")]
    arms = CountedArms(*(tuple(row[name] for row in rows) for name in ("studyn", "trtc")), *counts)
    model = build(arms, "No intervention", VaguePriors(tau=5.0 if case.endswith("RE") else None))
    compiled = nutpie.compile_pymc_model(model, backend="numba")
    posterior = nutpie.sample(
        compiled, draws=DRAWS[case], chains=2, seed=20261121, progress_bar=False
    ).posterior
    effect = posterior["effect"]
    draws = {f"d[{name}]": effect.sel(treatment=name).values.ravel() for name in effect.treatment.values}
    if "tau" in posterior:
        draws["tau"] = posterior["tau"].values.ravel()
    found = {}
    for name, values in draws.items():
        numbers = {"mean": values.mean(), "sd": values.std()}
        numbers |= {f"q{p:g}": np.quantile(values, p / 100) for p in (2.5, 50, 97.5)}
        found |= {
            f"{name}_{label}": (float(number), float(values.std())) for label, number in numbers.items()
        }
    logit = posterior["logit"].values.reshape(-1, len(rows))
    spread = np.std([deviance(arms, one[None])["residual_deviance"] for one in logit[::100]])
    return found | {name: (number, float(spread)) for name, number in deviance(arms, logit).items()}


@pytest.mark.slow
@needs_reference
@pytest.mark.parametrize("case", ["multinma_smoking_FE", "multinma_smoking_RE"])
def test_multinma_case(case: str) -> None:
    """Each row within 0.05 of the posterior SD; for the deviance, of its own SD over the draws."""
    rows = [
        row for row in ROWS if row.case == case and not reason(row) and (case, row.quantity) not in NOT_HELD
    ]
    found = bayesian(case)
    assert all(row.tolerance.startswith("0.05 of the posterior sd") for row in rows)
    off = {row.quantity: (found[row.quantity][0] - row.value) / found[row.quantity][1] for row in rows}
    assert not {name: distance for name, distance in off.items() if abs(distance) > 0.05}


@lru_cache
def network(data: str) -> Network:
    with (FILE.parent / "data" / data.removeprefix("reference_data/")).open(encoding="utf-8") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: row["studlab"])
    return Network(
        tuple(
            study_of_pairs(
                name, [(r["treat1"], r["treat2"], float(r["TE"]), float(r["seTE"])) for r in pairs]
            )
            for name, pairs in groupby(rows, key=lambda row: row["studlab"])
        )
    )


def netmeta_reml(nma: Network, reference: str) -> float:
    """REML as netmeta does it for contrasts: sampling variances without the covariance of a shared arm.

    Each study's contrasts are those with ``reference``, or with the last of its treatments.
    """
    effect, variance, rows, study = [], [], [], []
    for number, one in enumerate(nma.studies):
        names, position = one.treatments, np.append(0.0, one.effect)
        base = names.index(reference) if reference in names else len(names) - 1
        for arm in set(range(len(names))) - {base}:
            effect.append(position[arm] - position[base])
            variance.append(one.variance[arm] + one.variance[base])
            rows.append([(t == names[arm]) - float(t == names[base]) for t in nma.treatments[1:]])
            study.append(number)
    y, x, same = np.array(effect), np.array(rows), np.equal.outer(study, study)

    def minus_restricted(tau2: float) -> float:
        weight = np.linalg.inv(np.diag(variance) + tau2 * (0.5 * same + 0.5 * np.eye(len(y))))
        information = x.T @ weight @ x
        residual = y - x @ np.linalg.solve(information, x.T @ weight @ y)
        determinants = np.linalg.slogdet(information)[1] - np.linalg.slogdet(weight)[1]
        return 0.5 * (determinants + residual @ weight @ residual)

    return float(
        minimize_scalar(minus_restricted, bounds=(0, 5), method="bounded", options={"xatol": 1e-10}).x
    )


@lru_cache
def tau2_of(inputs: str) -> float:
    given = json.loads(inputs)
    nma = network(given["data"])
    if given["method.tau"] == "REML":
        return netmeta_reml(nma, "plac" if "senn" in given["data"] else "A")
    return 0.0 if given.get("model") == "common" else estimate_tau2(nma, "DL")


def computed(row: Row) -> float:
    name, tau2 = row.quantity, tau2_of(row.inputs)
    nma = network(row.given["data"])
    what, inside = re.fullmatch(r"(\w+)(?:\[(.+)\])?", name).groups()
    if inside is None:
        parts = decompose(nma)
        known = {"tau2": tau2, "k": len(nma.studies), "n_treat": len(nma.treatments), "I2": parts.i2}
        known |= {"df_Q": parts.df, "Q_total": parts.total}
        return (known | {"Q_het": parts.heterogeneity, "Q_inc": parts.inconsistency})[name]
    if what == "Pscore":
        return nma.fit(tau2).p_scores("lower")[inside]
    if what in ("TE", "se"):
        return nma.fit(tau2).contrast(*inside.split(" vs "))[what == "se"]
    found = split(nma, *inside.split(":"), tau2)
    return {"direct": found.direct, "indirect": found.indirect, "p_diff": found.p}[what]


@pytest.mark.parametrize("row", parameters([row for row in ROWS if row.case.startswith("nma_")]))
def test_reference_value(row: Row) -> None:
    """The REML cases are held to netmeta's own likelihood, see ``test_reml_is_not_netmetas``."""
    assert row.tolerance == "1e-4 relative"
    assert computed(row) == pytest.approx(row.value, rel=1e-4, abs=0)


@needs_reference
@pytest.mark.parametrize(
    ("data", "reference"), [("nma_senn2013_MD.csv", "plac"), ("nma_smokingcessation_OR.csv", "A")]
)
def test_reml_is_not_netmetas(data: str, reference: str) -> None:
    """Given contrasts alone, netmeta leaves the sampling covariance of a shared arm out of REML's likelihood.

    Both networks have three-arm trials, so ours differs, by 1 and 5 %; on two-arm trials both agree.
    """
    nma = network(data)
    assert estimate_tau2(nma, "REML") != pytest.approx(netmeta_reml(nma, reference), rel=0.01)
    two_arm = Network(tuple(study for study in nma.studies if len(study.treatments) == 2))
    assert estimate_tau2(two_arm, "REML") == pytest.approx(netmeta_reml(two_arm, reference), rel=1e-5)


@needs_reference
def test_no_row_is_left_out() -> None:
    assert len(ROWS) == 205
    assert sum(bool(reason(row)) for row in ROWS) == 7
    assert {row.case.split("_")[0] for row in ROWS} == {"nma", "multinma"}
    assert all(np.isfinite(computed(row)) for row in ROWS if row.case.startswith("nma_"))
