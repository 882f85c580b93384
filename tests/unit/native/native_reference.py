"""The reference of these tests: models in float64 NumPy, slow and simple, next to their native engines."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tidegate import _native
from tidegate.layers import Layer
from tidegate.layers.conv import Conv
from tidegate.layers.dense import Dense
from tidegate.layers.embed import Embed
from tidegate.layers.norm import Norm
from tidegate.layers.pool import Pool
from tidegate.layers.recurrent import Recurrent
from tidegate.layers.scale import Scale
from tidegate.layers.softmax import Softmax
from tidegate.runtime.engine import add_layer
from tidegate.tape import Instruction, Tape

F64 = npt.NDArray[np.float64]


def sigmoid(x: F64) -> F64:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


UNARY = {
    "neg": np.negative,
    "abs": np.abs,
    "exp": np.exp,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda v: np.maximum(v, 0),
}
BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "minimum": np.minimum,
    "maximum": np.maximum,
}


@dataclass
class Cell:
    """A cell written by hand: instructions are (name, a, b), and widths follow from them."""

    instructions: list[tuple]
    gates: int
    maps: int
    output: int
    next: list[int]
    states: list[str]  # "H" or a number, as text
    consts: list[float] = field(default_factory=list)
    params: list[str] = field(default_factory=list)

    def sizes(self, shapes: list[str], H: int) -> list[int]:
        return [H if shape == "H" else int(shape) for shape in shapes]

    def tape(self) -> Tape:
        """Return the tape; gates, maps, states and parameters are named by their index."""
        names = {"input": "x", "recur": "r", "state": "s", "param": "p"}
        shapes = {"H": ("H",), "1": (1,)}
        rows = [
            Instruction(
                name, (f"{names[name]}{a}", *b) if name in names else (self.consts[a],) if name == "const" else (a, *b)
            )
            for name, a, *b in self.instructions
        ]
        return Tape(
            tuple(f"x{k}" for k in range(self.gates)),
            tuple(f"r{k}" for k in range(self.maps)),
            {f"s{k}": shapes[shape] for k, shape in enumerate(self.states)},
            {f"p{k}": shapes[shape] for k, shape in enumerate(self.params)},
            tuple(rows),
            self.output,
            {f"s{k}": register for k, register in enumerate(self.next)},
        )


GRU = Cell(
    [
        ("input", 0),
        ("state", 0),
        ("recur", 0, 1),
        ("add", 0, 2),
        ("sigmoid", 3),
        ("input", 1),
        ("recur", 1, 1),
        ("add", 5, 6),
        ("sigmoid", 7),
        ("input", 2),
        ("recur", 2, 1),
        ("mul", 4, 10),
        ("add", 9, 11),
        ("tanh", 12),
        ("sub", 1, 13),
        ("mul", 8, 14),
        ("add", 13, 15),
    ],
    3,
    3,
    16,
    [16],
    ["H"],
)
GRU_BEFORE = Cell(
    [
        ("input", 0),
        ("state", 0),
        ("recur", 0, 1),
        ("add", 0, 2),
        ("sigmoid", 3),
        ("input", 1),
        ("recur", 1, 1),
        ("add", 5, 6),
        ("sigmoid", 7),
        ("input", 2),
        ("mul", 4, 1),
        ("recur", 2, 10),
        ("add", 9, 11),
        ("tanh", 12),
        ("sub", 1, 13),
        ("mul", 8, 14),
        ("add", 13, 15),
    ],
    3,
    3,
    16,
    [16],
    ["H"],
)
LSTM = Cell(
    [
        ("state", 0),
        ("state", 1),
        *[row for g in range(4) for row in (("input", g), ("recur", g, 0), ("add", 2 + 3 * g, 3 + 3 * g))],
        ("sigmoid", 4),
        ("sigmoid", 7),
        ("sigmoid", 10),
        ("tanh", 13),
        ("mul", 15, 1),
        ("mul", 14, 17),
        ("add", 18, 19),
        ("tanh", 20),
        ("mul", 16, 21),
    ],
    4,
    4,
    22,
    [22, 20],
    ["H", "H"],
)
# A cell with every operation, a scalar state, parameters of both widths, constants on both sides, swapped states.
ODD = Cell(
    [
        ("input", 0),
        ("state", 0),
        ("state", 1),
        ("state", 2),
        ("param", 0),
        ("param", 1),
        ("const", 0),
        ("const", 1),
        ("recur", 0, 1),
        ("abs", 0),
        ("neg", 9),
        ("exp", 10),
        ("mul", 4, 11),
        ("mul", 12, 5),
        ("minimum", 13, 8),
        ("maximum", 14, 6),
        ("relu", 8),
        ("add", 15, 16),
        ("sub", 7, 17),
        ("add", 3, 7),
        ("mul", 19, 6),
        ("exp", 10),
        ("add", 7, 21),
        ("div", 18, 22),
        ("recur", 1, 23),
        ("tanh", 24),
        ("mul", 25, 20),
        ("sigmoid", 26),
        ("sub", 27, 2),
        ("div", 20, 7),
    ],
    1,
    2,
    28,
    [2, 27, 29],
    ["H", "H", "1"],
    [0.25, 1.5],
    ["H", "1"],
)
CELLS = {"gru": GRU, "gru_before": GRU_BEFORE, "lstm": LSTM, "odd": ODD}


class Model:
    """A chain of layers in float64, and in native engines."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.layers: list = []
        self.added: list[tuple[Layer, dict, dict[str, int]]] = []  # with its tensors and the offsets of its states
        self.initial: list = []  # (offset, array of float32)
        self.end = 8

    def weights(self, *shape: int, scale: float | None = None) -> npt.NDArray[np.float32]:
        scale = scale if scale is not None else 1.5 / np.sqrt(shape[-1])
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def bias(self, n: int) -> npt.NDArray[np.float32]:
        return (self.random.standard_normal(n) * 0.5 + 0.3).astype(np.float32)

    def reserve(self, size: int, value: float = 0.0) -> int:
        at, self.end = self.end, self.end + 4 * size
        self.initial.append((at, np.full(size, value, np.float32)))
        return at

    def append(self, step, layer: type[Layer], tensors: dict, offsets: dict, add: int, **options) -> "Model":
        self.layers.append((step, add))
        self.added.append((layer(add=None if add < 0 else add, **options), tensors, offsets))
        return self

    def embed(self, rows: int, size: int, add: int = -1, ids: int = 1) -> "Model":
        E = self.weights(rows, size, scale=1.0)
        step = lambda x, s, n: E[x].astype(float).reshape(-1, size).sum(0)  # noqa: E731
        return self.append(step, Embed, {"weight": E}, {}, add, rows=rows, size=size, ids=ids)

    def dense(self, inputs: int, size: int, activation: str = "none", add: int = -1) -> "Model":
        W, b = self.weights(size, inputs), self.bias(size)
        f = UNARY.get(activation, lambda v: v)
        step = lambda x, s, n: f(W.astype(float) @ x + b)  # noqa: E731
        tensors = {"weight": W, "bias": b}
        return self.append(step, Dense, tensors, {}, add, inputs=inputs, size=size, activation=activation)

    def conv(self, inputs: int, size: int, width: int, activation: str = "none", add: int = -1) -> "Model":
        W, b = self.weights(size, width * inputs), self.bias(size)
        f = UNARY.get(activation, lambda v: v)
        past = self.reserve((width - 1) * inputs) if width > 1 else -1

        def step(x, s, n):
            window = np.concatenate([s[past], x]) if width > 1 else x
            if width > 1:
                s[past] = window[inputs:]
            return f(W.astype(float) @ window + b)

        options = {"inputs": inputs, "size": size, "window": width, "activation": activation}
        return self.append(step, Conv, {"weight": W, "bias": b}, {"past": past}, add, **options)

    def norm(self, size: int, eps: float = 1e-5, add: int = -1) -> "Model":
        g, b = self.bias(size), self.bias(size)
        step = lambda x, s, n: (x - x.mean()) / np.sqrt(x.var() + eps) * g + b  # noqa: E731
        return self.append(step, Norm, {"gain": g, "bias": b}, {}, add, size=size, eps=eps)

    def scale(self, size: int, add: int = -1) -> "Model":
        mean, deviation = self.bias(size), np.abs(self.bias(size)) + np.float32(0.5)
        step = lambda x, s, n: (x - mean.astype(float)) / deviation  # noqa: E731
        return self.append(step, Scale, {"mean": mean, "deviation": deviation}, {}, add, size=size)

    def softmax(self, size: int, add: int = -1) -> "Model":
        def step(x, s, n):
            e = np.exp(x - x.max())
            return e / e.sum()

        return self.append(step, Softmax, {}, {}, add, size=size)

    def recurrent(self, cell: Cell, inputs: int, H: int, add: int = -1) -> "Model":
        W, b = self.weights(cell.gates * H, inputs), self.bias(cell.gates * H)
        R, c = self.weights(cell.maps * H, H), self.bias(cell.maps * H)
        params = [self.bias(n) for n in cell.sizes(cell.params, H)]
        sizes = cell.sizes(cell.states, H)
        offsets = [self.reserve(n) for n in sizes]

        def step(x, s, n):
            registers: list = []
            gate = (W.astype(float) @ x + b).reshape(cell.gates, H)
            for name, a, *rest in cell.instructions:
                if name in UNARY:
                    value = UNARY[name](registers[a])
                elif name in BINARY:
                    value = BINARY[name](registers[a], registers[rest[0]])
                elif name == "recur":
                    value = R[a * H : (a + 1) * H].astype(float) @ registers[rest[0]] + c[a * H : (a + 1) * H]
                else:
                    value = {
                        "input": lambda a=a: gate[a],
                        "state": lambda a=a: s[offsets[a]].copy(),
                        "param": lambda a=a: params[a].astype(float),
                        "const": lambda a=a: np.array([float(np.float32(cell.consts[a]))]),
                    }[name]()
                registers.append(value)
            for offset, register in zip(offsets, cell.next, strict=True):
                s[offset] = registers[register]
            return registers[cell.output]

        tensors = {"W": W, "b": b, "R": R, "c": c, **{f"p.p{k}": v for k, v in enumerate(params)}}
        places = {f"s{k}": offset for k, offset in enumerate(offsets)}
        return self.append(step, Recurrent, tensors, places, add, inputs=inputs, size=H, tape=cell.tape())

    def pool(self, size: int, over: list[str], add: int = -1) -> "Model":
        attention = "attention" in over
        score, bias, offsets = (self.weights(size) if attention else None), 0.7 if attention else 0.0, []
        for name in over:
            if name == "last":
                offsets.append(-1)
            elif name == "attention":
                offsets.append(self.reserve(1, -np.inf))
                self.reserve(1)
                self.reserve(size)
            else:
                offsets.append(self.reserve(size, -np.inf if name == "max" else 0.0))

        def step(x, s, n):
            parts = []
            for name, at in zip(over, offsets, strict=True):
                if name == "mean":
                    s[at] = s[at] + x
                elif name == "max":
                    s[at] = np.maximum(s[at], x)
                elif name == "attention":
                    e = score.astype(float) @ x + float(np.float32(bias))
                    peak = np.maximum(s[at], e)
                    keep, take = np.exp(s[at] - peak), np.exp(e - peak)
                    s[at], s[at + 4], s[at + 8] = peak, s[at + 4] * keep + take, s[at + 8] * keep + take * x
                parts.append(
                    {
                        "last": lambda at=at: x,
                        "mean": lambda at=at: s[at] / n,
                        "max": lambda at=at: s[at],
                        "attention": lambda at=at: s[at + 8] / s[at + 4],
                    }[name]()
                )
            return np.concatenate(parts)

        tensors = {"score": score, "score_bias": np.array([bias], np.float32)} if attention else {}
        places = {name: at for name, at in zip(over, offsets, strict=True) if name in ("mean", "max")}
        for name, at in zip(over, offsets, strict=True):
            places |= {"peak": at, "weight": at + 4, "sum": at + 8} if name == "attention" else {}
        return self.append(step, Pool, tensors, places, add, size=size, over=tuple(over))

    @property
    def state_bytes(self) -> int:
        return -(-self.end // 8) * 8

    def engine(self, target: str, fused: bool = True):
        """Make the native engine. target: its name, followed by a space and the precision if it is not float32."""
        target, _, precision = target.partition(" ")
        engine = _native.Engine(target, self.state_bytes, fused, precision or "float32")
        for added in self.added:
            add_layer(engine, *added)
        engine.finish()
        assert engine.target == target
        return engine

    def states(self, rows: int) -> npt.NDArray[np.uint8]:
        block = np.zeros(self.state_bytes, np.uint8)
        for at, value in self.initial:
            block[at : at + 4 * value.size] = value.view(np.uint8)
        return np.tile(block, (rows, 1))

    def reference(self, xs) -> list[F64]:
        """Return the output after each step of one stream, from its initial state."""
        state, outputs = {at: value.astype(float) for at, value in self.initial}, []
        for n, x in enumerate(xs, start=1):
            values: list = []
            v = x if np.issubdtype(np.asarray(x).dtype, np.integer) else np.asarray(x, float)
            for step, add in self.layers:
                v = step(v, state, n)
                if add >= 0:
                    v = v + values[add]
                values.append(v)
            outputs.append(v)
        return outputs
