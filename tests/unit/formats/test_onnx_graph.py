"""The graphs of models: their inputs and outputs, their nodes, and whether the onnx package accepts them."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tidegate import cells
from tidegate.errors import ModelFileError, OptionError
from tidegate.formats import onnx as format_onnx
from tidegate.formats.onnx import standard
from tidegate.model import Model
from tidegate.verify import attach
from tidegate.verify.samples import sample

onnx = pytest.importorskip("onnx", reason="the onnx package, which checks the files, is not installed")

EVERY = ("last", "mean", "max", "attention")
STACKS: dict[str, dict[str, Any]] = {
    "text, every pool": {"over": EVERY, "norm": True, "dense": "tanh"},
    "two layers": {"features": 5, "depth": 2, "over": ("max",)},
    "conv": {"features": 3, "conv": 3},
    "conv centred": {"features": 3, "conv": 4, "centred": True, "over": EVERY},
    "bidirectional": {"features": 3, "direction": "both"},
    "bidirectional scan": {"direction": "both", "cell": "mingru"},
    "dense alone": {"features": 3, "cell": None, "over": ("mean",), "dense": "relu"},
}
DIALECTS = [(cell, dialect) for cell in cells.names() for dialect in cells.list_dialects(cell)]


def graph_of(model: Model, mode: str = "sequence") -> Any:
    """Read the file with the onnx package, after its checker and its shape inference have accepted it."""
    found = onnx.load_from_string(format_onnx.encode(model, mode))
    onnx.checker.check_model(found, full_check=True)
    assert unread(found.graph) == []
    return found


def unread(graph: Any) -> list[str]:
    """Return the nodes and tensors that nothing reads, in a graph and in the graphs inside it."""
    bodies = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    inside = {name for body in bodies for node in body.node for name in node.input}
    read = inside | {v.name for v in graph.output} | {name for node in graph.node for name in node.input}
    idle = [node.name for node in graph.node if not read & set(node.output)]
    idle += [tensor.name for tensor in graph.initializer if tensor.name not in read]
    return idle + [name for body in bodies for name in unread(body)]


def dims(values: Any) -> dict[str, list[Any]]:
    return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}


def ops(found: Any) -> list[str]:
    return [node.op_type for node in found.graph.node]


@pytest.mark.parametrize(("cell", "dialect"), DIALECTS, ids=lambda v: v if isinstance(v, str) else "-".join(v.values()))
def test_every_cell_passes_the_checker(cell: str, dialect: dict[str, str]) -> None:
    for mode in format_onnx.MODES:
        graph_of(sample(size=6, features=3, cell=cell, dialect=dialect), mode)


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_passes_the_checker(stack: str) -> None:
    model = sample(size=6, **STACKS[stack])
    for mode in ("sequence",) if model.whole_window else ("sequence", "step"):
        graph_of(model, mode)


def test_inputs_and_outputs_of_a_sequence() -> None:
    graph = graph_of(sample(size=6, features=3, over=("attention",), outputs=5)).graph
    state = {
        "steps": ["B", 1],
        "layers.0.h": ["B", 6],
        "layers.1.peak": ["B", 1],
        "layers.1.weight": ["B", 1],
        "layers.1.sum": ["B", 6],
    }
    assert dims(graph.input) == {"x": ["T", "B", 3], "lengths": ["B"], **state}
    following = {f"next.{name}": shape for name, shape in state.items()}
    assert dims(graph.output) == {"y": ["T", "B", 5], "output": ["B", 5], **following}
    docs = {v.name: v.doc_string for v in graph.input}
    assert docs["layers.1.peak"] == "state; initially -inf"
    assert docs["steps"] == "state; initially 0"


def test_inputs_and_outputs_of_a_step() -> None:
    graph = graph_of(sample(size=6, over=(), outputs=5), "step").graph
    assert dims(graph.input) == {"ids": ["B"], "steps": ["B", 1], "layers.1.h": ["B", 6]}
    assert dims(graph.output) == {"output": ["B", 5], "next.steps": ["B", 1], "next.layers.1.h": ["B", 6]}
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT32


def test_a_model_that_does_not_stream_has_no_states() -> None:
    graph = graph_of(sample(size=6, features=3, direction="both", over=("max",), outputs=2)).graph
    assert dims(graph.input) == {"x": ["T", "B", 3], "lengths": ["B"]}
    assert dims(graph.output) == {"y": ["T", "B", 2], "output": ["B", 2]}


def test_the_metadata_says_what_the_file_is() -> None:
    model = sample(size=6)
    found = {p.key: p.value for p in graph_of(model, "step").metadata_props}
    assert (found["weights_hash"], found["schema_hash"], found["mode"]) == (
        model.weights_hash,
        model.schema_hash,
        "step",
    )
    assert json.loads(found["labels"]) == model.labels
    assert json.loads(found["task"]) == model.document["task"]
    assert json.loads(found["state"]) == model.state_schema
    assert json.loads(found["input"])["kind"] == "text"


@pytest.mark.parametrize(
    ("cell", "dialect", "node", "attributes"),
    [
        ("gru", {}, "GRU", {"linear_before_reset": 1}),
        ("gru", {"reset": "before"}, "GRU", {"linear_before_reset": 0}),
        ("gru", {"update": "replace"}, "Scan", None),
        ("gru", {"norm": "layer"}, "Scan", None),
        ("gru", {"bias": "no"}, "GRU", {"linear_before_reset": 1}),
        ("lstm", {}, "LSTM", {}),
        ("lstm", {"peepholes": "yes"}, "LSTM", {}),
        ("lstm", {"projection": "yes"}, "Scan", None),
        ("rnn", {}, "RNN", {"activations": [b"Tanh"]}),
        ("rnn", {"activation": "relu"}, "RNN", {"activations": [b"Relu"]}),
        ("mingru", {}, "Scan", None),
    ],
)
def test_standard_nodes_where_there_are(cell: str, dialect: dict[str, str], node: str, attributes: Any) -> None:
    found = graph_of(sample(size=6, features=3, cell=cell, dialect=dialect, over=("last",)))
    assert [op for op in ops(found) if op in ("GRU", "LSTM", "RNN", "Scan")] == [node]
    if attributes is not None:
        made = next(n for n in found.graph.node if n.op_type == node)
        held = {a.name: onnx.helper.get_attribute_value(a) for a in made.attribute}
        assert held == {"hidden_size": 6, **attributes}
        assert len(made.input) == {"GRU": 6, "RNN": 6, "LSTM": 8 if dialect else 7}[node]


def test_a_tape_is_known_by_its_equation_and_not_by_its_name() -> None:
    model = sample(size=6, features=3)
    document = model.document
    layer = document["graphs"]["layers"]["nodes"][0]
    assert layer["layer"] == "recurrent"
    layer["cell"], layer["dialect"] = "somebody's own", {"reset": "before"}
    assert "GRU" in ops(graph_of(Model(document, model.tensors)))
    document["tapes"]["gru"] = cells.load("gru", {"update": "replace"}).tape.to_json()
    assert "GRU" not in ops(graph_of(Model(document, model.tensors)))


def test_forms_are_distinct() -> None:
    assert len({json.dumps(tape.to_json()) for tape, _ in standard.standard_tapes()}) == len(standard.STANDARD_NODES)


@pytest.mark.parametrize("cell", ["gru", "mingru"])
def test_weights_stand_once(cell: str) -> None:
    model = sample(size=64, features=8, cell=cell, depth=2)
    held = sum(v.nbytes for v in model.tensors.values())
    for mode in format_onnx.MODES:
        assert len(format_onnx.encode(model, mode)) < held + 16_000


def test_a_step_of_a_model_that_needs_the_whole_is_refused() -> None:
    model = sample(size=6, features=3, direction="both")
    with pytest.raises(OptionError, match="the graph has no steps, because it reads each input in both directions"):
        format_onnx.encode(model, "step")


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(OptionError, match="mode is 'batch'; choose one of sequence, step"):
        format_onnx.encode(sample(), "batch")


def test_what_protocol_buffers_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = sample(size=6)
    monkeypatch.setattr(format_onnx, "LARGEST", len(format_onnx.encode(model)))
    format_onnx.export(model, tmp_path / "a.onnx")
    monkeypatch.setattr(format_onnx, "LARGEST", len(format_onnx.encode(model)) - 1)
    with pytest.raises(ModelFileError, match="protocol buffers have at most"):
        format_onnx.export(model, tmp_path / "b.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]


def test_export_writes_what_encode_gives(tmp_path: Path) -> None:
    model = sample(size=6)
    for mode, out in product(format_onnx.MODES, [tmp_path / "m.onnx"]):
        assert format_onnx.export(model, out, mode=mode) == [str(out)]
        assert out.read_bytes() == format_onnx.encode(model, mode)


@pytest.mark.parametrize("name", ["m.safetensors", "m.c", "m", ".onnx"])
def test_a_path_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"expected a path that ends with \.onnx"):
        format_onnx.export(sample(size=6), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"\x08\x08\x12\x07another", b"kept by somebody"])
def test_a_file_of_somebody_else_is_not_replaced(content: bytes, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    out.write_bytes(content)
    with pytest.raises(OptionError, match="is not a graph that tidegate export made"):
        format_onnx.export(sample(size=6), out)
    assert out.read_bytes() == content


def test_the_report_says_what_each_recurrence_became() -> None:
    gru, own = sample(size=6, depth=2), sample(size=6, cell="mingru")
    assert format_onnx.report(gru, ["a"]) == {"mode": "sequence", "recurrence": "layers.1: GRU, layers.2: GRU"}
    assert format_onnx.report(own, ["a"])["recurrence"] == "layers.1: Scan"
    assert format_onnx.report(own, ["a"], "step")["recurrence"] == "layers.1: operations of its tape"
    assert format_onnx.report(sample(size=6, cell=None), ["a"]) == {"mode": "sequence"}


@pytest.mark.parametrize("mode", format_onnx.MODES)
def test_the_command_writes_the_graph(tidegate_without_torch: Any, tmp_path: Path, mode: str) -> None:
    model = attach(sample(size=6))
    model.save(tmp_path / "m.safetensors")
    done = tidegate_without_torch("export", tmp_path / "m.safetensors", "--to", "onnx", "--mode", mode, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["mode"] == mode
    assert (tmp_path / "m.onnx").read_bytes() == format_onnx.encode(model, mode)


def test_the_command_refuses_a_step_of_what_does_not_stream(tidegate_without_torch: Any, tmp_path: Path) -> None:
    attach(sample(features=3, size=6, direction="both")).save(tmp_path / "m.safetensors")
    done = tidegate_without_torch("export", tmp_path / "m.safetensors", "--to", "onnx", "--mode", "step")
    assert done.returncode == 2
    assert "the graph has no steps, because it reads each input in both directions; use mode sequence" in done.stderr
