"""A graph under construction: nodes, names and constants; and the operations of layers and cells, each of which
adds nodes.

`Nodes` serves as the namespace that layers and tapes are written over, so that their own equations are what a
file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...tape import NORM_EPS
from . import proto
from .wire import Message

Array = npt.NDArray[Any]
ELEMENTWISE: Final = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "minimum": "Min",
    "maximum": "Max",
    "neg": "Neg",
    "abs": "Abs",
    "exp": "Exp",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "sqrt": "Sqrt",
}


class Value:
    """A tensor of the graph, by its name. Its shape is known when the graph runs; `shape` is what `reshape` takes for
    the rows as they are."""

    __array_ufunc__ = None  # NumPy hands its operators over
    shape = (0,)

    def __init__(self, nodes: Nodes, name: str) -> None:
        self.nodes, self.name = nodes, name

    def __add__(self, b: Any) -> Value:
        return self.nodes.one("Add", self, b)

    def __sub__(self, b: Any) -> Value:
        return self.nodes.one("Sub", self, b)

    def __mul__(self, b: Any) -> Value:
        return self.nodes.one("Mul", self, b)

    def __truediv__(self, b: Any) -> Value:
        return self.nodes.one("Div", self, b)

    def __radd__(self, a: Any) -> Value:
        return self.nodes.one("Add", a, self)

    def __rsub__(self, a: Any) -> Value:
        return self.nodes.one("Sub", a, self)

    def __rmul__(self, a: Any) -> Value:
        return self.nodes.one("Mul", a, self)

    def __rtruediv__(self, a: Any) -> Value:
        return self.nodes.one("Div", a, self)

    def reshape(self, *dims: int) -> Value:
        """0 keeps the dimension of that place, -1 takes the rest."""
        return self.nodes.one("Reshape", self, self.nodes.whole(*dims))


class Node(NamedTuple):
    """A node's message, the names that it reads (those that its body takes from around it too) and those it makes."""

    message: Message
    reads: frozenset[str]
    makes: tuple[str, ...]


class Body(NamedTuple):
    """A node's graph of its own, and the names that it reads."""

    message: Message
    reads: frozenset[str]


def needed(nodes: list[Node], wanted: set[str]) -> tuple[list[Message], set[str]]:
    """The nodes that some of these names come from, and all names that are read for it.

    What nothing reads is left out: it misleads the memory plan of onnxruntime (seen in 1.15 to 1.17), so that a
    session's second run gives other answers than its first.
    """
    read, kept = set(wanted), []
    for node in reversed(nodes):
        if read.intersection(node.makes):
            read |= node.reads
            kept.append(node.message)
    return kept[::-1], read


class Nodes:
    """The nodes so far, in the order in which they run, and all constants. A body's nodes (of a Scan) are apart;
    names are unique over all, and a body reads the names around it."""

    def __init__(self) -> None:
        self.place = "graph"
        self.tensors: dict[str, Message] = {}
        self._scopes: list[list[Node]] = [[]]
        self._known: dict[Any, tuple[Any, str]] = {}
        self._count = 0

    @contextmanager
    def body(self) -> Iterator[list[Node]]:
        """What is added inside goes to a list of its own."""
        self._scopes.append([])
        yield self._scopes[-1]
        self._scopes.pop()

    @property
    def added(self) -> list[Node]:
        """The nodes of the graph or body under construction."""
        return self._scopes[-1]

    def fresh(self, what: str) -> str:
        self._count += 1
        return f"{self.place}/{what}.{self._count}"

    def outputs(self, count: int, op: str, *inputs: Any, **attributes: Any) -> list[Value]:
        """One node's outputs. inputs: Values, arrays, numbers, or None for what is left out."""
        names = [self.fresh(op) for _ in range(count)]
        given = ["" if v is None else self.lift(v).name for v in inputs]
        inner = [v.reads for v in attributes.values() if isinstance(v, Body)]
        plain = {k: v.message if isinstance(v, Body) else v for k, v in attributes.items()}
        reads = frozenset(given).union(*inner)
        self.added.append(Node(proto.node(op, given, names, plain), reads, tuple(names)))
        return [Value(self, name) for name in names]

    def one(self, op: str, *inputs: Any, **attributes: Any) -> Value:
        return self.outputs(1, op, *inputs, **attributes)[0]

    def named(self, name: str, value: Value) -> None:
        """The value under a name of the graph's own: an output."""
        self.added.append(Node(proto.node("Identity", [value.name], [name], {}), frozenset([value.name]), (name,)))

    def constant(self, name: str, array: Array) -> Value:
        """A tensor of the file, as float32 or integers; the same name twice is the same tensor."""
        if name not in self.tensors:
            self.tensors[name] = proto.tensor(name, array)
        return Value(self, name)

    def know(self, name: str, array: Array) -> None:
        """A model's tensor keeps its name wherever an equation uses it."""
        self._known[id(array)] = (array, name)

    def lift(self, value: Any) -> Value:
        """A Value as it is; a number or an array as a constant."""
        if isinstance(value, Value):
            return value
        if not isinstance(value, np.ndarray):
            return self.constant(f"number.{float(value)!r}", np.array(value, np.float32))
        return self.constant(self.name_of(value), value)

    def name_of(self, array: Array) -> str:
        if id(array) not in self._known:
            self._known[id(array)] = (array, self.fresh("constant"))
        return self._known[id(array)][1]

    def whole(self, *numbers: int) -> Value:
        """A constant list of int64."""
        return self.constant("whole." + ".".join(map(str, numbers)), np.array(numbers, np.int64))

    def cast(self, value: Value, kind: int) -> Value:
        return self.one("Cast", value, to=kind)

    def dim(self, value: Value, axis: int) -> Value:
        """The size of an axis: int64 [1]."""
        return self.one("Shape", value, start=axis, end=axis + 1)


class Operations(Nodes):
    """What layers and cells are written over: the closed list of operations, on the last axis where there is one."""

    def __getattr__(self, name: str) -> Any:
        if name not in ELEMENTWISE:
            raise AttributeError(name)
        return lambda *operands: self.one(ELEMENTWISE[name], *operands)

    def affine(self, x: Any, W: Array, b: Array) -> Value:
        """x [..., K], W [N, K], b [N] -> [..., N]."""
        return self.one("Add", self.matmul(x, W), b)

    def matmul(self, x: Any, W: Array) -> Value:
        """x [..., K], W [N, K] -> [..., N]."""
        return self.one("MatMul", x, self.constant(f"{self.name_of(W)}.transposed", W.T))

    def mean(self, x: Any) -> Value:
        return self.one("ReduceMean", x, axes=[-1])

    def sum(self, x: Any) -> Value:
        return self.one("ReduceSum", x, self.whole(-1))

    def peak(self, x: Any) -> Value:
        return self.one("ReduceMax", x, axes=[-1])

    def norm(self, v: Any) -> Value:
        d = self.lift(v) - self.mean(v)
        return d / self.one("Sqrt", self.mean(d * d) + NORM_EPS)

    def concat(self, parts: list[Any]) -> Value:
        return self.lift(parts[0]) if len(parts) == 1 else self.one("Concat", *parts, axis=-1)

    def split(self, x: Any, n: int) -> list[Value]:
        return [self.lift(x)] if n == 1 else self.outputs(n, "Split", x, axis=-1)

    def take(self, table: Array, ids: Any) -> Value:
        return self.one("Gather", table, ids)
