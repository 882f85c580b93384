"""A recurrence: each step computes W x + b for every gate, then runs the cell's tape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from ..tape import Tape, flat_width, interpret, resolve_shape
from . import _options as options
from ._layer import Layer, Shape, States, Use, draw_xavier, thaw

MATRICES = ("W", "R", "Q")
BIASES = ("b", "c")


@dataclass(frozen=True, kw_only=True)
class Recurrent(Layer):
    """size: H, the width of the states. project: P, the width of the output, if the tape has a projection. tape: the
    equation; tape_name: its name in the model file. cell, dialect: which cell it was recorded from. initial: state ->
    its first value as nested lists, for states that do not start at zero.
    """

    input_option = "inputs"

    inputs: int
    size: int
    tape: Tape
    tape_name: str = "tape"
    cell: str = ""
    dialect: Mapping[str, str] = field(default_factory=dict)
    project: int | None = None
    initial: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Tape]) -> Self:
        required = ("inputs", "size", "tape", "cell", "dialect")
        optional = (key for key in ("project", "initial") if key in node)
        common = options.check_keys(cls.kind, node, *required, *optional)
        inputs = options.check_width(cls.kind, node, "inputs", width)
        if not isinstance(node["tape"], str) or node["tape"] not in tapes:
            raise OptionError(f"tape is {node['tape']!r}; the file has {', '.join(tapes) or 'none'}")
        if not isinstance(node["cell"], str) or not isinstance(node["dialect"], dict):
            raise OptionError("cell must be a name and dialect an object")
        tape = tapes[node["tape"]]
        if tape.has_projection != ("project" in node):
            raise OptionError(
                "the tape is projected, so project, the width of its output, is needed"
                if tape.has_projection
                else "project is present, but the tape has no projection; remove it"
            )
        layer = cls(
            inputs=inputs,
            size=options.check_size(node, "size"),
            tape=tape,
            tape_name=node["tape"],
            cell=node["cell"],
            dialect=node["dialect"],
            project=options.check_size(node, "project") if tape.has_projection else None,
            initial=node.get("initial", {}),
            **common,
        )
        if (widest := max(tape.widths(*layer.sizes))) > options.MAX_WIDTH:
            raise OptionError(f"a register of the tape is {widest} wide; at most {options.MAX_WIDTH} is allowed")
        if "initial" in node:
            check_initial(layer)
        return layer

    def options(self) -> dict[str, Any]:
        own = {"inputs": self.inputs, "size": self.size, "tape": self.tape_name, "cell": self.cell}
        projected = {} if self.project is None else {"project": self.project}
        initial = {"initial": thaw(self.initial)} if self.initial else {}
        return {**own, "dialect": dict(self.dialect), **projected, **initial}

    @property
    def sizes(self) -> tuple[int, int | None]:
        """H, and P if the tape has a projection."""
        return self.size, self.project

    @property
    def width(self) -> int:
        return self.size if self.project is None else self.project

    @property
    def tapes(self) -> dict[str, Tape]:
        return {self.tape_name: self.tape}

    @property
    def longest_sum(self) -> int:
        """How many terms the longer of the sums W x + b and R v + c has."""
        return max(self.inputs, self.size) + 1

    @property
    def registers(self) -> int:
        return sum(self.tape.widths(*self.sizes))

    def describe(self) -> str:
        what = f"{self.cell} {self.inputs} -> {self.size}" + (f" -> {self.project}" if self.project else "")
        choices = {k: v for k, v in self.dialect.items() if v not in ("none", "no") and (k, v) != ("bias", "yes")}
        without = ", no bias" if self.dialect.get("bias") == "no" else ""
        return what + "".join(f", {k} {v}" for k, v in choices.items()) + without

    def shapes(self) -> dict[str, Shape]:
        H, P = self.sizes
        G, Gr = len(self.tape.gates), len(self.tape.recurrent)
        params = {f"p.{name}": resolve_shape(shape, H, P) for name, shape in self.tape.params.items()}
        if P is not None:
            params = {"Q": (P, H), **params}
        return {"W": (G * H, self.inputs), "b": (G * H,), "R": (Gr * H, P or H), "c": (Gr * H,), **params}

    def use(self, role: str) -> Use:
        """Tell how a tensor is used. The biases of a dialect without biases are zero and stay so."""
        if role in BIASES and self.dialect.get("bias") == "no":
            return "fixed"
        return "matrix" if role in MATRICES else "vector"

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Draw the first values of a tensor: R is orthogonal and W is drawn by Xavier, gate by gate."""
        shape, H = self.shapes()[role], self.size
        if role.startswith("p."):
            return np.full(shape, params.get(role.removeprefix("p."), 0.0), np.float32)
        if role == "R":
            blocks = [np.zeros((0, shape[1])), *(draw_orthogonal(rng, H, shape[1]) for _ in range(shape[0] // H))]
            return np.concatenate(blocks).astype(np.float32)
        return draw_xavier(rng, shape, H) if role == "W" else super().init(rng, role, params)

    def state(self) -> States:
        """Return the states with their first values: zeros, except for the states in `initial`."""
        return self.declared_state()

    def declared_state(self) -> States:
        """Return the states of one run of the tape."""
        return {n: (resolve_shape(v, *self.sizes), thaw(self.initial.get(n, 0.0))) for n, v in self.tape.state.items()}

    def make_maps(self, xp: Any, t: dict[str, Any]) -> dict[str, Any]:
        """Make the recurrent maps as functions, name -> (v -> R_g v + c_g), and the projection v -> Q v if any."""
        H = self.size

        def affine_map(k: int) -> Any:
            R, c = t["R"][k * H : (k + 1) * H], t["c"][k * H : (k + 1) * H]
            return lambda v: xp.affine(v, R, c)

        maps = {name: affine_map(k) for k, name in enumerate(self.tape.recurrent)}
        if self.tape.has_projection:
            maps["project"] = lambda v: xp.matmul(v, t["Q"])
        return maps

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        tape, (H, P) = self.tape, self.sizes
        parts = xp.split(xp.affine(x, t["W"], t["b"]), len(tape.gates))
        flat = {name: v.reshape(v.shape[0], flat_width(tape.state[name], H, P)) for name, v in s.items()}
        params = {name: t[f"p.{name}"].reshape(-1) for name in tape.params}
        inputs = dict(zip(tape.gates, parts, strict=True))
        y, following = interpret(tape, xp, inputs, self.make_maps(xp, t), params, flat)
        return y, {n: v.reshape(v.shape[0], *resolve_shape(tape.state[n], H, P)) for n, v in following.items()}


def check_initial(layer: Recurrent) -> None:
    """Raise OptionError unless `initial` has float32 numbers of the state's shape for one state or more."""
    initial, states = layer.initial, layer.tape.state
    if not isinstance(initial, Mapping) or not initial:
        raise OptionError("initial must be an object of one state or more; leave it out for zeros")
    for name, value in initial.items():
        if name not in states:
            raise OptionError(f"initial names {name!r}; the states are {', '.join(states) or 'none'}")
        shape = resolve_shape(states[name], *layer.sizes)
        try:
            array = np.array(value, object)
        except ValueError:
            array = np.array(None)
        if array.shape != shape or not all(map(is_float32, array.reshape(-1))):
            raise OptionError(f"initial.{name} must be float32 numbers of shape {list(shape)}")


def is_float32(n: Any) -> bool:
    """Tell whether a JSON number is a finite float32, written with a fraction or an exponent.

    >>> is_float32(0.5), is_float32(0.1), is_float32(1)
    (True, False, False)
    """
    return type(n) is float and abs(n) <= float(np.finfo(np.float32).max) and float(np.float32(n)) == n


def draw_orthogonal(rng: np.random.Generator, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Draw a random matrix whose rows or columns, whichever are fewer, are orthonormal.

    Source: Saxe et al. 2014 (arXiv:1312.6120).
    """
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return np.asarray(q if rows >= columns else q.T)
