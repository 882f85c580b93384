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

    >>> from dataclasses import replace
    >>> from .conv import Conv
    >>> ahead = Conv(inputs=1, size=1, window=3, ahead=1, activation="none")
    >>> whole_window([ahead]), whole_window([ahead, replace(ahead, add=0)])
    ('', 'layers[1] adds an earlier output to one that looks ahead')
    """
    reasons = [layer.whole_window for layer in layers]
    delays = output_delays(layers)
    for i, layer in enumerate(layers):
        if layer.add is not None and delays[layer.add] < delays[i]:
            reasons.append(f"layers[{i}] adds an earlier output to one that looks ahead")
    return " and ".join(dict.fromkeys(filter(None, reasons)))


def output_delays(layers: Sequence[Layer]) -> list[int]:
    """Return for each layer how many steps its output is late in a stream, as it and those before it look ahead.

    >>> from .conv import Conv
    >>> output_delays([Conv(inputs=1, size=1, window=3, ahead=n, activation="none") for n in (0, 2, 1)])
    [0, 2, 3]
    """
    delays: list[int] = []
    for i, layer in enumerate(layers):
        sources = getattr(layer, "sources", None) or ((i - 1,) if i else ())
        late = [delays[source] for source in sources if isinstance(source, int)]
        delays.append(max(late, default=0) + layer.look_ahead)
    return delays


def look_ahead(layers: Sequence[Layer]) -> int:
    """Return how many steps the answers of a stream are late; 0 for layers that read whole rows."""
    return 0 if whole_window(layers) else output_delays(layers)[-1]


def to_nodes(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return layers as the JSON objects of a model file."""
    return [{"kind": layer.kind, **layer.to_json()} for layer in layers]
