"""Where the elements of a PyTensor graph lie, as words of plain Python.

What only rearranges (a slice, an index, a new axis) is followed back to where the number is stored.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from math import prod
from typing import Any

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.basic import Alloc, Split
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.shape import Reshape, SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor1, Subtensor

LENGTH = 100
"""Lines of a function."""


@dataclass(frozen=True, eq=False)
class Element:
    """One element of a variable: an index for each axis, "0" on an axis of length 1."""

    of: Variable
    at: Sequence[str]


@dataclass(eq=False)
class Page:
    """What is written so far.

    What is computed lies in one workspace ``w``, where another takes its place once it is no longer read;
    inputs are ``x0``, ``x1`` …, outputs that are arrays ``y0`` …. Constants lie one behind another in ``f``
    and, whole numbers, ``k``. ``reads`` holds for each node what it reads or stores.
    """

    inputs: Sequence[Variable]
    outputs: Sequence[Variable]
    lines: list[list[str]] = field(default_factory=lambda: [[]])
    reads: list[set[Variable]] = field(default_factory=lambda: [set()])
    stored: dict[Variable, int] = field(default_factory=dict)
    constants: dict[str, list[Any]] = field(default_factory=lambda: {"f": [], "k": []})

    def turn(self) -> None:
        """Begin the lines of another node."""
        self.lines.append([])
        self.reads.append(set())

    def indices(self, variable: Variable) -> list[tuple[str, int]]:
        """Name an index of this node for each axis, beside its length."""
        node = len(self.lines)
        return [(f"i{node}_{a}" if n > 1 else "0", n) for a, n in enumerate(shape_of(variable))]

    def read(self, variable: Variable, at: Sequence[str]) -> str:
        """Write one element of ``variable``, as an expression."""
        at = ["0" if size == 1 else i for size, i in zip(shape_of(variable), at, strict=True)]
        if variable in self.stored or variable in self.inputs:
            self.reads[-1].add(variable)
            return self.element(variable, at)
        if isinstance(variable, Constant):
            return self._constant(np.asarray(variable.data), at)
        return view(variable.owner.op, variable.owner, self, Element(variable, at))

    def element(self, variable: Variable, at: Sequence[str]) -> str:
        """Write where one element of an input or of something computed lies."""
        if variable not in self.stored:
            return _indexed(f"x{self.inputs.index(variable)}", at)
        if variable in self.outputs and shape_of(variable):
            return _indexed(f"y{self.outputs.index(variable)}", at)
        return f"w[v{self.stored[variable]}{_flat(shape_of(variable), at)}]"

    def place(self, places: Variable, at: str, size: int) -> str:
        """Write an entry of a vector of places on an axis of ``size``; a negative one counts from its end.

        Raises
        ------
        IndexError
            A place that the axis does not have.
        """
        if not isinstance(places, Constant):
            return f"({self.read(places, [at])} % {size})"
        told = np.asarray(places.data)
        if ((told < -size) | (told >= size)).any():
            raise IndexError(f"a place outside an axis of length {size}: {told}")
        return self._constant(told % size, ["0" if len(told) == 1 else at])

    def _constant(self, value: Any, at: Sequence[str]) -> str:
        first = value.ravel()[:1]
        if np.isfinite(first).any() and (value == first).all():
            return repr(first[0].item())
        kind = "k" if value.dtype.kind in "iub" else "f"
        start = sum(array.size for array in self.constants[kind])
        self.constants[kind].append(value)
        return f"{kind}[{start}{_flat(value.shape, at)}]"

    def store(self, variable: Variable) -> None:
        """Give what is computed a place."""
        self.stored[variable] = len(self.stored)
        self.reads[-1].add(variable)

    def loop(self, sizes: Iterable[tuple[str, int]], body: Sequence[str]) -> None:
        """Write nested loops over named indices."""
        indent = ""
        for index, size in sizes:
            if index != "0":
                self.lines[-1].append(f"{indent}for {index} in range({size}):")
                indent += "    "
        self.lines[-1] += [indent + line for line in body]

    def parts(self) -> list[list[str]]:
        """Group the nodes' lines, some ``LENGTH`` each."""
        groups: list[list[str]] = [[]]
        for lines in self.lines:
            if len(groups[-1]) > LENGTH:
                groups.append([])
            groups[-1] += lines
        return [lines for lines in groups if lines]

    def laid_out(self) -> tuple[dict[int, int], int]:
        """Place of each array in the workspace, and its size; the last that reads an array frees it."""
        last = {variable: turn for turn, read in enumerate(self.reads) for variable in read}
        place: dict[int, int] = {}
        free: defaultdict[int, list[int]] = defaultdict(list)
        end = 0
        for turn, read in enumerate(self.reads):
            in_order = sorted(read & self.stored.keys(), key=self.stored.__getitem__)
            for variable in in_order:
                size = prod(shape_of(variable))
                if self.stored[variable] not in place:
                    place[self.stored[variable]] = free[size].pop() if free[size] else end
                    end = max(end, place[self.stored[variable]] + size)
            for variable in in_order:
                if last[variable] == turn:
                    free[prod(shape_of(variable))].append(place[self.stored[variable]])
        return place, end


