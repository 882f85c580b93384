"""A model's layers as one graph: inputs and states in, outputs and states out."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from ... import layers
from ...model import Model
from .._rows import given, taken
from . import context as contexts
from . import layer as layer_nodes
from . import proto
from .context import Frame
from .graph import Operations, Value, needed
from .wire import Message

MODES: Final = ("sequence", "step")
NEXT: Final = "next."
LENGTHS: Final = "how many steps each row has, 0 to T"
EVERY: Final = "the output after each step, zeros past a row's length"
LAST: Final = {
    "step": "the output",
    "sequence": "the output after each row's last step, zeros for a row of length 0",
}


class Build:
    """One graph under construction. sequence: whether it has a time axis."""

    def __init__(self, model: Model, sequence: bool) -> None:
        self.model, self.sequence, self.g = model, sequence, Operations()
        self.layers, self.tapes = model.layers, model.tapes
        self.streams = not model.whole_window
        self.inputs: list[Message] = []
        self.outputs: list[Message] = []
        self.made: set[str] = set()
        for layer in self.layers:
            for name in layer["tensors"].values():
                self.g.know(name, model.tensors[name])

    def graph(self) -> Message:
        x = self.entry()
        lengths = self.input("lengths", "int32", ["B"], LENGTHS) if self.sequence else None
        states = self.states()
        steps = states.get("steps")
        if lengths is not None:
            frame = contexts.of_sequence(self.g, x, steps, lengths)
        else:
            assert steps is not None
            frame = contexts.of_step(self.g, x, steps)
        y, following = self.chain(frame, states, self.checked(frame, x) if x.name == "ids" else x)
        self.g.place = "graph"
        self.finish(frame, y, following | self.steps(frame, steps))
        doc = "Made by tidegate; times are T, rows B. Feed each next.NAME back as NAME to go on."
        nodes, reads = needed(self.g.added, self.made)
        tensors = [tensor for name, tensor in self.g.tensors.items() if name in reads]
        return proto.graph("tidegate", nodes, self.inputs, self.outputs, tensors, doc)

    def input(self, name: str, dtype: str, dims: list[Any], doc: str) -> Value:
        self.inputs.append(proto.value(name, dtype, dims, doc))
        return Value(self.g, name)

    def output(self, name: str, dtype: str, dims: list[Any], doc: str, value: Value) -> None:
        self.g.named(name, value)
        self.made.add(name)
        self.outputs.append(proto.value(name, dtype, dims, doc))

    def entry(self) -> Value:
        """ids are int32, as in the native engine; Gather takes both kinds of integers."""
        entry, axes = self.model.document["input"], ["T", "B"] if self.sequence else ["B"]
        if entry["kind"] in ("text", "ids"):
            return self.input("ids", "int32", axes, f"token ids, 0 to {entry['size'] - 1}")
        what = "the numbers of each step" if entry["kind"] == "array" else taken(entry)
        return self.input("x", "float32", [*axes, entry["features"]], what)

    def checked(self, frame: Frame, ids: Value) -> Value:
        """The ids with 0 past a row's length. A negative one, which Gather would count from the table's end, becomes
        the first that there is not, so that it is refused.
        """
        g, none = self.g, self.g.constant("id.none", np.array(self.model.document["input"]["size"], np.int32))
        zero = g.constant("id.0", np.array(0, np.int32))
        found = g.one("Where", g.one("Less", ids, zero), none, ids)
        return found if frame.on is None else g.one("Where", g.one("Squeeze", frame.on, g.whole(2)), found, zero)

    def states(self) -> dict[str, Value]:
        """The state arrays as inputs, under their names in the file; none where the model does not stream."""
        if not self.streams:
            return {}
        return {
            a["name"]: self.input(a["name"], a["dtype"], ["B", *a["shape"]], f"state; at first {first(a)}")
            for a in self.model.state_schema
        }

    def chain(self, frame: Frame, states: dict[str, Value], x: Value) -> tuple[Value, dict[str, Value]]:
        """The last layer's output, and the next states by name."""
        following: dict[str, Value] = {}
        outputs: list[Value] = []
        for i, layer in enumerate(self.layers):
            self.g.place = f"layers.{i}.{layer['kind']}"
            s = {
                name: states[f"layers.{i}.{name}"] if self.streams else frame.filled(shape, fill)
                for name, (shape, fill) in layers.load(layer["kind"]).state(layer, self.tapes).items()
            }
            t = {role: self.model.tensors[name] for role, name in layer["tensors"].items()}
            x, last = layer_nodes.run(frame, layer, self.tapes, t, s, x)
            following |= {f"layers.{i}.{name}": v for name, v in last.items()}
            if layer.get("add") is not None:
                x = x + outputs[layer["add"]]
            outputs.append(x)
        return x, following

    def said(self, mode: str) -> str:
        """What the output is."""
        entry = self.model.document["input"]
        units = given(entry) if entry["kind"] == "series" else ""
        return f"{LAST[mode]}{units and ': ' + units}"

    def steps(self, frame: Frame, steps: Value | None) -> dict[str, Value]:
        if steps is None:
            return {}
        if frame.lengths is None:
            return {"steps": self.g.one("Add", steps, self.g.whole(1))}
        taken = self.g.cast(frame.lengths, proto.INT64).reshape(-1, 1)
        return {"steps": self.g.one("Add", steps, taken)}

    def finish(self, frame: Frame, y: Value, following: dict[str, Value]) -> None:
        width = layers.widths(self.layers, self.model.document["input"].get("features"), self.tapes)[-1]
        last = y
        if frame.sequence:
            y = frame.within(y)
            self.output("y", "float32", ["T", "B", width], EVERY, y)
            last = last_of(frame, y)
        self.output("output", "float32", ["B", width], self.said("sequence" if frame.sequence else "step"), last)
        for a in self.model.state_schema if self.streams else ():
            self.output(NEXT + a["name"], a["dtype"], ["B", *a["shape"]], f"becomes {a['name']}", following[a["name"]])


def first(array: dict[str, Any]) -> str:
    fill = array.get("fill", 0)
    return "the fill in the metadata's state" if isinstance(fill, list) else str(fill)


def last_of(frame: Frame, y: Value) -> Value:
    """The output at each row's end; index -1, of a row of length 0, is the last step, where that row has zeros. Index T
    is none, so that a negative length is refused as one over T is.
    """
    g = frame.g
    assert frame.lengths is not None
    lengths = g.cast(frame.lengths, proto.INT64)
    negative = g.one("Less", lengths, g.whole(0))
    ends = g.one("Where", negative, g.dim(y, 0), g.one("Sub", lengths, g.whole(1))).reshape(-1, 1)
    return g.one("GatherND", g.one("Transpose", y, perm=[1, 0, 2]), ends, batch_dims=1)


def metadata(model: Model, mode: str) -> dict[str, str]:
    """The file's metadata_props: JSON but for the hashes and the mode."""
    document = model.document
    entry = {key: v for key, v in document["input"].items() if key != "vocabulary"}
    facts = {
        "task": document["task"],
        "labels": document["labels"],
        "input": entry,
        "streams": document["streams"],
        "state": [] if model.whole_window else model.state_schema,
    }
    hashes = {"weights_hash": model.weights_hash, "schema_hash": model.schema_hash, "mode": mode}
    return hashes | {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}


def build(model: Model, mode: str, version: str) -> Message:
    """The ONNX file of a model, ready to be written; version: tidegate's."""
    return proto.model(
        Build(model, mode == "sequence").graph(),
        version,
        f"{model.document['task']['kind']} model",
        metadata(model, mode),
    )
