"""A layer whose step is drawn from a seed, over every operation of layers; and single operations, by name.

Numbers stay moderate: denominators are at least 1, roots are of at least 1/4, and exponents at most 0.
"""

from __future__ import annotations

import math
import random as standard
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self

from tidegate.layers import Layer, States
from tidegate.tape import Program, lower, run_program
from tidegate.tape.program import BINARY, UNARY

WIDTH, OPERATIONS = 6, 24
OTHERS = ("select", "dot", "sum", "peak", "mean", "affine", "concat", "split", "reshape", "push") * 2
TENSORS: dict[str, tuple[int, ...]] = {
    "W": (WIDTH, WIDTH),
    "b": (WIDTH,),
    "gain": (WIDTH,),
    "plane": (2, 3),
    "column": (4, 1),
    "cube": (2, 3, 2),
}
STATE: dict[str, tuple[int, ...]] = {"flat": (WIDTH,), "grid": (2, 3), "ring": (4, 3), "cubes": (3, 2, 3)}
SHAPES = [(6,), (2, 3), (3, 2), (1, 6), (6, 1), (2, 1, 3)]

# Each on x [rows, 6], g and h [rows, 2, 3], ring [rows, 4, 3] and steps [rows, 1].
SINGLE: dict[str, Callable[..., Any]] = {
    "dot": lambda xp, t, x, g, h, ring, steps: xp.dot(x, xp.tanh(x) * 2.0),
    "dot with a tensor": lambda xp, t, x, g, h, ring, steps: xp.dot(x, t["gain"]) + t["gain"],
    "dot of a grid": lambda xp, t, x, g, h, ring, steps: xp.dot(g, h),
    "dot of a grid and a tensor": lambda xp, t, x, g, h, ring, steps: xp.dot(g, t["plane"]),
    "outer dot": lambda xp, t, x, g, h, ring, steps: xp.dot(
        g.reshape(x.shape[0], 2, 1, 3), ring.reshape(x.shape[0], 1, 4, 3)
    ),
    "less": lambda xp, t, x, g, h, ring, steps: xp.less(x, t["gain"]) * x,
    "less of steps": lambda xp, t, x, g, h, ring, steps: xp.less(t["column"], steps.reshape(x.shape[0], 1, 1)) * ring,
    "select": lambda xp, t, x, g, h, ring, steps: xp.select(xp.less(g, h), g, 0.5 * h),
    "select a number": lambda xp, t, x, g, h, ring, steps: xp.select(xp.less(x, 0.0), -1.5, xp.exp(-abs(x))),
    "select rows of a window": lambda xp, t, x, g, h, ring, steps: xp.select(
        xp.less(t["column"], steps.reshape(x.shape[0], 1, 1)), ring, -1.0
    ),
    "softmax over a window": lambda xp, t, x, g, h, ring, steps: softmax_over_window(xp, t, ring, steps),
    "push": lambda xp, t, x, g, h, ring, steps: xp.push(ring, xp.split(x, 2)[0]) * t["column"],
    "push of a grid": lambda xp, t, x, g, h, ring, steps: xp.push(g.reshape(x.shape[0], 1, 2, 3), h),
    "sum over rows of a grid": lambda xp, t, x, g, h, ring, steps: xp.sum(g * h, -2),
    "sum over a positive axis": lambda xp, t, x, g, h, ring, steps: xp.sum(ring, 1) * ring,
    "sum over an axis of a square": lambda xp, t, x, g, h, ring, steps: xp.sum(
        x.reshape(x.shape[0], 6, 1) * xp.tanh(x.reshape(x.shape[0], 1, 6)), -2
    ),
    "peak over the window": lambda xp, t, x, g, h, ring, steps: ring - xp.peak(ring, 1),
    "outer product": lambda xp, t, x, g, h, ring, steps: x.reshape(x.shape[0], 6, 1) * x.reshape(x.shape[0], 1, 6),
    "outer quotient": lambda xp, t, x, g, h, ring, steps: g.reshape(x.shape[0], 2, 3, 1) / (1.0 + xp.abs(t["cube"])),
    "outer maximum": lambda xp, t, x, g, h, ring, steps: xp.maximum(
        x.reshape(x.shape[0], 6, 1), ring.reshape(x.shape[0], 1, 12)
    ),
    "concat and split of grids": lambda xp, t, x, g, h, ring, steps: (
        xp.concat([h, g]) * xp.sigmoid(xp.split(xp.concat([g, h, h, g]), 2)[1])
    ),
    "mean of a grid and norm": lambda xp, t, x, g, h, ring, steps: (
        xp.norm(x + t["gain"]).reshape(x.shape[0], 2, 3) - xp.mean(h)
    ),
    "tensors alone": lambda xp, t, x, g, h, ring, steps: x * xp.exp(-xp.abs(t["gain"] * t["b"] + t["gain"])),
    "a scalar to all": lambda xp, t, x, g, h, ring, steps: xp.sqrt(xp.sum(x * x) + 0.25) / (1.0 + abs(x)),
}


def softmax_over_window(xp: Any, t: dict[str, Any], ring: Any, steps: Any) -> Any:
    filled = xp.less(t["column"], steps.reshape(ring.shape[0], 1, 1))
    score = xp.select(filled, ring, -1e30)
    weight = xp.exp(score - xp.peak(score, 1))
    return xp.sum(weight * xp.tanh(ring), 1) / xp.sum(weight, 1)


