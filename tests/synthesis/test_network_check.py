"""The frequentist network against what must hold for any network."""

import numpy as np
import pytest

from sim.core.errors import InputError
from sim.synthesis.heterogeneity import Studies
from sim.synthesis.heterogeneity import estimate_tau2 as pairwise_tau2
from sim.synthesis.network_check import Network, Study, decompose, estimate_tau2, split, study_of_pairs
from sim.synthesis.pairwise import pool
from tests.montecarlo import assert_mean, assert_share


def pair(name: str, a: str, b: str, difference: float, se: float) -> Study:
    return study_of_pairs(name, [(a, b, difference, se)])


def drawn(
    rng: np.random.Generator, treatments: tuple[str, ...], tau: float, truth: dict[str, float]
) -> Study:
    """A study with a true arm mean for each treatment, an own deviation and an error, arm by arm."""
    variance = rng.uniform(0.02, 0.08, len(treatments))
    mean = np.array([truth[t] for t in treatments]) + rng.normal(0, np.sqrt(tau**2 / 2 + variance))
    return Study(treatments, mean[1:] - mean[0], variance)


DESIGNS = (
    [("a", "b")] * 4
    + [("a", "c")] * 3
    + [("b", "c")] * 3
    + [("a", "b", "c")] * 3
    + [("a", "b", "c", "d")] * 2
)
TRUTH = {"a": 0.0, "b": -0.4, "c": -0.7, "d": 0.2}


def example(seed: int = 1, tau: float = 0.3) -> Network:
    rng = np.random.default_rng(seed)
    return Network(tuple(drawn(rng, design, tau, TRUTH) for design in DESIGNS))


@pytest.mark.parametrize("method", ["DL", "REML"])
def test_two_treatments_are_a_pairwise_meta_analysis(method) -> None:
    y, se = np.array([0.1, -0.4, -0.9, 0.3, -1.2]), np.array([0.2, 0.3, 0.25, 0.4, 0.15])
    network = Network(tuple(pair(str(i), "b", "a", *row) for i, row in enumerate(zip(y, se, strict=True))))
    studies = Studies(y, se**2)
    tau2 = estimate_tau2(network, method)
    assert tau2 == pytest.approx(pairwise_tau2(studies, method), rel=1e-6)
    estimate, error = network.fit(tau2).contrast("b", "a")
    pooled = pool(studies, method)
    assert estimate == pytest.approx(pooled.estimate, rel=1e-6)
    assert error == pytest.approx(pooled.se[0], rel=1e-6)
    assert decompose(network).total == pytest.approx(studies.q())


def test_order_of_arms_does_not_matter() -> None:
    """A study told from its last arm instead of its first: same τ², same effects."""
    network = example()
    turned = []
    for study in network.studies:
        position = np.append(0.0, study.effect)[::-1]
        turned.append(Study(study.treatments[::-1], position[1:] - position[0], study.variance[::-1]))
    other = Network(tuple(turned))
    for method in ("DL", "REML"):
        tau2 = estimate_tau2(network, method)
        assert estimate_tau2(other, method) == pytest.approx(tau2, rel=1e-6)
        np.testing.assert_allclose(other.fit(tau2).contrast("c", "d"), network.fit(tau2).contrast("c", "d"))


def test_pairs_of_a_multi_arm_study_are_its_arms() -> None:
    study = drawn(np.random.default_rng(2), ("a", "b", "c", "d"), 0.2, TRUTH)
    position, names = np.append(0.0, study.effect), study.treatments
    pairs = [
        (names[i], names[j], position[i] - position[j], np.sqrt(study.variance[i] + study.variance[j]))
        for i in range(4)
        for j in range(i)
    ]
    back = study_of_pairs("s", pairs)
    np.testing.assert_allclose(back.effect, study.effect)
    np.testing.assert_allclose(back.variance, study.variance)


