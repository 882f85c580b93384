"""Each module under each transform of torch has the values of its reference."""

from __future__ import annotations

import copy
import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from half_precision import torch_has_bf16_lstm
from torch.autograd import forward_ad, functional
from torch.nn.utils import parametrizations, prune, rnn
from transformed_modules import MODULES, assert_near, make_module, make_reference, random_input

from tidegate import nn

Tensor = torch.Tensor
ALL = pytest.mark.parametrize("name", MODULES)
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections", "ignore:.*torch.jit")


def gradients(module: Any, x: Tensor) -> dict[str, Tensor]:
    """Return the gradients of the weights, by torch.func."""

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(module, weights, (x,)).square().sum()

    return dict(torch.func.grad(loss)({key: p.detach() for key, p in module.named_parameters()}))


def of_each_row(module: Any, x: Tensor) -> Tensor:
    """Return the gradients of the weights for each row alone, concatenated; empty for a module without weights."""
    found = torch.func.vmap(lambda row: gradients(module, row))(torch.stack([x, -x]))
    return torch.cat([g.flatten(1) for g in found.values()] or [x.new_zeros(2, 0)], 1)


def dual(module: Any, x: Tensor) -> Tensor:
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(module(forward_ad.make_dual(x, 2 * x.flip(0)))).tangent


def dual_gradient(module: Any, x: Tensor) -> Tensor:
    """Return the tangent of a gradient whose forward pass ran before."""
    x = x.clone().requires_grad_()
    y = module(x)
    with forward_ad.dual_level():
        (found,) = torch.autograd.grad(y, x, forward_ad.make_dual(torch.ones_like(y), y.detach().flip(0)))
        return forward_ad.unpack_dual(found).tangent


