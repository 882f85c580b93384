"""A model as the parts of a C program: tables, functions, buffers and the statements of a step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...document.graph import find_ports
from ...errors import ModelFileError, error_context
from ...layers import Layer, output_delays, output_widths, reads_of, sources_of, state_names
from ...model import Model
from .layer_code import LayerCode, LayerContext
from .literals import format_comment, format_float
from .operations import generate, is_lookup
from .places import Buffers


@dataclass(frozen=True)
class Program:
    """A C program in parts.

    ids: how many token ids a step takes; 0: it takes numbers. tables: C name -> numbers. functions: names of
    library functions (`functions.py`). layer_functions: functions of single layers, as lines. init: statements for what
    is not zero in the state before the first step. step: statements between the checks and the return. stack: bytes of
    all arrays that are alive at once.
    """

    model: Model
    ids: int
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
        """The number of floats in a state, including padding."""
        return (self.model.state_bytes - 8) // 4

    @property
    def argument(self) -> str:
        """The name of what a step takes: id, ids or x."""
        return {0: "x", 1: "id"}.get(self.ids, "ids")

    @property
    def weight_bytes(self) -> int:
        return sum(table.nbytes for table in self.tables.values())


def build_program(model: Model) -> Program:
    """Build the program of a model. Raises ModelFileError for a model without a step."""
    if because := model.whole_window:
        raise ModelFileError(
            f"the layers have no step, because {because}; C code runs step by step, so it cannot run this model"
        )
    (source,) = model.inputs.values()
    ids = source.ids if source.features is None else 0
    inputs = source.size if source.features is None else source.features
    plan = BufferPlan(model)
    codes = list(plan.generate_layers())
    step = plan.arrange([code.body for code in codes])
    codes.append(init := generate_init(model))
    return Program(
        model,
        ids,
        inputs,
        plan.widths[-1],
        join_tables(codes),
        {name for code in codes for name in code.functions},
        [code.own_function for code in codes if code.own_function],
        init.body,
        [*plan.declarations(), *step],
        4 * (sum(plan.buffers.sizes) + plan.widest_join()) + max(code.stack for code in codes),
    )


def join_tables(codes: list[LayerCode]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the tables of all code by name; of two zeros of one name, the longer."""
    tables: dict[str, npt.NDArray[np.float32]] = {}
    for name, table in (pair for code in codes for pair in code.tables.items()):
        tables[name] = max(tables.get(name, table), table, key=len)
    return tables


def generate_init(model: Model) -> LayerCode:
    """Generate what is not zero before the first step."""
    code = LayerCode()
    for k, array in enumerate(model.state_schema[1:]):
        at, size, fill = (array["offset"] - 8) // 4, math.prod(array["shape"]), array["fill"]
        if not isinstance(fill, list) and fill:
            first = "-INFINITY" if fill == "-inf" else format_float(fill)
            code.body.append(f"for (size_t i = {at}; i < {at + size}; ++i) state->data[i] = {first};")
        elif fill:
            code.tables[f"first_{k}"] = np.array(fill, np.float32)
            code.functions.add("copy")
            code.body.append(f"copy({size}, first_{k}, state->data + {at}); /* {format_comment(array['name'])} */")
    return code


