"""Messages in the wire format of protocol buffers, read back by the onnx package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.formats.onnx import proto
from tidegate.formats.onnx.wire import Message, varint

onnx = pytest.importorskip("onnx", reason="the onnx package, which reads the files back, is not installed")


def read(kind: Any, message: Message) -> Any:
    data = b"".join(message)
    assert len(data) == message.size
    found = kind.FromString(data)
    return found


@pytest.mark.parametrize(
    ("n", "encoded"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (16384, "808001"),
        (2**63 - 1, "ffffffffffffffff7f"),
        (-1, "ffffffffffffffffff01"),
    ],
)
def test_varints(n: int, encoded: str) -> None:
    assert varint(n).hex() == encoded


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (3, 0), (2, 3), (2, 3, 4)])
def test_tensors(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(-3, 3, shape).astype(dtype)
    found = onnx.numpy_helper.to_array(read(onnx.TensorProto, proto.tensor("größe", array)))
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert np.array_equal(found, array)


def test_a_turned_tensor_is_written_rows_first() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = onnx.numpy_helper.to_array(read(onnx.TensorProto, proto.tensor("w", array.T)))
    assert np.array_equal(found, array.T)


def test_attributes_have_the_types_of_their_values() -> None:
    body = proto.graph("body", [proto.node("Relu", ["a"], ["b"], {})], [], [])
    given = {"i": -5, "s": "both", "ints": [0, -1], "strings": ["Tanh", "Relu"], "g": body}
    node = read(onnx.NodeProto, proto.node("Op", ["x", "", "y"], ["a", "b"], given))
    assert (node.op_type, node.name, list(node.input), list(node.output)) == ("Op", "a", ["x", "", "y"], ["a", "b"])
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert found["g"].node[0].op_type == "Relu"
    assert {k: found[k] for k in ("i", "ints")} == {"i": -5, "ints": [0, -1]}
    assert (found["s"], found["strings"]) == (b"both", [b"Tanh", b"Relu"])


def test_values_have_fixed_and_named_dimensions() -> None:
    value = read(onnx.ValueInfoProto, proto.value("x", "int64", ["T", 1, 300], "ids"))
    dims = value.type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["T", 1, 300]
    assert (value.name, value.type.tensor_type.elem_type, value.doc_string) == ("x", onnx.TensorProto.INT64, "ids")


def test_a_model_says_who_made_it_and_for_which_operators() -> None:
    body = proto.graph("g", [], [proto.value("x", "float32", [1])], [], doc="what")
    model = read(onnx.ModelProto, proto.model(body, "1.2", "about", {"a": "1", "é": "{}"}))
    assert (model.producer_name, model.producer_version, model.doc_string) == ("tidegate", "1.2", "about")
    assert [(o.domain, o.version) for o in model.opset_import] == [("", proto.OPSET)]
    assert {p.key: p.value for p in model.metadata_props} == {"a": "1", "é": "{}"}
    assert (model.ir_version, model.graph.doc_string) == (proto.IR_VERSION, "what")
