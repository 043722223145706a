"""The density written as plain loops against PyTensor's own, value and gradient."""

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from numpy.typing import NDArray
from pytensor.compile.mode import Mode
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.subtensor import advanced_subtensor1

from sim.synthesis.density import Density, Flattened, flatten
from sim.synthesis.hazards import Shape
from sim.synthesis.model import build_model
from sim.synthesis.plain_loops import functions_of, write
from sim.synthesis.priors import LogNormalPrior, NormalPrior
from sim.synthesis.rates_model import RatePriors, build_rates, lay_out
from sim.synthesis.sampling import Compiled
from tests.synthesis import test_observed_model as observed
from tests.synthesis import test_regression_and_exchange as regression

WHY = {"because": "test"}
PLAIN = Mode("py", None)
"""PyTensor's graph as it was stated, node by node in NumPy."""


def with_patients() -> pm.Model:
    """SDs and responders, which is every part of the likelihood."""
    return build_model(observed.with_patients(), observed.network(seed=3, independent=True))


def with_regression() -> pm.Model:
    """A slope and another stage's effects; no SDs, no responders."""
    return build_model(
        regression.asked(regression=regression.REGRESSION, exchange=[regression.ACUTE]), regression.trials()
    )


def of_rates() -> pm.Model:
    """Counts of events by hazard."""
    rows = [
        {
            "study_id": study,
            "treatment": arm,
            "weeks": 12.0,
            "n": 50,
            "rates": rates,
            "rest": rest,
            "count": count,
        }
        for study, other in (("a", "snri"), ("b", "tca"))
        for arm in ("placebo", other)
        for rates, rest, count in (("ae", False, 7.0), ("ineff", False, 4.0), ("ae+ineff", True, 39.0))
    ]
    network = lay_out(
        pd.DataFrame(rows),
        {"placebo": "inert", "snri": "drug", "tca": "drug"},
        "placebo",
        ("ae", "ineff"),
        {"b": 3},
    )
    wide, narrow = NormalPrior(mean=-4, sd=1, **WHY), NormalPrior(mean=0, sd=0.5, **WHY)
    spread = LogNormalPrior(median=0.3, log_sd=0.5, **WHY)
    return build_rates(
        network,
        Shape(4.0, np.array([2.0, 0.5]), np.ones((2, 2))),
        RatePriors((wide, wide), narrow, spread, spread, spread),
    )


def node_of(flat: Flattened) -> Any:
    """The density's own node in the flat model."""
    return next(
        v.owner for v in ancestors(flat.model.potentials) if v.owner and isinstance(v.owner.op, Density)
    )


