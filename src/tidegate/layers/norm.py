"""Layer normalisation over the width of each step, with gain and bias.

Source: Ba et al. 2016 (arXiv:1607.06450), equation 4, with the biased variance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from . import _options as options
from ._layer import Layer


@dataclass(frozen=True, kw_only=True)
class Norm(Layer):
    size: int
    eps: float = 1e-5

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size", "eps")
        if type(eps := node["eps"]) is not float or not 1e-12 <= eps <= 1.0:
            raise OptionError(f"eps is {eps!r}; expected a number of 1e-12 to 1")
        return cls(size=options.check_width(cls.kind, node, "size", width), eps=eps, **common)

    @property
    def width(self) -> int:
        return self.size

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"gain": (self.size,), "bias": (self.size,)}

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        return np.full(self.size, role == "gain", np.float32)

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        d = x - xp.mean(x)
        return d / xp.sqrt(xp.mean(d * d) + self.eps) * t["gain"] + t["bias"], {}
