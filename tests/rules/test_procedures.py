"""Hypotheses that share a level: the block's decisions against a plain loop, and the family-wise error."""

import numpy as np
import pytest

from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.performance import summarise
from sim.protocol import Protocol
from sim.records import tabulate
from sim.rules.dunnett import loadings, step_down_p
from sim.rules.multiplicity import bonferroni, hochberg, holm, hommel
from sim.rules.procedures import Dunnett, GraphicalProcedure, Multiplicity
from sim.trial import simulate
from tests.montecarlo import assert_share

NAMES = ("pain.low", "pain.high", "responder.low", "responder.high")
RATIO = np.array([1.0, 2.0, 1.0, 2.0])
GATED = {
    "kind": "graph",
    "weights": {"pain.low": 0.5, "pain.high": 0.5},
    "transitions": {
        "pain.low": {"pain.high": 0.5, "responder.low": 0.5},
        "pain.high": {"pain.low": 0.5, "responder.high": 0.5},
        "responder.low": {"pain.high": 1},
        "responder.high": {"pain.low": 1},
    },
}
P = np.random.default_rng(20261121).beta(0.3, 4.0, (4, 3, 200))
P[2, 1, :5] = np.nan


def procedure(tree: dict[str, object]) -> Multiplicity:
    return validate(tree, Multiplicity, "t")


@pytest.mark.parametrize(
    ("kind", "adjust"),
    [("bonferroni", bonferroni), ("holm", holm), ("hochberg", hochberg), ("hommel", hommel)],
)
def test_a_ranked_procedure_is_that_of_each_replicate_alone(kind, adjust):
    found = procedure({"kind": kind}).rejects(P, 0.025, NAMES, RATIO)
    for i, j in np.ndindex(P.shape[1:]):
        assert (found[:, i, j] == (adjust(P[:, i, j]) <= 0.025)).all()
    assert 0.05 < found.mean() < 0.95


def test_dunnett_rejects_what_the_step_down_p_values_reject():
    found = Dunnett().rejects(P, 0.025, NAMES, RATIO)
    z = -np.sqrt(2) * _inverse_error(2 * P - 1)
    expected = step_down_p(z, loadings(RATIO, 1.0)) <= 0.025
    np.testing.assert_array_equal(found, expected)
    assert (found > procedure({"kind": "bonferroni"}).rejects(P, 0.025, NAMES, RATIO)).any()


def _inverse_error(x: np.ndarray) -> np.ndarray:
    from scipy.special import erfinv

    return erfinv(x)


def plain_graph(p: dict[str, float], alpha: float) -> set[str]:
    """The update of Bretz et al. 2009, hypothesis by hypothesis."""
    w = {name: GATED["weights"].get(name, 0.0) for name in p}
    g = {(a, b): GATED["transitions"].get(a, {}).get(b, 0.0) for a in p for b in p}
    left, gone = set(p), set()
    while hit := [h for h in left if p[h] <= w[h] * alpha]:
        h = hit[0]
        left.remove(h)
        gone.add(h)
        new = {}
        for a in left:
            w[a] += w[h] * g[h, a]
            for b in left - {a}:
                loop = g[a, h] * g[h, a]
                new[a, b] = (g[a, b] + g[a, h] * g[h, b]) / (1 - loop) if loop < 1 else 0.0
        g |= new
    return gone


def test_a_graph_is_that_of_a_plain_loop():
    found = procedure(GATED).rejects(P, 0.025, NAMES, RATIO)
    held = np.where(np.isnan(P), 1.0, P)
    for i, j in np.ndindex(P.shape[1:]):
        expected = plain_graph(dict(zip(NAMES, held[:, i, j], strict=True)), 0.025)
        assert {name for name, hit in zip(NAMES, found[:, i, j], strict=True) if hit} == expected


def test_a_fixed_sequence_goes_on_until_one_fails():
    order = ("pain.high", "responder.high", "pain.low", "responder.low")
    found = procedure({"kind": "fixed_sequence", "order": order}).rejects(P, 0.025, NAMES, RATIO)
    for i, j in np.ndindex(P.shape[1:]):
        going = True
        for name in order:
            at = NAMES.index(name)
            going = going and bool(P[at, i, j] <= 0.025)
            assert found[at, i, j] == going
    unordered = procedure({"kind": "fixed_sequence"}).rejects(P, 0.025, NAMES, RATIO)
    assert (unordered[0] == (P[0] <= 0.025)).all()


def three_arms(two_arm, multiplicity: dict[str, object] | None, **changes: object) -> Protocol:
    """The small trial with two equal arms against control."""
    tree = dump(two_arm.protocols["small"])
    tree["arms"] = [
        {"name": "control", "treatment": "placebo"},
        {"name": "low", "treatment": "drug"},
        {"name": "high", "treatment": "drug"},
    ]
    tree["estimands"] = {
        {"primary": "pain"}.get(name, name): {**e, "contrast": {"of": ["low", "high"], "to": "control"}}
        for name, e in tree["estimands"].items()
    }
    tree["looks"][0]["analysis"]["estimand"] = "pain"
    tree |= {"n": 120, "sizes": [60]} | changes
    if multiplicity:
        tree["multiplicity"] = multiplicity
    return validate(tree, Protocol, "t")


