"""Models with the layers of tests/toy_layers, which no target knows: each runs them by their own equations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import layers
from tidegate.layers import Builder, _load
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.tape import NumpyOps
from tidegate.verify.samples import WORDS, build_model

TOY_LAYERS = Path(__file__).parents[1] / "toy_layers"
Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def toy_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package find the toy layers next to its own."""
    found = (*_load.kinds(), *(path.stem for path in TOY_LAYERS.glob("*.py")))
    monkeypatch.setattr(layers, "__path__", [*layers.__path__, str(TOY_LAYERS)])
    monkeypatch.setattr(_load, "kinds", lambda: found)


def with_ages(model: Model) -> Model:
    """Return a model whose tensors `age` and `column` hold the ages of the steps in a window, the oldest first."""
    ages = {
        name: np.arange(len(v), dtype=np.float32)[::-1].reshape(v.shape).copy()
        for name, v in model.tensors.items()
        if name.endswith((".age", ".column"))
    }
    return Model(model.document, {**model.tensors, **ages})


def programmed_model(name: str | int, seed: int = 0) -> Model:
    """Return a model of one programmed layer. name: a seed, or that of a single operation."""
    builder = Builder(6)
    builder.add("programmed", name=name)
    return with_ages(build_model(builder.layers, seed, 6, None))


def attention_model(seed: int = 0, window: int = 5, heads: int = 2, size: int = 8) -> Model:
    """Return a model that embeds text, attends to the latest steps, gates, pools and gives probabilities."""
    builder = Builder(None)
    builder.add("embed", rows=len(WORDS) + 1, size=size)
    builder.add("toy_attention", heads=heads, window=window)
    builder.add("toy_glu")
    builder.add("pool", over=["mean", "max"])
    builder.add("dense", size=size, activation="tanh")
    builder.add("toy_glu")
    builder.add("dense", size=3, activation="none")
    builder.add("softmax")
    return with_ages(build_model(builder.layers, seed, None, 3))


def run_in_float32(model: Model, x: Array, xp: type[NumpyOps] = NumpyOps) -> tuple[Array, list[dict[str, Array]]]:
    """Run one row x [T, ...] in float32; return the outputs [T, width], and the states before and after each step."""
    reference = Reference(model, single_precision(xp))
    reference.weights = [{role: v.astype(np.float32) for role, v in t.items()} for t in reference.weights]
    states, outputs = [reference.initial_state(1)], []
    for one in x:
        before = {name: v.astype(np.float32) for name, v in states[-1].items()}
        y, after = reference.step(before, one[None])
        assert y.dtype == np.float32
        outputs.append(y[0])
        states.append({**after, "steps": after["steps"].astype(np.int64)})
    return np.stack(outputs), states


def single_precision(xp: type[NumpyOps]) -> type[NumpyOps]:
    """Return the operations with comparisons that give float32."""
    return type("SinglePrecision", (xp,), {"less": staticmethod(lambda x, y: NumpyOps.less(x, y).astype(np.float32))})