def shape_of(variable: Variable) -> tuple[int, ...]:
    """Shape of a variable; every axis must be known."""
    shape = getattr(variable.type, "shape", ())
    if None in shape:
        raise NotImplementedError(f"an axis of {variable} is not known before it is computed: {shape}")
    if 0 in shape:
        raise NotImplementedError(f"{variable} is empty: {shape}")
    return tuple(shape)


def _indexed(name: str, at: Sequence[str]) -> str:
    return f"{name}[{', '.join(at)}]" if at else name


def _flat(shape: Sequence[int], at: Sequence[str]) -> str:
    """Distance from an array's first element."""
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return "".join(
        f" + {i} * {n}" if n > 1 else f" + {i}" for i, n in zip(at, strides, strict=True) if i != "0"
    )


@singledispatch
def view(op: Any, node: Apply, page: Page, wanted: Element) -> str:
    """Write the element of the inputs that an element of the output is."""
    raise NotImplementedError(op)


def is_view(op: Any) -> bool:
    """Say whether an operation only rearranges."""
    return view.dispatch(type(op)) is not view.dispatch(object)


@view.register
def _(op: DimShuffle, node: Apply, page: Page, wanted: Element) -> str:
    place = {axis: i for axis, i in zip(op.new_order, wanted.at, strict=True) if axis != "x"}
    source = node.inputs[0]
    return page.read(source, [place.get(axis, "0") for axis in range(source.type.ndim)])


@view.register
def _(op: Subtensor, node: Apply, page: Page, wanted: Element) -> str:
    source, *places = node.inputs
    return page.read(source, inside(region(op, places, source), wanted.at))


def region(op: Any, places: Sequence[Variable], source: Variable) -> list[range | int]:
    """What a basic index takes of each axis of ``source``: a range of places, or a single one."""
    given = iter(places)
    taken: list[range | int] = []
    for axis, size in enumerate(shape_of(source)):
        entry = op.idx_list[axis] if axis < len(op.idx_list) else slice(None)
        if isinstance(entry, slice):
            parts = (
                None if p is None else int(next(given).data) for p in (entry.start, entry.stop, entry.step)
            )
            taken.append(range(*slice(*parts).indices(size)))
        else:
            taken.append(range(size)[int(next(given).data)])
    return taken


def inside(taken: Sequence[range | int], at: Sequence[str]) -> list[str]:
    """Index into the source of what a region takes, whose own index is ``at``."""
    own = iter(at)
    return [str(axis) if isinstance(axis, int) else _step(axis, next(own)) for axis in taken]


def _step(places: range, index: str) -> str:
    if index == "0":
        return str(places.start)
    if places.start == 0 and places.step == 1:
        return index
    steps = index if places.step == 1 else f"{places.step} * {index}"
    return f"({places.start} + {steps})"


@view.register
def _(op: AdvancedSubtensor1, node: Apply, page: Page, wanted: Element) -> str:
    source, places = node.inputs
    first = page.place(places, wanted.at[0], shape_of(source)[0])
    return page.read(source, [first, *wanted.at[1:]])


@view.register
def _(op: Alloc, node: Apply, page: Page, wanted: Element) -> str:
    value = node.inputs[0]
    return page.read(value, wanted.at[len(wanted.at) - value.type.ndim :])


@view.register(SpecifyShape)
@view.register(CheckAndRaise)
def _(op: Any, node: Apply, page: Page, wanted: Element) -> str:
    return page.read(node.inputs[0], wanted.at)


@view.register
def _(op: Reshape, node: Apply, page: Page, wanted: Element) -> str:
    """Row by row: the place in the flat array, cut anew."""
    flat = "0"
    for size, i in zip(shape_of(wanted.of), wanted.at, strict=True):
        flat = i if flat == "0" else f"({flat} * {size} + {i})"
    indices: list[str] = []
    for size in reversed(shape_of(node.inputs[0])):
        indices.insert(0, f"({flat} % {size})")
        flat = f"({flat} // {size})"
    return page.read(node.inputs[0], indices)


@view.register
def _(op: Split, node: Apply, page: Page, wanted: Element) -> str:
    source, axis, sizes = node.inputs
    start = sum(int(size) for size in sizes.data[: node.outputs.index(wanted.of)])
    at = list(wanted.at)
    at[int(axis.data)] = f"({start} + {at[int(axis.data)]})"
    return page.read(source, at)
