"""A PyTensor graph written out as plain loops, which numba compiles in seconds.

PyTensor's own numba backend compiles every node of a graph apart, through many layers: with nothing compiled
before, that was two thirds of a fit.
"""

import math
import re
from collections.abc import Sequence
from functools import singledispatch
from itertools import accumulate
from typing import Any

import numpy as np
from pytensor import scalar
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.scalar.basic import Composite
from pytensor.tensor.basic import Join
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.math import Dot
from pytensor.tensor.subtensor import AdvancedIncSubtensor1, IncSubtensor

from sim.synthesis.page import Page, inside, is_view, region, shape_of

FORMULAS = {
    scalar.Sub: "({} - {})",
    scalar.TrueDiv: "({} / {})",
    scalar.Neg: "(-{})",
    scalar.Reciprocal: "(1.0 / {})",
    scalar.Sqr: "({0} * {0})",
    scalar.Sqrt: "math.sqrt({})",
    scalar.Exp: "math.exp({})",
    scalar.Log: "math.log({})",
    scalar.Log1p: "math.log1p({})",
    scalar.Expm1: "math.expm1({})",
    scalar.math.Erfc: "math.erfc({})",
    scalar.math.Sigmoid: "(1.0 / (1.0 + math.exp(-{})))",
    scalar.Maximum: "({1} if {0} < {1} or {1} != {1} else {0})",  # as NumPy: what is not a number stays
    scalar.Minimum: "({1} if {0} > {1} or {1} != {1} else {0})",
    scalar.Clip: "({1} if {0} < {1} else {2} if {0} > {2} else {0})",
    scalar.LE: "({} <= {})",
    scalar.GE: "({} >= {})",
    scalar.EQ: "({} == {})",
    scalar.AND: "(({} != 0) & ({} != 0))",
}
"""Scalar operations of fixed arity; sums and products take any number."""


def write(graph: FunctionGraph) -> tuple[str, dict[str, Any]]:
    """Write ``graph`` as the source of functions, and the constants that they name.

    ``run`` takes the graph's inputs, then arrays for those of its outputs that are arrays, and gives the
    outputs that are single numbers. It calls ``part0``, ``part1`` ... in turn, since numba takes longer than
    in proportion for a longer function.

    Raises
    ------
    NotImplementedError
        An operation that is not known here, by name.
    """
    page = Page(graph.inputs, graph.outputs)
    for node in graph.toposort():
        if not is_view(node.op):
            page.turn()
            compute(node.op, node, page)
    page.turn()
    for variable in graph.outputs:
        _deliver(variable, page)
    numbers = [page.read(variable, []) for variable in graph.outputs if not shape_of(variable)]
    given = [f"x{n}" for n in range(len(graph.inputs))]
    filled = [f"y{n}" for n, variable in enumerate(graph.outputs) if shape_of(variable)]
    passed = ", ".join([*given, *filled, "w"])
    parts = page.parts()
    place, size = page.laid_out()
    body = [f"w = np.empty({size})", *(f"part{n}({passed})" for n in range(len(parts)))]
    defined = [_def(f"part{n}({passed})", lines) for n, lines in enumerate(parts)]
    defined.append(_def(f"run({', '.join(given + filled)})", [*body, f"return {', '.join(numbers)}"]))
    source = re.sub(r"\bw\[v(\d+)", lambda found: f"w[{place[int(found[1])]}", "\n".join(defined))
    constants = {
        "f": np.concatenate([np.empty(0), *(a.ravel() for a in page.constants["f"])]),
        "k": np.concatenate([np.empty(0, int), *(a.ravel().astype(int) for a in page.constants["k"])]),
    }
    return source, constants


def _def(head: str, lines: Sequence[str]) -> str:
    return "\n    ".join([f"def {head}:", *lines]) + "\n"


def _deliver(variable: Variable, page: Page) -> None:
    """Copy an output that is only a view of something into its place."""
    if shape_of(variable) and variable not in page.stored:
        indices = page.indices(variable)
        at = [i for i, _ in indices]
        source = page.read(variable, at)
        page.store(variable)
        page.loop(indices, [f"{page.element(variable, at)} = {source}"])


def functions_of(source: str, constants: dict[str, Any]) -> dict[str, Any]:
    """Make the Python functions of what ``write`` wrote; ``run`` finds its parts beside it."""
    scope = {"math": math, "np": np, "inf": math.inf, "nan": math.nan, **constants}
    exec(compile(source, "<plain loops>", "exec"), scope)
    return scope


@singledispatch
def compute(op: Any, node: Apply, page: Page) -> None:
    """Write the loops that compute and store a node's outputs."""
    raise NotImplementedError(f"{op} is not known to sim.synthesis.plain_loops")


@compute.register
def _(op: Elemwise, node: Apply, page: Page) -> None:
    indices = page.indices(node.outputs[0])
    at = [i for i, _ in indices]
    steps, results = _formula(op.scalar_op, [page.read(v, at) for v in node.inputs], len(page.lines))
    for variable in node.outputs:
        page.store(variable)
    stored = [f"{page.element(v, at)} = {result}" for v, result in zip(node.outputs, results, strict=True)]
    page.loop(indices, [*steps, *stored])


