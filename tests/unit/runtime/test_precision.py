"""bfloat16 from Python: the options, and every way to run a model with them."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate import _native
from tidegate.errors import ModelFileError, OptionError, TargetError
from tidegate.model import Model
from tidegate.runtime import Predictor, compile
from tidegate.runtime.precision import PRECISIONS, resolve_precision, round_weights, to_arguments
from tidegate.verify import attach, verify
from tidegate.verify.samples import sample

TEXTS = ["how much money do i have", "my card", "transfer 7 € to me please", "what is the exchange rate", "get cash"]


def test_a_precision_that_there_is_not() -> None:
    with pytest.raises(OptionError, match="weights is 'int8'; choose one of float32, bf16"):
        resolve_precision(weights="int8")
    with pytest.raises(OptionError, match="compute is 'half'; choose one of float32, bf16"):
        compile(sample(size=4), compute="half")
    with pytest.raises(OptionError, match="compute=bf16 rounds the weights as well; leave weights=float32 out"):
        Predictor(sample(size=4), weights="float32", compute="bf16")


def test_a_precision_and_its_arguments() -> None:
    assert [resolve_precision(**to_arguments(kind)) for kind in PRECISIONS] == list(PRECISIONS)
    assert resolve_precision("bf16", "bf16") == "compute=bf16"
    assert resolve_precision("float32", "float32") == "float32"


def test_the_representation_names_it() -> None:
    model = sample(size=4)
    assert "bf16" not in repr(Predictor(model))
    assert repr(Predictor(model, "base", 2, weights="bf16")).endswith("target='base', threads=2, weights='bf16')")
    assert repr(Predictor(model, "base", 2, compute="bf16")).endswith("target='base', threads=2, compute='bf16')")


def test_the_default_target_is_the_best_of_the_precision() -> None:
    for kind in PRECISIONS:
        assert Predictor(sample(size=4), **to_arguments(kind)).target == _native.targets(kind)[0]
    for target in set(_native.targets("compute=bf16")) - set(_native.targets()):
        assert compile(sample(size=4), target, compute="bf16").target == target
        with pytest.raises(TargetError, match=f"target '{target}': it is only for compute=bf16; choose one of "):
            Predictor(sample(size=4), target)


def test_the_environment_names_a_target_in_any_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TARGET", "base")
    assert {Predictor(sample(size=4), **to_arguments(kind)).target for kind in PRECISIONS} == {"base"}


@pytest.mark.parametrize("precision", PRECISIONS[1:])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_streams_pools_and_batches_give_the_same_bits(precision: str, cell: str) -> None:
    for target in _native.targets(precision):
        predictor = Predictor(sample(size=19, cell=cell, conv=3), target, 2, **to_arguments(precision))
        whole = predictor.predict(TEXTS)
        pool = predictor.pool()
        pooled = pool.push([(i, text, True) for i, text in enumerate(TEXTS)])
        for text, out, scores in zip(TEXTS, whole, pooled, strict=True):
            stream = predictor.stream()
            for letter in text[:-1]:
                stream.push(letter)
            assert stream.push(text[-1], end=True).values.tobytes() == out.tobytes() == scores.values.tobytes()


def test_rounding_changes_the_answers_a_little() -> None:
    model = sample(size=19)
    plain, *halves = [Predictor(model, "base", **to_arguments(kind)).predict(TEXTS) for kind in PRECISIONS]
    for found in halves:
        assert 1e-6 < abs(found - plain).max() < 0.02
    exact = Predictor(round_weights(model), "base").predict(TEXTS)
    assert halves[0].tobytes() == exact.tobytes()
    assert halves[1].tobytes() != exact.tobytes()


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_a_model_of_stages_takes_it_too(precision: str) -> None:
    model = sample(size=9, direction="both")
    plain, half = Predictor(model).predict(TEXTS), Predictor(model, **to_arguments(precision)).predict(TEXTS)
    assert 0 < abs(half - plain).max() < 0.05


def test_a_weight_too_large_is_named_by_its_layer(tmp_path: Path) -> None:
    model = sample(features=3, size=4)
    name = model.layers[0].tensors["W"]
    large = Model(model.document, {**model.tensors, name: np.full_like(model.tensors[name], 3.4e38)})
    with pytest.raises(ModelFileError, match=r"layers\[0\]: refused by the native engine: a weight of 3\.4.*bfloat16"):
        Predictor(large, weights="bf16")


def test_a_weight_too_large_is_named_by_verify_too() -> None:
    model = sample(features=3, size=4)
    name = model.layers[0].tensors["W"]
    large = attach(Model(model.document, {**model.tensors, name: np.full_like(model.tensors[name], -3.4e38)}))
    with pytest.raises(ModelFileError, match=r"'layers.0.W': a weight of -3.4e\+38 is too large for bfloat16; keep"):
        verify(large, weights="bf16")


def test_load_takes_what_a_predictor_takes() -> None:
    mine, theirs = (list(inspect.signature(one).parameters)[1:] for one in (tidegate.load, Predictor))
    assert mine == theirs
