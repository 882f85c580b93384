"""Walk along the layers of a model, each on the outputs of its sources."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ._layer import INPUT, Layer, Source

V = TypeVar("V")


def sources_of(i: int, layer: Layer) -> tuple[Source, ...]:
    """Return what layer i reads: earlier layers by their index, or the input or a port of it by its name.

    >>> from .scale import Scale
    >>> sources_of(0, Scale(size=1)), sources_of(3, Scale(size=1)), sources_of(3, Scale(size=2, sources=(0, "x")))
    (('x',), (2,), (0, 'x'))
    """
    return layer.sources or ((i - 1,) if i else (INPUT,))


def reads_of(i: int, layer: Layer) -> tuple[Source, ...]:
    """Return what layer i needs: its sources, and the layer whose output it adds."""
    return sources_of(i, layer) + (() if layer.add is None else (layer.add,))


def walk(
    layers: Sequence[Layer],
    inputs: Mapping[str, V],
    run: Callable[[int, Layer, V], V],
    join: Callable[[list[V]], V],
    plus: Callable[[V, V], V] = operator.add,
    earlier: Mapping[Source, V] | None = None,
    among: Iterable[int] | None = None,
) -> dict[Source, V]:
    """Run layers in order and return the output of each by index, with what its `add` adds; and the inputs by name.

    inputs: the input "x", and its ports, by their names in `sources`. run: returns the output of a layer, given its
    index and its input. join: puts the outputs of several sources side by side. plus: adds the output of an earlier
    layer. earlier: outputs of layers that have run already. among: the indices of the layers that run; None: all that
    have not.

    >>> from .scale import Scale
    >>> layers = [Scale(size=1), Scale(size=1, add=0), Scale(size=2, sources=(0, 1))]
    >>> walk(layers, {"x": 2}, lambda i, layer, x: 10 * x, join=sum)
    {'x': 2, 0: 20, 1: 220, 2: 2400}
    """
    outputs: dict[Source, V] = dict(earlier or {})
    outputs.update(inputs)
    for i in [i for i in range(len(layers)) if i not in outputs] if among is None else sorted(among):
        xs = [outputs[source] for source in sources_of(i, layers[i])]
        y = run(i, layers[i], xs[0] if len(xs) == 1 else join(xs))
        if (add := layers[i].add) is not None:
            y = plus(y, outputs[add])
        outputs[i] = y
    return outputs


def join_each(lists: list[list[Any]], join: Callable[[list[Any]], Any]) -> list[Any]:
    """Join lists element by element: the `join` of a walk over all steps at once."""
    return [join(list(parts)) for parts in zip(*lists, strict=True)]


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
    >>> whole_window([ahead, replace(ahead, inputs=2, sources=("x", 0))])
    'layers[1] reads outputs that are 0 and 1 steps late, which a layer delay would make equal'
    """
    reasons = [layer.whole_window for layer in layers]
    delays = output_delays(layers)
    for i, layer in enumerate(layers):
        late = [delays[source] if isinstance(source, int) else 0 for source in sources_of(i, layer)]
        if len(set(late)) > 1:
            several = " and ".join(map(str, sorted(set(late))))
            reasons.append(
                f"layers[{i}] reads outputs that are {several} steps late, which a layer delay would make equal"
            )
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
        late = [delays[source] for source in sources_of(i, layer) if isinstance(source, int)]
        delays.append(max(late, default=0) + layer.look_ahead)
    return delays


def look_ahead(layers: Sequence[Layer]) -> int:
    """Return how many steps the answers of a stream are late; 0 for layers that read whole rows."""
    return 0 if whole_window(layers) else output_delays(layers)[-1]


def unread(layers: Sequence[Layer]) -> list[int]:
    """Return the indices of the layers, the last one included, whose output no layer reads.

    >>> from .scale import Scale
    >>> unread([Scale(size=1), Scale(size=1), Scale(size=1, sources=(0,))])
    [1, 2]
    """
    read = {source for i, layer in enumerate(layers) for source in reads_of(i, layer)}
    return [i for i in range(len(layers)) if i not in read]


def to_nodes(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return layers as the JSON objects of a model file."""
    return [{"kind": layer.kind, **layer.to_json()} for layer in layers]
