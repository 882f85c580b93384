"""A graph under construction: nodes, names and constants; and the operations of layers and cells, which add nodes.

`Operations` is the namespace for the equations of layers and tapes, so that a file contains exactly those equations.
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
MAX_INT64: Final = (1 << 63) - 1  # as the end of a slice: that of the axis
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


class Tensor:
    """A tensor of the graph, by its name.

    Its shape is known when the graph runs; `shape` is what `reshape` takes to keep the number of rows.
    """

    __array_ufunc__ = None  # so that NumPy leaves its operators to this class
    shape = (0,)

    def __init__(self, nodes: Nodes, name: str) -> None:
        self.nodes, self.name = nodes, name

    def __add__(self, b: Any) -> Tensor:
        return self.nodes.apply("Add", self, b)

    def __sub__(self, b: Any) -> Tensor:
        return self.nodes.apply("Sub", self, b)

    def __mul__(self, b: Any) -> Tensor:
        return self.nodes.apply("Mul", self, b)

    def __truediv__(self, b: Any) -> Tensor:
        return self.nodes.apply("Div", self, b)

    def __radd__(self, a: Any) -> Tensor:
        return self.nodes.apply("Add", a, self)

    def __rsub__(self, a: Any) -> Tensor:
        return self.nodes.apply("Sub", a, self)

    def __rmul__(self, a: Any) -> Tensor:
        return self.nodes.apply("Mul", a, self)

    def __rtruediv__(self, a: Any) -> Tensor:
        return self.nodes.apply("Div", a, self)

    def __neg__(self) -> Tensor:
        return self.nodes.apply("Neg", self)

    def __abs__(self) -> Tensor:
        return self.nodes.apply("Abs", self)

    def reshape(self, *dims: int) -> Tensor:
        """Reshape: 0 keeps the dimension at that place, -1 takes the rest."""
        return self.nodes.apply("Reshape", self, self.nodes.int64s(*dims))


class Node(NamedTuple):
    """A node's message, the names that it reads (including those that its body reads from outside) and its outputs."""

    message: Message
    reads: frozenset[str]
    outputs: tuple[str, ...]


class Body(NamedTuple):
    """The inner graph of a node, and the names that it reads."""

    message: Message
    reads: frozenset[str]


def prune(nodes: list[Node], wanted: set[str]) -> tuple[list[Message], set[str]]:
    """Return the nodes that these names depend on, and all names that they read.

    Nodes that nothing reads are left out: they confuse the memory plan of onnxruntime (seen in 1.15 to 1.17), so that
    the second run of a session gives other results than the first.
    """
    read, pruned = set(wanted), []
    for node in reversed(nodes):
        if read.intersection(node.outputs):
            read |= node.reads
            pruned.append(node.message)
    return pruned[::-1], read


class Nodes:
    """The nodes so far, in the order in which they run, and all constants.

    The nodes of a body (of a Scan) are kept apart. Names are unique across all of them, and a body can read the names
    outside.
    """

    def __init__(self) -> None:
        self.scope = "graph"
        self.tensors: dict[str, Message] = {}
        self._scopes: list[list[Node]] = [[]]
        self._names: dict[Any, tuple[Any, str]] = {}
        self._count = 0

    @contextmanager
    def body(self) -> Iterator[list[Node]]:
        """Collect the nodes that are added inside the `with` block in a list of their own."""
        self._scopes.append([])
        yield self._scopes[-1]
        self._scopes.pop()

    @property
    def added(self) -> list[Node]:
        """The nodes of the graph or body under construction."""
        return self._scopes[-1]

    def new_name(self, what: str) -> str:
        self._count += 1
        return f"{self.scope}/{what}.{self._count}"

    def apply_many(self, count: int, op: str, *inputs: Any, **attributes: Any) -> list[Tensor]:
        """Add a node; return its outputs. inputs: tensors, arrays, numbers, or None for an input left out."""
        names = [self.new_name(op) for _ in range(count)]
        input_names = ["" if v is None else self.lift(v).name for v in inputs]
        inner = [v.reads for v in attributes.values() if isinstance(v, Body)]
        plain = {k: v.message if isinstance(v, Body) else v for k, v in attributes.items()}
        reads = frozenset(input_names).union(*inner)
        self.added.append(Node(proto.node(op, input_names, names, plain), reads, tuple(names)))
        return [Tensor(self, name) for name in names]

    def apply(self, op: str, *inputs: Any, **attributes: Any) -> Tensor:
        """Add a node with one output, and return that."""
        return self.apply_many(1, op, *inputs, **attributes)[0]

    def add_output(self, name: str, value: Tensor) -> None:
        """Give a tensor a name of its own, as an output of the graph."""
        self.added.append(Node(proto.node("Identity", [value.name], [name], {}), frozenset([value.name]), (name,)))

    def constant(self, name: str, array: Array) -> Tensor:
        """Return a constant of the file, float32 or integers; the same name twice is the same tensor."""
        if name not in self.tensors:
            self.tensors[name] = proto.tensor(name, array)
        return Tensor(self, name)

    def register(self, name: str, array: Array) -> None:
        """Register the name of a model's tensor, which it keeps wherever an equation uses it."""
        self._names[id(array)] = (array, name)

    def lift(self, value: Any) -> Tensor:
        """Return a Tensor as it is, a number or an array as a constant."""
        if isinstance(value, Tensor):
            return value
        if not isinstance(value, np.ndarray):
            return self.constant(f"number.{float(value)!r}", np.array(value, np.float32))
        return self.constant(self.name_of(value), value)

    def name_of(self, array: Array) -> str:
        if id(array) not in self._names:
            self._names[id(array)] = (array, self.new_name("constant"))
        return self._names[id(array)][1]

    def int64s(self, *numbers: int) -> Tensor:
        """Return a constant list of int64."""
        return self.constant("whole." + ".".join(map(str, numbers)), np.array(numbers, np.int64))

    def cast(self, value: Tensor, kind: int) -> Tensor:
        return self.apply("Cast", value, to=kind)

    def dim(self, value: Tensor, axis: int) -> Tensor:
        """Return the size of an axis, int64 [1]."""
        return self.apply("Shape", value, start=axis, end=axis + 1)