def plain(model: pm.Model, flat: Flattened) -> Any:
    """Twin: log density and gradient as PyMC states them."""
    free = [model.rvs_to_values[v] for v in model.free_RVs]
    log_density = model.logp()
    twin = pytensor.function(free, [log_density, *pytensor.gradient.grad(log_density, free)], mode=PLAIN)
    cuts = np.cumsum([int(np.prod(shape)) for shape in flat.shapes.values()])[:-1]

    def told(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        pieces = zip(np.split(at, cuts), flat.shapes.values(), strict=True)
        value, *gradient = twin(*(piece.reshape(shape) for piece, shape in pieces))
        return float(value), np.concatenate([g.ravel() for g in gradient])

    return told


@pytest.mark.parametrize("made", [with_patients, with_regression, of_rates])
def test_value_and_gradient_are_those_of_the_model(made: Any) -> None:
    model = made()
    flat = flatten(model)
    data = [flat.model[v.name].get_value() for v in node_of(flat).inputs[1:]]
    twin, rng = plain(model, flat), np.random.default_rng(11)
    for _ in range(3):
        at = 0.5 * rng.standard_normal(sum(int(np.prod(s)) for s in flat.shapes.values()))
        out: list[list[Any]] = [[None], [None]]
        node_of(flat).op.perform(None, [at, *data], out)
        value, gradient = twin(at)
        assert out[0][0] == pytest.approx(value, rel=1e-11)
        np.testing.assert_allclose(out[1][0], gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())


def of_data() -> pm.Model:
    """A small model whose data can be exchanged."""
    with pm.Model() as model:
        z = pm.Normal("z", shape=2)
        mean = pm.Data("mean", np.array([0.5, -1.0, 2.0]))
        pm.Normal("seen", pt.exp(z)[np.array([0, 1, 0])] - mean, 1.0, observed=np.array([1.0, 2.0, 3.0]))
    return model


@pytest.mark.parametrize(
    "made", [of_data, of_rates, pytest.param(with_patients, marks=pytest.mark.slow)], ids=lambda f: f.__name__
)
def test_compiled_it_is_the_same(made: Any) -> None:
    """Numba's loops, called by their address, against the same source run by Python; data in any order."""
    flat = flatten(made())
    node = node_of(flat)
    inputs = [pt.tensor(dtype="float64", shape=shape) for shape in node.op.shapes]
    compiled = pytensor.function(inputs, list(node.op(*inputs)), mode="NUMBA")
    data = [np.asfortranarray(flat.model[v.name].get_value()) for v in node.inputs[1:]]
    for scale in (0.5, 3.0):
        given = [scale * np.random.default_rng(4).standard_normal(node.op.shapes[0]), *data]
        out: list[list[Any]] = [[None], [None]]
        node.op.perform(None, given, out)
        value, gradient = compiled(*given)
        assert float(value) == pytest.approx(float(out[0][0]), rel=1e-11)
        np.testing.assert_allclose(gradient, out[1][0], rtol=1e-9, atol=1e-11 * np.abs(gradient).max())


def ran(inputs: list[Any], outputs: list[Any], given: list[Any]) -> list[Any]:
    """Outputs of the plain loops of a graph, all of which are arrays."""
    functions = functions_of(*write(FunctionGraph(inputs, outputs, clone=True)))
    made = [np.empty(v.type.shape) for v in outputs]
    functions["run"](*given, *made)
    return made


X = pt.tensor("x", dtype="float64", shape=(4, 3))
ROW = pt.tensor("row", dtype="float64", shape=(1, 3))
PLACES = np.array([2, 0, 2])


@pytest.mark.parametrize(
    "output",
    [
        X[1:, ::-1].T + 1,
        advanced_subtensor1(X, PLACES)[:, 1:] * 2,
        X.reshape((2, 6)) - 1,
        pt.concatenate([X, ROW * 2], axis=0),
        pt.concatenate([X, X[:, :1]], axis=1),
        X.sum(axis=0) + ROW[0],
        X.sum(axis=1, keepdims=True) * X,
        pt.dot(X, X.T),
        pt.dot(X.T, X),
        pt.inc_subtensor(advanced_subtensor1(X, PLACES), 1.5 * X[:3]),
        pt.set_subtensor(X[1:3, 0], X[:2, 2]),
        pt.set_subtensor(X[-1], 0.0) * 1,
        pt.inc_subtensor(X[1:3], ROW) * 1,
        pt.inc_subtensor(X[1:4:2, ::-1], ROW[0]) * 1,
        pt.set_subtensor(X[1:3], 0.0) * 1,
        pt.inc_subtensor(advanced_subtensor1(X, PLACES), ROW[0]) * 1,
        advanced_subtensor1(X, np.array([-1, 0, -4])) + ROW,
        pt.inc_subtensor(advanced_subtensor1(X, np.array([-1, 0])), X[:2]) * 1,
        ((X[:, :1] <= 0) & (X >= 0)) * 2.0,
        pt.expm1(X) - pt.clip(X, -0.5, 0.5),
        pt.exp(pt.minimum(X, np.inf)) * 2,
        X,
        pt.alloc(ROW[0, 1], 2, 2) / 3,
        pt.split(X * 2, splits_size=[1, 3], n_splits=2, axis=0)[1],
        X[2],
    ],
    ids=str,
)
def test_what_moves_numbers_moves_them_as_pytensor_does(output: Any) -> None:
    rng = np.random.default_rng(5)
    given = [rng.standard_normal((4, 3)), rng.standard_normal((1, 3))]
    told = pytensor.function([X, ROW], output, mode=PLAIN, on_unused_input="ignore")(*given)
    (made,) = ran([X, ROW], [output], given)
    np.testing.assert_allclose(made, told, rtol=1e-13)


def test_a_sum_over_a_slice_has_its_gradient_everywhere() -> None:
    """Rewrites make the gradient of such a sum one number that is spread over the slice."""
    with pm.Model() as model:
        z = pm.Normal("z", shape=4)
        pm.Potential("a", z[1:3].sum() * pt.exp(z[0]) + pt.exp(z)[np.array([-1, 0])].sum())
    flat = flatten(model)
    at = np.array([0.1, 0.2, 0.3, 0.4])
    out: list[list[Any]] = [[None], [None]]
    node_of(flat).op.perform(None, [at], out)
    value, gradient = plain(model, flat)(at)
    assert float(out[0][0]) == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(out[1][0], gradient, rtol=1e-12)


def test_what_is_not_a_number_stays_so() -> None:
    given = np.full((4, 3), np.nan)
    for output in (pt.maximum(1e-9, X) * 1, pt.minimum(X, 2.0) * 1, pt.clip(X, 0, 1) * 1):
        assert np.isnan(ran([X], [output], [given])[0]).all()


def test_a_place_is_used_again_only_when_nothing_reads_it_any_more() -> None:
    """A chain in which the first array is read last, and each step has the same size."""
    first = X * 2
    last = first
    for step in range(5):
        last = pt.exp(-last) + step
        last = last[::-1]
    given = np.random.default_rng(6).standard_normal((4, 3))
    told = pytensor.function([X], last - first, mode=PLAIN)(given)
    (made,) = ran([X], [last - first], [given])
    np.testing.assert_allclose(made, told, rtol=1e-13)


def test_what_is_not_known_is_named() -> None:
    with pytest.raises(NotImplementedError, match="cosh"):
        write(FunctionGraph([X], [pt.cosh(X)], clone=True))
    with pytest.raises(NotImplementedError, match="not known before"):
        write(FunctionGraph([y := pt.vector("y")], [y + 1], clone=True))
    with pytest.raises(NotImplementedError, match="is empty"):
        write(FunctionGraph([X], [X[:0] + 1], clone=True))
    with pytest.raises(IndexError, match="axis of length 4"):
        write(FunctionGraph([X], [advanced_subtensor1(X, np.array([0, 4])) + 1], clone=True))
    with pm.Model() as model:
        pm.Normal("z", pm.Data("whole", np.arange(2)), 1.0, shape=2)
    with pytest.raises(NotImplementedError, match="not float64: whole"):
        flatten(model)
    with pm.Model() as model:
        pm.Exponential("scale", 1.0)
    with pytest.raises(NotImplementedError, match="bounded"):
        flatten(model)


def test_data_of_another_shape_are_refused() -> None:
    model = of_data()
    with pytest.raises(ValueError, match=r"mean: shape \(2,\) where the model has \(3,\)"):
        Compiled(model, flatten(model), None).with_data({"mean": np.zeros(2)})
