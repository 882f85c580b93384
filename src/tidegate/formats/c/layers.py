"""The C of each kind of layer: what it adds to the step. `recurrent` has a file of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .functions import ACTIVATIONS
from .literals import format_float
from .layer_code import LayerCode, LayerContext
from .recurrent import recurrent


def embed(place: LayerContext) -> LayerCode:
    """A pointer into the table; the step has checked the id."""
    piece, name = LayerCode(), f"layer{place.i}_weight"
    piece.tables[name] = place.tensor("weight")
    piece.body = [f"{place.y} = {name} + (size_t)id * {place.size};"]
    return piece


def dense(place: LayerContext) -> LayerCode:
    piece = LayerCode()
    W, b = tables(piece, place, "weight", "bias")
    call(piece, "product", place.size, place.width, W, b, place.x, place.y)
    activate(piece, place)
    return piece


def conv(place: LayerContext) -> LayerCode:
    """Causal; the steps before are a state."""
    piece, older = LayerCode(), (place.layer["width"] - 1) * place.width
    if not older:
        return dense(place)
    W, b = tables(piece, place, "weight", "bias")
    call(piece, "convolution", place.size, place.width, older, W, b, place.x, place.state("past"), place.y)
    activate(piece, place)
    return piece


def norm(place: LayerContext) -> LayerCode:
    piece = LayerCode()
    gain, bias = tables(piece, place, "gain", "bias")
    call(piece, "norm", place.size, place.x, gain, bias, format_float(place.layer["eps"]), place.y)
    return piece


def scale(place: LayerContext) -> LayerCode:
    piece, n = LayerCode(), place.size
    mean, deviation = tables(piece, place, "mean", "deviation")
    each = f"({place.x}[i] - {mean}[i]) / {deviation}[i]"
    piece.body.append(f"for (size_t i = 0; i < {n}; ++i) {place.y}[i] = {each};")
    return piece


def softmax(place: LayerContext) -> LayerCode:
    piece = LayerCode()
    call(piece, "softmax", place.size, place.x, place.y)
    return piece


def pool(place: LayerContext) -> LayerCode:
    piece, n = LayerCode(), place.width
    for k, over in enumerate(place.layer["over"]):
        y = f"{place.y} + {k * n}" if k else place.y
        if over == "last":
            call(piece, "copy", n, place.x, y)
        elif over == "mean":
            call(piece, "pool_mean", n, place.x, "(float)state->steps", place.state("mean"), y)
        elif over == "max":
            call(piece, "pool_max", n, place.x, place.state("max"), y)
        else:
            (score,) = tables(piece, place, "score")
            bias = format_float(place.tensor("score_bias")[0])
            call(piece, "pool_attention", n, place.x, score, bias, place.state("peak"), y)
    return piece


KINDS: dict[str, Callable[[LayerContext], LayerCode]] = {
    "embed": embed,
    "dense": dense,
    "conv": conv,
    "norm": norm,
    "recurrent": recurrent,
    "pool": pool,
    "scale": scale,
    "softmax": softmax,
}


def tables(piece: LayerCode, place: LayerContext, *roles: str) -> list[str]:
    """The C names of these tensors."""
    found: dict[str, npt.NDArray[np.float32]] = {f"layer{place.i}_{role}": place.tensor(role) for role in roles}
    piece.tables.update(found)
    return list(found)


def call(piece: LayerCode, function: str, *arguments: object) -> None:
    piece.functions.add(function)
    piece.body.append(f"{function}({', '.join(map(str, arguments))});")


def activate(piece: LayerCode, place: LayerContext) -> None:
    """The activation of a dense or conv layer, in place."""
    kind, y = place.layer["activation"], place.y
    if kind != "none":
        function = ACTIVATIONS[kind]
        piece.functions.add(function)
        piece.body.append(f"for (size_t i = 0; i < {place.size}; ++i) {y}[i] = {function}({y}[i]);")
