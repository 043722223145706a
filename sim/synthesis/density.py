"""A model's log density and its gradient as one operation, quick to compile (see ``plain_loops``)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

import numba
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from numba import carray, types  # type: ignore[attr-defined]
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import ancestors
from pytensor.link.numba.dispatch import numba_funcify

from sim.synthesis.plain_loops import functions_of, write

FREE = "free"
"""The one vector that is sampled: every free variable of the model, one behind another."""
ROUNDING = {"reassoc", "contract", "arcp", "nsz"}
"""What LLVM may do to sums and products: it changes their last digits, as it does in PyTensor."""
TIDY = ("canonicalize", "stabilize")
LEFT_OUT = ("inplace", "cxx_only", "BlasOpt", "local_careduce_fusion")
"""Rewrites of other backends."""


class Density(Op):  # type: ignore[misc]
    """Log density of the free vector and its gradient; further inputs are the model's data."""

    __props__ = ("key",)

    def __init__(self, graph: FunctionGraph) -> None:
        self.source, self.constants = write(graph)
        self.shapes = tuple(variable.type.shape for variable in graph.inputs)
        numbers = b"".join(array.tobytes() for array in self.constants.values())
        self.key = hashlib.sha256(self.source.encode() + numbers).hexdigest()

    def make_node(self, *inputs: Variable) -> Apply:
        """Apply to the free vector and the data."""
        free = pt.as_tensor(inputs[0])
        return Apply(self, [free, *map(pt.as_tensor, inputs[1:])], [pt.dscalar(), free.type()])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        """Compute in plain Python."""
        gradient = np.empty(self.shapes[0])
        value = functions_of(self.source, self.constants)["run"](*inputs, gradient)
        outputs[0][0], outputs[1][0] = np.asarray(value), gradient

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Differentiable by the free vector alone."""
        return [[True, False], *([False, False] for _ in node.inputs[1:])]

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> list[Variable]:
        """Gradient of something that follows from the log density."""
        unconnected = [pytensor.gradient.DisconnectedType()() for _ in inputs[1:]]
        return [output_grads[0] * outputs[1], *unconnected]


@numba_funcify.register(Density)  # type: ignore[untyped-decorator]
def _compiled(op: Density, node: Apply, **_: Any) -> Callable[..., Any]:
    """Compile once and call by address: each layer of callers would compile it again as its own."""
    scope = functions_of(op.source, op.constants)
    options: dict[str, Any] = {"error_model": "numpy", "fastmath": ROUNDING}
    inner = options | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # called from compiled code
    for name in [name for name in scope if name.startswith("part")]:
        scope[name] = numba.njit(**inner)(scope[name])
    scope |= {"carray": carray, "run": numba.njit(inline="always", **options)(scope["run"])}
    numbers = [f"p{n}" for n in range(len(op.shapes))]
    arrays = [
        f"carray({n}, {shape})" for n, shape in zip([*numbers, "y"], [*op.shapes, op.shapes[0]], strict=True)
    ]
    lines = [
        f"def called({', '.join(numbers)}, y):",
        f"    return run({', '.join(arrays)})",
        f"def density({', '.join(numbers)}):",
        *(f"    {n} = np.ascontiguousarray({n})" for n in numbers),
        f"    y = np.empty({op.shapes[0]})",
        f"    return np.asarray(address({', '.join(f'{n}.ctypes' for n in [*numbers, 'y'])})), y",
    ]
    exec("\n".join(lines), scope)
    pointers = [types.CPointer(types.double)] * (len(numbers) + 1)  # type: ignore[no-untyped-call]
    scope["kept"] = numba.cfunc(types.double(*pointers))(scope["called"])  # as long as its caller
    scope["address"] = scope["kept"].ctypes
    return numba.njit(scope["density"])  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Flattened:
    """A model of one free vector, and where in it each variable of the real model lies."""

    model: pm.Model
    shapes: dict[str, tuple[int, ...]]

    def named(self, drawn: Any) -> dict[str, Any]:
        """Cut draws of the vector, (chain, draw, place), into the model's variables."""
        values, cut, made = drawn.to_numpy(), 0, {}
        for name, shape in self.shapes.items():
            piece = values[..., cut : cut + prod(shape)].reshape(*values.shape[:2], *shape)
            made[name] = (["chain", "draw", *(f"{name}_dim_{axis}" for axis in range(len(shape)))], piece)
            cut += prod(shape)
        return made


def flatten(model: pm.Model) -> Flattened:
    """Make the model of one free vector whose density is ``model``'s, with data of the same names.

    Raises
    ------
    NotImplementedError
        A free variable is bounded, data are no floats, or an operation is not known to ``plain_loops``.
    """
    if any(model.rvs_to_transforms[variable] is not None for variable in model.free_RVs):
        raise NotImplementedError(
            "a bounded variable has no place in the free vector: state it by a normal one"
        )
    free = [model.rvs_to_values[variable] for variable in model.free_RVs]
    log_density = rewrite_graph(model.logp(), include=[*TIDY, "local_remove_check_parameter"])
    gradient = pt.concatenate([g.ravel() for g in pytensor.gradient.grad(log_density, free)])
    shared = [v for v in ancestors([log_density]) if isinstance(v, SharedVariable)]
    if other := [v.name for v in shared if v.get_value().dtype != np.float64]:
        raise NotImplementedError(f"data that are not float64: {', '.join(other)}")
    first = model.initial_point()
    shapes = {value.name: first[value.name].shape for value in free}
    ends = list(accumulate(prod(shape) for shape in shapes.values()))
    vector, *data = (
        pt.tensor(dtype="float64", shape=shape)
        for shape in [(ends[-1],), *(v.get_value().shape for v in shared)]
    )
    pieces = zip([0, *ends[:-1]], ends, shapes.values(), strict=True)
    cut = [vector[start:end].reshape(shape) for start, end, shape in pieces]
    given = dict(zip([*free, *shared], [*cut, *data], strict=True))
    graph = FunctionGraph([vector, *data], pytensor.clone_replace([log_density, gradient], given), clone=True)
    rewrite_graph(graph, include=["fast_run"], exclude=LEFT_OUT)
    with pm.Model() as flat:
        start = np.concatenate([first[name].ravel() for name in shapes])
        numbers = [pm.Data(v.name, v.get_value()) for v in shared]
        whole = pm.Flat(FREE, shape=len(start), initval=start)
        pm.Potential("density", Density(graph)(whole, *numbers)[0])
    return Flattened(flat, shapes)
