"""Inputs and outputs of GRU, LSTM, RNN and MinGRU: layouts, initial states, dtypes, errors and dropout of torch.nn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from half_precision import torch_has_bf16_lstm
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from tidegate import nn
from tidegate.errors import TidegateError

KINDS = ["GRU", "LSTM", "RNN"]
ALL = [*KINDS, "MinGRU"]
Z = torch.zeros


def make_pair(kind: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Create torch's module and ours with the same weights."""
    theirs, own = getattr(torch.nn, kind)(*args, **options), getattr(nn, kind)(*args, **options)
    own.load_state_dict(theirs.state_dict())
    return theirs, own


def state(kind: str, value: torch.Tensor) -> Any:
    return (value, value.clone()) if kind == "LSTM" else value


WRONG: dict[str, tuple[torch.Tensor, torch.Tensor | None, type[Exception]]] = {
    "one axis": (Z(3), None, ValueError),
    "four axes": (Z(1, 1, 1, 3), None, ValueError),
    "width": (Z(5, 2, 4), None, RuntimeError),
    "width of one row": (Z(5, 4), None, RuntimeError),
    "no step": (Z(0, 2, 3), None, RuntimeError),
    "double": (Z(5, 2, 3).double(), None, ValueError),
    "integers": (Z(5, 2, 3).long(), None, ValueError),
    "state of one row": (Z(5, 2, 3), Z(2, 4), RuntimeError),
    "state of a batch for one row": (Z(5, 3), Z(2, 1, 4), RuntimeError),
    "layers of the state": (Z(5, 2, 3), Z(1, 2, 4), RuntimeError),
    "rows of the state": (Z(5, 2, 3), Z(2, 1, 4), RuntimeError),
    "width of the state": (Z(5, 2, 3), Z(2, 2, 3), RuntimeError),
    "layers of a row's state": (Z(5, 3), Z(3, 4), RuntimeError),
    "dtype of the state": (Z(5, 2, 3), Z(2, 2, 4).double(), RuntimeError),
}


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("x", "h", "error"), WRONG.values(), ids=WRONG)
def test_a_wrong_input_raises_what_torch_raises(
    kind: str, fused: bool, x: torch.Tensor, h: torch.Tensor | None, error: type[Exception]
) -> None:
    own = getattr(nn, kind)(3, 4, 2)
    own.fused = fused
    hx = () if h is None else (state(kind, h),)
    if kind != "MinGRU":
        with pytest.raises(error):
            getattr(torch.nn, kind)(3, 4, 2)(x, *hx)
    with pytest.raises(error, match=kind) as caught:
        own(x, *hx)
    assert isinstance(caught.value, TidegateError)


def test_packed_input_is_checked_too() -> None:
    for module in (torch.nn.GRU(3, 4), nn.GRU(3, 4)):
        with pytest.raises(RuntimeError):
            module(pack_sequence([Z(5, 4)]))
        with pytest.raises(RuntimeError):
            module(pack_sequence([Z(5, 3), Z(2, 3)]), Z(1, 3, 4))
        with pytest.raises(RuntimeError):
            module(pack_sequence([Z(5, 1, 3)]))
        with pytest.raises(ValueError, match="dtype"):
            module(pack_sequence([Z(5, 3).double()]))


def test_an_lstm_needs_both_states() -> None:
    module = nn.LSTM(3, 4)
    with pytest.raises(TypeError, match="h_0, c_0"):
        module(Z(5, 2, 3), Z(1, 2, 4))
    with pytest.raises(ValueError, match="1 tensors; expected 2"):
        module(Z(5, 2, 3), (Z(1, 2, 4),))
    with pytest.raises(RuntimeError, match=r"hidden\[1\]"):
        nn.LSTM(3, 4, proj_size=2)(Z(5, 2, 3), (Z(1, 2, 2), Z(1, 2, 2)))
    with pytest.raises(TypeError, match="expected a tensor"):
        nn.GRU(3, 4)(Z(5, 2, 3), (Z(1, 2, 4),))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_a_batch_of_no_rows_gives_no_rows(kind: str, fused: bool) -> None:
    module = getattr(nn, kind)(3, 4, 2, bidirectional=True)
    module.fused = fused
    y, last = module(Z(5, 0, 3))
    assert y.shape == (5, 0, 8)
    assert (last[0] if kind == "LSTM" else last).shape == (4, 0, 4)
    y.sum().backward()
    assert not any(w.grad is None or w.grad.any() for w in module.parameters())


@pytest.mark.parametrize("kind", ALL)
def test_one_row_is_a_batch_of_one_whatever_batch_first_says(kind: str) -> None:
    x = torch.randn(5, 3)
    for batch_first in (False, True):
        module = getattr(nn, kind)(3, 4, 2, bidirectional=True, batch_first=batch_first)
        y, last = module(x)
        many, final = module(x[None] if batch_first else x[:, None])
        assert torch.equal(y, many[0] if batch_first else many[:, 0])
        for a, b in zip(*([v] if kind != "LSTM" else v for v in (last, final)), strict=True):
            assert a.shape == (4, 4)
            assert torch.equal(a, b[:, 0])


