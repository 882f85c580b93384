"""Random programs over all operations, their engines, and their steps in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate import _native
from tidegate.tape import Instruction, NumpyOps, Program, encode_program, run_program
from tidegate.tape.lower import ProgramRecorder, Value, without_dead_code

SIZES = (1, 3, 7, 8, 9, 17, 33)
Shape = tuple[int, ...]


@dataclass
class Sample:
    """A program and its tensors. States start at zero and follow each other in a block."""

    program: Program
    tensors: dict[str, np.ndarray]

    @property
    def sizes(self) -> list[int]:
        return [math.prod(shape) for shape in self.program.state.values()]

    @property
    def state_bytes(self) -> int:
        return -(-(8 + 4 * sum(self.sizes)) // 8) * 8

    def engine(self, target: str, precision: str = "float32", fused: bool = True) -> Any:
        engine = _native.Engine(target, self.state_bytes, fused, precision)
        engine.add(**self.arguments())
        engine.finish()
        return engine

    def arguments(self) -> dict[str, Any]:
        code, program = encode_program(self.program), self.program
        return {
            "code": code.code,
            "joined": code.joined,
            "consts": code.consts,
            "tensors": [self.tensors[role].reshape(-1) for role in program.tensors],
            "inputs": program.inputs,
            "ids": program.ids,
            "output": code.output,
            "next": code.next,
            "state_offsets": np.cumsum([8, *(4 * n for n in self.sizes)], dtype=np.int32)[:-1].copy(),
            "state_sizes": np.array(self.sizes, np.int32),
        }

    def plain(self) -> Sample:
        """Return the same program with operations that read every register at the very end, and that nothing needs.

        So the engine uses no memory twice, merges nothing, and changes no state in its block.
        """
        own = self.program
        kept = [i for i, ins in enumerate(own.instructions) if ins.name != "const"]
        more = tuple(Instruction("neg", (i,)) for i in kept)
        everything = (own.inputs, own.ids, own.tensors, own.state, own.instructions + more, own.output, own.next)
        return Sample(Program(*everything), self.tensors)

    def inputs(self, rng: np.random.Generator, T: int, B: int) -> np.ndarray:
        if self.program.ids:
            ids = rng.integers(0, self.program.inputs, (T, B, self.program.ids)).astype(np.int32)
            taken = {ins.args[1] for ins in self.program.instructions if ins.name == "take"}
            for k in set(range(self.program.ids)) - taken:
                ids[rng.random((T, B)) < 0.3, k] = -1
            return ids[..., 0].copy() if self.program.ids == 1 else ids
        return rng.standard_normal((T, B, self.program.inputs)).astype(np.float32)

    def reference(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the outputs [T, B, O] and the last states [B, floats] in float64."""
        B, out = x.shape[1], []
        t = {role: value.astype(float) for role, value in self.tensors.items()}
        s: dict[str, Any] = {name: np.zeros((B, *shape)) for name, shape in self.program.state.items()}
        for k, step in enumerate(x):
            given = step if self.program.ids else step.astype(float)
            y, s = run_program(self.program, NumpyOps, t, s, given, np.full((B, 1), float(k + 1)))
            out.append(np.broadcast_to(y, (B, self.program.width)))
        states = [np.broadcast_to(v, (B, *self.program.state[name])).reshape(B, -1) for name, v in s.items()]
        order = {name: k for k, name in enumerate(s)}
        return np.stack(out), np.hstack([states[order[name]] for name in self.program.state] or [np.zeros((B, 0))])


