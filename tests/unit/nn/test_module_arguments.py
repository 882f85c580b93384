"""What the constructors of GRU, LSTM, RNN and MinGRU take: torch.nn's arguments, attributes, errors, first weights."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch

from tidegate import nn
from tidegate.errors import OptionError

KINDS = ["GRU", "LSTM", "RNN"]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 3, "bias": False},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"num_layers": 2, "dropout": 0.25, "dtype": torch.float64},
]
WRONG: list[tuple[str, dict[str, Any], type[Exception]]] = [
    ("input_size", {"input_size": 0}, ValueError),
    ("input_size", {"input_size": -1}, ValueError),
    ("input_size", {"input_size": 3.0}, TypeError),
    ("hidden_size", {"hidden_size": 0}, ValueError),
    ("hidden_size", {"hidden_size": "4"}, TypeError),
    ("num_layers", {"num_layers": 0}, ValueError),
    ("num_layers", {"num_layers": 1.5}, TypeError),
    ("bias", {"bias": 1}, TypeError),
    ("batch_first", {"batch_first": None}, TypeError),
    ("dropout", {"dropout": 1.5}, ValueError),
    ("dropout", {"dropout": -0.1}, ValueError),
    ("dropout", {"dropout": math.nan, "num_layers": 2}, ValueError),
    ("dropout", {"dropout": True}, ValueError),
    ("dropout", {"dropout": "half"}, ValueError),
]


def both(kind: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """torch's module and ours, drawn from the same seed."""
    made = []
    for room in (torch.nn, nn):
        torch.manual_seed(0)
        made.append(getattr(room, kind)(*args, **options))
    return made[0], made[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "wrong", "error"), WRONG, ids=[str(w) for _, w, _ in WRONG])
def test_a_wrong_argument_raises_what_torch_raises(
    kind: str, name: str, wrong: dict[str, Any], error: type[Exception]
) -> None:
    options = {"input_size": 3, "hidden_size": 4, **wrong}
    with pytest.raises(error):
        getattr(torch.nn, kind)(**options)
    with pytest.raises(error, match=name) as caught:
        getattr(nn, kind)(**options)
    assert isinstance(caught.value, OptionError)


