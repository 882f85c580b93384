"""A model as the parts of a C program: tables, functions, buffers and the statements of a step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelFileError
from ...layers import widths
from ...model import Model
from .layers import KINDS
from .literals import format_comment
from .layer_code import LayerCode, LayerContext


@dataclass(frozen=True)
class Program:
    """tables: C name -> numbers. functions: of the library. own: functions of single layers, as lines. first: what the
    state before the first step has beside zeros, as statements. step: those between the checks and the return. stack:
    bytes of all arrays that are alive at once."""

    model: Model
    takes_ids: bool
    inputs: int
    outputs: int
    tables: dict[str, npt.NDArray[np.float32]]
    functions: set[str]
    layer_functions: list[list[str]]
    init: list[str]
    step: list[str]
    stack: int

    @property
    def floats(self) -> int:
        """How many the state holds, its padding included."""
        return (self.model.state_bytes - 8) // 4

    @property
    def weight_bytes(self) -> int:
        return sum(table.nbytes for table in self.tables.values())


def build_program(model: Model) -> Program:
    """The program of a model. Raises ModelFileError for one that has no step, or a layer that has no C."""
    if because := model.whole_window:
        raise ModelFileError(f"streams: no, because {because}; C has a step only, so it cannot hold this model")
    source = model.document["input"]
    text = source["kind"] in ("text", "ids")
    plan = BufferPlan(model)
    pieces = list(plan.generate_layers(source["size"] if text else source["features"]))
    step = [line for piece in pieces for line in piece.body]
    pieces.append(begin := generate_init(model))
    return Program(
        model,
        text,
        source["size"] if text else source["features"],
        plan.widths[-1],
        {name: table for piece in pieces for name, table in piece.tables.items()},
        {name for piece in pieces for name in piece.functions},
        [piece.own_function for piece in pieces if piece.own_function],
        begin.body,
        [*plan.declarations(), *step],
        4 * sum(plan.buffers) + max(piece.stack for piece in pieces),
    )


def generate_init(model: Model) -> LayerCode:
    """What is not zero before the first step."""
    piece = LayerCode()
    for k, array in enumerate(model.state_schema[1:]):
        at, size, fill = (array["offset"] - 8) // 4, math.prod(array["shape"]), array["fill"]
        if fill == "-inf":
            piece.body.append(f"for (size_t i = {at}; i < {at + size}; ++i) state->data[i] = -INFINITY;")
        elif isinstance(fill, list):
            piece.tables[f"first_{k}"] = np.array(fill, np.float32)
            piece.functions.add("copy")
            piece.body.append(f"copy({size}, first_{k}, state->data + {at}); /* {format_comment(array['name'])} */")
    return piece


class BufferPlan:
    """Where each layer's output goes: the last one's to the caller, an embed's stays in its table, the others' into
    buffers, which are used again once nobody reads them."""

    def __init__(self, model: Model) -> None:
        self.model, self.layers = model, model.layers
        for i, layer in enumerate(self.layers):
            if layer["kind"] not in KINDS:
                raise ModelFileError(f"layers[{i}]: {layer['kind']} has no C; choose one of {', '.join(sorted(KINDS))}")
        self.widths = widths(self.layers, model.document["input"].get("features"), model.tapes)
        self.buffers: list[int] = []
        self.buffer_of = list(self.assign_buffers())

    def assign_buffers(self) -> Iterator[int | None]:
        """For each layer the index of its buffer, None where it has none."""
        busy: list[int] = []  # the last layer that reads what lies there
        for i, layer in enumerate(self.layers):
            if layer["kind"] == "embed" or i == len(self.layers) - 1:
                yield None
                continue
            free = [b for b, until in enumerate(busy) if until < i]
            if not free:
                free = [len(busy)]
                busy.append(-1)
                self.buffers.append(0)
            busy[free[0]] = max([i + 1, *(j for j, other in enumerate(self.layers) if other.get("add") == i)])
            self.buffers[free[0]] = max(self.buffers[free[0]], self.widths[i])
            yield free[0]

    def declarations(self) -> list[str]:
        buffers = [f"float buffer_{b}[{size}];" for b, size in enumerate(self.buffers)]
        named = [f"float *const y_{i} = buffer_{b};" for i, b in enumerate(self.buffer_of) if b is not None]
        return buffers + named

    def expression(self, i: int) -> str:
        """The C expression of a layer's output."""
        last = i == len(self.layers) - 1 and self.layers[i]["kind"] != "embed"
        return "out" if last else f"y_{i}"

    def generate_layers(self, width: int) -> Iterator[LayerCode]:
        offsets = {array["name"]: (array["offset"] - 8) // 4 for array in self.model.state_schema[1:]}
        for i, layer in enumerate(self.layers):
            start = f"layers.{i}."
            own = {name.removeprefix(start): at for name, at in offsets.items() if name.startswith(start)}
            x, before = (self.expression(i - 1), self.widths[i - 1]) if i else ("x", width)
            piece = KINDS[layer["kind"]](LayerContext(self.model, i, layer, before, x, self.expression(i), own))
            self.finish(piece, i, layer)
            yield piece

    def finish(self, piece: LayerCode, i: int, layer: dict[str, Any]) -> None:
        """What follows a layer of any kind, and the comment above it."""
        if (added := layer.get("add")) is not None:
            piece.functions.add("plus")
            piece.body.append(f"plus({self.widths[i]}, {self.expression(added)}, {self.expression(i)}); /* add: layers[{added}] */")
        if layer["kind"] == "embed":
            piece.body[0] = f"const float *const {piece.body[0]}"
            if i == len(self.layers) - 1:
                piece.functions.add("copy")
                piece.body.append(f"copy({self.widths[i]}, {self.expression(i)}, out);")
        over = f" over {', '.join(layer['over'])}" if layer["kind"] == "pool" else ""
        piece.body[:0] = [f"/* layers[{i}]: {layer['kind']}{over} */"]