class Maker:
    """Records random operations on values of bounded size, so that float32 stays near float64."""

    def __init__(self, rng: np.random.Generator, ids: int, states: dict[str, Shape]) -> None:
        self.rng, self.ids = rng, ids
        self.tensors: dict[str, np.ndarray] = {}
        self.shapes: dict[str, Shape] = {}
        self.width = 11 if ids else self.size()
        self.recorder = ProgramRecorder(self.width, ids, self.shapes, states)
        self.exact: list[Value] = []  # whose comparisons do not depend on rounding
        self.values = [self.leaf()]
        self.values += [self.emit("state", name) for name in states]
        steps = self.emit("steps")
        self.exact.append(steps)
        self.values.append(self.emit("div", self.const(1.0), steps))

    def size(self) -> int:
        return int(self.rng.choice(SIZES))

    def pick(self, values: list[Value]) -> Value:
        return values[self.rng.integers(len(values))]

    def emit(self, name: str, *operands: Any) -> Value:
        return self.recorder.emit(name, *(v.register if isinstance(v, Value) else v for v in operands))

    def shape(self, value: Value) -> Shape:
        return self.recorder.shape(value.register)

    def const(self, number: float) -> Value:
        return self.emit("const", number)

    def tensor(self, *shape: int, scale: float = 1.0) -> Value:
        """Read a new tensor, or a part of one that is longer."""
        name, first, size = f"t{len(self.tensors)}", int(self.rng.integers(4)), math.prod(shape)
        whole: Shape = (first + size + int(self.rng.integers(3)),)
        if self.rng.random() < 0.5:
            first, whole = 0, shape
        self.tensors[name] = (self.rng.standard_normal(whole) * scale).astype(np.float32)
        self.shapes[name] = whole
        return self.emit("tensor", name, first, shape)

    def leaf(self) -> Value:
        """Return the input, or rows of a table."""
        if not self.ids:
            x = self.emit("input")
            self.exact.append(x)
            return x
        table = self.tensor(self.width, self.size())
        if self.ids > 1 and self.rng.random() < 0.5:
            return self.emit("bag", table)
        return self.emit("take", table, int(self.rng.integers(self.ids)))

    def reshape(self, value: Value, shape: Shape) -> Value:
        return value if self.shape(value) == shape else self.emit("reshape", value, shape)

    def flat(self, value: Value) -> Value:
        return self.reshape(value, (math.prod(self.shape(value)),))

    def product(self, size: int) -> Value:
        """Return a product of some value, at most 1 in size; values with several products are likely."""
        narrow = [v for v in self.values if math.prod(self.shape(v)) <= 400]
        x = self.flat(self.pick(narrow[:3] if self.rng.random() < 0.5 else narrow))
        W = self.tensor(size, self.shape(x)[0], scale=1 / math.sqrt(self.shape(x)[0]))
        if self.rng.random() < 0.5:
            return self.emit("tanh", self.emit("matmul", x, W))
        return self.emit("tanh", self.emit("affine", x, W, self.tensor(size)))

    def partner(self, value: Value) -> Value:
        """Return something to combine a value with, broadcast or not, at most about 3 in size."""
        shape = self.shape(value)
        if (kind := self.rng.random()) < 0.15:
            return self.const(float(self.rng.normal()))
        fitting = [v for v in self.values if self.fits(self.shape(v), shape)]
        if kind < 0.6 and len(fitting) > 1:
            return self.pick(fitting)
        return self.tensor(*(n if self.rng.random() < 0.6 else 1 for n in shape))

    @staticmethod
    def fits(a: Shape, b: Shape) -> bool:
        wide = len(a) == len(b) and all(n == m or 1 in (n, m) for n, m in zip(a, b, strict=True))
        return wide and math.prod(map(max, a, b)) <= 4000

    def attend(self, window: Value) -> Value:
        """Sum over a window [n, groups, each] with a weight for each step."""
        n, groups, each = self.shape(window)
        query = self.reshape(self.product(groups * each), (1, groups, each))
        scores = self.reshape(self.emit("dot", query, window), (n, groups))
        peak = self.emit("peak", scores, 0)
        weights = self.emit("exp", self.emit("sub", scores, peak))
        total = self.reshape(self.emit("sum", weights, 0), (groups, 1))
        mixed = self.emit("sum", self.emit("mul", self.reshape(weights, (n, groups, 1)), window), 0)
        return self.emit("div", self.reshape(mixed, (groups, each)), total)

    def compute(self) -> Value:
        """Record one or a few random operations and return a value of at most about 3."""
        value = self.pick(self.values)
        shape = self.shape(value)
        name = str(self.rng.choice(OPERATIONS))
        if name in ("neg", "abs", "sigmoid", "tanh", "relu"):
            return self.emit(name, value)
        if name == "exp":
            return self.emit("exp", self.emit("neg", self.emit("abs", value)))
        if name == "sqrt":
            return self.emit("sqrt", self.emit("add", self.emit("abs", value), self.const(0.5)))
        if name == "norm":
            flat = self.flat(value)
            return self.emit("norm", self.emit("add", flat, self.tensor(*self.shape(flat))))
        if name in ("add", "sub", "mul", "minimum", "maximum", "div"):
            a, b = value, self.partner(value)
            if name == "div":
                b = self.emit("add", self.emit("abs", b), self.const(1.0)) if self.shape(b) else self.const(1.5)
            elif self.rng.random() < 0.3:
                a, b = b, a
            return self.emit("tanh", self.emit(name, a, b))
        if name == "less":
            a = self.pick(self.exact)
            where = self.emit("less", a, self.tensor(*self.shape(a), scale=2.0))
            self.exact.append(where)
            return where
        if name == "select":
            where = self.pick(self.exact)
            one = self.partner(where)
            other = self.tensor(*self.shape(where)) if self.rng.random() < 0.5 else self.const(0.25)
            return self.emit("select", where, *((one, other) if self.rng.random() < 0.5 else (other, one)))
        if name == "reshape":
            size = math.prod(shape)
            inner = int(self.rng.choice([n for n in (1, 3, 7, 8, 9, 11, 17, size) if size % n == 0]))
            middle = int(self.rng.choice([n for n in (1, 2, 3, 7, size // inner) if (size // inner) % n == 0]))
            new = [(size,), (inner, size // inner), (size // inner // middle, middle, inner)][self.rng.integers(3)]
            return self.reshape(value, new)
        if name == "concat":
            fitting = [v for v in self.values if self.shape(v)[:-1] == shape[:-1] and math.prod(self.shape(v)) < 600]
            return self.emit("concat", value, *(self.pick(fitting) for _ in range(self.rng.integers(1, 4)) if fitting))
        if name == "part":
            n = int(self.rng.choice([n for n in (1, 3, 7, 9, 11, shape[-1]) if shape[-1] % n == 0]))
            return self.emit("part", value, int(self.rng.integers(n)), n)
        if name in ("sum", "peak"):
            reduced = self.emit(name, value, int(self.rng.integers(len(shape))))
            return reduced if name == "peak" else self.emit("tanh", reduced)
        if name == "mean":
            return self.emit("mean", value)
        if name == "dot":
            fitting = [v for v in self.values if self.fits(self.shape(v), shape) and self.shape(v)[-1] == shape[-1]]
            return self.emit("tanh", self.emit("dot", value, self.pick(fitting)))
        if name == "push":
            windows = [v for v in self.values if len(self.shape(v)) > 1]
            if not windows:
                return self.leaf()
            window = self.pick(windows)
            step = self.shape(window)[1:]
            return self.emit("push", window, self.reshape(self.product(math.prod(step)), step))
        if name == "attend":
            windows = [v for v in self.values if len(self.shape(v)) == 3]
            return self.attend(self.pick(windows)) if windows else self.leaf()
        return self.product(self.size())


OPERATIONS = [
    *("neg", "abs", "exp", "sigmoid", "tanh", "relu", "norm", "sqrt", "add", "sub", "mul", "div", "minimum", "maximum"),
    *("less", "select", "reshape", "concat", "part", "sum", "peak", "mean", "dot", "push", "attend", "product"),
    *("mul", "add", "reshape", "product", "part", "push"),  # more often
]


def make_sample(seed: int) -> Sample:
    """Make a random program. It has up to three states; in every fourth, one is long enough to change in place."""
    rng = np.random.default_rng(seed)
    states: dict[str, Shape] = {}
    for k in range(rng.integers(4)):
        one = (int(rng.choice(SIZES)),)
        states[f"s{k}"] = (int(rng.integers(1, 9)), int(rng.integers(1, 4)), *one) if rng.random() < 0.5 else one
    if seed % 4 == 0:
        states["long"] = (70 + int(rng.integers(9)), 3, int(rng.choice([11, 13, 16])))
    maker = Maker(rng, int(rng.integers(1, 4)) if seed % 5 == 4 else 0, states)
    following = {}
    for name, shape in states.items():
        old = maker.emit("state", name)
        if len(shape) > 1 and (name == "long" or rng.random() < 0.7):
            step = maker.product(math.prod(shape[1:]))
            new = maker.emit("push", old, maker.reshape(step, shape[1:]))
            maker.values.append(maker.attend(new))
        else:
            new = maker.emit(
                "mul", maker.emit("add", old, maker.reshape(maker.product(math.prod(shape)), shape)), maker.const(0.5)
            )
        following[name] = new.register
        if name == "long":  # so that its only reader is the push
            maker.values = [v for v in maker.values if v.register != old.register]
        elif rng.random() < 0.5:
            maker.values.append(new)
    for _ in range(rng.integers(4, 24)):
        value = maker.compute()
        if maker.shape(value):
            maker.values.append(value)
    last = [maker.flat(v) for v in maker.values[-3:] if math.prod(maker.shape(v)) <= 3000]
    output = maker.emit("concat", *last) if len(last) > 1 else maker.product(maker.size())
    program = without_dead_code(maker.recorder, output.register, following)
    return Sample(program, maker.tensors)
