"""Every operation of layers in ONNX: onnxruntime against the float64 reference, over sequences and step by step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.verify.onnx_target import OnnxSession
from tidegate.verify.samples import build_model

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "toy_layers"))
from programmed import SINGLE
from toy_models import attention_model, programmed_model, toy_layers

__all__ = ["toy_layers"]
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
DRAWN = range(8)
LENGTHS = np.array([7, 1, 4], np.int32)


def clock_model() -> Model:
    """Return a model of layers without states of which one reads the number of the step and one reshapes."""
    builder = Builder(6)
    builder.add("toy_clock")
    builder.add("toy_glu")
    return build_model(builder.layers, 0, 6, None)


def compare(model: Model, x: Any) -> None:
    expected, last = Reference(model).run(x, LENGTHS)
    session, rows = OnnxSession(model, "sequence"), x.shape[1]
    outputs, state = session.run(x, session.initial_state(rows), LENGTHS)
    mask = np.arange(len(x))[:, None] < LENGTHS
    assert np.allclose(outputs["y"][mask], expected[mask], rtol=2e-5, atol=2e-5)
    assert all(np.allclose(state[name], v, rtol=2e-5, atol=2e-5) for name, v in last.items())
    session = OnnxSession(model, "step")
    state = session.initial_state(rows)
    for k, one in enumerate(x):
        outputs, state = session.run(one, state)
        on = k < LENGTHS
        assert np.allclose(outputs["output"][on], expected[k][on], rtol=2e-5, atol=2e-5)
    longest = [name for name in state if name != "steps"]
    assert all(np.allclose(state[name][0], last[name][0], rtol=2e-5, atol=2e-5) for name in longest)


@pytest.mark.parametrize("name", [*SINGLE, *DRAWN, "clock"])
def test_a_program_has_the_outputs_and_states_of_the_reference(name: str | int) -> None:
    model = clock_model() if name == "clock" else programmed_model(name)
    compare(model, np.random.default_rng(7).standard_normal((7, 3, 6)).astype(np.float32))


def test_attention_over_a_window_has_the_outputs_and_states_of_the_reference() -> None:
    compare(attention_model(), np.random.default_rng(8).integers(0, 40, (7, 3)).astype(np.int32))


@pytest.mark.parametrize("mode", ["sequence", "step"])
def test_a_graph_with_every_operation_passes_the_checker(mode: str) -> None:
    onnx = pytest.importorskip("onnx", reason="the onnx package, which checks the files, is not installed")
    from tidegate.formats.onnx import encode

    for model in (attention_model(), programmed_model(0), programmed_model("less of steps")):
        onnx.checker.check_model(onnx.load_from_string(encode(model, mode)), full_check=True)