def one_look(two_arm) -> list[dict[str, object]]:
    return [dump(three_arms(two_arm, None).looks[0])]


@pytest.fixture(scope="module")
def dunnett(two_arm) -> Protocol:
    return three_arms(two_arm, {"kind": "dunnett"}, looks=one_look(two_arm), sizes=[])


def test_the_family_wise_error_is_alpha_and_without_procedure_it_is_not(two_arm, dunnett):
    """Two arms at 0.025 each and correlation ½ have some false success in 0.0454 of trials (Dunnett 1955)."""
    scenario, adjusted, alone = two_arm.scenarios["null"], [], []
    for block in range(220):
        record = simulate(dunnett, scenario, Draws(Streams(11, block), {}))
        found = record.findings[0]
        adjusted.append(found.success[:, 0].any(axis=0))
        alone.append((found.estimate.one_sided_p("lower")[:, 0] <= 0.025).any(axis=0))
    assert_share(np.concatenate(adjusted), 0.025, detects=0.008)
    assert_share(np.concatenate(alone), 0.0454, detects=0.011)


def test_a_trial_decides_by_its_procedure(two_arm):
    protocol = three_arms(two_arm, GATED)
    assert protocol.hypotheses == NAMES
    record = simulate(protocol, two_arm.scenarios["expected"], Draws(Streams(3, 0), {}))
    sides = ("lower", "higher")
    p = np.concatenate([f.estimate.one_sided_p(s) for f, s in zip(record.findings, sides, strict=True)])
    won = np.concatenate([f.success for f in record.findings])
    assert won.shape == (4, 2, BLOCK_SIZE)
    assert 0 < won[2:].sum() < won[:2].sum()
    for s, r in np.ndindex(won.shape[1:]):
        expected = plain_graph(dict(zip(NAMES, p[:, s, r], strict=True)), 0.025)
        assert {name for name, hit in zip(NAMES, won[:, s, r], strict=True) if hit} == expected


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("null", {"family_wise_error": np.any}),
        ("expected", {"disjunctive_power": np.any, "conjunctive_power": np.all}),
        ("drawn", {"disjunctive_assurance": np.any, "conjunctive_assurance": np.all}),
    ],
)
def test_the_tidy_table_has_the_success_of_all_together(two_arm, name, metrics):
    protocol, scenario = three_arms(two_arm, {"kind": "holm"}), two_arm.scenarios[name]
    record = simulate(protocol, scenario, Draws(Streams(3, 0), {}))
    tables = tabulate(protocol, record, 0, {})
    rows = list(summarise(protocol, scenario, tables.estimates, tables.arms, tables.trials))
    won = np.concatenate([f.success for f in record.findings])
    for metric, together in metrics.items():
        for place, n in enumerate((60, 120)):
            found = next(row for row in rows if (row.metric, row.n) == (metric, n))
            value = together(won[:, place], axis=0).mean()
            assert (found.value, found.estimand, found.arm) == (value, "", "")
            assert found.mcse == pytest.approx(np.sqrt(value * (1 - value) / BLOCK_SIZE))
    alone = three_arms(two_arm, None)
    rows = list(summarise(alone, scenario, tables.estimates, tables.arms, tables.trials))
    assert not [row for row in rows if row.metric in metrics]


def test_a_protocol_says_how_its_level_is_shared(two_arm):
    said = three_arms(two_arm, GATED).words()[-1]
    assert (
        "The 4 hypotheses share the one-sided level 0.025 by a graph that starts with 0.5 to pain.low" in said
    )
    assert "when rejected, pain.low hands on 0.5 to pain.high, 0.5 to responder.low" in said


@pytest.mark.parametrize(
    ("multiplicity", "changes", "message"),
    [
        ({"kind": "holmes"}, {}, "did you mean 'holm'"),
        ({"kind": "dunnett"}, {}, "for the arms of one estimand"),
        (
            {"kind": "graph", "weights": {"pain.lo": 1}},
            {},
            "unknown hypothesis 'pain.lo': did you mean 'pain.low'",
        ),
        ({"kind": "graph", "weights": {"pain.low": 0.7, "pain.high": 0.6}}, {}, "sum to 1.3"),
        (
            {"kind": "graph", "weights": {"pain.low": 1}, "transitions": {"pain.low": {"pain.low": 1}}},
            {},
            "hands its share to itself",
        ),
        ({"kind": "fixed_sequence", "order": ["pain.low"]}, {}, "must name every hypothesis once"),
        ({"kind": "holm"}, {"rule": {"kind": "one_sided", "alpha": 0.05}}, "must have one alpha"),
        ({"kind": "holm"}, {"rule": {"kind": "dual_criterion", "target": 1}}, "needs a rule with a p-value"),
        ({"kind": "holm"}, {"when": {"fractions": [0.5, 1]}}, "interim looks cannot share its level"),
    ],
)
def test_what_cannot_share_a_level_is_refused(two_arm, multiplicity, changes, message):
    looks = [dump(look) for look in three_arms(two_arm, None).looks]
    looks[0] |= changes
    with pytest.raises(InputError, match=message):
        three_arms(two_arm, multiplicity, looks=looks)


def test_a_graph_goes_through_yaml_and_back():
    part = procedure(GATED)
    assert isinstance(part, GraphicalProcedure)
    assert validate(dump(part), Multiplicity, "t") == part
