"""A layer that no target knows: torch and the engine run it by its own equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest
import torch

from tidegate import layers
from tidegate.errors import CellError
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


@pytest.mark.parametrize("fused", [True, False])
def test_the_engine_runs_it_by_its_own_equation(fused: bool) -> None:
    gain = np.array([1.0, -2.0, 0.5], np.float32)
    bound = [BoundLayer(LEAK, {"gain": gain}), BoundLayer(Pool(size=3, over=("max",)), {})]
    for chain in (bound[:1], bound):
        engine = build_engine(chain, resolve_options(None, fused), first=2)
        x = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
        states = np.zeros((2, 32 if len(chain) > 1 else 24), np.uint8)
        states[:, 20:32].view(np.float32)[...] = -np.inf if len(chain) > 1 else 0.0
        out = np.zeros((7, 2, 3), np.float32)
        engine.run(x, np.full(2, 7, np.int32), states, np.empty_like(states), out, True, 1)
        each = np.stack(LEAK.whole(NumpyOps, {"gain": gain.astype(float)}, list(x.astype(float))))
        assert np.allclose(out, each if len(chain) == 1 else np.maximum.accumulate(each), atol=1e-6)


def test_a_step_that_is_no_program_is_refused_in_a_sentence() -> None:
    class Branching(Leak):
        def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
            return (x if steps > 1 else -x), s

    bound = BoundLayer(Branching(size=3, tensors={"gain": "layers.0.gain"}), {"gain": np.ones(3, np.float32)})
    with pytest.raises(CellError, match=r"layers\[2\]: a step cannot branch on its values"):
        build_engine([bound], resolve_options(None), first=2)
