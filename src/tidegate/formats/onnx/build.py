"""Build one graph from a model's layers: inputs and states in, outputs and states out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ...document.graph import find_ports
from ...layers import INPUT, Layer, name_states, output_delays, select_states, walk
from ...limits import MAX_VOCABULARY
from ...model import Model
from ...outputs import describe_numbers
from . import context as contexts
from . import layer as layer_nodes
from . import proto
from .context import GraphContext
from .graph import Operations, Tensor, prune
from .wire import Message

MODES: Final = ("sequence", "step")
NEXT: Final = "next."
LENGTHS_DOC: Final = "number of steps of each row, 0 to T"
LATE_DOC: Final = (
    "0 for a step. After the last step of the rows, 1 to {model.look_ahead}, one after the other, give the answers "
    "that are still to come; the ids or numbers are then not read, and the states must not be used again"
)
LATE_OUTPUT_DOC: Final = (
    "the output of the step {model.look_ahead} steps before this one; with the first {model.look_ahead}, there is none"
)
STEP_OUTPUTS_DOC: Final = "the output after each step; zeros past the length of a row"
OUTPUT_DOC: Final = {
    "step": "the output",
    "sequence": "the output after the last step of each row; zeros for a row of length 0",
}


class ModelGraph:
    """The graph of a model under construction. sequence: whether it has a time axis."""

    def __init__(self, model: Model, sequence: bool) -> None:
        self.model, self.sequence, self.g = model, sequence, Operations()
        self.layers = model.layers
        (self.source,) = model.inputs.values()
        self.streams = not whole_reason(model, "sequence" if sequence else "step")
        self.delays = output_delays(self.layers)
        self.waits = bool(model.look_ahead) and not sequence
        self.inputs: list[Message] = []
        self.outputs: list[Message] = []
        self.output_names: set[str] = set()
        for layer in self.layers:
            for name in layer.tensors.values():
                self.g.register(name, model.tensors[name])

    def graph(self) -> Message:
        x = self.add_model_input()
        lengths = self.add_input("lengths", "int32", ["B"], LENGTHS_DOC) if self.sequence else None
        states = self.add_states()
        steps = states.get("steps")
        if lengths is not None:
            ctx = contexts.sequence_context(self.g, x, steps, lengths)
        else:
            assert steps is not None
            late = self.add_input("late", "int64", [1], LATE_DOC.format(model=self.model)) if self.waits else None
            ctx = contexts.step_context(self.g, x, steps, late)
        y, next_states = self.add_layers(ctx, states, self.check_ids(ctx, x) if self.source.features is None else x)
        self.g.scope = "graph"
        self.add_outputs(ctx, y, next_states | self.next_steps(ctx, steps))
        doc = "Made by tidegate. T is time, B rows. To continue, feed each next.NAME back as NAME."
        doc = doc if self.streams else "Made by tidegate. T is time, B rows, each of them whole."
        nodes, reads = prune(self.g.added, self.output_names)
        tensors = [tensor for name, tensor in self.g.tensors.items() if name in reads]
        return proto.graph("tidegate", nodes, self.inputs, self.outputs, tensors, doc)

    def add_input(self, name: str, dtype: str, dims: list[Any], doc: str) -> Tensor:
        self.inputs.append(proto.value(name, dtype, dims, doc))
        return Tensor(self.g, name)

    def add_output(self, name: str, dtype: str, dims: list[Any], doc: str, value: Tensor) -> None:
        self.g.add_output(name, value)
        self.output_names.add(name)
        self.outputs.append(proto.value(name, dtype, dims, doc))

    def add_model_input(self) -> Tensor:
        """Add the model's input. Ids are int32, as in the native engine; Gather takes both kinds of integers."""
        axes = ["T", "B"] if self.sequence else ["B"]
        if self.source.features is None:
            each = [self.source.ids] if self.source.ids > 1 else []
            return self.add_input("ids", "int32", [*axes, *each], self.source.describe_ids())
        what = self.source.describe_rows() or "the numbers of each step"
        return self.add_input("x", "float32", [*axes, self.source.features], what)

    def check_ids(self, ctx: GraphContext, ids: Tensor) -> Tensor:
        """Return the ids, with 0 past a row's length.

        Gather would count a negative id from the end of the table, so it is replaced by the first id that does not
        exist, which is refused; but for ids that may lack, which a negative number stands for.
        """
        g, several, ports = self.g, self.source.ids > 1, self.source.ports.values()
        sizes = [port.size for port in ports for _ in range(port.ids)]
        least = [-MAX_VOCABULARY if port.may_lack else 0 for port in ports for _ in range(port.ids)]
        missing = g.constant("id.none", np.array(sizes if several else sizes[0], np.int32))
        first = g.constant("id.first", np.array(least if several else least[0], np.int32))
        zero = g.constant("id.0", np.array(0, np.int32))
        checked = g.apply("Where", g.apply("Less", ids, first), missing, ids)
        if ctx.mask is None:
            return checked
        mask = ctx.mask if several else g.apply("Squeeze", ctx.mask, g.int64s(2))
        return g.apply("Where", mask, checked, zero)

    def add_states(self) -> dict[str, Tensor]:
        """Add the state arrays as inputs, with their names in the file; none if the model does not stream."""
        if not self.streams:
            return {}
        return {
            a["name"]: self.add_input(a["name"], a["dtype"], ["B", *a["shape"]], f"state; initially {describe_fill(a)}")
            for a in self.model.state_schema
        }

    def add_layers(self, ctx: GraphContext, states: dict[str, Tensor], x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Add all layers; return the last one's output and the next states by name."""
        next_states: dict[str, Tensor] = {}

        def run(i: int, layer: Layer, x: Tensor) -> Tensor:
            self.g.scope = f"layers.{i}.{layer.kind}"
            s = select_states(i, layer, states) if self.streams else ctx.fill_states(layer.state())
            own, delay = ctx, self.delays[i] - layer.look_ahead
            if self.waits:
                own = ctx.behind(delay)
                x = ctx.end_after(delay, x) if layer.look_ahead else x
            y, last = layer_nodes.run(own, layer, layer.select(self.model.tensors), s, x)
            if self.waits:
                axes = {name: len(shape) for name, (shape, _) in layer.state().items()}
                last = {n: own.keep_waiting(self.delays[i], v, s[n], axes[n]) for n, v in last.items()}
            next_states.update(name_states(i, last))
            return y

        outputs = walk(self.layers, self.split_ports(x), run, self.g.concat)
        return outputs[len(self.layers) - 1], next_states

    def split_ports(self, x: Tensor) -> dict[str, Tensor]:
        """Return the ids or numbers of each port of the input, by its name in `sources`."""
        if len(ports := find_ports(self.source)) < 2:
            return dict.fromkeys(ports or [INPUT], x)
        parts: dict[str, Tensor] = {}
        for name, port in ports.items():
            columns = np.arange(port.first, port.first + port.ids, dtype=np.int64)
            where = self.g.constant(f"columns.{name}", columns if port.ids > 1 else columns.reshape(()))
            parts[name] = self.g.apply("Gather", x, where, axis=-1)
        return parts

    def output_doc(self, mode: str) -> str:
        """Describe the output."""
        units = describe_numbers(self.model.outputs.values())
        what = LATE_OUTPUT_DOC.format(model=self.model) if self.waits else OUTPUT_DOC[mode]
        return f"{what}{units and ': ' + units}"

    def next_steps(self, ctx: GraphContext, steps: Tensor | None) -> dict[str, Tensor]:
        if steps is None:
            return {}
        if ctx.late is not None:  # after the end of a row no step is added
            is_step = self.g.cast(self.g.apply("Equal", ctx.late, self.g.int64s(0)), proto.INT64)
            return {"steps": self.g.apply("Add", steps, is_step)}
        if ctx.lengths is None:
            return {"steps": self.g.apply("Add", steps, self.g.int64s(1))}
        lengths = self.g.cast(ctx.lengths, proto.INT64).reshape(-1, 1)
        return {"steps": self.g.apply("Add", steps, lengths)}

    def add_outputs(self, ctx: GraphContext, y: Tensor, next_states: dict[str, Tensor]) -> None:
        width = self.layers[-1].width
        last = y
        if ctx.sequence:
            y = ctx.zero_padding(y)
            self.add_output("y", "float32", ["T", "B", width], STEP_OUTPUTS_DOC, y)
            last = select_last(ctx, y)
        self.add_output(
            "output", "float32", ["B", width], self.output_doc("sequence" if ctx.sequence else "step"), last
        )
        for a in self.model.state_schema if self.streams else ():
            self.add_output(
                NEXT + a["name"], a["dtype"], ["B", *a["shape"]], f"becomes {a['name']}", next_states[a["name"]]
            )


def describe_fill(array: dict[str, Any]) -> str:
    fill = array.get("fill", 0)
    return "the fill in the state of the metadata" if isinstance(fill, list) else str(fill)


def select_last(ctx: GraphContext, y: Tensor) -> Tensor:
    """Select the output at each row's last step.

    Index -1, of a row of length 0, is the last step, where that row has zeros. A negative length becomes index T, which
    does not exist, so that it is refused as a length over T is.
    """
    g = ctx.g
    assert ctx.lengths is not None
    lengths = g.cast(ctx.lengths, proto.INT64)
    negative = g.apply("Less", lengths, g.int64s(0))
    ends = g.apply("Where", negative, g.dim(y, 0), g.apply("Sub", lengths, g.int64s(1))).reshape(-1, 1)
    return g.apply("GatherND", g.apply("Transpose", y, perm=[1, 0, 2]), ends, batch_dims=1)


def whole_reason(model: Model, mode: str) -> str:
    """Say why a graph of the model runs whole rows only, without states; "" if it continues from a state."""
    late = model.look_ahead and mode == "sequence"
    return model.whole_window or (f"its answers are {model.look_ahead} steps late" if late else "")


def metadata(model: Model, mode: str) -> dict[str, str]:
    """Return the file's metadata_props: JSON, except for the hashes and the mode."""
    document = model.document
    (source,) = model.inputs.values()
    facts = {
        "task": document["task"],
        "labels": model.labels,
        "input": {key: v for key, v in source.to_json().items() if key != "vocabulary"},
        "outputs": {name: output.to_json() for name, output in model.outputs.items()},
        "streams": document["streams"],
        "state": [] if whole_reason(model, mode) else model.state_schema,
    }
    hashes = {"weights_hash": model.weights_hash, "schema_hash": model.schema_hash, "mode": mode}
    return hashes | {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}


def build(model: Model, mode: str, version: str, notes: Sequence[str] = ()) -> Message:
    """Build the ONNX file of a model, ready to be written. version: of tidegate. notes: for its description."""
    return proto.model(
        ModelGraph(model, mode == "sequence").graph(),
        version,
        ". ".join([f"{model.document['task']['kind']} model", *([" ".join(notes)] if notes else [])]),
        metadata(model, mode),
    )