def single(name: str) -> Callable[..., Any]:
    """Return a step whose output is one of SINGLE, whose window has the input appended, and whose grid is replaced."""

    def step(xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> Any:
        rows = x.shape[0]
        g = x.reshape(rows, 2, 3)
        y = SINGLE[name](xp, t, x, g, s["grid"], s["ring"], steps)
        after = {"ring": xp.push(s["ring"], xp.split(x, 2)[1]), "grid": xp.tanh(g + s["grid"])}
        return y.reshape(rows, math.prod(y.shape[1:])), {**s, **after}

    return step


def drawn(seed: int) -> Callable[..., Any]:
    """Return a step of random operations; the same seed gives the same step."""

    def step(xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> Any:
        draw = Draw(standard.Random(seed), xp, t, x.shape[0], [x, *s.values()])
        draw.values.append(steps)
        for _ in range(OPERATIONS):
            draw.step()
        after = {
            "flat": draw.result((6,)),
            "grid": draw.result((2, 3)),
            "ring": xp.push(s["ring"], draw.result((3, 1)).reshape(x.shape[0], 3)),
            "cubes": xp.push(s["cubes"], draw.result((2, 3))),
        }
        means = [xp.tanh(xp.mean(v.reshape(x.shape[0], math.prod(v.shape[1:])))) for v in draw.values[-OPERATIONS:]]
        return xp.concat([draw.result((6,)), *means]), after

    return step


class Draw:
    """A step under construction: the values so far. It runs on the symbols of `lower`, which know their shapes."""

    def __init__(self, random: standard.Random, xp: Any, t: dict[str, Any], rows: int, values: list[Any]) -> None:
        self.random, self.xp, self.t, self.rows, self.values = random, xp, t, rows, values

    def pick(self, fits: Callable[[tuple[int, ...]], bool] = lambda shape: True) -> Any:
        """Choose a value, later ones more often; None if no shape fits."""
        found = [v for v in self.values if fits(tuple(v.shape[1:]))]
        return self.random.choice(found + found[len(found) // 2 :]) if found else None

    def partner(self, shape: tuple[int, ...]) -> Any:
        """Choose a second operand that broadcasts with a shape: a value, a tensor or a number."""

        def fits(other: tuple[int, ...]) -> bool:
            return len(other) == len(shape) and all(1 in (a, b) or a == b for a, b in zip(other, shape, strict=True))

        tensors = [t for t in self.t.values() if fits(tuple(t.shape))]
        kind = self.random.random()
        if kind < 0.1:
            return self.random.choice((-1.5, 0.1, 1.0))
        return self.random.choice(tensors) if kind < 0.3 and tensors else self.pick(fits)

    def step(self) -> None:
        xp, random = self.xp, self.random
        a = self.pick()
        shape = tuple(a.shape[1:])
        name = random.choice((*UNARY, *BINARY, *OTHERS))
        if name in ("add", "sub", "mul", "minimum", "maximum", "less"):
            y = getattr(xp, name)(*random.sample((a, self.partner(shape)), 2))
        elif name == "div":
            y = a / (1.0 + abs(self.pick(lambda other: other == shape)))
        elif name == "select":
            b, c = (self.pick(lambda other: other == shape) for _ in "bc")
            y = xp.select(*random.choice([(xp.less(a, b), self.partner(shape), c), (xp.less(b, a), c, 0.5)]))
        elif name == "dot":
            y = xp.dot(a, self.pick(lambda other: other == shape))
        elif name in ("sum", "peak"):
            y = getattr(xp, name)(a, random.choice([-k for k in range(1, len(shape) + 1)]))
        elif name == "exp":
            y = xp.exp(-abs(a))
        elif name == "sqrt":
            y = xp.sqrt(abs(a) + 0.25)
        elif name == "norm":
            y = xp.norm(self.shaped((6,)))
        elif name == "affine":
            y = xp.affine(self.shaped((6,)), self.t["W"], self.t["b"])
        elif name == "concat":
            y = xp.concat([a, self.pick(lambda other: other[:-1] == shape[:-1])])
        elif name == "split":
            y = random.choice(xp.split(a, 2)) if shape[-1] % 2 == 0 else a
        elif name == "reshape":
            y = self.shaped(random.choice(SHAPES))
        elif name == "push":
            y = xp.push(self.shaped((2, 3)), xp.split(self.shaped((6,)), 2)[0])
        else:
            y = getattr(xp, name)(a)
        self.values.append(y)

    def shaped(self, shape: tuple[int, ...]) -> Any:
        """Return a value of six numbers in a shape."""
        six = self.pick(lambda other: other in SHAPES)
        return six.reshape(self.rows, *shape)

    def result(self, shape: tuple[int, ...]) -> Any:
        """Return numbers within 1 in a shape of six numbers, or of three where it ends with 1."""
        v = self.xp.tanh(self.shaped((2, 3)) * 0.5)
        return self.xp.sum(v, -2).reshape(self.rows, *shape) if shape == (3, 1) else v.reshape(self.rows, *shape)


@cache
def program(name: str | int) -> Program:
    """Return the program of a drawn step, or of a single operation. name: a seed, or a key of SINGLE."""
    step = drawn(name) if isinstance(name, int) else single(name)
    return lower(step, WIDTH, 0, TENSORS, STATE)


@dataclass(frozen=True, kw_only=True)
class Programmed(Layer):
    """name: a seed, or a key of SINGLE."""

    uses: ClassVar[Mapping[str, Any]] = {"W": "matrix"}

    size: int
    name: str | int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        return cls(**node)

    @property
    def width(self) -> int:
        return program(self.name).width

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return TENSORS

    def state(self) -> States:
        return {name: (shape, 0.25) for name, shape in STATE.items()}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return run_program(program(self.name), xp, t, s, x, steps)
