"""Tensors that only `score` reads are checked like all others, and decide no output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.document import scoring
from tidegate.errors import ModelFileError
from tidegate.limits import MAX_SCORING_BYTES
from tidegate.model import Model
from tidegate.verify.samples import sample


def make(names: Any, tensors: dict[str, Any]) -> Model:
    model = sample(size=4)
    document = model.document
    document["provenance"]["scoring"] = names
    return Model(document, {**model.tensors, **tensors})


def test_they_are_no_part_of_the_weights_hash() -> None:
    entry, tensors = scoring.store({"bias": np.ones(3), "weight": np.ones((2, 3))})
    made = make(entry["scoring"], tensors)
    assert made.weights_hash == sample(size=4).weights_hash
    loaded = scoring.load(made.document["provenance"], made.tensors, {"weight": (2, 3)})
    assert loaded["weight"].tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize(
    ("names", "tensors", "why"),
    [
        ([], {}, "provenance.scoring: is .*; expected an object"),
        ({"a": 3}, {}, r"provenance.scoring.'a': is 3; expected a string"),
        ({"a": "scoring.a"}, {}, "expected an F32 tensor 'scoring.a'"),
        ({"a": "scoring.b"}, {"scoring.b": np.ones(1, np.float32)}, "expected an F32 tensor 'scoring.a'"),
        ({"a": "layers.0.weight"}, {}, "expected an F32 tensor 'scoring.a'"),
        ({"a": "scoring.a"}, {"scoring.a": np.ones(1, np.int64)}, "expected an F32 tensor 'scoring.a'"),
        ({"a": "scoring.a"}, {"scoring.a": np.full(1, np.nan, np.float32)}, "1 of 1 values are NaN or infinite"),
        ({f"a{i}": f"scoring.a{i}" for i in range(17)}, {}, "has 17 entries; at most 16 are allowed"),
        ({}, {"scoring.a": np.ones(1, np.float32)}, "tensor 'scoring.a': is not used in the document"),
        (
            {"a": "scoring.a"},
            {"scoring.a": np.broadcast_to(np.float32(0), MAX_SCORING_BYTES // 4 + 1)},
            "its tensors have 67108868 bytes; at most 67108864 are allowed",
        ),
    ],
)
def test_wrong_entries_are_refused(names: Any, tensors: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelFileError, match=why):
        make(names, tensors)


def test_a_layer_cannot_use_their_names() -> None:
    model = sample(size=4)
    document, tensors = model.document, dict(model.tensors)
    node = document["graphs"]["layers"]["nodes"][0]
    tensors["scoring.weight"] = tensors.pop(node["tensors"]["weight"])
    node["tensors"]["weight"] = "scoring.weight"
    with pytest.raises(ModelFileError, match="with 'scoring.' for what only `score` reads"):
        Model(document, tensors)


def test_a_role_that_is_missing_or_of_another_shape_is_named() -> None:
    entry, tensors = scoring.store({"bias": np.ones(3)})
    made = make(entry["scoring"], tensors)
    with pytest.raises(ModelFileError, match="provenance.scoring: 'weight' is missing, so the loss cannot be measured"):
        scoring.load(made.document["provenance"], made.tensors, {"weight": (2, 3)})
    with pytest.raises(ModelFileError, match=r"provenance.scoring.bias: has the shape \[3\]; expected \[4\]"):
        scoring.load(made.document["provenance"], made.tensors, {"bias": (4,)})