def several_gradients(module: Any, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    y = module(x)
    weights = torch.stack([torch.ones_like(y), y.detach()])
    return torch.autograd.grad(y, x, weights, is_grads_batched=True)[0]


def twice(module: Any, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (once,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    return torch.autograd.grad(once.square().sum(), x, allow_unused=True)[0] if once.requires_grad else once


def checkpointed(module: Any, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    torch.utils.checkpoint.checkpoint(module, x, use_reentrant=False).square().sum().backward()
    assert x.grad is not None
    return x.grad


def replicated(module: Any, x: Tensor) -> Tensor:
    """Copy modules as DataParallel does: their weights become plain tensors."""
    replica = module._replicate_for_data_parallel()
    part = module.part._replicate_for_data_parallel()
    if not list(part.children()):
        for key, weight in module.part.named_parameters():
            setattr(part, key, weight * 1.0)
    replica._modules["part"] = part
    return replica(x)


VALUES: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "vmap": lambda module, x: torch.func.vmap(module)(torch.stack([x, 2 * x])),
    "vjp": lambda module, x: torch.func.vjp(module, x)[1](module(x).detach())[0],
    "jvp": lambda module, x: torch.func.jvp(module, (x,), (2 * x.flip(0),))[1],
    "jacrev": lambda module, x: torch.func.jacrev(lambda v: module(v).sum(0))(x),
    "jacfwd": lambda module, x: torch.func.jacfwd(module)(x),
    "hessian": lambda module, x: torch.func.hessian(lambda v: module(v).square().sum())(x),
    "gradients of each row": of_each_row,
    "functionalize": lambda module, x: torch.func.functionalize(module)(x),
    "dual numbers": dual,
    "dual numbers in the backward pass": dual_gradient,
    "several gradients at once": several_gradients,
    "a vectorised Jacobian": lambda module, x: functional.jacobian(module, x, vectorize=True),
    "gradients of gradients": twice,
    "checkpoint": checkpointed,
    "replicas": replicated,
}


@ALL
@pytest.mark.parametrize("transform", VALUES)
def test_a_transform_has_the_values_of_the_reference(name, transform):
    module, x = make_module(name), random_input(name)
    found = VALUES[transform](module, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_near(found, VALUES[transform](make_reference(module), x.double()))


def double_in_place(y: Tensor) -> None:
    y.mul_(2)


def zero_in_place(y: Tensor) -> None:
    y[:1].zero_()


def gradient_after_change(module: Any, x: Tensor, change: Callable[[Tensor], None], what: str) -> Tensor:
    """Return the gradient of the input when something is modified in place before the backward pass."""
    x = x.clone().requires_grad_()
    input = x * 1.0
    result = module.part(input)
    y, states = result if isinstance(result, tuple) else (result, result)
    states = states if isinstance(states, tuple) else (states,)
    loss = y.square().sum() if what in ("input", "weights") else 0.0
    if what == "weights":
        with torch.no_grad():
            for weight in module.parameters():
                change(weight)
    else:
        for v in {"output": (y,), "input": (input,), "states": states}[what]:
            change(v)
    loss = loss + y.square().sum() + sum(v.square().sum() for v in states)
    return torch.autograd.grad(loss, x)[0]


@ALL
@pytest.mark.parametrize("what", ["output", "states", "input", "weights"])
@pytest.mark.parametrize("change", [double_in_place, zero_in_place])
def test_a_change_in_place_before_the_backward_pass_is_an_error_or_has_the_right_gradient(name, what, change):
    module, x = make_module(name), random_input(name)
    try:
        found = gradient_after_change(module, x, change, what)
    except RuntimeError as error:
        if not re.search("modified by an inplace operation|is a view", str(error)):
            raise
        return
    assert_near(found, gradient_after_change(make_reference(module), x.double(), change, what))


@ALL
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes_equal_the_reference_within_their_digits(name, dtype):
    module, x = make_module(name), random_input(name)
    y = copy.deepcopy(module).to(dtype)(x.to(dtype))
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), make_reference(module)(x.double()), rtol=0.05, atol=0.05)


@ALL
def test_modes_and_devices_equal_the_reference_and_leave_nothing_behind(name):
    module, x = make_module(name), random_input(name)
    right = make_reference(module)(x.double())
    with torch.inference_mode():
        assert_near(module(x), right)
    with torch.no_grad():
        assert_near(module(x), right)
    if torch_has_bf16_lstm() or not any(isinstance(part, nn.LSTM) for part in module.modules()):
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(module(x).double(), right, rtol=0.05, atol=0.05)
    assert_near(module(x), right)
    nothing = copy.deepcopy(module).to("meta")(x.to("meta"))
    assert nothing.shape == right.shape
    assert nothing.is_meta
    with torch._subclasses.FakeTensorMode():
        assert make_module(name)(torch.empty(x.shape)).shape == right.shape


@ALL
def test_weights_made_of_others_hooks_and_files(name):
    module, x = make_module(name), random_input(name)
    holders = [(part, key) for part in module.modules() for key in ("weight_ih_l0", "weight_ih") if hasattr(part, key)]
    before, calls = module(x), list[int]()
    for part, key in holders:
        prune.l1_unstructured(part, key, 0.3)
        pruned = module(x)
        prune.remove(part, key)
        torch.testing.assert_close(module(x), pruned, rtol=0, atol=0)
        assert not torch.equal(pruned, before)
        getattr(part, key).data.copy_(
            getattr(make_module(name).part, key) if part is module.part else getattr(part, key) + 0.1
        )
        parametrizations.weight_norm(part, key)
    assert_near(module(x), make_reference(module)(x.double()))
    module.part.register_forward_hook(lambda *_: calls.append(1))
    module.part.register_full_backward_hook(lambda *_: calls.append(2))
    module(x.clone().requires_grad_()).sum().backward()
    assert calls == [1, 2]
    plain, file = make_module(name), io.BytesIO()
    torch.save(plain, file)
    file.seek(0)
    torch.testing.assert_close(torch.load(file, weights_only=False)(x), plain(x), rtol=0, atol=0)


def test_torch_func_takes_packed_rows():
    packed = rnn.pack_padded_sequence(random_input("GRU"), [2, 1])
    module = nn.GRU(3, 2)

    def gradient(of: Any, packed: rnn.PackedSequence) -> Tensor:
        def loss(weights: dict[str, Tensor]) -> Tensor:
            y, h = torch.func.functional_call(of, weights, (packed,))
            return y.data.square().sum() + h.sum()

        return torch.func.grad(loss)({key: p.detach() for key, p in of.named_parameters()})["weight_hh_l0"]

    right = gradient(make_reference(module), rnn.PackedSequence(packed.data.double(), packed.batch_sizes))
    assert_near(gradient(module, packed), right)


def test_a_network_under_a_transform_has_the_values_of_the_reference():
    from tidegate.verify.samples import sample

    model, lengths = sample(features=3, size=4, over=("mean", "attention")), torch.tensor([2, 1])
    found, right = (nn.Network(model.layers, native=native) for native in (True, False))
    for network in (found, right):
        network.load_tensors(dict(model.tensors))
    x = random_input("GRU")
    for transform in (torch.func.vmap, torch.func.jacfwd, torch.func.jacrev):
        assert_near(
            transform(lambda v: found(v, lengths))(torch.stack([x, -x]) if transform is torch.func.vmap else x),
            transform(lambda v: right(v, lengths))(
                torch.stack([x, -x]) if transform is torch.func.vmap else x
            ).double(),
        )
