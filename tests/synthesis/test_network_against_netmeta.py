"""Network meta-analyses of netmeta."""

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

NOT_COMPUTED = {
    f"multinma_smoking_{model}": "a Bayesian network of binomial arms: no model of this project (yet)"
    for model in ("FE", "RE")
}
"""Cases that we choose not to compute, with the reason."""


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


@pytest.mark.parametrize("row", parameters(ROWS))
def test_reference_value(row: Row) -> None:
    """The REML cases are held to netmeta's own likelihood, see ``test_reml_is_not_netmetas``."""
    if row.case in NOT_COMPUTED:
        pytest.skip(NOT_COMPUTED[row.case])
    assert row.tolerance == "1e-4 relative"
    assert computed(row) == pytest.approx(row.value, rel=1e-4, abs=0)


@pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])
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


@pytest.mark.skipif(not FILE.exists(), reason=ABSENT.kwargs["reason"])
def test_no_row_is_left_out() -> None:
    assert len(ROWS) == 205
    assert set(NOT_COMPUTED) <= {row.case for row in ROWS}
    assert all(np.isfinite(computed(row)) for row in ROWS if row.case not in NOT_COMPUTED)
