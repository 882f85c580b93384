"""A gated linear unit: y = (A x + a) sigmoid(B x + b), both maps in one matrix (Dauphin et al. 2017, arXiv:1612.08083).

Its halves are cut by a reshape, so that targets meet a layer without states that reshapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tidegate.layers import Layer


@dataclass(frozen=True, kw_only=True)
class Glu(Layer):
    uses: ClassVar[Mapping[str, Any]] = {"weight": "matrix"}

    size: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        return cls(**node)

    @property
    def width(self) -> int:
        return self.size

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (2 * self.size, self.size), "bias": (2 * self.size,), "choose": (2, 1)}

    def init(self, rng: Any, role: str, params: Mapping[str, float]) -> Any:
        return super().init(rng, role, params) + (1.0 if role == "choose" else 0.0)

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        halves = xp.affine(x, t["weight"], t["bias"]).reshape(x.shape[0], 2, self.size) * t["choose"]
        flat = halves.reshape(x.shape[0], 2 * self.size)
        value, gate = xp.split(flat, 2)
        return value * xp.sigmoid(gate), {}