@pytest.mark.parametrize("kind", ALL)
def test_batch_first_changes_the_layout_but_not_that_of_states(kind: str) -> None:
    time_first, batch_first = getattr(nn, kind)(3, 4, 2), getattr(nn, kind)(3, 4, 2, batch_first=True)
    batch_first.load_state_dict(time_first.state_dict())
    x, hx = torch.randn(5, 2, 3), state(kind, torch.randn(2, 2, 4))
    y, last = time_first(x, hx)
    turned, final = batch_first(x.transpose(0, 1), hx)
    assert torch.allclose(y, turned.transpose(0, 1), atol=1e-6)
    for a, b in zip(*([v] if kind != "LSTM" else v for v in (last, final)), strict=True):
        assert a.shape == (2, 2, 4)
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_without_an_initial_state_it_is_zeros(kind: str, fused: bool) -> None:
    module, x = getattr(nn, kind)(3, 4, 2), torch.randn(5, 2, 3)
    module.fused = fused
    assert torch.equal(module(x)[0], module(x, state(kind, Z(2, 2, 4)))[0])
    assert not torch.equal(module(x)[0], module(input=x, hx=state(kind, torch.ones(2, 2, 4)))[0])


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_a_sequence_may_be_split_and_continued_from_its_final_state(kind: str, fused: bool) -> None:
    module, x = getattr(nn, kind)(3, 4, 2, dtype=torch.float64), torch.randn(7, 2, 3, dtype=torch.float64)
    module.fused = fused
    whole, last = module(x)
    early, between = module(x[:3])
    late, final = module(x[3:], between)
    assert torch.allclose(whole, torch.cat([early, late]), atol=1e-14)
    for a, b in zip(*([v] if kind != "LSTM" else v for v in (last, final)), strict=True):
        assert torch.allclose(a, b, atol=1e-14)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_rows_have_the_values_of_each_row_alone(kind: str, fused: bool, enforce_sorted: bool) -> None:
    module = getattr(nn, kind)(3, 4, 2, bidirectional=True, dtype=torch.float64)
    module.fused = fused
    rows = [torch.randn(n, 3, dtype=torch.float64) for n in ((5, 3, 2, 2) if enforce_sorted else (2, 5, 2, 3))]
    first = torch.randn(4, 4, 4, dtype=torch.float64)
    packed = pack_sequence(rows, enforce_sorted=enforce_sorted)
    y, last = module(packed, state(kind, first))
    assert isinstance(y, PackedSequence)
    assert torch.equal(y.batch_sizes, packed.batch_sizes)
    assert (y.sorted_indices is None) == enforce_sorted
    padded, lengths = pad_packed_sequence(y)
    for b, row in enumerate(rows):
        alone, final = module(row, state(kind, first[:, b]))
        assert int(lengths[b]) == len(row)
        assert torch.allclose(padded[: len(row), b], alone, atol=1e-14)
        assert not padded[len(row) :, b].any()
        for v, w in zip(*([v] if kind != "LSTM" else v for v in (last, final)), strict=True):
            assert torch.allclose(v[:, b], w, atol=1e-14)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_padding_is_never_read(kind: str, fused: bool) -> None:
    module = getattr(nn, kind)(3, 4, 2, bidirectional=True)
    module.fused = fused
    x = torch.randn(5, 2, 3)
    x[2:, 1] = torch.nan
    y, _ = module(pack_padded_sequence(x, torch.tensor([5, 2])))
    y.data.sum().backward()
    assert torch.isfinite(y.data).all()
    assert all(torch.isfinite(w.grad).all() for w in module.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("fused", [True, False])
def test_half_precision_is_torchs(kind: str, dtype: torch.dtype, fused: bool) -> None:
    theirs, own = make_pair(kind, 3, 4)
    own.fused = fused
    x = torch.randn(5, 2, 3)
    y, _ = own.to(dtype)(x.to(dtype))
    assert y.dtype == dtype
    assert torch.allclose(y, theirs.to(dtype)(x.to(dtype))[0], atol=2e-2)
    with pytest.raises(ValueError, match="dtype"):
        own(x)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_has_the_outputs_of_torch(kind: str) -> None:
    if kind == "LSTM" and not torch_has_bf16_lstm():
        pytest.skip("torch has no LSTM in bfloat16 for this CPU")
    theirs, own = make_pair(kind, 3, 4)
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, expected = own(x)[0], theirs(x)[0]
    assert y.dtype == expected.dtype
    assert torch.equal(y, expected)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_the_meta_device_gives_shapes(kind: str, fused: bool) -> None:
    module = getattr(nn, kind)(3, 4, 2, bidirectional=True, device="meta")
    module.fused = fused
    y, _ = module(torch.empty(5, 2, 3, device="meta"))
    assert y.is_meta
    assert y.shape == (5, 2, 8)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_an_input_on_another_device_is_an_error(kind: str, fused: bool) -> None:
    module = getattr(nn, kind)(3, 4)
    module.fused = fused
    with pytest.raises(RuntimeError):
        module(torch.empty(5, 2, 3, device="meta"))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_the_default_device_does_not_affect_existing_tensors(kind: str, fused: bool) -> None:
    module = getattr(nn, kind)(3, 4, 2, bidirectional=True, norm=True)
    module.fused = fused
    rows = pack_sequence([torch.randn(5, 3), torch.randn(2, 3)])
    expected, entry = module(rows)[0].data, module.state_dict()["dialect"]
    with torch.device("meta"):
        assert torch.equal(module(rows)[0].data, expected)
        assert module(torch.zeros(5, 2, 3, device="cpu"))[0].device.type == "cpu"
        assert torch.equal(module.state_dict()["dialect"], entry)


@pytest.mark.parametrize("kind", ALL)
def test_dropout_is_between_layers_in_training_only(kind: str) -> None:
    torch.manual_seed(0)
    module, x = getattr(nn, kind)(3, 8, 2, dropout=0.5), torch.randn(6, 2, 3)
    y = module(x)[0]
    assert not torch.equal(y, module(x)[0])
    assert y.abs().min() > 0
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])
    plain = getattr(nn, kind)(3, 8, 2)
    plain.load_state_dict(module.state_dict())
    assert torch.equal(plain(x)[0], module(x)[0])


