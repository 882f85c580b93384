"""The engine that a module names is the one that runs: for other dtypes and devices, autocast, subclasses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from half_precision import torch_has_bf16_lstm

from tidegate import _native, nn
from tidegate.nn import native

MODULES: dict[str, Any] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn tanh": nn.RNN, "mingru": nn.MinGRU}
CONVERSIONS: dict[str, Any] = {
    "float32": lambda module: module,
    "float64": lambda module: module.double(),
    "float16": lambda module: module.half(),
    "bfloat16": lambda module: module.bfloat16(),
    "meta": lambda module: module.to("meta"),
    "there and back": lambda module: module.double().float(),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the cells that run in the native engine."""
    cells: list[str] = []
    run = native.run

    def recording_run(cell: str, *arguments: Any) -> Any:
        cells.append(cell)
        return run(cell, *arguments)

    monkeypatch.setattr(native, "run", recording_run)
    return cells


@pytest.mark.parametrize("conversion", CONVERSIONS)
@pytest.mark.parametrize("name", MODULES)
def test_the_named_engine_is_the_one_that_runs(name: str, conversion: str, calls: list[str]) -> None:
    module = CONVERSIONS[conversion](MODULES[name](3, 4))
    weight = next(module.parameters())
    module(torch.zeros(5, 2, 3, dtype=weight.dtype, device=weight.device))
    native_runs = conversion in ("float32", "there and back")
    assert calls == ([name] if native_runs else [])
    assert module.engine.startswith("native") == native_runs
    assert f"engine={module.engine}" in repr(module)


@pytest.mark.parametrize("name", MODULES)
def test_under_autocast_torch_runs_and_the_module_says_so(name: str, calls: list[str]) -> None:
    module = MODULES[name](3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert not module.engine.startswith("native")
        if name != "lstm" or torch_has_bf16_lstm():
            module(torch.zeros(5, 2, 3))
    assert calls == []
    assert module.engine == f"native {name}"


def test_a_subclass_of_tensor_is_left_to_torch(calls: list[str]) -> None:
    class Own(torch.Tensor):
        pass

    module, x = nn.GRU(3, 4), torch.randn(5, 2, 3)
    found = module(x.as_subclass(Own))[0]
    assert calls == []
    torch.testing.assert_close(found.as_subclass(torch.Tensor), module(x)[0], rtol=1e-5, atol=1e-6)
    assert calls == ["gru"]


@pytest.mark.parametrize("size", [16, 11])
def test_the_backward_pass_runs_on_the_target_of_the_forward_pass(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = nn.GRU(3, size), torch.randn(5, 2, 3)
    gradients = []
    for later in _native.targets():
        monkeypatch.setenv("TIDEGATE_TARGET", "base")
        y = module(x)[0]
        monkeypatch.setenv("TIDEGATE_TARGET", later)
        gradients.append(torch.autograd.grad(y.sum(), list(module.parameters())))
    assert all(torch.equal(a, b) for other in gradients[1:] for a, b in zip(gradients[0], other, strict=True))