class Operations(Nodes):
    """The closed list of operations for the equations of layers and cells, on the last axis if they use one."""

    def __getattr__(self, name: str) -> Any:
        if name not in ELEMENTWISE:
            raise AttributeError(name)
        return lambda *operands: self.apply(ELEMENTWISE[name], *operands)

    def affine(self, x: Any, W: Array, b: Array) -> Tensor:
        """Return W x + b: x [..., K], W [N, K], b [N] -> [..., N]."""
        return self.apply("Add", self.matmul(x, W), b)

    def matmul(self, x: Any, W: Array) -> Tensor:
        """Return W x: x [..., K], W [N, K] -> [..., N]."""
        return self.apply("MatMul", x, self.constant(f"{self.name_of(W)}.transposed", W.T))

    def dot(self, x: Any, y: Any) -> Tensor:
        return self.sum(self.apply("Mul", x, y))

    def mean(self, x: Any) -> Tensor:
        return self.apply("ReduceMean", x, axes=[-1])

    def sum(self, x: Any, axis: int = -1) -> Tensor:
        return self.apply("ReduceSum", x, self.int64s(axis))

    def peak(self, x: Any, axis: int = -1) -> Tensor:
        return self.apply("ReduceMax", x, axes=[axis])

    def less(self, x: Any, y: Any) -> Tensor:
        return self.cast(self.apply("Less", x, y), proto.FLOAT)

    def select(self, condition: Any, x: Any, y: Any) -> Tensor:
        return self.apply("Where", self.cast(self.lift(condition), proto.BOOL), x, y)

    def push(self, window: Any, x: Any) -> Tensor:
        """Return a window [B, n, ...] without its first step, and x [B, ...] behind it."""
        older = self.apply("Slice", window, self.int64s(1), self.int64s(MAX_INT64), self.int64s(1))
        return self.apply("Concat", older, self.apply("Unsqueeze", x, self.int64s(1)), axis=1)

    def norm(self, v: Any) -> Tensor:
        d = self.lift(v) - self.mean(v)
        return d / self.apply("Sqrt", self.mean(d * d) + NORM_EPS)

    def concat(self, parts: list[Any]) -> Tensor:
        return self.lift(parts[0]) if len(parts) == 1 else self.apply("Concat", *parts, axis=-1)

    def split(self, x: Any, n: int) -> list[Tensor]:
        return [self.lift(x)] if n == 1 else self.apply_many(n, "Split", x, axis=-1)

    def take(self, table: Array, ids: Any) -> Tensor:
        return self.apply("Gather", table, ids)

    def bag(self, table: Array, ids: Any) -> Tensor:
        """Sum the rows of ids [..., n]; a negative id adds nothing."""
        zero = self.constant("id.0", np.array(0, np.int32))
        rows = self.take(table, self.apply("Max", ids, zero))
        there = self.apply("Unsqueeze", self.apply("Less", ids, zero), self.int64s(-1))
        return self.apply("ReduceSum", self.apply("Where", there, 0.0, rows), self.int64s(-2), keepdims=0)

    def columns(self, ids: Any, n: int) -> list[Tensor]:
        return [
            self.apply("Gather", ids, self.constant(f"column.{k}", np.array(k, np.int64)), axis=-1) for k in range(n)
        ]
