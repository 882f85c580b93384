"""The messages of an ONNX file, by the field numbers of its definition (onnx.proto).

Source: ONNX, "Open Neural Network Exchange Intermediate Representation", IR version 8; operators of opset 17.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .wire import Message

IR_VERSION: Final = 8  # and opset 17: onnxruntime reads both since 1.12, of 2022
OPSET: Final = 17
FLOAT, INT32, INT64, BOOL = 1, 6, 7, 9
TYPES: Final = {"float32": FLOAT, "int32": INT32, "int64": INT64, "bool": BOOL}
Dims = Sequence[int | str]


def tensor(name: str, array: npt.NDArray[Any]) -> Message:
    """Return a TensorProto: little-endian bytes, rows first."""
    flat: Any = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
    message = Message()
    for n in array.shape:
        message.integer(1, int(n))
    return message.integer(2, TYPES[array.dtype.name]).text(8, name).data(9, memoryview(flat.view(np.uint8)))


def attribute(name: str, value: Any) -> Message:
    """Return an AttributeProto; its type follows from the type of the value."""
    message = Message().text(1, name)
    if isinstance(value, Message):
        return message.message(6, value).integer(20, 5)
    if isinstance(value, int):
        return message.integer(3, value).integer(20, 2)
    if isinstance(value, str):
        return message.text(4, value).integer(20, 3)
    if all(isinstance(v, str) for v in value):
        for v in value:
            message.text(9, v)
        return message.integer(20, 8)
    for v in value:
        message.integer(8, v)
    return message.integer(20, 7)


def node(op: str, inputs: Iterable[str], outputs: Iterable[str], attributes: Mapping[str, Any]) -> Message:
    """Return a NodeProto, named after its first output; an input left out is ""."""
    message, outputs = Message(), list(outputs)
    for name in inputs:
        message.text(1, name)
    for name in outputs:
        message.text(2, name)
    message.text(3, outputs[0]).text(4, op)
    for name, value in attributes.items():
        message.message(5, attribute(name, value))
    return message


def value(name: str, dtype: str, dims: Dims, doc: str = "") -> Message:
    """Return a ValueInfoProto of a tensor; a dimension is a number, or a name if it can have any size."""
    shape = Message()
    for n in dims:
        shape.message(1, Message().integer(1, n) if isinstance(n, int) else Message().text(2, n))
    kind = Message().message(1, Message().integer(1, TYPES[dtype]).message(2, shape))
    message = Message().text(1, name).message(2, kind)
    return message.text(3, doc) if doc else message


def graph(
    name: str,
    nodes: Iterable[Message],
    inputs: Iterable[Message],
    outputs: Iterable[Message],
    tensors: Iterable[Message] = (),
    doc: str = "",
) -> Message:
    """Return a GraphProto."""
    message = Message()
    for one in nodes:
        message.message(1, one)
    message.text(2, name)
    for one in tensors:
        message.message(5, one)
    if doc:
        message.text(10, doc)
    for one in inputs:
        message.message(11, one)
    for one in outputs:
        message.message(12, one)
    return message


def start_model() -> Message:
    """Return a ModelProto's first fields: the version of the format, and the producer of the file."""
    return Message().integer(1, IR_VERSION).text(2, "tidegate")


FILE_START: Final = b"".join(start_model())


def model(body: Message, version: str, doc: str, metadata: Mapping[str, str]) -> Message:
    """Return a ModelProto with this package as its producer. metadata: its metadata_props."""
    message = start_model().text(3, version).text(6, doc).message(7, body)
    message.message(8, Message().text(1, "").integer(2, OPSET))
    for key, entry in metadata.items():
        message.message(14, Message().text(1, key).text(2, entry))
    return message
