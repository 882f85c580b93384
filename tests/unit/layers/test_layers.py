"""Layers: their options are checked, and their steps compute the textbook's values."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tidegate import cells, layers
from tidegate.errors import ModelFileError, OptionError
from tidegate.layers.program import load_file
from tidegate.tape import NumpyOps

TAPES = {"gru": cells.load("gru").tape}
SURPRISE = load_file(str(Path(__file__).parents[3] / "examples" / "surprise.py"), 4)
VALID: dict[str, tuple[dict[str, Any], int | None, int]] = {
    "embed": ({"rows": 10, "size": 4}, None, 4),
    "dense": ({"inputs": 4, "size": 3, "activation": "tanh"}, 4, 3),
    "norm": ({"size": 4, "eps": 1e-5}, 4, 4),
    "recurrent": ({"inputs": 4, "size": 5, "tape": "gru", "cell": "gru", "dialect": {}}, 4, 5),
    "pool": ({"size": 4, "over": ["last", "mean", "max", "attention"]}, 4, 16),
    "scale": ({"size": 4}, 4, 4),
    "softmax": ({"size": 4}, 4, 4),
    "final": ({"size": 4}, 4, 4),
    "conv": ({"inputs": 4, "size": 3, "width": 3, "centred": False, "activation": "none"}, 4, 3),
    "bidirectional": ({"inputs": 4, "size": 5, "tape": "gru", "cell": "gru", "dialect": {}}, 4, 10),
    "glu": ({"inputs": 4, "size": 3}, 4, 3),
    "attend": ({"size": 4, "heads": 2, "window": 5}, 4, 4),
    "program": (SURPRISE, 4, 4),
    "bag": ({"rows": 10, "size": 4, "most": 3}, None, 4),
    "running_bag": ({"rows": 10, "size": 4, "most": 3}, None, 4),
    "delay": ({"size": 4, "steps": 2}, 4, 4),
    "join": ({"size": 4}, 4, 4),
    "lags": ({"size": 6, "parts": 2, "columns": 2, "steps": 3}, 6, 12),
    "grouped": ({"inputs": 6, "groups": 2, "size": 5, "times": 3}, 6, 30),
    "given": ({"inputs": 4, "size": 3, "initial": [[0.5, -1.0, 2.0]]}, 4, 7),
    "surprise": ({"size": 8, "columns": 2, "most": 100.0}, 8, 4),
    "recent_scale": ({"size": 4, "share": 0.25, "trusted": 5.0, "most": 10.0, "wait": 3}, 4, 4),
    "mean_square": ({"size": 4, "share": 0.25, "wait": 3}, 4, 5),
    "cross_attend": ({"inputs": 4, "size": 6, "heads": 2, "most": 3, "initial": [[0.25] * 12, [1.5] * 12]}, 4, 6),
}


def test_every_layer_of_the_folder_is_tested_here() -> None:
    assert set(VALID) == set(layers.kinds())


@pytest.mark.parametrize("kind", VALID)
def test_a_valid_layer_tells_its_width(kind: str) -> None:
    options, width, out = VALID[kind]
    layer = layers.parse(kind, options, width, TAPES)
    assert (layer.kind, layer.width) == (kind, out)


@pytest.mark.parametrize("kind", VALID)
def test_a_layer_is_written_as_it_was_read(kind: str) -> None:
    options, width, _ = VALID[kind]
    node = {**options, "tensors": {"weight": "layers.0.weight"}, "add": 3}
    layer = layers.parse(kind, node, width, TAPES)
    assert layer.to_json() == node
    for way in (copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))):
        assert way(layer) == layer
        assert way(layer).to_json() == node


@pytest.mark.parametrize("kind", VALID)
def test_nothing_changes_a_layer(kind: str) -> None:
    options, width, _ = VALID[kind]
    layer = layers.parse(kind, {**options, "tensors": {}}, width, TAPES)
    with pytest.raises(TypeError):
        layer.tensors["weight"] = "other"  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        layer.add = 1  # type: ignore[misc]


@pytest.mark.parametrize("kind", VALID)
def test_first_weights_have_the_declared_shapes_and_uses(kind: str) -> None:
    layer = make_layer(kind)
    assert set(layer.uses) <= set(layer.shapes())
    for role, shape in layer.shapes().items():
        value = layer.init(np.random.default_rng(0), role, {})
        assert (value.shape, value.dtype) == (shape, np.float32)
        assert len(shape) == 2 or layer.use(role) not in ("matrix", "table")
        assert (len(np.unique(value)) > 1) == (layer.use(role) in ("matrix", "table") or role in ("age", "number"))


@pytest.mark.parametrize("kind", VALID)
def test_unknown_and_missing_options_are_named(kind: str) -> None:
    options, width, _ = VALID[kind]
    with pytest.raises(OptionError, match="unknown option 'bogus'"):
        layers.parse(kind, {**options, "bogus": 1}, width, TAPES)
    for key in set(options) - {"initial"}:
        with pytest.raises(OptionError, match=f"'{key}' is missing"):
            layers.parse(kind, {k: v for k, v in options.items() if k != key}, width, TAPES)


@pytest.mark.parametrize(
    ("kind", "change", "width", "sentence"),
    [
        ("embed", {"rows": 0}, None, "rows is 0; expected an integer of 1 to"),
        ("embed", {}, 4, "embed takes token ids; its input is 4 numbers"),
        ("dense", {"inputs": 5}, 4, "inputs is 5; the input is 4 wide"),
        ("dense", {}, None, "an embed layer must come first"),
        ("dense", {"activation": "gelu"}, 4, "choose one of none, relu, tanh, sigmoid"),
        ("dense", {"size": 2**40}, 4, "expected an integer of 1 to"),
        ("dense", {"size": True}, 4, "size is True"),
        ("norm", {"eps": 0.0}, 4, "eps is 0.0"),
        ("recurrent", {"tape": "lstm"}, 4, "tape is 'lstm'; the file has gru"),
        ("recurrent", {"tape": ["gru"]}, 4, "tape is ['gru']"),
        ("pool", {"over": []}, 4, "expected a list of last, mean, max, attention"),
        ("pool", {"over": ["mean", "mean"]}, 4, "an entry appears twice"),
        ("pool", {"over": [["mean"]]}, 4, "expected a list of"),
        ("softmax", {"size": 9}, 4, "the input is 4 wide"),
        ("final", {"size": 5}, 5, "size is 5; expected an even number, half of it for each direction"),
        ("final", {}, None, "an embed layer must come first"),
        ("conv", {"width": 0}, 4, "width is 0; expected an integer of 1 to 4096"),
        ("conv", {"centred": 1}, 4, "centred is 1; expected true or false"),
        ("conv", {"centred": True, "width": 1}, 4, "a window of one step has no centre, so set centred to false"),
        ("conv", {"ahead": 1}, 4, "unknown option 'centred'; conv has inputs, size, width, ahead, activation"),
        ("conv", {"activation": "gelu"}, 4, "choose one of none, relu, tanh, sigmoid"),
        ("conv", {"inputs": 1 << 20}, 1 << 20, "width 3 times inputs 1048576 is over 1048576"),
        ("conv", {}, None, "an embed layer must come first"),
        ("bidirectional", {"tape": "lstm"}, 4, "tape is 'lstm'; the file has gru"),
        ("bidirectional", {"inputs": 9}, 4, "inputs is 9; the input is 4 wide"),
        ("glu", {"inputs": 9}, 4, "inputs is 9; the input is 4 wide"),
        ("glu", {"size": 1 << 20}, 4, "size is 1048576; expected at most 524288, as a matrix has 2 * size rows"),
        ("glu", {}, None, "an embed layer must come first"),
        ("attend", {"heads": 3}, 4, "heads is 3; expected a divisor of size, which is 4"),
        ("attend", {"heads": 8}, 4, "heads is 8; expected a divisor of size"),
        ("attend", {"window": 0}, 4, "window is 0; expected an integer of 1 to 4096"),
        ("attend", {"window": 4097}, 4, "window is 4097; expected an integer of 1 to 4096"),
        ("attend", {"size": 1024, "window": 1025}, 1024, "window 1025 times size 1024 is over 1048576"),
        ("attend", {"size": 1 << 19, "window": 1}, 1 << 19, "is over 1048576; use a shorter window"),
        ("attend", {}, None, "an embed layer must come first"),
        ("given", {"size": 0}, 4, "size is 0; expected an integer of 1"),
        ("given", {"initial": [[1.0, 2.0]]}, 4, "initial[0] must be 3 float32 numbers"),
        ("given", {"initial": [[1.0] * 3] * 2}, 4, "initial must be a list of 1 to 1 rows; leave it out for none"),
        ("cross_attend", {"heads": 4}, 4, "heads is 4; expected a divisor of size, which is 6"),
        ("cross_attend", {"most": 4097}, 4, "most is 4097; expected an integer of 1 to 4096"),
        ("cross_attend", {"most": 4096, "size": 512}, 4, "most 4096 times size 512 is over 1048576; keep fewer rows"),
        ("cross_attend", {"initial": []}, 4, "initial must be a list of 1 to 3 rows"),
        ("cross_attend", {"initial": [[1e39] * 12]}, 4, "initial[0] must be 12 float32 numbers"),
        ("program", {"inputs": 5}, 4, "inputs is 5; the input is 4 wide"),
        ("program", {"inputs": 5}, 5, "program.inputs is 4; expected inputs, 5, and no ids"),
        ("program", {"program": SURPRISE["program"] | {"ids": 1}}, 4, "program: operation 1 (input): reads numbers"),
        ("program", {"program": SURPRISE["program"] | {"tensors": {"a b": [3]}}}, 4, "program: "),
        ("program", {"program": None}, 4, "program: a program is an object with the keys"),
        ("program", {"name": ""}, 4, "name is ''; expected 1 to 64 printable characters"),
        ("program", {"name": "a\nb"}, 4, "expected 1 to 64 printable characters"),
        ("program", {"name": "a" * 65}, 4, "expected 1 to 64 printable characters"),
        ("program", {"name": 3}, 4, "name is '3'"),
        ("program", {"roles": []}, 4, "roles is []; expected an object of tensors and their use"),
        ("program", {"roles": {"V": "matrix"}}, 4, "roles has 'V': 'matrix'; expected a tensor of the program"),
        ("program", {"roles": {"weight": "fixed"}}, 4, "roles has 'weight': 'fixed'; expected a tensor of the program"),
        ("program", {"roles": {"weight": ["matrix"]}}, 4, "roles has 'weight'"),
        ("program", {"roles": {"bias": "matrix"}}, 4, "'bias' is a matrix of shape [4]; expected two axes"),
        ("program", {"start": 3}, 4, "start is 3; expected an object of tensors and their first value"),
        ("program", {"start": {"V": 0.5}}, 4, "start has 'V': 0.5; expected a tensor of the program and a float32"),
        ("program", {"start": {"rate": 1}}, 4, "start has 'rate': 1; expected a tensor of the program and a float32"),
        ("program", {"start": {"rate": 0.1}}, 4, "start has 'rate': 0.1"),
        ("program", {}, None, "an embed layer must come first"),
        ("bag", {}, 4, "bag takes token ids; its input is 4 numbers"),
        ("bag", {"most": 1}, None, "most is 1; expected an integer of 2 to 512, as embed takes single ids"),
        ("running_bag", {}, 4, "running_bag takes token ids; its input is 4 numbers"),
        ("running_bag", {"most": 513}, None, "most is 513; expected an integer of 1 to 512"),
        ("running_bag", {"most": 1}, None, "most is 1; expected an integer of 2 to 512"),
        ("bag", {"most": 513}, None, "most is 513; expected an integer of 1 to 512"),
        ("delay", {"steps": 0}, 4, "steps is 0; expected an integer of 1 to 1024"),
        ("delay", {"size": 1 << 20, "steps": 2}, 1 << 20, "steps 2 times size 1048576 is over 1048576; use fewer"),
        ("lags", {"parts": 4}, 6, "parts is 4; expected a divisor of size, which is 6"),
        ("lags", {"columns": 4}, 6, "columns is 4; expected an integer of 1 to 3"),
        ("lags", {"steps": 1 << 19}, 6, "steps 524288 times parts 2 times columns 2 is over 1048576; use fewer"),
        ("grouped", {"groups": 4}, 6, "groups is 4; expected a divisor of inputs, which is 6"),
        ("grouped", {"size": 1 << 19}, 6, "groups 2 of size 524288, each 3 times, are over 1048576 numbers"),
        ("join", {"size": 5}, 4, "size is 5; the input is 4 wide"),
        ("surprise", {"columns": 3}, 8, "columns is 3; expected a third or a quarter of size, which is 8"),
        ("surprise", {"most": 0.5}, 8, "most is 0.5; expected a number such as 100.0, from 1 to 1000000"),
        ("surprise", {}, None, "an embed layer must come first"),
        ("recent_scale", {"share": 1}, 4, "share is 1; expected a number with a point, from 1e-06 to 1"),
        ("recent_scale", {"trusted": -1.0}, 4, "trusted is -1.0; expected a number with a point, from 0 to 1e+06"),
        ("recent_scale", {"wait": -1}, 4, "wait is -1; expected an integer of 0 to 1048576"),
        ("mean_square", {"share": 0.0}, 4, "share is 0.0; expected a number such as 0.1, from 0.000001 to 1"),
        ("mean_square", {"wait": 0.5}, 4, "wait is 0.5; expected an integer of 0 to 1048576"),
    ],
)
def test_values_that_cannot_be_are_refused(kind: str, change: dict[str, Any], width: int | None, sentence: str) -> None:
    options, _, _ = VALID[kind]
    with pytest.raises(OptionError) as caught:
        layers.parse(kind, {**options, **change}, width, TAPES)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("kind", ["../cells/gru", "os", "_options", 3, None])
def test_only_layers_of_the_folder_are_loaded(kind: Any) -> None:
    with pytest.raises(OptionError, match="unknown layer"):
        layers.load(kind)


def make_layer(kind: str, **changes: Any) -> layers.Layer:
    options, width, _ = VALID[kind]
    return layers.parse(kind, {**options, **changes}, width, TAPES)


def weights(kind: str, seed: int = 0, **changes: Any) -> tuple[layers.Layer, dict[str, Any]]:
    layer, rng = make_layer(kind, **changes), np.random.default_rng(seed)
    return layer, {r: rng.normal(size=shape) for r, shape in layer.shapes().items()}


def test_the_gru_layer_is_torchs_gru() -> None:
    layer, t = weights("recurrent")
    torch_gru = torch.nn.GRU(4, 5).double()
    for p, role in zip(torch_gru.parameters(), ("W", "R", "b", "c"), strict=True):
        p.data = torch.from_numpy(t[role])
    x = np.random.default_rng(1).normal(size=(20, 3, 4))
    want, _ = torch_gru(torch.from_numpy(x))
    s, got = {"h": np.zeros((3, 5))}, []
    for k in range(20):
        y, s = layer.step(NumpyOps, t, s, x[k], None)
        got.append(y)
    assert np.abs(np.stack(got) - want.detach().numpy()).max() < 1e-14


def test_the_norm_layer_is_torchs_layer_norm() -> None:
    layer, t = weights("norm")
    x = np.random.default_rng(1).normal(size=(3, 4))
    y, _ = layer.step(NumpyOps, t, {}, x, None)
    named = [torch.from_numpy(v) for v in (x, t["gain"], t["bias"])]
    assert np.allclose(y, torch.nn.functional.layer_norm(named[0], (4,), named[1], named[2], 1e-5).numpy(), atol=1e-14)


def test_the_running_pools_are_the_pools_of_every_prefix() -> None:
    layer, t = weights("pool")
    x = np.random.default_rng(1).normal(size=(9, 2, 4)) * 30
    s: dict[str, Any] = layer.initial_state(2)
    for k in range(9):
        y, s = layer.step(NumpyOps, t, s, x[k], k + 1)
        seen = x[: k + 1]
        e = seen @ t["score"] + t["score_bias"]
        a = np.exp(e - e.max(0))
        attended = (a[..., None] * seen).sum(0) / a.sum(0)[:, None]
        want = np.concatenate([seen[-1], seen.mean(0), seen.max(0), attended], -1)
        assert np.allclose(y, want, atol=1e-12)


@pytest.mark.parametrize("ahead", [-1, 3, 1.0, True, None, "1"])
def test_a_look_ahead_beyond_the_window_is_refused(ahead: Any) -> None:
    options = {"inputs": 4, "size": 3, "width": 3, "ahead": ahead, "activation": "none"}
    with pytest.raises(OptionError, match=f"ahead is {ahead!r}; expected an integer of 0 to 2, less than width"):
        layers.parse("conv", options, 4, {})


def test_a_convolution_that_looks_ahead_is_written_as_it_was_read() -> None:
    options = {"inputs": 4, "size": 3, "width": 3, "ahead": 2, "activation": "none"}
    layer = layers.parse("conv", options, 4, {})
    assert (layer.options(), layer.look_ahead, layer.whole_window) == (options, 2, "")
    assert layer.describe() == "4 -> 3, window of 3, 2 ahead"
    causal = layers.parse("conv", {**options, "ahead": 0}, 4, {})
    assert causal.options() == VALID["conv"][0]
    centred = layers.parse("conv", {**VALID["conv"][0], "centred": True}, 4, {})
    assert (centred.look_ahead, centred.options()["centred"]) == (1, True)


@pytest.mark.parametrize("width", [2, 3, 6])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_a_convolution_that_looks_ahead_is_torchs_with_its_padding(width: int, steps: int) -> None:
    for ahead in range(1, width):
        options = {"inputs": 4, "size": 3, "width": width, "ahead": ahead, "activation": "none"}
        layer, random = layers.parse("conv", options, 4, {}), np.random.default_rng(width)
        t = {"weight": random.normal(size=(3, 4 * width)), "bias": random.normal(size=3)}
        x = random.normal(size=(steps, 2, 4))
        kernel = torch.from_numpy(t["weight"].reshape(3, width, 4).transpose(0, 2, 1).copy())
        padded = torch.nn.functional.pad(torch.from_numpy(x).permute(1, 2, 0), (width - 1 - ahead, ahead))
        want = torch.nn.functional.conv1d(padded, kernel, torch.from_numpy(t["bias"])).permute(2, 0, 1)
        assert np.abs(np.stack(layer.whole(NumpyOps, t, list(x))) - want.numpy()).max() < 1e-14


@pytest.mark.parametrize(("width", "centred"), [(1, False), (2, False), (5, False), (2, True), (4, True), (5, True)])
def test_the_convolution_is_torchs(width: int, centred: bool) -> None:
    layer, t = weights("conv", width=width, centred=centred, activation="tanh")
    x = np.random.default_rng(1).normal(size=(9, 2, 4))
    back, ahead = ((width - 1) // 2, width // 2) if centred else (width - 1, 0)
    kernel = torch.from_numpy(t["weight"].reshape(3, width, 4).transpose(0, 2, 1).copy())
    padded = torch.nn.functional.pad(torch.from_numpy(x).permute(1, 2, 0), (back, ahead))
    want = torch.nn.functional.conv1d(padded, kernel, torch.from_numpy(t["bias"])).tanh().permute(2, 0, 1)
    assert np.abs(np.stack(layer.whole(NumpyOps, t, list(x))) - want.numpy()).max() < 1e-14


def test_the_bidirectional_layer_is_torchs_bidirectional_gru() -> None:
    layer, t = weights("bidirectional")
    torch_gru = torch.nn.GRU(4, 5, bidirectional=True).double()
    roles = [f"{way}.{role}" for way in ("forward", "backward") for role in ("W", "R", "b", "c")]
    for p, role in zip(torch_gru.parameters(), roles, strict=True):
        p.data = torch.from_numpy(t[role])
    x = np.random.default_rng(1).normal(size=(20, 3, 4))
    want, _ = torch_gru(torch.from_numpy(x))
    assert np.abs(np.stack(layer.whole(NumpyOps, t, list(x))) - want.detach().numpy()).max() < 1e-14


def test_a_whole_window_layer_says_why_and_keeps_no_state() -> None:
    two, both = make_layer("conv", width=5), make_layer("bidirectional")
    assert layers.whole_window([two]) == ""
    assert two.state() == {"past": ((4, 4), 0.0)}
    two = make_layer("conv", width=5, centred=True)
    reason = "its convolution looks 2 steps ahead and it reads each input in both directions"
    assert layers.whole_window([two, both, both]) == reason
    reason = "it reads each input in both directions and it takes the final states of both directions"
    assert layers.whole_window([both, make_layer("final")]) == reason
    assert two.state() == both.state() == {}
    assert both.carried() == {"h": ((5,), 0.0)}


@pytest.mark.parametrize("kind", ["bidirectional", "final"])
def test_a_whole_window_layer_refuses_to_step(kind: str) -> None:
    layer = make_layer(kind)
    with pytest.raises(OptionError, match=f"{kind} has no steps, because it "):
        layer.step(NumpyOps, {}, {}, np.zeros((1, 4)), 1)


def test_final_states_are_where_each_direction_ends() -> None:
    x = list(np.arange(12.0).reshape(3, 1, 4))
    assert [y.tolist() for y in make_layer("final").whole(NumpyOps, {}, x)] == [[[8.0, 9.0, 2.0, 3.0]]] * 3


def test_softmax_survives_large_scores() -> None:
    y, _ = make_layer("softmax").step(NumpyOps, {}, {}, np.array([[1e4, 0.0, -1e4, 1e4]]), None)
    assert np.allclose(y, [[0.5, 0, 0, 0.5]])


def test_a_layer_that_a_backend_lacks_is_refused_in_a_sentence() -> None:
    table = {layers.load(kind): kind for kind in ("pool", "dense")}
    assert layers.choose(table, make_layer("pool"), "cannot be drawn") == "pool"
    with pytest.raises(ModelFileError, match="softmax cannot be drawn; choose one of dense, pool"):
        layers.choose(table, make_layer("softmax"), "cannot be drawn")


def test_what_makes_probabilities_tells_its_logits() -> None:
    layer, t = weights("dense", activation="sigmoid")
    x = np.ones((1, 4))
    y, _ = layer.step(NumpyOps, t, {}, x, None)
    assert layer.ends_in == "sigmoid"
    assert np.allclose(NumpyOps.sigmoid(layer.logits(NumpyOps, t, x)), y)
    assert make_layer("softmax").logits(NumpyOps, {}, x) is x
    assert {kind: make_layer(kind).ends_in for kind in VALID if kind != "softmax"} == dict.fromkeys(
        set(VALID) - {"softmax"}, ""
    )
    with pytest.raises(OptionError, match="norm gives no probabilities"):
        make_layer("norm").logits(NumpyOps, {}, x)


def test_the_attention_is_torchs() -> None:
    """With biases for the positions of zero, over rows that are shorter than the window and longer."""
    size, heads, window = 12, 3, 5
    layer = layers.parse("attend", {"size": size, "heads": heads, "window": window}, size, {})
    rng = np.random.default_rng(0)
    t = {role: rng.normal(size=shape) for role, shape in layer.shapes().items()}
    t["age"] = layer.init(rng, "age", {}).astype(float)
    x = rng.normal(size=(9, 2, size))
    own = torch.nn.MultiheadAttention(size, heads, batch_first=False).double()
    names = {"in_proj_weight": "weight", "in_proj_bias": "bias", "out_proj.weight": "out_weight"}
    for name, p in own.named_parameters():
        p.data = torch.from_numpy(t[names.get(name, "out_bias")])
    distance = np.arange(9)[:, None] - np.arange(9)[None, :]
    seen = (distance >= 0) & (distance < window)
    bias = np.where(seen[None], t["position"].T[:, (window - 1 - distance).clip(0, window - 1)], -np.inf)
    mask = torch.from_numpy(np.tile(bias, (2, 1, 1)))
    whole = torch.from_numpy(x)
    want, _ = own(whole, whole, whole, attn_mask=mask, need_weights=False)
    assert np.abs(np.stack(layer.whole(NumpyOps, t, list(x))) - want.detach().numpy()).max() < 1e-12


def test_the_gated_linear_unit_is_torchs() -> None:
    layer, t = weights("glu")
    x = np.random.default_rng(1).normal(size=(3, 4))
    y, _ = layer.step(NumpyOps, t, {}, x, None)
    both = torch.from_numpy(x @ t["weight"].T + t["bias"])
    assert np.allclose(y, torch.nn.functional.glu(both).numpy(), atol=1e-14)


@pytest.mark.parametrize("kind", VALID)
def test_what_a_layer_holds_is_what_its_steps_only_read(kind: str) -> None:
    layer = make_layer(kind)
    if layer.whole_window:
        assert not layer.held
        return
    last = {name: layer.program.instructions[i] for name, i in layer.program.next.items()}
    only_read = [name for name, ins in last.items() if (ins.name, ins.args) == ("state", (name,))]
    assert list(layer.held) == only_read
    assert (layer.outside is not None) == bool(layer.held)


@pytest.mark.parametrize("kind", ["glu", "attend", "program", "cross_attend"])
def test_a_layer_counts_the_numbers_of_its_step(kind: str) -> None:
    layer = make_layer(kind)
    assert layer.registers == layer.program.numbers > layer.width
