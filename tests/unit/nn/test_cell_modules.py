"""GRUCell, LSTMCell and RNNCell: torch.nn's arguments, attributes, errors and layouts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tidegate import nn
from tidegate.errors import TidegateError

KINDS = ["GRUCell", "LSTMCell", "RNNCell"]
Z = torch.zeros
WRONG: dict[str, tuple[torch.Tensor, torch.Tensor | None, type[Exception]]] = {
    "no axis": (Z(()), None, ValueError),
    "three axes": (Z(2, 2, 3), None, ValueError),
    "width": (Z(2, 4), None, RuntimeError),
    "width of one row": (Z(4), None, RuntimeError),
    "double": (Z(2, 3).double(), None, RuntimeError),
    "state of three axes": (Z(2, 3), Z(1, 2, 4), ValueError),
    "rows of the state": (Z(2, 3), Z(3, 4), RuntimeError),
    "one row of state for two": (Z(2, 3), Z(1, 4), RuntimeError),
    "width of the state": (Z(2, 3), Z(2, 5), RuntimeError),
    "state of two rows for one": (Z(3), Z(2, 4), RuntimeError),
    "dtype of the state": (Z(2, 3), Z(2, 4).double(), RuntimeError),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("x", "h", "error"), WRONG.values(), ids=WRONG)
def test_a_wrong_input_raises_what_torch_raises(
    kind: str, fused: bool, x: torch.Tensor, h: torch.Tensor | None, error: type[Exception]
) -> None:
    own = getattr(nn, kind)(3, 4)
    own.fused = fused
    given: tuple[Any, ...] = () if h is None else ((h, h) if kind == "LSTMCell" else h,)
    with pytest.raises(error):
        getattr(torch.nn, kind)(3, 4)(x, *given)
    with pytest.raises(error, match=kind) as caught:
        own(x, *given)
    assert isinstance(caught.value, TidegateError)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_attributes_and_first_weights_are_torchs(kind: str, bias: bool) -> None:
    made = []
    for room in (torch.nn, nn):
        torch.manual_seed(0)
        made.append(getattr(room, kind)(3, 4, bias))
    theirs, own = made
    assert (own.input_size, own.hidden_size, own.bias) == (3, 4, bias)
    assert list(own.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(v, own.state_dict()[k]) for k, v in theirs.state_dict().items())
    assert (own.bias_ih is None) == (own.bias_hh is None) == (not bias)
    assert not isinstance(own, torch.nn.RNNCellBase)
    assert repr(own) == repr(theirs)[:-1] + f", engine={own.engine})"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fused", [True, False])
def test_one_row_is_a_batch_of_one_and_no_rows_are_none(kind: str, fused: bool) -> None:
    module = getattr(nn, kind)(3, 4)
    module.fused = fused
    x = torch.randn(3)
    one, many, none = module(x), module(x[None]), module(Z(0, 3))
    for a, b, c in zip(*([v] if kind != "LSTMCell" else v for v in (one, many, none)), strict=True):
        assert a.shape == (4,)
        assert torch.allclose(a, b[0], atol=1e-6)
        assert c.shape == (0, 4)


@pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN"])
@pytest.mark.parametrize("norm", [False, True])
def test_steps_of_a_cell_are_the_sequence_of_its_module(kind: str, norm: bool) -> None:
    module, cell = getattr(nn, kind)(3, 4, norm=norm), getattr(nn, f"{kind}Cell")(3, 4, norm=norm)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in module.state_dict().items()})
    x, hx = torch.randn(5, 2, 3), None
    y, _ = module(x)
    for k in range(5):
        hx = cell(x[k], hx)
        assert torch.allclose(hx[0] if kind == "LSTM" else hx, y[k], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"hidden_size": -1}, ValueError),
        ({"input_size": 0}, ValueError),
        ({"input_size": 1.5}, TypeError),
        ({"bias": 0}, TypeError),
        ({"nonlinearity": "sine"}, ValueError),
        ({"norm": "layer"}, TypeError),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        nn.RNNCell(**{"input_size": 3, "hidden_size": 4, **options})


def test_an_lstm_cell_wants_both_states() -> None:
    with pytest.raises(TypeError, match="h_0, c_0"):
        nn.LSTMCell(3, 4)(Z(2, 3), Z(2, 4))
    with pytest.raises(ValueError, match="3 tensors; expected 2"):
        nn.LSTMCell(3, 4)(Z(2, 3), (Z(2, 4),) * 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_of_no_units_gives_no_numbers(kind: str) -> None:
    for room in (torch.nn, nn):
        y = getattr(room, kind)(3, 0)(torch.randn(2, 3))
        assert (y[0] if kind == "LSTMCell" else y).shape == (2, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_meta_device_gives_shapes(kind: str) -> None:
    y = getattr(nn, kind)(3, 4, device="meta")(torch.empty(2, 3, device="meta"))
    assert (y[0] if kind == "LSTMCell" else y).shape == (2, 4)