class BufferPlan:
    """Where each layer's output goes.

    The last output goes to the caller; that of a lookup stays in its table. The others go into buffers, which are
    reused once no layer reads them any more.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.layers = model, model.layers
        self.widths, self.delays = output_widths(self.layers), output_delays(self.layers)
        self.lookups = list(self.find_lookups())
        self.buffers = Buffers()
        self.buffer_of = list(self.assign_buffers())

    def find_lookups(self) -> Iterator[bool]:
        for i, layer in enumerate(self.layers):
            with error_context(f"layers[{i}]"):
                yield is_lookup(layer)

    def assign_buffers(self) -> Iterator[int | None]:
        """Assign buffers: for each layer the index of its buffer, or None."""
        for i, lookup in enumerate(self.lookups):
            if lookup or i == len(self.layers) - 1:
                yield None
                continue
            last = max(j for j, other in enumerate(self.layers) if i in reads_of(j, other))
            yield self.buffers.take(i, last, self.widths[i])

    def declarations(self) -> list[str]:
        buffers = [f"float buffer_{b}[{size}];" for b, size in enumerate(self.buffers.sizes)]
        named = [f"float *const y_{i} = buffer_{b};" for i, b in enumerate(self.buffer_of) if b is not None]
        late = self.model.look_ahead
        rows = [
            f"const float *{self.expression(i)} = NULL;" for i, lookup in enumerate(self.lookups) if lookup and late
        ]
        joined = [f"float joined[{width}];"] if (width := self.widest_join()) else []
        return buffers + named + rows + joined

    def widest_join(self) -> int:
        """Return the widest input that is joined from several sources; 0 if there is none."""
        several = [layer.input_width for i, layer in enumerate(self.layers) if len(sources_of(i, layer)) > 1]
        return max(several, default=0)

    def join(self, i: int, layer: Layer) -> tuple[list[str], str]:
        """Return the statements that join the sources of a layer, and the C expression of its input."""
        sources = sources_of(i, layer)
        expressions = [self.expression(source) if isinstance(source, int) else "x" for source in sources]
        if len(sources) == 1:
            return [], expressions[0]
        lines, at = [], 0
        (source,) = self.model.inputs.values()
        for one, expression in zip(sources, expressions, strict=True):
            width = self.widths[one] if isinstance(one, int) else source.features or 0
            lines.append(f"copy({width}, {expression}, joined{f' + {at}' * bool(at)});")
            at += width
        if layer.look_ahead:  # after the end of a row it reads zeros, and there is no input any more
            lines = [f"if (late <= {self.delays[i] - layer.look_ahead}) {{", *("  " + line for line in lines), "}"]
        return lines, "joined"

    def id_expression(self, i: int, layer: Layer) -> str:
        """Return the C expression of the token id that a layer takes, or of the first of several."""
        (source,) = self.model.inputs.values()
        if source.features is not None or source.ids == 1 or not layer.ids:
            return "id"
        first = find_ports(source)[str(sources_of(i, layer)[0])].first
        if layer.ids == 1:
            return f"ids[{first}]"
        return f"ids + {first}" if first else "ids"

    def arrange(self, bodies: list[list[str]]) -> list[str]:
        """Return the statements of all layers. If some look ahead, those behind them wait, and run on after the end."""
        if not self.model.look_ahead:
            return [line for body in bodies for line in body]
        lines, open_block = [], None
        for i, body in enumerate(bodies):
            late = self.delays[i]
            block = f"if (count > {late - self.layers[i].look_ahead} && late <= {late}) {{"
            if block != open_block:
                lines += ["}", block] if open_block else [block]
            lines, open_block = lines + [f"  {line}" for line in body], block
        return [*lines, "}", f"if (count <= {self.model.look_ahead}) return {{N}}_WAITING;"]

    def expression(self, i: int) -> str:
        """Return the C expression for a layer's output."""
        last = i == len(self.layers) - 1 and not self.lookups[i]
        return "out" if last else f"y_{i}"

    def generate_layers(self) -> Iterator[LayerCode]:
        """Generate the code of each layer."""
        offsets = {array["name"]: (array["offset"] - 8) // 4 for array in self.model.state_schema[1:]}
        for i, layer in enumerate(self.layers):
            own = {name: offsets[full] for name, full in state_names(i, layer.state()).items()}
            joins, x = self.join(i, layer)
            ids, delay = self.id_expression(i, layer), self.delays[i] - layer.look_ahead
            code = generate(LayerContext(self.model, i, layer, x, self.expression(i), ids, own, delay))
            code.body[:0] = joins
            code.functions.update(["copy"] if joins else [])
            self.finish(code, i, layer)
            yield code

    def finish(self, code: LayerCode, i: int, layer: Layer) -> None:
        """Add what follows a layer of any kind, and the comment above it."""
        if (added := layer.add) is not None:
            code.functions.add("plus")
            code.body.append(
                f"plus({self.widths[i]}, {self.expression(added)}, {self.expression(i)}); /* add: layers[{added}] */"
            )
        if self.lookups[i] and i == len(self.layers) - 1:
            code.functions.add("copy")
            code.body.append(f"copy({self.widths[i]}, {self.expression(i)}, out);")
        code.body[:0] = [f"/* layers[{i}]: {layer.kind} */"]
