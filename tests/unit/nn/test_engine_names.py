"""A module says which engine runs, and that one runs: on other numbers and devices, under autocast, for subclasses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tidegate import _native, nn
from tidegate.nn import native

MODULES: dict[str, Any] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn tanh": nn.RNN, "mingru": nn.MinGRU}
MOVED: dict[str, Any] = {
    "float32": lambda module: module,
    "float64": lambda module: module.double(),
    "float16": lambda module: module.half(),
    "bfloat16": lambda module: module.bfloat16(),
    "meta": lambda module: module.to("meta"),
    "there and back": lambda module: module.double().float(),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cells that went through the native engine."""
    found: list[str] = []
    run = native.run

    def counted(cell: str, *arguments: Any) -> Any:
        found.append(cell)
        return run(cell, *arguments)

    monkeypatch.setattr(native, "run", counted)
    return found


@pytest.mark.parametrize("moved", MOVED)
@pytest.mark.parametrize("name", MODULES)
def test_what_is_said_is_what_runs(name: str, moved: str, calls: list[str]) -> None:
    module = MOVED[moved](MODULES[name](3, 4))
    weight = next(module.parameters())
    module(torch.zeros(5, 2, 3, dtype=weight.dtype, device=weight.device))
    by_native = moved in ("float32", "there and back")
    assert calls == ([name] if by_native else [])
    assert module.engine.startswith("native") == by_native
    assert f"engine={module.engine}" in repr(module)


@pytest.mark.parametrize("name", MODULES)
def test_under_autocast_torch_runs_and_the_module_says_so(name: str, calls: list[str]) -> None:
    module = MODULES[name](3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert not module.engine.startswith("native")
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
def test_the_way_back_is_on_the_target_of_the_way_ahead(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = nn.GRU(3, size), torch.randn(5, 2, 3)
    found = []
    for later in _native.targets():
        monkeypatch.setenv("TIDEGATE_TARGET", "base")
        y = module(x)[0]
        monkeypatch.setenv("TIDEGATE_TARGET", later)
        found.append(torch.autograd.grad(y.sum(), list(module.parameters())))
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))
