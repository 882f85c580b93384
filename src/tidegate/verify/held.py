"""A graph that a decoder drives, with something to read: its check needs rows of other graphs, which are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from ..document import state_schema
from ..document.graph import GRAPH
from ..inputs import parse
from ..model import Model
from .draws import splitmix64

ROWS: Final = 21  # of each memory, if there may be as many


def fill_held(model: Model, seed: int) -> Model:
    """Return a model whose layers that read another graph begin with rows from a seed; without any, the same.

    The rows are those of an input of numbers; see `check.py`. One generator serves all layers in order, `ROWS` rows of
    each that keeps steps, or as many as it can keep, and one of the others.

    >>> from .samples import sample
    >>> model = sample(size=4)
    >>> fill_held(model, 1) is model
    True
    """
    if not any(layer.outside for layer in model.layers):
        return model
    draws, document, layers = splitmix64(seed), model.document, list(model.layers)
    nodes: list[dict[str, Any]] = document["graphs"][GRAPH]["nodes"]
    for i, node in enumerate(nodes):
        if (outside := layers[i].outside) is None:
            continue
        source = parse("given", {"kind": "array", "features": outside.width}, {})
        rows = source.synthesise(draws, min(ROWS, outside.most or 1)).tolist()
        node["initial"] = rows
        changed: Any = layers[i]
        layers[i] = replace(changed, initial=rows)
    return Model({**document, "state": state_schema(layers)}, model.tensors)
