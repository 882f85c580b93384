"""Layers that exist only here: a gated unit, a leaky integrator, attention over a window, and random equations."""

from __future__ import annotations

import math
import random as standard
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from tidegate.layers import Layer
from tidegate.layers._layer import States, Use
from tidegate.model import Model
from tidegate.verify.samples import build_model

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Toy(Layer):
    uses: ClassVar[Mapping[str, Use]] = {"weight": "matrix"}

    size: int

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__name__.lower()

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        return cls(**{key: value for key, value in node.items() if key != "kind"})

    @property
    def width(self) -> int:
        return self.size


class Gated(Toy):
    def shapes(self) -> dict[str, Shape]:
        return {"weight": (2 * self.size, self.size), "bias": (2 * self.size,)}

    def step(self, xp: Any, t: Any, s: Any, x: Any, steps: Any) -> Any:
        a, b = xp.split(xp.affine(x, t["weight"], t["bias"]), 2)
        return a * xp.sigmoid(b), {}


class Leaky(Toy):
    def shapes(self) -> dict[str, Shape]:
        return {"rate": (self.size,)}

    def state(self) -> States:
        return {"level": ((self.size,), [0.5] * self.size)}

    def step(self, xp: Any, t: Any, s: Any, x: Any, steps: Any) -> Any:
        level = s["level"] + xp.sigmoid(t["rate"]) * (x - s["level"])
        return level, {"level": level}


