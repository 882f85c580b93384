"""How layers are split into stages, and what a model of stages refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate import cells
from tidegate.errors import ModelFileError, OptionError, TargetError
from tidegate.layers import Builder, Layer
from tidegate.layers.recurrent import Recurrent
from tidegate.runtime import Predictor, compile
from tidegate.runtime.offline import OfflineEngine, make_runner, reverse_rows, split_stages
from tidegate.verify.samples import sample

RECURRENCE: dict[str, Any] = {"tape": "gru", "cell": "gru", "dialect": {}}
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "embed": ("embed", {"rows": 5, "size": 4}),
    "dense": ("dense", {"size": 4, "activation": "none"}),
    "norm": ("norm", {"eps": 1e-5}),
    "pool": ("pool", {"over": ["last"]}),
    "ahead": ("conv", {"size": 4, "width": 3, "centred": True, "activation": "none"}),
    "recurrent": ("recurrent", {"size": 4, **RECURRENCE}),
    "bidirectional": ("bidirectional", {"size": 2, **RECURRENCE}),
}


def make_layers(*names: str, **adds: int) -> list[Layer]:
    """Make layers of width 4. adds: layer_I -> the layer that it adds."""
    builder = Builder(None if names[0] == "embed" else 4)
    builder.add_tape(cells.load("gru"))
    for i, name in enumerate(names):
        kind, options = OPTIONS[name]
        builder.add(kind, **options, **({"add": adds[f"layer_{i}"]} if f"layer_{i}" in adds else {}))
    return builder.layers


@pytest.mark.parametrize(
    ("layers", "stages"),
    [
        (make_layers("dense", "ahead", "norm", "pool", "dense"), [(0, 1), (1, 2), (2, 5)]),
        (make_layers("embed", "bidirectional", "pool"), [(0, 2), (2, 3)]),
        (make_layers("embed", "bidirectional", "pool", layer_1=0), [(0, 1), (1, 2), (2, 3)]),
        (make_layers("embed", "ahead", "bidirectional"), [(0, 1), (1, 2), (2, 3)]),
        (make_layers("ahead", "norm", "recurrent", "dense", layer_2=1), [(0, 1), (1, 4)]),
        (make_layers("ahead", "norm", "recurrent", "dense", layer_2=0), [(0, 1), (1, 3), (3, 4)]),
        (make_layers("dense", "norm", "ahead", "norm", layer_3=0), [(0, 1), (1, 2), (2, 3), (3, 4)]),
        # the cut for one add makes another add cross a cut
        (
            make_layers("dense", "dense", "dense", "ahead", "norm", "norm", layer_2=0, layer_4=1),
            [
                (0, 1),
                (1, 2),
                (2, 3),
                (3, 4),
                (4, 5),
                (5, 6),
            ],
        ),
    ],
)
def test_where_a_chain_is_cut(layers: list[Layer], stages: list[tuple[int, int]]) -> None:
    assert split_stages(layers) == stages


def test_a_row_is_turned_within_its_own_length() -> None:
    x = np.arange(8, dtype=np.int32).reshape(4, 2)
    assert reverse_rows(x, np.array([4, 2], np.int32)).tolist() == [[6, 3], [4, 1], [2, 5], [0, 7]]
    assert reverse_rows(x, np.array([0, 1], np.int32)).tolist() == x.tolist()


def test_a_model_that_streams_is_one_engine_and_another_is_stages() -> None:
    assert not isinstance(make_runner(sample(size=4)), OfflineEngine)
    both = sample(size=4, direction="both")
    staged = make_runner(both, "base", fused=True)
    assert isinstance(staged, OfflineEngine)
    assert (staged.target, staged.outputs, staged.fused_layers) == ("base", 5, list(range(len(both.layers))))
    assert make_runner(both, "base", fused=False).fused_layers == []
    with pytest.raises(
        OptionError, match="one engine cannot run this model, because it reads each input in both directions"
    ):
        compile(both)
    with pytest.raises(TargetError, match="z80"):
        make_runner(both, "z80")


def test_it_goes_on_from_no_state() -> None:
    model = sample(features=2, size=4, direction="both")
    x, lengths, state = np.zeros((3, 1, 2), np.float32), np.array([3], np.int32), np.zeros((1, 8), np.uint8)
    out, after = np.empty((1, 5), np.float32), np.empty_like(state)
    staged = make_runner(model)
    staged.run(x, lengths, state, after, out, False, 1)
    assert after.view(np.int64).item() == 3
    with pytest.raises(
        OptionError, match="cannot continue from a state, because it reads each input in both directions"
    ):
        staged.run(x, lengths, after, state, out, False, 1)


def test_rows_without_a_step_are_left_untouched() -> None:
    model = sample(features=2, size=4, conv=3, centred=True)
    x, states = np.full((3, 2, 2), np.nan, np.float32), np.zeros((2, 8), np.uint8)
    x[:2, 1] = 1
    for every in (False, True):
        out = np.full((3, 2, 5) if every else (2, 5), -7, np.float32)
        make_runner(model).run(x, np.array([0, 2], np.int32), states, np.empty_like(states), out, every, 2)
        assert (out[..., 0, :] == -7).all()
        assert np.isfinite(out).all()
        assert (out[1] != -7).any()


def test_predict_takes_rows_of_any_length() -> None:
    predictor = Predictor(sample(size=12, direction="both", conv=5, centred=True), threads=2)
    texts = ["my card", "card", "i lost my card and my account is not there ?", "x y z"] * 70
    whole = predictor.predict(texts)
    assert whole.sum(-1) == pytest.approx(1)
    for text, row in zip(texts[:4], whole, strict=False):
        assert predictor.predict([text])[0].tobytes() == row.tobytes()


def test_a_layer_that_the_engine_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    add_layer = compile.__globals__["add_layer"]

    def refuse(engine: object, layer: Layer, *rest: object) -> None:
        if isinstance(layer, Recurrent):
            raise ValueError("too wide")
        add_layer(engine, layer, *rest)

    monkeypatch.setitem(compile.__globals__, "add_layer", refuse)
    with pytest.raises(ModelFileError, match=r"layers\[0\]: refused by the native engine: too wide"):
        make_runner(sample(features=3, size=4, direction="both"), fused=True)
