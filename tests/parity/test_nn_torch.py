"""Modules of tidegate.nn against torch.nn: values, gradients and keys, natively, in torch's kernel and by the tape."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tidegate import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
from common import nn_cases

CASES = range(60)
BOUND = {"float32": 2e-6, "float64": 1e-14}
CELLS: list[tuple[str, dict[str, Any]]] = [
    ("GRUCell", {}),
    ("LSTMCell", {}),
    ("RNNCell", {"nonlinearity": "tanh"}),
    ("RNNCell", {"nonlinearity": "relu"}),
]


@pytest.mark.parametrize("way", ["native", "kernel", "tape"])
@pytest.mark.parametrize("seed", CASES)
def test_a_module_has_the_values_gradients_and_keys_of_torchs(seed: int, way: str) -> None:
    case = nn_cases.make_case(seed)
    found = nn_cases.measure(case, fused=way != "tape", native=way == "native")
    # float64 and projections run in torch's kernel
    natively = way == "native" and found["dtype"] == "float32" and "proj_size" not in case.options
    assert (
        found["engine"].startswith("native ") if natively else found["engine"].endswith(way.replace("native", "kernel"))
    )
    assert found["keys"]
    assert found["values"] < BOUND[found["dtype"]]
    assert found["gradients"] < BOUND[found["dtype"]]


def test_the_cases_are_of_every_kind() -> None:
    cases = [nn_cases.make_case(seed) for seed in CASES]
    assert {c.kind for c in cases} == {"GRU", "LSTM", "RNN"}
    assert {c.layout for c in cases} == set(nn_cases.LAYOUTS)
    assert {c.options.get("nonlinearity") for c in cases} == {None, "tanh", "relu"}
    for key in ("bias", "batch_first", "bidirectional"):
        assert {c.options[key] for c in cases} == {True, False}
    assert {c.options["num_layers"] for c in cases} == {1, 2, 3}
    assert any("proj_size" in c.options and c.layout.startswith("packed") for c in cases)
    assert any(len(set(c.lengths)) > 1 and c.options["bidirectional"] and c.hx for c in cases)


@pytest.mark.parametrize("wrong", ["bias_hh_l0", "weight_hh_l0", "weight_ih_l0"])
def test_a_wrong_weight_is_far_outside_of_the_bound(wrong: str) -> None:
    case = nn_cases.Case("GRU", (3, 5), {"num_layers": 1, "bidirectional": False}, "packed", (4, 2, 7), True, True, 0)
    what, weights = nn_cases.make_inputs(case), nn_cases.make_reference(case).state_dict()
    right = nn_cases.run(case, nn_cases.make_module(case, weights, torch.float64), what.to(torch.float64))
    module = nn_cases.make_module(case, {**weights, wrong: weights[wrong].roll(5, 0)}, torch.float64)
    found = nn_cases.run(case, module, what.to(torch.float64))
    assert nn_cases.relative_difference(found[0], right[0]) > 1e-3
    assert nn_cases.relative_difference(found[1], right[1]) > 1e-3


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "options"), CELLS)
@pytest.mark.parametrize("rows", [None, 3])
@pytest.mark.parametrize("given", [True, False])
def test_a_cell_has_the_values_and_gradients_of_torchs(
    kind: str, options: dict[str, Any], bias: bool, rows: int | None, given: bool, dtype: torch.dtype, fused: bool
) -> None:
    torch.manual_seed(2)
    theirs = getattr(torch.nn, kind)(4, 5, bias, dtype=dtype, **options)
    own = getattr(nn, kind)(4, 5, bias, dtype=dtype, **options)
    own.fused = fused
    own.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(own.state_dict())
    batch = () if rows is None else (rows,)
    x = torch.randn(*batch, 4, dtype=dtype, requires_grad=True)
    states = [torch.randn(*batch, 5, dtype=dtype, requires_grad=True) for _ in range(2 if kind == "LSTMCell" else 1)]
    hx: Any = None if not given else tuple(states) if len(states) > 1 else states[0]
    results = []
    for module in (own, theirs):
        y = module(x, hx)
        flat = torch.cat(y) if isinstance(y, tuple) else y
        leaves = [x, *(states if given else []), *module.parameters()]
        results.append([flat, *torch.autograd.grad(flat.square().sum(), leaves)])
        assert isinstance(y, tuple) == (kind == "LSTMCell")
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, atol=1e-6 if dtype == torch.float32 else 1e-14, rtol=0)
