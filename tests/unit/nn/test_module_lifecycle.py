"""Modules outside their forward: copies, files, hooks, parametrisations, devices, functional calls."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch.nn.utils import parametrizations, parametrize, prune

from tidegate import nn

KINDS = ["GRU", "LSTM", "RNN"]
MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "GRU": ("GRU", {"num_layers": 2, "bidirectional": True}),
    "LSTM": ("LSTM", {"proj_size": 2}),
    "RNN": ("RNN", {"nonlinearity": "relu", "bias": False}),
    "MinGRU": ("MinGRU", {"num_layers": 2}),
    "GRU of another dialect": ("GRU", {"reset": "before", "update": "replace", "norm": True}),
    "LSTM with peepholes": ("LSTM", {"peepholes": True, "norm": True}),
    "LSTMCell": ("LSTMCell", {}),
    "GRUCell of another dialect": ("GRUCell", {"update": "replace", "bias": False}),
}
every_module = pytest.mark.parametrize(("kind", "options"), MODULES.values(), ids=MODULES)


def make_module(kind: str, options: dict[str, Any]) -> Any:
    return getattr(nn, kind)(3, 4, **options)


def outputs(module: Any) -> torch.Tensor:
    """Return all results of a module for one input, as one tensor."""
    random = torch.Generator().manual_seed(1)
    x = torch.randn(*(() if "Cell" in type(module).__name__ else (5,)), 2, 3, generator=random)
    y = module(x.to(next(module.parameters()).dtype))
    return flatten(y)


def flatten(y: Any) -> torch.Tensor:
    return y.flatten() if isinstance(y, torch.Tensor) else torch.cat([flatten(v) for v in y])


@every_module
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save"])
def test_a_copy_is_equal_and_independent(kind: str, options: dict[str, Any], way: str) -> None:
    module = make_module(kind, options).eval()
    before = outputs(module)
    if way == "deepcopy":
        copied = copy.deepcopy(module)
    elif way == "pickle":
        copied = pickle.loads(pickle.dumps(module))
    else:
        torch.save(module, file := io.BytesIO())
        file.seek(0)
        copied = torch.load(file, weights_only=False)
    assert repr(copied) == repr(module)
    assert not copied.training
    assert torch.equal(outputs(copied), before)
    with torch.no_grad():
        copied.weight_ih_l0.zero_() if "Cell" not in kind else copied.weight_ih.zero_()
    assert torch.equal(outputs(module), before)


@every_module
def test_a_state_dict_goes_through_a_file_with_weights_only(kind: str, options: dict[str, Any]) -> None:
    module, other = make_module(kind, options), make_module(kind, options)
    torch.save(module.state_dict(), file := io.BytesIO())
    file.seek(0)
    assert str(other.load_state_dict(torch.load(file, weights_only=True))) == "<All keys matched successfully>"
    assert torch.equal(outputs(other), outputs(module))


@every_module
def test_a_state_dict_goes_through_a_safetensors_file(kind: str, options: dict[str, Any]) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    module, other = make_module(kind, options), make_module(kind, options)
    other.load_state_dict(safetensors.load(safetensors.save(module.state_dict())))
    assert torch.equal(outputs(other), outputs(module))


@every_module
def test_a_functional_call_takes_a_state_dict(kind: str, options: dict[str, Any]) -> None:
    module, other = make_module(kind, options), make_module(kind, options)
    x = torch.randn(*(() if "Cell" in kind else (5,)), 2, 3)
    found = torch.func.functional_call(module, other.state_dict(), (x,))
    assert torch.equal(flatten(found), flatten(other(x)))
    assert not torch.equal(flatten(found), flatten(module(x)))
    assert module.state_dict().keys() == other.state_dict().keys()


@every_module
def test_gradients_by_torch_func_are_those_of_backward(kind: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)  # a norm over four close numbers magnifies rounding errors
    module = make_module(kind, options)
    x = torch.randn(*(() if "Cell" in kind else (5,)), 2, 3)
    weights = dict(module.named_parameters())
    found = torch.func.grad(lambda w: flatten(torch.func.functional_call(module, w, (x,))).square().sum())(weights)
    flatten(module(x)).square().sum().backward()
    for name, weight in weights.items():
        assert torch.allclose(found[name], weight.grad, atol=3e-6 * float(weight.grad.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_state_dict_raises_as_torchs_does(kind: str) -> None:
    weights = getattr(nn, kind)(3, 4).state_dict()
    wrong: dict[str, dict[str, torch.Tensor]] = {
        "Missing key": {k: v for k, v in weights.items() if k != "bias_hh_l0"},
        "Unexpected key": {**weights, "weight_ih_l1": weights["weight_ih_l0"]},
        "size mismatch": {**weights, "bias_hh_l0": torch.zeros(7)},
    }
    for package in (torch.nn, nn):
        for message, state in wrong.items():
            with pytest.raises(RuntimeError, match=message):
                getattr(package, kind)(3, 4).load_state_dict(state)
        found = getattr(package, kind)(3, 4).load_state_dict(wrong["Missing key"], strict=False)
        assert found.missing_keys == ["bias_hh_l0"]
        assert not found.unexpected_keys
        found = getattr(package, kind)(3, 4).load_state_dict(wrong["Unexpected key"], strict=False)
        assert found.unexpected_keys == ["weight_ih_l1"]


def test_loading_can_assign_and_fill_weights_from_meta() -> None:
    source, module = nn.GRU(3, 4, update="replace"), nn.GRU(3, 4, update="replace", device="meta")
    module.load_state_dict(source.state_dict(), assign=True)
    assert torch.equal(outputs(module), outputs(source))
    empty = nn.GRU(3, 4, update="replace", device="meta").to_empty(device="cpu")
    empty.load_state_dict(source.state_dict())
    assert torch.equal(outputs(empty), outputs(source))
    skipped = torch.nn.utils.skip_init(nn.GRU, 3, 4, update="replace")
    assert bytes(skipped.state_dict()["dialect"].tolist()) == b'{"update":"replace"}'


@every_module
def test_a_module_moves_to_another_dtype_and_back(kind: str, options: dict[str, Any]) -> None:
    module = make_module(kind, options)
    before = outputs(module)
    assert {w.dtype for w in module.double().parameters()} == {torch.float64}
    assert outputs(module).dtype == torch.float64
    assert torch.allclose(outputs(module).float(), before, atol=1e-5)
    assert torch.equal(outputs(module.to("cpu", torch.float32)), before)


@every_module
def test_train_and_eval_requires_grad_zero_grad_and_apply_reach_it(kind: str, options: dict[str, Any]) -> None:
    module = make_module(kind, options)
    assert module.training
    assert not module.eval().training
    assert module.train() is module
    outputs(module).sum().backward()
    assert all(w.grad is not None for w in module.parameters())
    module.zero_grad()
    assert all(w.grad is None for w in module.parameters())
    assert not any(w.requires_grad for w in module.requires_grad_(False).parameters())
    seen: list[torch.nn.Module] = []
    module.apply(seen.append)
    assert seen == [module]


@every_module
def test_an_optimiser_step_changes_every_weight(kind: str, options: dict[str, Any]) -> None:
    module = make_module(kind, options)
    before = {k: v.detach().clone() for k, v in module.named_parameters()}
    optimiser = torch.optim.SGD(module.parameters(), 0.1)
    state = torch.ones(2, 4)
    hx: tuple[Any, ...] = ((state, state) if kind == "LSTMCell" else state,) if "Cell" in kind else ()
    found = module(torch.randn(2, 3), *hx) if hx else module(torch.randn(5, 2, 3))
    flatten(found).square().sum().backward()
    optimiser.step()
    assert all(not torch.equal(v, before[k]) for k, v in module.named_parameters())


def test_hooks_run_before_after_and_in_the_backward_pass() -> None:
    module, seen = nn.GRU(3, 4), list[str]()
    module.register_forward_pre_hook(lambda m, args: seen.append("before"))
    module.register_forward_hook(lambda m, args, out: seen.append(f"after {tuple(out[0].shape)}"))
    module.register_full_backward_hook(lambda m, to, of: seen.append(f"back {len(of)}"))
    module.weight_hh_l0.register_hook(lambda g: seen.append("weight"))
    module(torch.randn(5, 2, 3, requires_grad=True))[0].sum().backward()
    assert seen[:2] == ["before", "after (5, 2, 4)"]
    assert sorted(seen[2:]) == ["back 2", "weight"]


def test_a_forward_hook_may_replace_the_output_and_see_keywords() -> None:
    module = nn.LSTM(3, 4)
    module.register_forward_hook(lambda m, args, kwargs, out: sorted(kwargs), with_kwargs=True)
    assert module(torch.zeros(5, 2, 3), hx=None) == ["hx"]


def test_state_dict_hooks_run() -> None:
    module = nn.GRU(3, 4, update="replace")
    module.register_state_dict_post_hook(lambda m, state, prefix, meta: state.update(mark=torch.ones(1)))
    assert "mark" in module.state_dict()
    seen: list[list[str]] = []
    module.register_load_state_dict_pre_hook(lambda m, state, *rest: seen.append(sorted(state)))
    module.load_state_dict(nn.GRU(3, 4, update="replace").state_dict())
    assert len(seen) == 1
    assert "weight_ih_l0" in seen[0]


class Doubled(torch.nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


@pytest.mark.parametrize("kind", [*KINDS, "GRUCell"])
def test_a_parametrisation_acts(kind: str) -> None:
    name = "weight_hh" if "Cell" in kind else "weight_hh_l0"
    theirs, own = getattr(torch.nn, kind)(3, 4), getattr(nn, kind)(3, 4)
    own.load_state_dict(theirs.state_dict())
    for module in (theirs, own):
        parametrize.register_parametrization(module, name, Doubled())
    assert list(own.state_dict()) == list(theirs.state_dict())
    assert torch.allclose(outputs(own), outputs(theirs), atol=1e-6)
    outputs(own).sum().backward()
    assert own.get_parameter(f"parametrizations.{name}.original").grad is not None
    parametrize.remove_parametrizations(own, name)
    assert torch.allclose(outputs(own), outputs(theirs), atol=1e-6)


def test_weight_norm_and_pruning_act_as_on_torchs() -> None:
    theirs, own = torch.nn.GRU(3, 4), nn.GRU(3, 4)
    own.load_state_dict(theirs.state_dict())
    for module in (theirs, own):
        parametrizations.weight_norm(module, "weight_ih_l0")
        prune.l1_unstructured(module, "weight_hh_l0", amount=0.5)
    assert int((own.weight_hh_l0 == 0).sum()) == 24
    assert torch.allclose(outputs(own), outputs(theirs), atol=1e-6)


def test_a_weight_may_be_replaced_or_shared() -> None:
    module = nn.GRU(3, 3, 2)
    module.weight_hh_l1 = module.weight_hh_l0
    assert module.all_weights[1][1] is module.weight_hh_l0
    assert len(list(module.parameters())) == 7
    before = outputs(module)
    module.bias_ih_l0 = torch.nn.Parameter(torch.ones(9))
    assert not torch.equal(outputs(module), before)
    outputs(module).sum().backward()
    assert module.bias_ih_l0.grad is not None


def test_a_module_works_inside_others() -> None:
    class Last(torch.nn.Module):
        def forward(self, result: Any) -> torch.Tensor:
            return result[0][-1]

    net = torch.nn.Sequential(nn.GRU(3, 4, norm=True), Last(), torch.nn.Linear(4, 2))
    assert "0.dialect" in net.state_dict()
    assert net(torch.zeros(5, 2, 3)).shape == (2, 2)
    copied = copy.deepcopy(net)
    copied.load_state_dict(net.state_dict())
    average = torch.optim.swa_utils.AveragedModel(net)
    average.update_parameters(copied)
    assert torch.allclose(average(torch.ones(5, 2, 3)), net(torch.ones(5, 2, 3)))
