"""Cluster-robust errors against statsmodels, a dense plain twin, closed forms and simulation."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.linalg import sqrtm
from scipy.special import stdtrit

from sim.analyses.ancova import Ancova
from sim.analyses.clusters import clustered
from sim.analyses.moments import Measurements
from sim.core.errors import InputError
from tests.analyses.blocks import MEAN, block, observe, single
from tests.analyses.test_one_visit import data_set
from tests.montecarlo import assert_mean

NEAR = {"rtol": 1e-8, "atol": 1e-10}
WEIGHTS = np.eye(4)[[1, 2]]


def partly_nested() -> tuple[Measurements, np.ndarray]:
    """Arm c has therapists of unequal case loads; everybody else is a cluster alone."""
    data = block()
    x = np.stack([np.ones_like(data.baseline), data.arm == 1, data.arm == 2, data.baseline])
    rng = np.random.default_rng(3)
    therapist = 100 + rng.choice(6, data.arm.shape, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    cluster = np.where(data.arm == 2, therapist, np.arange(90)[:, None])
    return Measurements(tuple(x.astype(float)), data.score[:, :, 2:]), cluster


def parts(measured: Measurements, cluster: np.ndarray, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = measured.value[:, r, 0]
    seen = ~np.isnan(y)
    return np.stack(measured.columns, axis=-1)[seen, r], y[seen], cluster[seen, r]


@pytest.mark.parametrize("errors", ["cr0", "cr1"])
def test_the_sandwich_equals_statsmodels(errors):
    measured, cluster = partly_nested()
    found = clustered(measured, cluster, WEIGHTS, errors)
    for r in range(6):
        x, y, groups = parts(measured, cluster, r)
        kind = {"groups": groups, "use_correction": errors == "cr1"}
        fitted = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds=kind)
        np.testing.assert_allclose(found.estimate[:, r], fitted.params[1:3], **NEAR)
        np.testing.assert_allclose(found.se[:, r], fitted.bse[1:3], **NEAR)
        assert (found.df[:, r] == len(np.unique(groups)) - 1).all()


def test_bell_and_mccaffrey_equal_dense_matrices():
    """The definition with n × n matrices: one root, one vector of a cluster at a time."""
    measured, cluster = partly_nested()
    found = clustered(measured, cluster, WEIGHTS, "cr2")
    for r in range(6):
        x, y, groups = parts(measured, cluster, r)
        inverse = np.linalg.inv(x.T @ x)
        rest = np.eye(len(y)) - x @ inverse @ x.T
        residual = rest @ y
        for contrast, weights in enumerate(WEIGHTS):
            vectors, variance = [], 0.0
            for group in np.unique(groups):
                mine = groups == group
                root = np.linalg.inv(np.real(sqrtm(rest[np.ix_(mine, mine)])))
                pull = root @ x[mine] @ inverse @ weights
                variance += (pull @ residual[mine]) ** 2
                vectors.append(rest[:, mine] @ pull)
            gram = np.array(vectors) @ np.array(vectors).T
            assert found.se[contrast, r] == pytest.approx(np.sqrt(variance), rel=1e-8)
            assert found.df[contrast, r] == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum(), rel=1e-8)


def test_clusters_of_one_give_hc2():
    data = block()
    alone = Ancova(estimand="x", errors="cr2").estimate(observe(data))
    hc2 = Ancova(estimand="x", errors="hc2").estimate(observe(data))
    np.testing.assert_allclose(alone.estimate, hc2.estimate, **NEAR)
    np.testing.assert_allclose(alone.se, hc2.se, **NEAR)


def test_equal_clusters_have_the_degrees_of_freedom_of_their_means():
    """Two arms of 5 clusters of 4: the analysis is a t test of cluster means, on 8 degrees of freedom."""
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(10), 4)[:, None]
    arm = (cluster % 2).astype(float)
    y = rng.normal(size=(10, 1))[cluster[:, 0]] + rng.normal(size=(40, 1))
    found = clustered(
        Measurements((np.ones_like(arm), arm), y[:, :, None]), cluster, np.array([[0.0, 1.0]]), "cr2"
    )
    means = np.array([y[cluster == g].mean() for g in range(10)])
    treated, control = means[1::2], means[::2]
    assert found.df.item() == pytest.approx(8)
    assert found.se.item() == pytest.approx(np.sqrt(treated.var(ddof=1) / 5 + control.var(ddof=1) / 5))


def test_few_therapists_in_one_arm_keep_their_level():
    """2,000 null trials, 8 therapists of 8 in one arm, correlation 0.1: CR2 covers, classical not."""
    rng = np.random.default_rng(12)
    n, replicates = 128, 2000
    arm = (np.arange(n) < 64).astype(float)[:, None] * np.ones((n, replicates))
    cluster = np.where(arm == 1, np.arange(n)[:, None] // 8, np.arange(n)[:, None])
    shared = np.sqrt(0.1) * rng.normal(size=(8, replicates))
    y = rng.normal(size=(n, replicates)) * np.where(arm == 1, np.sqrt(0.9), 1)
    y[:64] += np.repeat(shared, 8, axis=0)
    measured = Measurements((np.ones_like(arm), arm), y[:, :, None])
    found = clustered(measured, cluster, np.array([[0.0, 1.0]]), "cr2")
    half = stdtrit(found.df, 0.975) * found.se
    assert_mean((np.abs(found.estimate) < half)[0].astype(float), 0.95, detects=0.045)
    classical = 1.979 * np.sqrt(2 / 64)
    assert np.mean(np.abs(found.estimate) < classical) < 0.93


def test_real_data_name_their_clusters():
    one = single(block(), 90, 1)
    data = replace(data_set(one, MEAN), report=(2,))
    therapist = np.where(one.arm[:, 0] == 2, 100 + np.arange(90) % 7, np.arange(90))
    table = {
        r.name: r
        for r in Ancova(estimand="x", errors="cr2").analyse(replace(data, cluster=therapist)).estimates
    }
    x, y, groups = parts(*partly_measured(one, therapist), 0)
    kind = {"groups": groups, "use_correction": False}
    plain = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds=kind)
    row = table["difference[c - a, w12]"]
    assert row.estimate == pytest.approx(plain.params[2])
    assert plain.bse[2] < row.se < 1.3 * plain.bse[2]
    assert row.df < 30
    with pytest.raises(InputError, match=r"columns\.cluster: required by errors 'cr2'"):
        Ancova(estimand="x", errors="cr2").analyse(data)


def partly_measured(one, therapist: np.ndarray) -> tuple[Measurements, np.ndarray]:
    x = np.stack([np.ones(90), one.arm[:, 0] == 1, one.arm[:, 0] == 2, one.baseline[:, 0]]).astype(float)
    return Measurements(tuple(x[:, :, None]), one.score[:, :, 2:]), therapist[:, None]