def test_arm_level_twin() -> None:
    """Least squares on arms with an intercept a study gives the same contrasts and errors."""
    network, tau2 = example(), 0.08
    rows, y, w = [], [], []
    for number, study in enumerate(network.studies):
        for treatment, mean, variance in zip(
            study.treatments, np.append(0, study.effect), study.variance, strict=True
        ):
            row = np.zeros(len(network.studies) + len(network.treatments) - 1)
            row[number] = 1
            if treatment != "a":
                row[len(network.studies) + network.treatments.index(treatment) - 1] = 1
            rows.append(row)
            y.append(mean)
            w.append(1 / (variance + tau2 / 2))
    x = np.array(rows)
    covariance = np.linalg.inv(x.T @ (x * np.array(w)[:, None]))
    beta = covariance @ x.T @ (np.array(w) * y)
    for place, treatment in enumerate("bcd", start=len(network.studies)):
        estimate, se = network.fit(tau2).contrast(treatment, "a")
        assert estimate == pytest.approx(beta[place], rel=1e-9)
        assert se == pytest.approx(np.sqrt(covariance[place, place]), rel=1e-9)


def test_simulated_networks() -> None:
    """Moments' τ² without truncation is unbiased on average; intervals at the true τ² cover."""
    tau, covered, tau2 = 0.3, [], []
    for seed in range(600):
        network = example(seed, tau)
        estimate, se = network.fit(tau**2).contrast("d", "b")
        covered.append(abs(estimate - (TRUTH["d"] - TRUTH["b"])) < 1.959964 * se)
        tau2.append(estimate_tau2(network, "DL"))
    assert_share(np.array(covered), 0.95, detects=0.08)
    assert np.mean(np.array(tau2) == 0) < 0.05  # so that truncation at 0 can hardly bias the mean
    assert_mean(np.array(tau2), tau**2, detects=0.02)


def test_split_recombines_to_the_network_estimate() -> None:
    network, tau2 = example(), 0.09
    found = split(network, "b", "a", tau2)
    whole, se = network.fit(tau2).contrast("b", "a")
    direct_only = Network(
        tuple(
            Study(("a", "b"), np.array([s.effect[s.treatments.index("b") - 1]]), s.variance[:2])
            for s in network.studies
            if {"a", "b"} <= set(s.treatments)
        )
    )
    direct, direct_se = direct_only.fit(tau2).contrast("b", "a")
    assert found.direct == pytest.approx(direct)
    share = (se / direct_se) ** 2
    assert whole == pytest.approx(share * found.direct + (1 - share) * found.indirect)


def test_inconsistency_is_found() -> None:
    """A loop whose third side is off by 2: all of Q is inconsistency, and the split says so."""
    network = Network((pair("1", "b", "a", 1, 0.1), pair("2", "c", "b", 1, 0.1), pair("3", "c", "a", 4, 0.1)))
    parts = decompose(network)
    assert parts.heterogeneity == pytest.approx(0, abs=1e-12)
    assert parts.inconsistency == pytest.approx(2**2 / 0.03)
    assert parts.df_inconsistency == 1
    found = split(network, "c", "a")
    assert found.direct - found.indirect == pytest.approx(2)
    assert found.p == pytest.approx(parts.p_inconsistency)
    assert split(Network(network.studies[:2]), "c", "a") is None


def test_p_scores_by_hand() -> None:
    network = Network((pair("1", "b", "a", -1, 1.0),))
    assert network.fit().p_scores("lower")["b"] == pytest.approx(0.8413447)
    assert network.fit().p_scores("higher")["b"] == pytest.approx(1 - 0.8413447)


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="not connected"):
        Network((pair("1", "b", "a", 1, 1), pair("2", "d", "c", 1, 1))).fit()
    with pytest.raises(InputError, match="allowed: a, b"):
        Network((pair("1", "b", "a", 1, 1),)).fit().contrast("z", "a")
    with pytest.raises(InputError, match="every pair once"):
        study_of_pairs("x", [("a", "b", 1, 1), ("b", "c", 1, 1)])
    with pytest.raises(InputError, match="do not add up"):
        study_of_pairs("x", [("a", "b", 1, 1), ("b", "c", 1, 1), ("a", "c", 5, 1)])