def test_a_dropout_of_one_leaves_the_second_layer_without_input() -> None:
    module, x = nn.GRU(3, 4, 2, dropout=1.0), torch.randn(5, 2, 3)
    assert torch.equal(module(x)[0], module(torch.randn(5, 2, 3))[0])
    assert not torch.equal(module.eval()(x)[0], module(torch.randn(5, 2, 3))[0])


def test_dropout_and_layout_follow_the_attributes_as_in_torch() -> None:
    module, x = nn.GRU(3, 4, 2), torch.randn(5, 2, 3)
    before = module(x)[0]
    module.dropout = 1.0
    assert not torch.equal(module(x)[0], before)
    module.dropout, module.batch_first = 0.0, True
    assert torch.allclose(module(x.transpose(0, 1))[0].transpose(0, 1), before, atol=1e-6)


@pytest.mark.parametrize("package", [torch.nn, nn])
def test_dropout_zeroes_its_share_and_scales_the_rest(package: Any) -> None:
    """The second layer is the identity: relu, an identity matrix for its input and no recurrence."""
    torch.manual_seed(3)
    module = package.RNN(1, 100, 2, "relu", bias=False, dropout=0.3)
    with torch.no_grad():
        module.weight_ih_l0.fill_(1.0)
        module.weight_ih_l1.copy_(torch.eye(100))
        for weight in (module.weight_hh_l0, module.weight_hh_l1):
            weight.zero_()
    y, _ = module(torch.ones(50, 20, 1))
    assert float((y == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert torch.allclose(y[y != 0], torch.tensor(1 / 0.7))


def test_dropout_of_packed_rows_differs_between_calls() -> None:
    module = nn.GRU(3, 8, 2, dropout=0.5)
    packed = pack_sequence([torch.randn(5, 3), torch.randn(2, 3)])
    assert not torch.equal(module(packed)[0].data, module(packed)[0].data)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_only_weights_that_require_gradients_get_them(kind: str, fused: bool) -> None:
    module = getattr(nn, kind)(3, 4, 2)
    module.fused = fused
    module.weight_ih_l0.requires_grad_(False)
    x = torch.randn(5, 2, 3, requires_grad=True)
    module(x)[0].sum().backward()
    assert x.grad is not None
    assert module.weight_ih_l0.grad is None
    assert all(w.grad is not None for name, w in module.named_parameters() if name != "weight_ih_l0")
    with torch.no_grad():
        assert not module(x)[0].requires_grad
    module.requires_grad_(False)
    assert not module(x.detach())[0].requires_grad


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_a_graph_that_is_kept_gives_the_same_gradients_again(kind: str, fused: bool) -> None:
    module = getattr(nn, kind)(3, 4, 2)
    module.fused = fused
    total = module(torch.randn(5, 2, 3))[0].sum()
    first = torch.autograd.grad(total, list(module.parameters()), retain_graph=True)
    second = torch.autograd.grad(total, list(module.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("fused", [True, False])
def test_second_derivatives_exist(kind: str, fused: bool) -> None:
    module = getattr(nn, kind)(2, 2, dtype=torch.float64)
    module.fused = fused
    x = torch.randn(3, 1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: module(x)[0], (x,))