class Window(Toy):
    """Attention over the last 5 steps, in heads of two numbers. age: of each slot, from the oldest."""

    slots: ClassVar[int] = 5

    def shapes(self) -> dict[str, Shape]:
        return {"weight": (3 * self.size, self.size), "bias": (3 * self.size,), "shift": (self.slots, 1)}

    def state(self) -> States:
        shape = (self.slots, self.size // 2, 2)
        return {"keys": (shape, 0.0), "values": (shape, 0.0)}

    def step(self, xp: Any, t: Any, s: Any, x: Any, steps: Any) -> Any:
        rows, n, heads = x.shape[0], self.slots, self.size // 2
        q, k, v = (u.reshape(rows, heads, 2) for u in xp.split(xp.affine(x, t["weight"], t["bias"]), 3))
        keys, values = xp.push(s["keys"], k), xp.push(s["values"], v)
        scores = xp.dot(q.reshape(rows, 1, heads, 2), keys).reshape(rows, n, heads) * (1 / math.sqrt(2))
        age = t["shift"] * 0.0 + t["shift"] + steps.reshape(rows, 1, 1)
        scores = xp.select(xp.less(age, 2.0), -1e30, scores)
        weights = xp.exp(scores - xp.peak(scores, 1))
        mixed = xp.sum((weights / xp.sum(weights, 1)).reshape(rows, n, heads, 1) * values, 1)
        return mixed.reshape(rows, self.size), {"keys": keys, "values": values}


class Swap(Toy):
    """Results that nothing computes: the input, and each state as the next value of the other."""

    def state(self) -> States:
        return {name: ((self.size,), [0.25 * k] * self.size) for k, name in enumerate("abkz")}

    def step(self, xp: Any, t: Any, s: Any, x: Any, steps: Any) -> Any:
        return x, {"a": s["b"], "b": s["a"], "k": s["k"], "z": x}


@dataclass(frozen=True, kw_only=True)
class Drawn(Toy):
    """An equation drawn by a seed, with every operation; its values stay moderate."""

    seed: int
    count: int = 30

    def shapes(self) -> dict[str, Shape]:
        H = self.size
        return {"weight": (2 * H, H), "bias": (2 * H,), "vector": (H,), "grid": (3, H), "column": (3, 1)}

    def state(self) -> States:
        H = self.size
        return {
            "h": ((H,), 0.0),
            "g": ((H,), [0.5] * H),
            "grid": ((3, H), 0.0),
            "one": ((1,), 0.0),
            "cube": ((2, 3, H), 0.0),
        }

    def step(self, xp: Any, t: Any, s: Any, x: Any, steps: Any) -> Any:
        return Draw(self, xp, t, s, x, steps).run()


class Draw:
    """The values of an equation so far. Each choice depends on the seed and on shapes alone."""

    def __init__(self, layer: Drawn, xp: Any, t: Any, s: Any, x: Any, steps: Any) -> None:
        self.layer, self.xp, self.t, self.s, self.number = layer, xp, t, s, steps
        self.random, self.rows = standard.Random(layer.seed), x.shape[0]
        self.values = [x, *s.values()]

    def shape(self, v: Any) -> Shape:
        return tuple(v.shape[1:])

    def reshape(self, v: Any, shape: Shape) -> Any:
        return v.reshape(self.rows, *shape)

    def pick(self, *shapes: Shape) -> Any:
        """Pick a value, more often one of the latest, so that values die."""
        found = [v for v in self.values if not shapes or self.shape(v) in shapes]
        return self.random.choice(found[-4:] if self.random.random() < 0.6 else found)

    def run(self) -> Any:
        kinds = (
            "unary unary binary binary binary tensor reshape split concat affine dot reduce mean norm push select steps"
        )
        for _ in range(self.layer.count):
            made = getattr(self, f"make_{self.random.choice(kinds.split())}")(self.pick())
            self.values += made if isinstance(made, list) else [made]
        following = {name: self.result(name, self.shape(v)) for name, v in self.s.items()}
        return self.result("h", (self.layer.size,)), following

    def result(self, name: str, shape: Shape) -> Any:
        found = self.pick(shape)
        choice = self.random.random()
        if choice < 0.3 and len(shape) > 1:
            rows = [v for v in self.values if self.shape(v) == shape[1:]]
            return self.xp.push(self.s[name], self.random.choice(rows)) if rows else found
        return found if choice < 0.6 else self.xp.tanh(found)

    def make_unary(self, v: Any) -> Any:
        name = self.random.choice(("tanh", "sigmoid", "relu", "neg", "abs", "exp", "sqrt"))
        if name in ("exp", "sqrt"):
            v = self.xp.neg(self.xp.abs(v)) if name == "exp" else self.xp.abs(v) + 0.5
        return getattr(self.xp, name)(v)

    def make_binary(self, v: Any) -> Any:
        wide = self.shape(v)
        fits = [
            u
            for u in self.values
            if len(self.shape(u)) == len(wide)
            and all(1 in p or p[0] == p[1] for p in zip(self.shape(u), wide, strict=True))
        ]
        a, b = self.random.sample((v, self.random.choice(fits)), 2)
        name = self.random.choice(("add", "sub", "mul", "minimum", "maximum", "div"))
        result = getattr(self.xp, name)(a, self.xp.abs(b) + 1.0 if name == "div" else b)
        return self.xp.tanh(result) if self.random.random() < 0.5 else result * 0.5

    def make_tensor(self, v: Any) -> Any:
        role = {1: "vector", 2: "grid", 3: ""}[len(self.shape(v))]
        if role == "grid" and self.random.random() < 0.5:
            role = "column"
        fits = role and all(
            n in (1, m) or m == 1 for n, m in zip(self.layer.shapes()[role], self.shape(v), strict=True)
        )
        return v * self.t[role] - (0.5 * self.t[role] if self.random.random() < 0.5 else 0.25) if fits else v * -1.5

    def make_reshape(self, v: Any) -> Any:
        n = math.prod(self.shape(v))
        shapes = [(n,), (1, n), (n, 1), *((k, n // k) for k in (2, 3) if n % k == 0)]
        return self.reshape(v, self.random.choice(shapes))

    def make_split(self, v: Any) -> Any:
        n = self.shape(v)[-1]
        return self.xp.split(v, self.random.choice([k for k in (2, 3, 1) if n % k == 0]))

    def make_concat(self, v: Any) -> Any:
        lead = self.shape(v)[:-1]
        others = [u for u in self.values if self.shape(u)[:-1] == lead]
        parts = [v, *self.random.choices(others, k=self.random.choice((1, 2)))]
        return self.xp.concat(parts) if sum(self.shape(u)[-1] for u in parts) < 40 else v

    def make_affine(self, v: Any) -> Any:
        """Multiply a vector, two of them side by side, or one that may be read elsewhere, too."""
        H = self.layer.size
        wide = self.t["weight"].reshape(-1)[: 2 * H * H].reshape(H, 2 * H)
        if self.random.random() < 0.5:
            return self.xp.matmul(self.xp.concat([self.pick((H,)), self.pick((H,))]), wide)
        if joined := [u for u in self.values if self.shape(u) == (2 * H,)]:
            return self.xp.affine(self.random.choice(joined), wide, self.t["bias"][:H])
        return self.xp.affine(self.pick((H,)), self.t["weight"][H:], self.t["bias"][H:])

    def make_dot(self, v: Any) -> Any:
        same = [u for u in self.values if self.shape(u) == self.shape(v)]
        return self.xp.tanh(self.xp.dot(v, self.random.choice(same)))

    def make_reduce(self, v: Any) -> Any:
        axis = self.random.randrange(len(self.shape(v))) + 1
        return self.xp.peak(v, axis) if self.random.random() < 0.4 else self.xp.sum(v, axis) * 0.3

    def make_mean(self, v: Any) -> Any:
        return self.xp.mean(v)

    def make_norm(self, v: Any) -> Any:
        """Normalise numbers that are not nearly equal, which would amplify roundings."""
        return (
            self.xp.norm(self.xp.concat([v * 0.1, v * 0.1 + 1.0]))
            if len(self.shape(v)) == 1 and self.shape(v)[-1] < 20
            else v * 0.9
        )

    def make_push(self, v: Any) -> Any:
        fits = [u for u in self.values if self.shape(u)[1:] == self.shape(v)]
        return self.xp.push(self.random.choice(fits), v) if fits else self.xp.tanh(v)

    def make_select(self, v: Any) -> Any:
        other = self.random.choice([u for u in self.values if self.shape(u) == self.shape(v)])
        return self.xp.select(self.xp.less(other, 0.2), self.random.choice((v, 0.75)), other)

    def make_steps(self, v: Any) -> Any:
        number = self.number if len(self.shape(v)) == 1 else self.reshape(self.number, (1,) * len(self.shape(v)))
        return self.xp.select(self.xp.less(number, 3.0), v, v * 0.5)


def model_of(layers: list[Toy], seed: int = 0) -> Model:
    """Return a model of these layers, one after the other, with random weights."""
    named = [
        replace(layer, tensors={role: f"layers.{i}.{role}" for role in layer.shapes()})
        for i, layer in enumerate(layers)
    ]
    return build_model(list(named), seed, layers[0].size, None)
