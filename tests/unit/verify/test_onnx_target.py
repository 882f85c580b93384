"""The ONNX target: what it reports if onnxruntime or the format lacks something, and its bound."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tidegate import cells
from tidegate.formats import onnx as format_onnx
from tidegate.verify import attach
from tidegate.verify import onnx_target as target
from tidegate.verify.check import make_inputs
from tidegate.verify.error_propagation import run_reference
from tidegate.verify.replay import Replay
from tidegate.verify.samples import sample


def test_without_onnxruntime_the_target_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (found,) = target.verify_onnx(Replay(attach(sample(features=2, size=4))))
    assert (found.target, found.verdict, found.ran, found.ok) == ("onnx", "onnxruntime is not installed", False, True)


def test_a_model_too_large_for_the_format_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    monkeypatch.setattr(format_onnx, "LARGEST", 100)
    (found,) = target.verify_onnx(Replay(attach(sample(features=2, size=4))))
    assert (found.ran, found.ok) == (False, True)
    assert "protocol buffers have at most 100" in found.verdict


def test_a_graph_that_onnxruntime_refuses_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    monkeypatch.setattr(target, "encode", lambda model, mode: b"not a graph")
    (found,) = target.verify_onnx(Replay(attach(sample(features=2, size=4))))
    assert (found.ran, found.ok) == (False, False)
    assert found.verdict.startswith(f"onnxruntime {ort.__version__} refuses the graph: ")


@pytest.mark.parametrize("dialect", cells.list_dialects("gru"), ids=lambda d: "-".join(d.values()))
def test_the_nodes_equation_is_the_cells_in_exact_arithmetic(dialect: dict[str, str]) -> None:
    model = sample(features=3, size=8, dialect=dialect, over=())
    (x,) = make_inputs(model, 1, [9])
    mine, theirs = (run_reference(m, x).outputs for m in (model, target.rewrite_grus(model)))
    assert np.allclose(mine, theirs, rtol=0, atol=1e-14)
    changed = model.tapes != target.rewrite_grus(model).tapes
    assert changed == (dialect["update"] == "keep" and dialect["norm"] == "none")


def test_errors_follow_the_nodes() -> None:
    errors = {
        cell: target.activation_errors(sample(features=3, size=8, cell=cell)) for cell in ("gru", "rnn", "mingru")
    }
    assert (errors["gru"].extra_roundings, errors["gru"].tanh_abs) == (9, 0.0)
    assert (errors["rnn"].extra_roundings, errors["rnn"].tanh_abs) == (9, target.RNN_TANH_ABS)
    assert errors["mingru"] == target.ORT_ERRORS
