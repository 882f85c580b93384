"""The C of each kind of layer. `recurrent` has a file of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ...layers import Layer
from ...layers.conv import Conv
from ...layers.dense import Dense
from ...layers.embed import Embed
from ...layers.norm import Norm
from ...layers.pool import Pool
from ...layers.recurrent import Recurrent
from ...layers.scale import Scale
from ...layers.softmax import Softmax
from .functions import ACTIVATIONS
from .layer_code import LayerCode, LayerContext
from .literals import format_float
from .recurrent import recurrent


def embed(context: LayerContext) -> LayerCode:
    """Point into the table, or add the rows of several ids in order; the step has checked the ids."""
    code, name = LayerCode(), f"layer{context.i}_weight"
    code.tables[name] = context.tensor("weight")
    if (ids := context.layer.ids) > 1:
        size, y = context.size, context.y
        add_call(code, "copy", size, f"{name} + (size_t)ids[0] * {size}", y)
        code.functions.add("plus")
        code.body.append(f"for (size_t k = 1; k < {ids}; ++k) plus({size}, {name} + (size_t)ids[k] * {size}, {y});")
        return code
    code.body = [f"{context.y} = {name} + (size_t)id * {context.size};"]
    return code


def dense(context: LayerContext) -> LayerCode:
    code = LayerCode()
    W, b = add_tables(code, context, "weight", "bias")
    add_call(code, "product", context.size, context.width, W, b, context.x, context.y)
    add_activation(code, context)
    return code


def conv(context: LayerContext) -> LayerCode:
    """Generate a convolution, whose earlier steps are a state. One that looks ahead reads zeros after the end."""
    code, older = LayerCode(), (context.layer.window - 1) * context.width
    if not older:
        return dense(context)
    W, b = add_tables(code, context, "weight", "bias")
    x = context.x
    if context.layer.look_ahead:
        code.tables["absent"] = np.zeros(context.width, np.float32)
        x = f"late > {context.delay} ? absent : {x}"
    add_call(code, "convolution", context.size, context.width, older, W, b, x, context.state("past"), context.y)
    add_activation(code, context)
    return code


def norm(context: LayerContext) -> LayerCode:
    code = LayerCode()
    gain, bias = add_tables(code, context, "gain", "bias")
    add_call(code, "norm", context.size, context.x, gain, bias, format_float(context.layer.eps), context.y)
    return code


def scale(context: LayerContext) -> LayerCode:
    code, n = LayerCode(), context.size
    mean, deviation = add_tables(code, context, "mean", "deviation")
    each = f"({context.x}[i] - {mean}[i]) / {deviation}[i]"
    code.body.append(f"for (size_t i = 0; i < {n}; ++i) {context.y}[i] = {each};")
    return code


def softmax(context: LayerContext) -> LayerCode:
    code = LayerCode()
    add_call(code, "softmax", context.size, context.x, context.y)
    return code


def pool(context: LayerContext) -> LayerCode:
    code, n = LayerCode(note=f" over {', '.join(context.layer.over)}"), context.width
    for k, over in enumerate(context.layer.over):
        y = f"{context.y} + {k * n}" if k else context.y
        if over == "last":
            add_call(code, "copy", n, context.x, y)
        elif over == "mean":
            add_call(code, "pool_mean", n, context.x, f"(float){context.steps}", context.state("mean"), y)
        elif over == "max":
            add_call(code, "pool_max", n, context.x, context.state("max"), y)
        else:
            (score,) = add_tables(code, context, "score")
            bias = format_float(context.tensor("score_bias")[0])
            add_call(code, "pool_attention", n, context.x, score, bias, context.state("peak"), y)
    return code


GENERATORS: dict[type[Layer], Callable[[LayerContext], LayerCode]] = {
    Embed: embed,
    Dense: dense,
    Conv: conv,
    Norm: norm,
    Recurrent: recurrent,
    Pool: pool,
    Scale: scale,
    Softmax: softmax,
}


def add_tables(code: LayerCode, context: LayerContext, *roles: str) -> list[str]:
    """Add tensors as tables; return their C names."""
    added: dict[str, npt.NDArray[np.float32]] = {f"layer{context.i}_{role}": context.tensor(role) for role in roles}
    code.tables.update(added)
    return list(added)


def add_call(code: LayerCode, function: str, *arguments: object) -> None:
    code.functions.add(function)
    code.body.append(f"{function}({', '.join(map(str, arguments))});")


def add_activation(code: LayerCode, context: LayerContext) -> None:
    """Apply the activation of a dense or conv layer in place."""
    activation, y = context.layer.activation, context.y
    if activation != "none":
        function = ACTIVATIONS[activation]
        code.functions.add(function)
        code.body.append(f"for (size_t i = 0; i < {context.size}; ++i) {y}[i] = {function}({y}[i]);")
