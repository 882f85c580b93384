"""The baselines in a model file: checked like everything in it, and no part of what the weights hash covers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tidegate.document import baselines
from tidegate.errors import ModelFileError
from tidegate.limits import MAX_BASELINE_BYTES
from tidegate.model import Model
from tidegate.verify.samples import sample

RIDGE = {
    "kind": "ridge",
    "lookback": 5,
    "horizon": 3,
    "targets": 2,
    "season": 0,
    "centre": "last",
    "spread": "training",
    "tensors": {role: f"baseline.ridge.{role}" for role in ("mean", "weights", "bias")},
}
ARRAYS = {
    "baseline.ridge.mean": np.zeros((2, 5), np.float32),
    "baseline.ridge.weights": np.ones((2, 5, 3), np.float32),
    "baseline.ridge.bias": np.zeros((2, 3), np.float32),
}


def with_baselines(entries: Any, arrays: dict[str, Any]) -> Model:
    plain = sample(features=3, size=4)
    document = {**plain.document, "provenance": {"baseline_models": entries}}
    return Model(document, {**plain.tensors, **arrays})


def test_baselines_change_no_hash() -> None:
    plain = sample(features=3, size=4)
    model = with_baselines({"naive": {"kind": "seasonal_naive", "season": 24}, "ridge": RIDGE}, ARRAYS)
    assert baselines.check(model.document["provenance"], model.tensors) == set(ARRAYS)
    assert (model.weights_hash, model.schema_hash) == (plain.weights_hash, plain.schema_hash)
    assert baselines.check({}, {}) == set()


def put(**changes: Any) -> Callable[[], Any]:
    return lambda: {"ridge": {**RIDGE, **changes}}


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (list, "provenance.baseline_models: is []; expected an object"),
        (lambda: {"a": 1}, "provenance.baseline_models.'a': is 1; expected an object"),
        (lambda: {"": RIDGE}, "provenance.baseline_models: is ''; expected a string that is not empty"),
        (lambda: {"a": {"kind": "net"}}, "'a'.kind: is 'net'; expected 'seasonal_naive' or 'ridge'"),
        (lambda: {"a": {"kind": "seasonal_naive", "season": 0}}, "'a'.season: is 0; expected an integer of 1 to"),
        (lambda: {f"{i}": {"kind": "seasonal_naive", "season": 1} for i in range(17)}, "has 17 entries; at most 16"),
        (put(lookback=4), "'ridge'.tensors.mean: tensor 'baseline.ridge.mean' has shape [2, 5]; expected [2, 4]"),
        (put(centre="first"), "'ridge'.centre: is 'first'; expected one of last, mean"),
        (put(penalty=1), "'ridge': unknown key 'penalty'"),
        (put(tensors={"mean": "x", "weights": "y", "bias": "z"}), "there is no tensor 'x' in the file"),
        (lambda: {"a": RIDGE, "b": RIDGE}, "a tensor appears twice; each baseline needs its own"),
        (dict, "tensor 'baseline.ridge.bias' (and 2 more): is not used in the document; remove it"),
    ],
)
def test_a_wrong_baseline_is_one_sentence(entries: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        with_baselines(entries(), ARRAYS)
    assert sentence in str(caught.value)


def test_a_baseline_takes_its_own_names_and_no_other() -> None:
    named = {**RIDGE, "tensors": {**RIDGE["tensors"], "bias": "bias"}}  # type: ignore[dict-item]
    arrays = {**ARRAYS, "bias": ARRAYS["baseline.ridge.bias"]}
    with pytest.raises(ModelFileError, match=r"the name of tensor 'bias' must start with 'baseline\.'"):
        with_baselines({"ridge": named}, arrays)
    plain = sample(features=3, size=4)
    document, tensors = plain.document, dict(plain.tensors)
    role, name = next(iter(document["graphs"]["layers"]["nodes"][0]["tensors"].items()))
    document["graphs"]["layers"]["nodes"][0]["tensors"][role] = "baseline.layer"
    tensors["baseline.layer"] = tensors.pop(name)
    with pytest.raises(ModelFileError, match=r"with 'baseline\.' for baselines, and with 'scoring\.'"):
        Model(document, tensors)


def test_baselines_have_a_limit_of_bytes() -> None:
    L = MAX_BASELINE_BYTES // 4 // 3
    entry = {**RIDGE, "lookback": L, "targets": 1}
    shapes = {"mean": (1, L), "weights": (1, L, 3), "bias": (1, 3)}
    arrays = {f"baseline.ridge.{role}": np.zeros(shape, np.float32) for role, shape in shapes.items()}
    with pytest.raises(ModelFileError, match=rf"its tensors have \d+ bytes; at most {MAX_BASELINE_BYTES} are allowed"):
        with_baselines({"ridge": entry}, arrays)
