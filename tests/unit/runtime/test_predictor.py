from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate import _native
from tidegate.errors import DataError, ModelFileError, OptionError, TargetError
from tidegate.layers import Layer
from tidegate.layers.dense import Dense
from tidegate.runtime import Predictor, Scores, compile, make_runner
from tidegate.runtime.threads import resolve_threads
from tidegate.runtime.whole_inputs import split_batches
from tidegate.verify.samples import sample


@pytest.fixture(scope="module")
def text() -> Predictor:
    return Predictor(sample(size=12))


def test_load_predict_classify_save(tmp_path: Path) -> None:
    model = sample(size=12, check=True)
    model.save(tmp_path / "a.safetensors")
    predictor = tidegate.load(tmp_path / "a.safetensors")
    out = predictor.predict(["my card", b"cash"])
    assert out.dtype == np.float32
    assert out.sum(-1) == pytest.approx(1)
    assert predictor.classify(["my card"]) == [f"label {out[0].argmax()}"]
    assert predictor.labels == [f"label {i}" for i in range(5)]
    predictor.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.safetensors: there is no such file"):
        tidegate.load(tmp_path / "none.safetensors")
    sample(check=True).save(tmp_path / "m.safetensors")
    with pytest.raises(TargetError, match=r"m\.safetensors: target 'z80'.*choose one of"):
        tidegate.load(tmp_path / "m.safetensors", target="z80")


def test_the_environment_names_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TARGET", "base")
    assert Predictor(sample(size=4)).target == "base"
    monkeypatch.setenv("TIDEGATE_TARGET", "z80")
    with pytest.raises(TargetError, match="z80"):
        Predictor(sample(size=4))
    assert Predictor(sample(size=4), _native.targets()[0]).target == _native.targets()[0]


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_THREADS", raising=False)
    assert 1 <= resolve_threads(None) <= 16
    monkeypatch.setenv("TIDEGATE_THREADS", "5")
    assert resolve_threads(None) == 5
    assert resolve_threads(2) == 2
    for bad in ("0", "x", "-1", "", "99999999999"):
        monkeypatch.setenv("TIDEGATE_THREADS", bad)
        with pytest.raises(OptionError, match="expected an integer of 1 to 1024"):
            resolve_threads(None)
    with pytest.raises(OptionError, match="threads is 0"):
        Predictor(sample(size=4), threads=0)


def test_texts_that_cannot_be_used_are_named(text: Predictor) -> None:
    with pytest.raises(DataError, match="text 3 has no word"):
        text.predict(["a", "b", "c", " \n", "d"])
    with pytest.raises(DataError, match="text 1: the text is not UTF-8"):
        text.predict(["a", b"\xff"])
    with pytest.raises(DataError, match="put the text in a list"):
        text.predict("my card")
    assert text.predict([]).shape == (0, 5)


def test_series_that_cannot_be_used_are_named() -> None:
    series = Predictor(sample(features=2, size=4))
    with pytest.raises(DataError, match="series 1 has no step"):
        series.predict([np.ones((3, 2)), np.ones((0, 2))])
    with pytest.raises(DataError, match=r"series 0: shape \[3, 3\]"):
        series.predict([np.ones((3, 3))])
    assert series.predict(np.ones((4, 7, 2))).shape == (4, 5)


def test_a_model_without_labels_gives_outputs() -> None:
    plain = Predictor(sample(features=2, size=4, softmax=False))
    assert plain.labels is None
    assert plain.predict(np.ones((1, 3, 2))).shape == (1, 5)
    with pytest.raises(OptionError, match="no labels; use predict"):
        plain.classify(np.ones((1, 3, 2)))
    scores = plain.stream().push(np.ones(2))
    assert scores.label is None
    assert list(scores.as_dict()) == ["values"]
    assert scores.top(1)[0][0] in {"0", "1", "2", "3", "4"}


def test_batches_hold_every_input_once_and_stay_small() -> None:
    lengths = [1, 50, 3] * 300 + [3_000_000]
    found = list(split_batches(lengths, 1))
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    assert found[0] == [900]
    assert max(map(len, found)) == 256


def test_a_layer_that_the_engine_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    add_layer = compile.__globals__["add_layer"]

    def refuse(engine: object, layer: Layer, *rest: object) -> None:
        if isinstance(layer, Dense):
            raise ValueError("too wide")
        add_layer(engine, layer, *rest)

    monkeypatch.setitem(compile.__globals__, "add_layer", refuse)
    with pytest.raises(ModelFileError, match=r"layers\[2\]: refused by the native engine: too wide"):
        compile(sample(size=4, over=()), fused=True)


def test_the_fused_kernel_runs_unless_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = sample(size=16)
    monkeypatch.delenv("TIDEGATE_FUSED", raising=False)
    assert Predictor(model).fused_layers == list(range(len(model.layers)))
    assert list(compile(model, fused=False).fused_layers) == []


def test_the_environment_leaves_fused_kernels_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model, whole = sample(size=16), sample(size=16, direction="both")
    every = list(range(len(model.layers)))
    for value, streaming, staged in (("0", [], []), ("1", every, every)):
        monkeypatch.setenv("TIDEGATE_FUSED", value)
        assert Predictor(model).fused_layers == list(compile(model).fused_layers) == streaming
        assert Predictor(whole).fused_layers == make_runner(whole).fused_layers == staged
        assert list(compile(model, fused=True).fused_layers) == every
        assert make_runner(whole, fused=False).fused_layers == []
    for bad in ("", "no", "2"):
        monkeypatch.setenv("TIDEGATE_FUSED", bad)
        with pytest.raises(
            OptionError, match=f"TIDEGATE_FUSED is '{bad}'; expected 1 for fused kernels, or 0 for none"
        ):
            Predictor(model)


def test_scores() -> None:
    scores = Scores(np.array([0.25, 0.5, 0.25], np.float32), ["a", "b", "c"])
    assert (scores.label, scores.score) == ("b", 0.5)
    assert scores.top(2) == [("b", 0.5), ("a", 0.25)]
    assert scores.as_dict() == {"label": "b", "score": 0.5, "scores": {"a": 0.25, "b": 0.5, "c": 0.25}}
    nothing = Scores(None, ["a"], "no complete word yet")
    assert nothing.as_dict() == {"label": None, "score": None, "scores": None, "reason": "no complete word yet"}
    assert nothing.top(3) == []
    assert "no complete word yet" in repr(nothing)
    assert repr(scores) == "Scores(b: 0.500, a: 0.250, c: 0.250)"
