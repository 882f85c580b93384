"""Walk along the layers of a model, each on the output of the one before."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ._layer import Layer

V = TypeVar("V")


def walk(
    layers: Sequence[Layer],
    x: V,
    run: Callable[[int, Layer, V], V],
    plus: Callable[[V, V], V] = operator.add,
    earlier: Mapping[int, V] | None = None,
) -> dict[int, V]:
    """Run layers in order and return the output of each by index, with what its `add` adds.

    x: the input of the first layer that runs. run: returns the output of a layer, given its index and its input. plus:
    adds the output of an earlier layer. earlier: outputs of first layers that have run already, as far as they are
    needed; the layers behind the last of them run.

    >>> from .scale import Scale
    >>> walk([Scale(size=1), Scale(size=1, add=0)], 2, lambda i, layer, x: 10 * x)
    {0: 20, 1: 220}
    """
    outputs = dict(earlier or {})
    for i in range(max(outputs, default=-1) + 1, len(layers)):
        x = run(i, layers[i], x)
        if (add := layers[i].add) is not None:
            x = plus(x, outputs[add])
        outputs[i] = x
    return outputs


def add_each(a: list[Any], b: list[Any]) -> list[Any]:
    """Add two lists, element by element: the `plus` of a walk over all steps at once."""
    return [x + y for x, y in zip(a, b, strict=True)]


def state_names(i: int, names: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of layer i's states in a model, by their names in the layer.

    >>> state_names(2, {"h": ((4,), 0.0)})
    {'h': 'layers.2.h'}
    """
    return {name: f"layers.{i}.{name}" for name in names}


def name_states(i: int, states: Mapping[str, V]) -> dict[str, V]:
    """Return the states of layer i by their names in a model."""
    return {f"layers.{i}.{name}": v for name, v in states.items()}


def select_states(i: int, layer: Layer, states: Mapping[str, V]) -> dict[str, V]:
    """Select the states of layer i from those of a model: their names in the layer -> state."""
    return {name: states[full] for name, full in state_names(i, layer.state()).items()}


def output_widths(layers: Sequence[Layer]) -> list[int]:
    """Return the output width of each layer."""
    return [layer.width for layer in layers]


def whole_window(layers: Sequence[Layer]) -> str:
    """Say in a few words why the layers cannot run step by step; "" if they can.

    >>> from .conv import Conv
    >>> whole_window([Conv(inputs=1, size=1, window=3, centred=True, activation="none")])
    'its convolution looks 1 step ahead'
    """
    reasons = [layer.whole_window for layer in layers]
    return " and ".join(dict.fromkeys(filter(None, reasons)))


def to_nodes(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return layers as the JSON objects of a model file."""
    return [{"kind": layer.kind, **layer.to_json()} for layer in layers]