def _formula(op: Any, values: Sequence[str], number: int) -> tuple[list[str], list[str]]:
    """Lines and final expressions of a scalar operation, or of several made one."""
    if not isinstance(op, Composite):
        return [], [_scalar(op, values)]
    known: dict[Variable, str] = {}
    lines = []
    for place, (variable, value) in enumerate(zip(op.fgraph.inputs, values, strict=True)):
        known[variable] = value
        if "[" in value:  # read once what is used more than once
            known[variable] = f"r{number}_{place}"
            lines.append(f"r{number}_{place} = {value}")
    for step, node in enumerate(op.fgraph.toposort()):
        terms = [known[v] if v in known else repr(np.asarray(v.data).item()) for v in node.inputs]
        known[node.outputs[0]] = f"t{number}_{step}"
        lines.append(f"t{number}_{step} = {_scalar(node.op, terms)}")
    return lines, [known[v] for v in op.fgraph.outputs]


def _scalar(op: Any, values: Sequence[str]) -> str:
    for kind, sign in ((scalar.Add, " + "), (scalar.Mul, " * ")):
        if isinstance(op, kind):
            return f"({sign.join(values)})"
    if type(op) not in FORMULAS:
        raise NotImplementedError(f"{op} is not known to sim.synthesis.plain_loops")
    return FORMULAS[type(op)].format(*values)


@compute.register
def _(op: CAReduce, node: Apply, page: Page) -> None:
    if not isinstance(op.scalar_op, scalar.Add):
        raise NotImplementedError(f"{op} is not known to sim.synthesis.plain_loops")
    (source,), (total,) = node.inputs, node.outputs
    indices = page.indices(source)
    gone = range(source.type.ndim) if op.axis is None else op.axis
    kept = [index for axis, index in enumerate(indices) if axis not in gone]
    value = page.read(source, [i for i, _ in indices])
    page.store(total)
    into = page.element(total, [i for i, _ in kept])
    page.loop(kept, [f"{into} = 0.0"])
    page.loop(indices, [f"{into} += {value}"])


@compute.register
def _(op: Dot, node: Apply, page: Page) -> None:
    """A matrix's transpose is gone through row by row of the matrix, as it lies in memory."""
    (left, right), (product,) = node.inputs, node.outputs
    (i, rows), (k, inner) = page.indices(left)
    j, columns = f"j{i}", shape_of(right)[1]
    j = "0" if columns == 1 else j
    term = f"{page.read(left, [i, k])} * {page.read(right, [k, j])}"
    page.store(product)
    into = page.element(product, [i, j])
    page.loop([(j, columns), (i, rows)], [f"{into} = 0.0"])
    turned = left.owner is not None and isinstance(left.owner.op, DimShuffle)
    order = [(k, inner), (i, rows)] if turned else [(i, rows), (k, inner)]
    page.loop([(j, columns), *order], [f"{into} += {term}"])


@compute.register
def _(op: Join, node: Apply, page: Page) -> None:
    axis, parts, (whole,) = int(node.inputs[0].data), node.inputs[1:], node.outputs
    starts = accumulate((shape_of(part)[axis] for part in parts), initial=0)
    reads = [page.read(part, [i for i, _ in page.indices(part)]) for part in parts]
    page.store(whole)
    for part, start, value in zip(parts, starts, reads, strict=False):
        indices = page.indices(part)
        at = [f"({start} + {i})" if n == axis else i for n, (i, _) in enumerate(indices)]
        page.loop(indices, [f"{page.element(whole, at)} = {value}"])


@compute.register
def _(op: AdvancedIncSubtensor1, node: Apply, page: Page) -> None:
    """Rows of ``part``, or one for all, go to the rows of ``whole`` that ``places`` tells."""
    whole, part, places = node.inputs
    own = [*page.indices(places), *page.indices(whole)[1:]]
    names = [name for name, _ in own]
    row = page.place(places, names[0], shape_of(whole)[0])
    _change(op, node, page, ([row, *names[1:]], own, _broadcast(part, names, page)))


@compute.register
def _(op: IncSubtensor, node: Apply, page: Page) -> None:
    """``part``, which may be smaller, goes to a region of ``whole``."""
    whole, part, *places = node.inputs
    taken = region(op, places, whole)
    lengths = [len(axis) for axis in taken if isinstance(axis, range)]
    own = [(f"j{len(page.lines)}_{n}" if size > 1 else "0", size) for n, size in enumerate(lengths)]
    names = [name for name, _ in own]
    if 0 in lengths:
        raise NotImplementedError(f"{op} changes an empty region of {whole}")
    _change(op, node, page, (inside(taken, names), own, _broadcast(part, names, page)))


def _broadcast(part: Variable, names: Sequence[str], page: Page) -> str:
    """Read ``part`` at the last of the indices that it is spread over."""
    return page.read(part, names[len(names) - part.type.ndim :])


def _change(op: Any, node: Apply, page: Page, part: tuple[Sequence[str], Any, str]) -> None:
    """Copy the first input, then set or add what ``part`` tells: where, over which indices, which value."""
    (whole, *_), (changed,) = node.inputs, node.outputs
    copied = page.indices(whole)
    source = page.read(whole, [i for i, _ in copied])
    page.store(changed)
    page.loop(copied, [f"{page.element(changed, [i for i, _ in copied])} = {source}"])
    at, indices, value = part
    page.loop(indices, [f"{page.element(changed, at)} {'=' if op.set_instead_of_inc else '+='} {value}"])
