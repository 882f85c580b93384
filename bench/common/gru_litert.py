"""A GRU in LiteRT: a hand-built graph of the cell, as LiteRT has no GRU operator and its converter needs TensorFlow.

Single steps only: the graph has no loop.

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
    """Builds a model file: tensors by name, and operators in order."""

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.names: dict[str, int] = {}
        self.buffers: list[Any] = [schema.BufferT()]
        self.codes: list[int] = []
        self.operators: list[Any] = []

    def tensor(self, name: str, shape: tuple[int, ...], value: npt.NDArray[Any] | None = None) -> str:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), list(shape), 0
        tensor.type = schema.TensorType.FLOAT32
        if value is not None:
            tensor.type = schema.TensorType.INT32 if value.dtype == np.int32 else tensor.type
            tensor.buffer = len(self.buffers)
            self.buffers.append(schema.BufferT())
            self.buffers[-1].data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self.names[name] = len(self.tensors)
        self.tensors.append(tensor)
        return name

    def operator(self, kind: str, inputs: list[str], outputs: list[str], **options: int) -> None:
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = ([self.names[name] for name in names] for names in (inputs, outputs))
        title = {"FULLY_CONNECTED": "FullyConnected"}.get(kind, kind.title()) + "Options"
        if hasattr(schema, f"{title}T"):
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, title)
            operator.builtinOptions = getattr(schema, f"{title}T")()
            for option, value in options.items():
                setattr(operator.builtinOptions, option, value)
        self.operators.append(operator)

    def to_bytes(self, inputs: list[str], outputs: list[str]) -> bytes:
        subgraph, model = schema.SubGraphT(), schema.ModelT()
        subgraph.tensors, subgraph.operators = self.tensors, self.operators
        subgraph.inputs, subgraph.outputs = ([self.names[name] for name in names] for names in (inputs, outputs))
        model.version, model.subgraphs, model.buffers = VERSION, [subgraph], self.buffers
        model.operatorCodes = []
        for code in self.codes:
            operator_code = schema.OperatorCodeT()
            operator_code.builtinCode, operator_code.version = code, 1
            operator_code.deprecatedBuiltinCode = min(code, 127)  # where readers older than the wider field look
            model.operatorCodes.append(operator_code)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def make_graph(weights: Weights, rows: int) -> bytes:
    """Make the graph of a step: x [rows, I], h [rows, H] -> next [rows, H]."""
    graph, (I, H) = Graph(), weights.sizes  # noqa: E741 - the field's name
    graph.tensor("x", (rows, I))
    graph.tensor("h", (rows, H))
    graph.tensor("axis", (), np.array(1, np.int32))
    for name, value in weights._asdict().items():
        graph.tensor(name, value.shape, value)
    for side, (matrix, bias) in {"x": ("W", "b"), "h": ("R", "c")}.items():
        gates = [graph.tensor(f"{side}{gate}", (rows, H)) for gate in "rzn"]
        graph.tensor(f"{side}g", (rows, 3 * H))
        graph.operator("FULLY_CONNECTED", [side, matrix, bias], [f"{side}g"])
        graph.operator("SPLIT", ["axis", f"{side}g"], gates, numSplits=3)
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
        graph.operator(kind, inputs, [graph.tensor(output, (rows, H))])
    return graph.to_bytes(["x", "h"], ["next"])


def litert_gru(weights: Weights, x: Float, stepwise: bool) -> Work | None:
    """Make the work of single steps; None for a sequence, as the graph has no loop."""
    if not stepwise:
        return None
    interpreter = Interpreter(model_content=make_graph(weights, x.shape[1]), num_threads=1)
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
