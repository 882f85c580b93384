"""The C of layers that exist only here, against the float64 reference, and of every layer against the bits of base."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.layers import _load
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.tape import NumpyOps, run_program
from tidegate.verify.c_target import build_library, find_compiler

sys.path.insert(0, str(Path(__file__).parent))
from drawn_layers import Drawn, Gated, Leaky, Swap, Toy, Window, model_of

COMMAND = find_compiler()
pytestmark = pytest.mark.skipif(COMMAND is None, reason="no C compiler here")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
TOYS: dict[str, type[Toy]] = {cls.kind: cls for cls in (Gated, Leaky, Window, Swap, Drawn)}


class ByPrograms(Reference):
    """Runs the program of each layer in place of its equation."""

    def step_layer(self, layer: Any, *arguments: Any) -> tuple[Any, dict[str, Any]]:
        return run_program(layer.program, *arguments)


@pytest.fixture(autouse=True)
def toys_are_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_load, "load", lambda kind, load=_load.load: TOYS.get(kind) or load(kind))


def assert_close(model: Model, steps: int = 8, level: str = "-O1", tolerance: float = 2e-5) -> None:
    """Check the outputs and states after each step against the float64 reference."""
    assert COMMAND is not None
    x = np.random.default_rng(1).standard_normal((steps, 1, model.layers[0].width)).astype(np.float32)
    reference = ByPrograms(model, NumpyOps)
    state = reference.initial_state(1)
    with build_library(model, COMMAND, level, *STRICT) as built:
        block = built.initial_state()
        for k in range(steps):
            y, state = reference.step(state, x[k].astype(np.float64))
            out, block = built.run(block, x[k])
            np.testing.assert_allclose(out, y[0], tolerance, tolerance, err_msg=f"output of step {k}")
            for array in model.state_schema[1:]:
                found = block[array["offset"] :].view(np.float32)[: state[array["name"]].size]
                expected = state[array["name"]].reshape(-1)
                np.testing.assert_allclose(found, expected, tolerance, tolerance, err_msg=f"{array['name']}, step {k}")


@pytest.mark.parametrize("size", [2, 6])
@pytest.mark.parametrize("kinds", ["gated", "leaky", "window", "swap", "swap window leaky gated"])
def test_a_layer_has_c_from_the_day_its_file_exists(kinds: str, size: int) -> None:
    assert_close(model_of([TOYS[kind](size=size) for kind in kinds.split()], seed=size))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 1 << 32), st.sampled_from((1, 2, 3, 6)), st.integers(1, 60))
def test_any_equation(seed: int, size: int, count: int) -> None:
    assert_close(model_of([Drawn(size=size, seed=seed, count=count)]), 5, "-O0", 1e-3)
