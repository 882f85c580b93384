"""A layer that no target knows: torch runs it by its own equation, and the others refuse it in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest
import torch

from tidegate import layers
from tidegate.errors import ModelFileError
from tidegate.layers.pool import Pool
from tidegate.nn import Network
from tidegate.runtime.engine import BoundLayer, build_engine, resolve_options
from tidegate.tape import NumpyOps


@dataclass(frozen=True, kw_only=True)
class Leak(layers.Layer):
    """y_t = y_(t-1) / 2 + gain x_t."""

    size: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        return cls(size=node["size"])

    @property
    def width(self) -> int:
        return self.size

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"gain": (self.size,)}

    def state(self) -> layers.States:
        return {"y": ((self.size,), 0.0)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        y = s["y"] * 0.5 + x * t["gain"]
        return y, {"y": y}


LEAK = Leak(size=3, tensors={"gain": "layers.0.gain"})


@pytest.mark.parametrize("pooled", [False, True])
def test_torch_runs_it_by_its_own_equation(pooled: bool) -> None:
    network = Network([LEAK, *([Pool(size=3, over=("max",))] if pooled else [])])
    gain = np.array([1.0, -2.0, 0.5], np.float32)
    network.load_tensors({"layers.0.gain": gain})
    x, lengths = np.random.default_rng(0).normal(size=(7, 3, 3)).astype(np.float32), np.array([7, 2, 4])
    y = network(torch.from_numpy(x), torch.from_numpy(lengths))
    for row, n in enumerate(lengths):
        each = np.stack(LEAK.whole(NumpyOps, {"gain": gain}, list(x[:n, [row]])))[:, 0]
        assert np.allclose(y[row].detach(), each.max(0) if pooled else each[-1], atol=1e-6)
    y.sum().backward()
    assert network.layers_0_gain.grad is not None  # type: ignore[union-attr]
    whole, states = network.run(torch.from_numpy(x), torch.from_numpy(lengths))
    assert set(states) == {"layers.0.y", *(["layers.1.max"] if pooled else [])}
    assert pooled or torch.equal(whole, states["layers.0.y"])


def test_the_engine_refuses_it_in_a_sentence() -> None:
    bound = BoundLayer(LEAK, {"gain": np.ones(3, np.float32)})
    with pytest.raises(ModelFileError, match=r"layers\[2\]: test_new_layer has no kernel in the native engine; choose"):
        build_engine([bound], resolve_options(None), first=2)
