"""Dialects of modules: their equations, their entry in a state_dict, what loads into what, and conversion."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch.nn.functional import layer_norm, linear
from torch.nn.utils import prune

from tidegate import nn
from tidegate.errors import OptionError

D = torch.float64
LOADS = [({}, {}), ({"update": "replace"}, {"update": "replace"}), ({"reset": "before"}, {"reset": "before"})]


def drawn(kind: str, **options: Any) -> Any:
    """A module in float64 whose weights, gains and biases are all drawn wide."""
    module = getattr(nn, kind)(3, 4, **options, dtype=D)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=random, dtype=D) * 0.7)
    return module


def gru(m: Any, x: torch.Tensor) -> torch.Tensor:
    """A GRU of one layer written out, in every dialect."""
    h, out = torch.zeros(x.shape[1], 4, dtype=D), []

    def part(end: str, v: torch.Tensor, k: int) -> torch.Tensor:
        rows = slice(4 * k, 4 * k + 4)
        product = linear(v, getattr(m, f"weight_{end}_l0")[rows], getattr(m, f"bias_{end}_l0")[rows])
        if not m.norm:
            return product
        return layer_norm(
            product, (4,), getattr(m, f"norm_weight_{end}_l0")[rows], getattr(m, f"norm_bias_{end}_l0")[rows]
        )

    for step in x:
        r = torch.sigmoid(part("ih", step, 0) + part("hh", h, 0))
        z = torch.sigmoid(part("ih", step, 1) + part("hh", h, 1))
        inner = r * part("hh", h, 2) if m.reset == "after" else part("hh", r * h, 2)
        n = torch.tanh(part("ih", step, 2) + inner)
        h = z * h + (1 - z) * n if m.update == "keep" else z * n + (1 - z) * h
        out.append(h)
    return torch.stack(out)


@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("update", ["keep", "replace"])
@pytest.mark.parametrize("norm", [False, True])
def test_a_gru_computes_its_dialects_equation(reset: str, update: str, norm: bool) -> None:
    module, x = drawn("GRU", reset=reset, update=update, norm=norm), torch.randn(6, 2, 3, dtype=D)
    assert torch.allclose(module(x)[0], gru(module, x), atol=1e-13)
    cell = nn.GRUCell(3, 4, reset=reset, update=update, norm=norm, dtype=D)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in module.state_dict().items()})
    h = None
    for k, step in enumerate(x):
        h = cell(step, h)
        assert torch.allclose(h, module(x)[0][k], atol=1e-13)


def test_an_lstm_with_peepholes_computes_their_equation() -> None:
    m, x = drawn("LSTM", peepholes=True), torch.randn(6, 2, 3, dtype=D)
    h = c = torch.zeros(2, 4, dtype=D)
    p_i, p_f, p_o = m.weight_ch_l0.split(4)
    for k, step in enumerate(x):
        parts = linear(step, m.weight_ih_l0, m.bias_ih_l0) + linear(h, m.weight_hh_l0, m.bias_hh_l0)
        i, f, g, o = parts.chunk(4, -1)
        c = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
        assert torch.allclose(m(x)[0][k], h, atol=1e-13)
    assert torch.allclose(m(x)[1][1][0], c, atol=1e-13)


@pytest.mark.parametrize("bias", [True, False])
def test_a_minimal_gru_computes_its_equation(bias: bool) -> None:
    m, x = drawn("MinGRU", bias=bias), torch.randn(6, 2, 3, dtype=D)
    h = torch.randn(2, 4, dtype=D)
    y, last = m(x, h[None])
    for k, step in enumerate(x):
        z, n = linear(step, m.weight_ih_l0, m.bias_ih_l0 if bias else None).chunk(2, -1)
        h = (1 - torch.sigmoid(z)) * h + torch.sigmoid(z) * n
        assert torch.allclose(y[k], h, atol=1e-13)
    assert torch.equal(last[0], y[-1])


@pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN", "MinGRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_residual_adds_each_upper_layers_input(kind: str, bidirectional: bool) -> None:
    module = drawn(kind, num_layers=3, bidirectional=bidirectional, residual=True)
    x = torch.randn(5, 2, 3, dtype=D)
    wanted, ends = x, (("", "_reverse") if bidirectional else ("",))
    for k in range(3):
        one = getattr(nn, kind)(wanted.shape[-1], 4, bidirectional=bidirectional, dtype=D)
        one.load_state_dict({n.replace(f"_l{k}", "_l0"): v for n, v in module.state_dict().items() if f"_l{k}" in n})
        wanted = one(wanted)[0] + (wanted if k else 0)
    assert torch.allclose(module(x)[0], wanted, atol=1e-13)
    assert module.state_dict()["dialect"].dtype == torch.uint8
    assert len(ends) * 4 == wanted.shape[-1]


@pytest.mark.parametrize(
    ("kind", "options", "entry"),
    [
        ("GRU", {"reset": "before", "update": "replace"}, {"reset": "before", "update": "replace"}),
        ("GRU", {"num_layers": 2, "residual": True}, {"residual": "yes"}),
        ("GRUCell", {"norm": True}, {"norm": "layer"}),
        ("LSTM", {"peepholes": True, "proj_size": 2, "bias": False}, {"peepholes": "yes"}),
        ("RNN", {"nonlinearity": "relu", "norm": True}, {"norm": "layer"}),
        ("MinGRU", {"norm": True}, {"norm": "layer"}),
    ],
)
def test_another_dialect_adds_one_entry(kind: str, options: dict[str, Any], entry: dict[str, str]) -> None:
    state = getattr(nn, kind)(3, 4, **options).state_dict()
    value = state["dialect"]
    assert value.dtype == torch.uint8
    assert value.dim() == 1
    text = bytes(value.tolist()).decode()
    assert json.loads(text) == entry
    assert text == json.dumps(entry, sort_keys=True, separators=(",", ":"))
    names = {k for k, _ in getattr(nn, kind)(3, 4, **options).named_parameters()}
    assert set(state) - names == {"dialect"}


def test_defaults_and_what_the_keys_say_add_none() -> None:
    assert "dialect" not in nn.RNN(3, 4, nonlinearity="relu").state_dict()
    assert "dialect" not in nn.LSTM(3, 4, bias=False, proj_size=2).state_dict()
    assert "dialect" not in nn.MinGRU(3, 4).state_dict()


def test_a_norm_has_its_gains_and_biases_stacked_by_gate() -> None:
    shapes = {k: tuple(v.shape) for k, v in nn.GRU(3, 4, bias=False, norm=True).state_dict().items() if "norm" in k}
    assert shapes == {
        "norm_weight_ih_l0": (12,),
        "norm_bias_ih_l0": (12,),
        "norm_weight_hh_l0": (12,),
        "norm_bias_hh_l0": (12,),
    }
    assert not [k for k in nn.MinGRU(3, 4, norm=True).state_dict() if "hh" in k]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("source", LOADS)
@pytest.mark.parametrize("target", LOADS)
def test_weights_load_into_their_own_dialect_alone(source: Any, target: Any, strict: bool) -> None:
    module, weights = nn.GRU(3, 4, **target[0]), nn.GRU(3, 4, **source[0]).state_dict()
    if source == target:
        module.load_state_dict(weights, strict=strict)
        return
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with pytest.raises(RuntimeError) as caught:
        module.load_state_dict(weights, strict=strict)
    for found in (source[1], target[1]):
        assert (json.dumps(found, separators=(",", ":")) if found else "the default dialect") in str(caught.value)
    convertible = "reset" not in source[0] | target[0]
    assert ("tidegate.nn.convert(state_dict, update=" in str(caught.value)) == convertible
    assert ("only `update` can be converted" in str(caught.value)) != convertible
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_an_inner_modules_error_names_the_module_and_torch_refuses_other_dialects() -> None:
    outer = torch.nn.ModuleDict({"encoder": nn.GRU(3, 4)})
    with pytest.raises(RuntimeError, match=r"encoder: the state_dict is of dialect"):
        outer.load_state_dict(torch.nn.ModuleDict({"encoder": nn.GRU(3, 4, update="replace")}).state_dict())
    with pytest.raises(RuntimeError, match='Unexpected key.*"dialect"'):
        torch.nn.GRU(3, 4).load_state_dict(nn.GRU(3, 4, update="replace").state_dict())


@pytest.mark.parametrize(
    "entry",
    [
        torch.tensor([123, 34], dtype=torch.uint8),
        torch.tensor([91, 93], dtype=torch.uint8),
        torch.ones(3),
        "replace",
        torch.tensor([255, 254], dtype=torch.uint8),
        torch.zeros(2, 2, dtype=torch.uint8),
        torch.zeros(3, dtype=torch.uint8, device="meta"),
        torch.tensor(list(b'{"update":1}'), dtype=torch.uint8),
    ],
)
def test_a_damaged_entry_is_refused(entry: Any) -> None:
    with pytest.raises(RuntimeError, match="the entry 'dialect'"):
        nn.GRU(3, 4).load_state_dict({**nn.GRU(3, 4).state_dict(), "dialect": entry}, strict=False)


@pytest.mark.parametrize("update", ["keep", "replace"])
@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": True},
        {"bias": False},
        {"num_layers": 2, "bidirectional": True},
        {"num_layers": 2, "residual": True},
    ],
)
def test_converted_weights_compute_the_same(update: str, reset: str, options: dict[str, Any]) -> None:
    other = "keep" if update == "replace" else "replace"
    source = drawn("GRU", update=update, reset=reset, **options)
    weights = source.state_dict()
    before = {k: v.clone() for k, v in weights.items()}
    target = nn.GRU(3, 4, update=other, reset=reset, **options, dtype=D)
    target.load_state_dict(nn.convert(weights, update=other))
    x = torch.randn(5, 2, 3, dtype=D)
    for a, b in zip(source(x), target(x), strict=True):
        assert torch.allclose(a, b, atol=1e-13)
    assert all(torch.equal(v, before[k]) for k, v in weights.items())
    back = nn.convert(target.state_dict(), update=update)
    assert list(back) == list(before) or set(back) == set(before)
    assert all(torch.equal(v, before[k]) for k, v in back.items())


def test_weights_of_torch_of_a_cell_and_of_an_inner_module_are_converted() -> None:
    theirs, own = torch.nn.GRU(3, 4), nn.GRU(3, 4, update="replace")
    own.load_state_dict(nn.convert(theirs.state_dict(), update="replace"))
    x = torch.randn(5, 2, 3)
    assert torch.allclose(own(x)[0], theirs(x)[0], atol=1e-6)
    cell, replaced = torch.nn.GRUCell(3, 4), nn.GRUCell(3, 4, update="replace")
    replaced.load_state_dict(nn.convert(cell.state_dict(), update="replace"))
    assert torch.allclose(replaced(x[0]), cell(x[0]), atol=1e-6)
    net = torch.nn.ModuleDict({"a": theirs, "b": torch.nn.GRU(3, 4)})
    inner = torch.nn.ModuleDict({"a": nn.GRU(3, 4, update="replace"), "b": nn.GRU(3, 4)})
    inner.load_state_dict(nn.convert(net.state_dict(), update="replace", prefix="a."))
    assert torch.allclose(inner["a"](x)[0], theirs(x)[0], atol=1e-6)


def test_what_is_as_it_is_asked_for_stays() -> None:
    weights = nn.GRU(3, 4, reset="before").state_dict()
    for found in (nn.convert(weights), nn.convert(weights, update="keep", reset="before")):
        assert found.keys() == weights.keys()
        assert all(found[k] is weights[k] for k in weights)


@pytest.mark.parametrize("now", ["after", "before"])
def test_the_place_of_the_reset_cannot_be_converted(now: str) -> None:
    other = "before" if now == "after" else "after"
    with pytest.raises(OptionError, match=f"'{now}' .* cannot be converted to '{other}'"):
        nn.convert(nn.GRU(3, 4, reset=now).state_dict(), reset=other)


@pytest.mark.parametrize("weight", ["weight_ih_l0", "weight_hh_l0"])
@pytest.mark.parametrize("change", ["parametrisation", "pruning", "old weight norm"])
@pytest.mark.filterwarnings("ignore")
def test_weights_in_parts_are_not_converted(weight: str, change: str) -> None:
    module = nn.GRU(3, 4)
    if change == "parametrisation":
        torch.nn.utils.parametrizations.weight_norm(module, weight)
    elif change == "pruning":
        prune.random_unstructured(module, weight, 0.5)
    else:
        torch.nn.utils.weight_norm(module, weight)
    with pytest.raises(OptionError, match="is no weight but a part of one"):
        nn.convert(module.state_dict(), update="replace")


def test_a_state_dict_without_a_modules_weights_says_nothing_of_its_dialect() -> None:
    module = torch.nn.ModuleDict({"gru": nn.GRU(3, 4, reset="before"), "head": torch.nn.Linear(4, 2)})
    head = {key: value for key, value in module.state_dict().items() if key.startswith("head")}
    found = module.load_state_dict(head, strict=False)
    assert len(found.missing_keys) == 4
    with pytest.raises(RuntimeError, match="Missing key"):
        module.load_state_dict(head)
    with pytest.raises(RuntimeError, match="is of the default dialect"):
        module.load_state_dict({"gru.bias_ih_l0": module["gru"].bias_ih_l0}, strict=False)


def test_what_is_no_gru_or_no_choice_is_an_error() -> None:
    for kind in ("LSTM", "RNN", "MinGRU"):
        with pytest.raises(OptionError, match="GRU"):
            nn.convert(getattr(nn, kind)(3, 4).state_dict(), update="replace")
    with pytest.raises(OptionError, match="'both'"):
        nn.convert(nn.GRU(3, 4).state_dict(), update="both")
    with pytest.raises(OptionError, match=r"encoder\.weight_hh"):
        nn.convert(nn.GRU(3, 4).state_dict(), update="replace", prefix="encoder.")
