"""The peer LiteRT: the cell's graph by hand, for it has no operator GRU and its converter needs TensorFlow.

Only a step: the graph has no loop.

Source: the schema of LiteRT model files (schema.fbs), through the classes that ai_edge_litert makes from it.
"""

from __future__ import annotations

import itertools
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from .gru_peers import Float, Weights
from .interleaved import Work

VERSION, IDENTIFIER = 3, b"TFL3"


class Graph:
    """A model file in the making: tensors by name, and operators in order."""

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.names: dict[str, int] = {}
        self.buffers: list[Any] = [schema.BufferT()]
        self.codes: list[int] = []
        self.operators: list[Any] = []

    def tensor(self, name: str, shape: tuple[int, ...], value: npt.NDArray[Any] | None = None) -> str:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name.encode(), list(shape), 0
        made.type = schema.TensorType.FLOAT32
        if value is not None:
            made.type = schema.TensorType.INT32 if value.dtype == np.int32 else made.type
            made.buffer = len(self.buffers)
            self.buffers.append(schema.BufferT())
            self.buffers[-1].data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self.names[name] = len(self.tensors)
        self.tensors.append(made)
        return name

    def operator(self, kind: str, inputs: list[str], outputs: list[str], **options: int) -> None:
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = self.codes.index(code)
        made.inputs, made.outputs = ([self.names[name] for name in names] for names in (inputs, outputs))
        title = {"FULLY_CONNECTED": "FullyConnected"}.get(kind, kind.title()) + "Options"
        if hasattr(schema, f"{title}T"):
            made.builtinOptionsType = getattr(schema.BuiltinOptions, title)
            made.builtinOptions = getattr(schema, f"{title}T")()
            for option, value in options.items():
                setattr(made.builtinOptions, option, value)
        self.operators.append(made)

    def written(self, inputs: list[str], outputs: list[str]) -> bytes:
        subgraph, model = schema.SubGraphT(), schema.ModelT()
        subgraph.tensors, subgraph.operators = self.tensors, self.operators
        subgraph.inputs, subgraph.outputs = ([self.names[name] for name in names] for names in (inputs, outputs))
        model.version, model.subgraphs, model.buffers = VERSION, [subgraph], self.buffers
        model.operatorCodes = []
        for code in self.codes:
            made = schema.OperatorCodeT()
            made.builtinCode, made.version = code, 1
            made.deprecatedBuiltinCode = min(code, 127)  # where readers older than the wider field look
            model.operatorCodes.append(made)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def graph(weights: Weights, rows: int) -> bytes:
    """x [rows, I], h [rows, H] -> next [rows, H]."""
    made, (I, H) = Graph(), weights.sizes  # noqa: E741 - the field's name
    made.tensor("x", (rows, I))
    made.tensor("h", (rows, H))
    made.tensor("axis", (), np.array(1, np.int32))
    for name, value in weights._asdict().items():
        made.tensor(name, value.shape, value)
    for side, (matrix, bias) in {"x": ("W", "b"), "h": ("R", "c")}.items():
        gates = [made.tensor(f"{side}{gate}", (rows, H)) for gate in "rzn"]
        made.tensor(f"{side}g", (rows, 3 * H))
        made.operator("FULLY_CONNECTED", [side, matrix, bias], [f"{side}g"])
        made.operator("SPLIT", ["axis", f"{side}g"], gates, numSplits=3)
    for kind, inputs, output in (
        ("ADD", ["xr", "hr"], "ar"),
        ("LOGISTIC", ["ar"], "r"),
        ("ADD", ["xz", "hz"], "az"),
        ("LOGISTIC", ["az"], "z"),
        ("MUL", ["r", "hn"], "rn"),
        ("ADD", ["xn", "rn"], "an"),
        ("TANH", ["an"], "n"),
        ("SUB", ["h", "n"], "d"),
        ("MUL", ["z", "d"], "zd"),
        ("ADD", ["n", "zd"], "next"),
    ):
        made.operator(kind, inputs, [made.tensor(output, (rows, H))])
    return made.written(["x", "h"], ["next"])


def litert_gru(weights: Weights, x: Float, stepwise: bool) -> Work | None:
    """None for a sequence, which the graph has no loop for."""
    if not stepwise:
        return None
    interpreter = Interpreter(model_content=graph(weights, x.shape[1]), num_threads=1)
    interpreter.allocate_tensors()
    places = [detail["index"] for detail in interpreter.get_input_details()]
    (output,) = (detail["index"] for detail in interpreter.get_output_details())
    now, rows = {"h": np.zeros((x.shape[1], weights.sizes[1]), np.float32)}, itertools.cycle(list(x))

    def call() -> None:
        interpreter.set_tensor(places[0], next(rows))
        interpreter.set_tensor(places[1], now["h"])
        interpreter.invoke()
        now["h"] = interpreter.get_tensor(output)

    return Work(call, lambda: now["h"])