@pytest.mark.parametrize(("size", "error"), [(-1, ValueError), (4, ValueError), (5, ValueError), (2.0, TypeError)])
def test_a_wrong_projection_raises_what_torch_raises(size: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        torch.nn.LSTM(3, 4, proj_size=size)
    with pytest.raises(error, match="proj_size"):
        nn.LSTM(3, 4, proj_size=size)


@pytest.mark.parametrize("kind", ["GRU", "RNN", "MinGRU"])
def test_a_projection_is_for_an_lstm_only(kind: str) -> None:
    with pytest.raises(ValueError, match="only supported for LSTM"):
        getattr(nn, kind)(3, 4, proj_size=2)
    if kind != "MinGRU":
        with pytest.raises(ValueError, match="only supported for LSTM"):
            getattr(torch.nn, kind)(3, 4, proj_size=2)


@pytest.mark.parametrize("room", [torch.nn, nn])
def test_an_unknown_nonlinearity_or_keyword_is_an_error(room: Any) -> None:
    with pytest.raises(ValueError, match="Unknown nonlinearity"):
        room.RNN(3, 4, nonlinearity="sine")
    with pytest.raises(TypeError, match="sigma"):
        room.GRU(3, 4, sigma=1)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GRU", {"reset": "never"}),
        ("GRU", {"update": "both"}),
        ("GRU", {"norm": "layer"}),
        ("GRU", {"residual": 1}),
        ("LSTM", {"peepholes": "yes"}),
        ("RNN", {"norm": 0}),
        ("MinGRU", {"norm": None}),
    ],
)
def test_a_wrong_dialect_is_an_error_that_names_it(kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        getattr(nn, kind)(3, 4, **options)


@pytest.mark.parametrize("room", [torch.nn, nn])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_with_one_layer_warns(room: Any, kind: str) -> None:
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        getattr(room, kind)(3, 4, dropout=0.5)


def test_a_residual_with_one_layer_warns() -> None:
    with pytest.warns(UserWarning, match="residual") as caught:
        nn.GRU(3, 4, residual=True)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_attributes_names_shapes_and_first_weights_are_torchs(kind: str, options: dict[str, Any]) -> None:
    theirs, own = both(kind, 3, 4, **options)
    for name in (
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
        "training",
    ):
        assert getattr(own, name) == getattr(theirs, name)
        assert type(getattr(own, name)) is type(getattr(theirs, name))
    assert [n for n, _ in own.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert list(own.children()) == list(own.buffers()) == []
    for name, weight in theirs.named_parameters():
        assert torch.equal(own.get_parameter(name), weight)
        assert own.get_parameter(name).dtype == weight.dtype
        assert own.get_parameter(name).requires_grad
    assert [[w.shape for w in ws] for ws in own.all_weights] == [[w.shape for w in ws] for ws in theirs.all_weights]
    assert own.all_weights[0][0] is own.weight_ih_l0
    assert not isinstance(own, torch.nn.RNNBase)


CELL = {"GRU": "gru", "LSTM": "lstm", "RNN": "rnn tanh"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_repr_is_torchs_and_names_the_engine(kind: str, options: dict[str, Any]) -> None:
    theirs, own = both(kind, 3, 4, **options)
    kernel = f"torch {CELL[kind].replace(' ', '_')} kernel"
    engine = f"native {CELL[kind]}" if own.dtype == torch.float32 else kernel
    assert repr(own) == repr(theirs)[:-1] + f", engine={engine})"
    assert own.double().engine == kernel


@pytest.mark.parametrize(
    ("module", "written"),
    [
        (nn.LSTM(3, 4, proj_size=2), "LSTM(3, 4, proj_size=2, engine=torch lstm kernel)"),
        (nn.LSTM(3, 4, peepholes=True), "LSTM(3, 4, peepholes=yes, engine=native lstm peepholes)"),
        (nn.GRU(3, 4, reset="before", norm=True), "GRU(3, 4, reset=before, norm=layer, engine=native gru before norm)"),
        (nn.GRU(3, 4, 2, residual=True), "GRU(3, 4, num_layers=2, residual=yes, engine=native gru)"),
        (nn.RNN(3, 4, nonlinearity="relu"), "RNN(3, 4, engine=native rnn relu)"),
        (nn.MinGRU(3, 4, norm=True), "MinGRU(3, 4, norm=layer, engine=native mingru norm)"),
        (nn.GRUCell(3, 4, False), "GRUCell(3, 4, bias=False, engine=torch gru kernel)"),
        (nn.RNNCell(3, 4, nonlinearity="relu"), "RNNCell(3, 4, nonlinearity=relu, engine=torch rnn_relu kernel)"),
        (nn.GRUCell(3, 4, update="replace"), "GRUCell(3, 4, update=replace, engine=tape)"),
    ],
)
def test_repr_names_dialect_and_engine(module: torch.nn.Module, written: str) -> None:
    assert repr(module) == written


def test_repr_follows_a_module_that_is_set_to_its_tape() -> None:
    module = nn.GRU(3, 4)
    module.fused = False
    assert repr(module) == "GRU(3, 4, engine=tape)"


POSITIONS: list[tuple[str, tuple[Any, ...]]] = [
    ("GRU", (3, 4, 2, False, True, 0.5, True)),
    ("LSTM", (3, 4, 2, False, True, 0.5, True, 2)),
    ("LSTM", (3, 4, 2, False, True, 0.5, True, 2, "cpu", torch.float64)),
    ("RNN", (3, 4, 2, "relu", False, True, 0.5, True)),
    ("GRUCell", (3, 4, False, "cpu", torch.float64)),
    ("LSTMCell", (3, 4, False, "cpu", torch.float64)),
    ("RNNCell", (3, 4, False, "relu", "cpu", torch.float64)),
]


@pytest.mark.parametrize(("kind", "args"), POSITIONS)
def test_arguments_stand_where_torch_has_them(kind: str, args: tuple[Any, ...]) -> None:
    theirs, own = both(kind, *args)
    assert {k: (v.shape, v.dtype) for k, v in own.state_dict().items()} == {
        k: (v.shape, v.dtype) for k, v in theirs.state_dict().items()
    }
    assert [getattr(own, k, 0) for k in ("batch_first", "dropout", "nonlinearity")] == [
        getattr(theirs, k, 0) for k in ("batch_first", "dropout", "nonlinearity")
    ]


@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_device_and_dtype_follow_as_documented(kind: str) -> None:
    documented = getattr(torch.nn, kind).__doc__.splitlines()[0]
    names = [part.partition("=")[0] for part in documented.partition("(")[2].rstrip(")").split(",")]
    own = list(inspect.signature(getattr(nn, kind).__init__).parameters.values())[1:]
    assert [p.name for p in own if p.kind is p.POSITIONAL_OR_KEYWORD] == names


def test_what_torch_lacks_is_given_by_name_only() -> None:
    for kind in ("GRU", "LSTM", "RNN", "MinGRU", "GRUCell", "LSTMCell", "RNNCell"):
        by_name = [
            p.name
            for p in inspect.signature(getattr(nn, kind).__init__).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        ]
        assert "norm" in by_name
        assert set(by_name) <= {"reset", "update", "norm", "residual", "peepholes", "proj_size"}


@pytest.mark.parametrize("kind", [*KINDS, "MinGRU", "GRUCell"])
def test_weights_are_made_on_a_device_in_a_dtype(kind: str) -> None:
    module = getattr(nn, kind)(3, 4, device="meta", dtype=torch.float16)
    assert {(w.device.type, w.dtype) for w in module.parameters()} == {("meta", torch.float16)}


@pytest.mark.parametrize("kind", [*KINDS, "MinGRU", "GRUCell", "LSTMCell", "RNNCell"])
def test_first_weights_fill_their_range_and_gains_are_one(kind: str) -> None:
    torch.manual_seed(0)
    module = getattr(nn, kind)(8, 16, norm=True)
    for name, weight in module.named_parameters():
        if name.startswith("norm_weight"):
            assert torch.equal(weight, torch.ones_like(weight))
        elif name.startswith("norm_bias"):
            assert torch.equal(weight, torch.zeros_like(weight))
        else:
            assert 0.2 < float(weight.detach().abs().max()) <= 0.25
            assert float(weight.detach().min()) < 0 < float(weight.detach().max())


def test_reset_parameters_draws_again_in_place() -> None:
    module = nn.GRU(3, 4, norm=True)
    before = {k: (v, v.detach().clone()) for k, v in module.named_parameters()}
    with torch.no_grad():
        module.norm_weight_ih_l0.fill_(7)
    module.reset_parameters()
    assert torch.equal(module.norm_weight_ih_l0, torch.ones(12))
    assert module.weight_ih_l0 is before["weight_ih_l0"][0]
    assert not torch.equal(module.weight_ih_l0, before["weight_ih_l0"][1])
    torch.manual_seed(5)
    theirs = torch.nn.GRU(3, 4)
    torch.manual_seed(5)
    module.reset_parameters()
    assert torch.equal(module.bias_hh_l0, theirs.bias_hh_l0)


def test_flatten_parameters_is_there_and_does_nothing() -> None:
    module = nn.LSTM(3, 4, 2)
    places = [w.data_ptr() for w in module.parameters()]
    assert module.flatten_parameters() is None
    assert [w.data_ptr() for w in module.parameters()] == places
