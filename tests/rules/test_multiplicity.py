"""Adjusted p-values against the closed tests that they shorten."""

from itertools import pairwise

import numpy as np
import pytest

from sim.core.errors import InputError
from sim.rules.graphs import Graph
from sim.rules.multiplicity import (
    benjamini_hochberg,
    bonferroni,
    closed_testing,
    hochberg,
    holm,
    hommel,
    simes,
    subsets,
)

RNG = np.random.default_rng(20261121)
P = RNG.beta(0.4, 2.0, (5, 300))


def by_closing(test):
    """Adjusted p-values by testing every intersection."""
    return closed_testing(np.stack([test(P, np.repeat(s[:, None], P.shape[1], axis=1)) for s in subsets(5)]))


def test_hommel_closes_the_simes_tests() -> None:
    np.testing.assert_allclose(hommel(P), by_closing(simes), rtol=1e-12)


def test_holm_closes_the_bonferroni_tests() -> None:
    closed = by_closing(
        lambda p, member: np.minimum(np.where(member, p, 1).min(axis=0) * member.sum(axis=0), 1)
    )
    np.testing.assert_allclose(holm(P), closed, rtol=1e-12)


def test_the_usual_order_of_strictness() -> None:
    least = [benjamini_hochberg(P), hommel(P), hochberg(P), holm(P), bonferroni(P)]
    for weaker, stronger in pairwise(least):
        assert (weaker <= stronger + 1e-12).all()
        assert (weaker < stronger - 1e-6).any()


@pytest.mark.parametrize("adjust", [bonferroni, holm, hochberg, hommel])
def test_a_missing_p_value_counts_as_one(adjust) -> None:
    missing = np.where(np.arange(5)[:, None] == 2, np.nan, P)
    np.testing.assert_array_equal(adjust(missing), adjust(np.where(np.isnan(missing), 1.0, missing)))


def weights_of(graph: Graph, kept: list[int]) -> dict[int, float]:
    """Weights of an intersection: every other hypothesis is taken out, one after another, by plain loops."""
    w = dict(enumerate(graph.weights))
    g = {(i, j): graph.transitions[i, j] for i in w for j in w}
    for gone in [h for h in w if h not in kept]:
        left = [h for h in w if h != gone]
        w_new = {h: w[h] + w[gone] * g[gone, h] for h in left}
        g_new = {}
        for i in left:
            for j in left:
                loop = g[i, gone] * g[gone, i]
                g_new[i, j] = 0.0 if i == j or loop >= 1 else (g[i, j] + g[i, gone] * g[gone, j]) / (1 - loop)
        w, g = w_new, g_new
    return w


GRAPHS = {
    "holm": Graph.holm(4),
    "in order": Graph.in_order(4),
    "two gates": Graph([0.5, 0.5, 0, 0], [[0, 0.5, 0.5, 0], [0.5, 0, 0, 0.5], [0, 1, 0, 0], [1, 0, 0, 0]]),
    "leaky": Graph(
        [0.4, 0.3, 0.2, 0], [[0, 0.3, 0, 0.4], [0.1, 0, 0.6, 0.3], [0, 0.5, 0, 0.5], [0, 0, 0.9, 0]]
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_closes_its_weighted_bonferroni_tests(name: str) -> None:
    """Bretz et al. 2009: the sequential procedure is the closed test of its weights."""
    graph, p = GRAPHS[name], P[:4]
    tests = []
    for member in subsets(4):
        weights = weights_of(graph, list(np.flatnonzero(member)))
        ratios = [p[h] / w for h, w in weights.items() if w > 0]
        tests.append(np.minimum(np.min(ratios, axis=0), 1.0) if ratios else np.ones(p.shape[1]))
    np.testing.assert_allclose(graph.adjusted(p), closed_testing(np.stack(tests)), rtol=1e-10)


def test_a_fixed_sequence_stops_at_the_first_that_fails() -> None:
    np.testing.assert_allclose(Graph.in_order(5).adjusted(P), np.maximum.accumulate(P, axis=0))


def test_a_graph_of_one_replicate_is_that_of_many() -> None:
    graph = GRAPHS["two gates"]
    together = graph.adjusted(P[:4].reshape(4, 30, 10))
    np.testing.assert_array_equal(graph.adjusted(P[:4, 17]), together[:, 1, 7])


@pytest.mark.parametrize(
    ("weights", "transitions", "message"),
    [
        ([0.5, 0.6], np.zeros((2, 2)), "sum to at most 1"),
        ([0.5, 0.5], np.eye(2), "0 to itself"),
        ([0.5, 0.5], np.zeros((2, 3)), "2 rows and columns"),
    ],
)
def test_a_graph_that_is_none(weights, transitions, message) -> None:
    with pytest.raises(InputError, match=message):
        Graph(weights, transitions)
