"""Attention to the steps of another graph is torch's, over those that there are."""

from __future__ import annotations

import numpy as np
import torch

from tidegate import layers
from tidegate.tape import NumpyOps


def test_the_attention_to_another_graph_is_torchs() -> None:
    """Of any number of rows up to the most; without one, the output is 0."""
    size, heads, most = 12, 3, 7
    layer = layers.parse("cross_attend", {"inputs": 5, "size": size, "heads": heads, "most": most}, 5, {})
    rng = np.random.default_rng(0)
    t = {role: rng.normal(size=shape) for role, shape in layer.shapes().items()}
    t["number"] = layer.init(rng, "number", {}).astype(float)
    x, rows = rng.normal(size=(1, 5)), rng.normal(size=(most, 2 * size))
    query = torch.from_numpy(x @ t["weight"].T + t["bias"]).reshape(heads, 1, -1)
    for count in range(1, most + 1):
        s = {name: v.astype(float)[None] for name, v in layer.hold(rows[:count].astype(np.float32)).items()}
        keys, values = (
            torch.from_numpy(rows[:count].astype(np.float32).astype(float)).reshape(count, 2, heads, -1).unbind(1)
        )
        parts = query, keys.swapaxes(0, 1), values.swapaxes(0, 1)
        want = torch.nn.functional.scaled_dot_product_attention(*parts).reshape(-1)
        y, after = layer.step(NumpyOps, t, s, x, None)
        assert np.abs(y[0] - want.numpy()).max() < 1e-12
        assert all(after[name] is s[name] for name in s)
    nothing = {name: np.zeros((1, *shape)) for name, (shape, _) in layer.state().items()}
    assert (layer.step(NumpyOps, t, nothing, x, None)[0] == 0).all()
