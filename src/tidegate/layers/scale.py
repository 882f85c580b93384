"""Standardise each number: (x - mean) / deviation, with the statistics of the training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from . import _options as options
from ._layer import Layer, Use


@dataclass(frozen=True, kw_only=True)
class Scale(Layer):
    uses: ClassVar[Mapping[str, Use]] = {"mean": "fixed", "deviation": "fixed"}

    size: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size")
        return cls(size=options.check_width(cls.kind, node, "size", width), **common)

    @property
    def width(self) -> int:
        return self.size

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"mean": (self.size,), "deviation": (self.size,)}

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Return ones, which the task replaces by the statistics."""
        return np.ones(self.size, np.float32)

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return (x - t["mean"]) / t["deviation"], {}
