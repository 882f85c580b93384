"""A document of format 1 describes the model that a new one describes."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.document.upgrade import upgrade
from tidegate.layers import to_nodes
from tidegate.verify.samples import sample


@pytest.mark.parametrize(("last", "softmax"), [(None, True), ("sigmoid", False)])
def test_labels_of_format_1_have_the_name_that_new_models_give_them(last: str | None, softmax: bool) -> None:
    model = sample(features=2, size=3, dense=last, outputs=None if last else 3, softmax=softmax)
    document: dict[str, Any] = model.document
    older = {key: document[key] for key in ("task", "tapes", "state", "streams", "provenance", "check")}
    layers = to_nodes(model.layers)
    older |= {"format": 1, "input": document["inputs"]["x"], "layers": layers, "labels": ["a", "b", "c"]}
    newer = upgrade(older)
    assert newer["graphs"] == document["graphs"]
    assert list(newer["outputs"]) == ["label"]
    assert newer["outputs"]["label"]["kind"] == ("multilabel" if last else "labels")
