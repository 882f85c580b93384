"""The builder of layers, and the walk along them."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate import cells, layers
from tidegate.errors import OptionError


def test_a_recurrence_takes_its_cell_and_adds_the_layer_before() -> None:
    builder = layers.Builder(3)
    builder.recurrence(cells.load("lstm", {"projection": "yes"}), 6, both=True)
    assert builder.width == 6
    builder.recurrence(cells.load("gru"), 6, residual=True)
    first, second = builder.layers
    assert (first.kind, second.kind, second.add) == ("bidirectional", "recurrent", 0)
    assert list(builder.tapes) == ["lstm", "gru"]
    assert second.tensors["W"] == "layers.1.W"


def test_a_second_dialect_of_a_cell_is_a_tape_of_its_own() -> None:
    builder = layers.Builder(3)
    for reset in ("after", "before", "after"):
        builder.recurrence(cells.load("gru", {"reset": reset}), 4)
    assert [list(layer.tapes) for layer in builder.layers] == [["gru"], ["gru-2"], ["gru"]]


def test_a_layer_that_does_not_fit_is_refused() -> None:
    builder = layers.Builder(None)
    with pytest.raises(OptionError, match="dense takes numbers"):
        builder.add("dense", inputs=3, size=2, activation="none")
    builder.add("embed", rows=5, size=3)
    with pytest.raises(OptionError, match="size is 4; the input is 3 wide"):
        builder.add("norm", size=4, eps=1e-5)
    assert [layer.kind for layer in builder.layers] == ["embed"]


def test_first_weights_depend_on_the_seed_alone() -> None:
    builder = layers.Builder(3)
    builder.recurrence(cells.load("gru", {"norm": "layer"}), 4)
    builder.add("dense", size=2, activation="none")
    drawn = [layers.init_weights(np.random.default_rng(seed), builder.layers, {"gain_x_r": 2.0}) for seed in (0, 0, 1)]
    assert list(drawn[0]) == [name for layer in builder.layers for name in layer.tensors.values()]
    for name, value in drawn[0].items():
        assert np.array_equal(value, drawn[1][name])
        assert np.array_equal(value, drawn[2][name]) == (value.ndim == 1)
    gains = {name: v[0] for name, v in drawn[0].items() if ".p.gain" in name}
    assert [gains.pop("layers.0.p.gain_x_r"), *set(gains.values())] == [2.0, 0.0]


def test_a_walk_continues_behind_the_layers_that_have_run() -> None:
    builder = layers.Builder(2)
    for add in (None, 0, 1):
        builder.add("scale", **({} if add is None else {"add": add}))
    ran: list[int] = []

    def run(i: int, layer: layers.Layer, x: int) -> int:
        ran.append(i)
        return 10 * x

    whole = layers.walk(builder.layers, {"x": 1}, run, sum)
    assert whole == {"x": 1, 0: 10, 1: 110, 2: 1210}
    assert layers.walk(builder.layers, {"x": 1}, run, sum, earlier={0: 10, 1: 110}) == whole
    assert ran == [0, 1, 2, 2]
