"""An initial state that is not zero: every target starts from it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from tidegate import _native
from tidegate.document import state_schema, streams_entry
from tidegate.errors import ModelFileError, OptionError
from tidegate.layers import parse
from tidegate.model import Model
from tidegate.verify import attach, verify
from tidegate.verify.samples import sample

CELLS: list[tuple[str, dict[str, str]]] = [("gru", {}), ("lstm", {"projection": "yes"}), ("mingru", {})]


def model(cell: str, dialect: dict[str, str], whole: bool = False, **initial: Any) -> Model:
    """Return a recurrence with random initial states, and a pool; `whole`: with a centred convolution between them."""
    plain, rng = sample(features=3, size=6, cell=cell, dialect=dialect, over=("mean",)), np.random.default_rng(0)
    document, tensors = plain.document, dict(plain.tensors)
    layers, tape = document["graphs"]["layers"]["nodes"], plain.tapes[cell]
    P = 3 if tape.has_projection else 6
    sizes = {name: P if shape == ("P",) else 6 for name, shape in tape.state.items()}
    first = {name: np.float32(rng.normal(0, 2, n)).tolist() for name, n in sizes.items()}
    layers[0]["initial"] = initial or first
    if whole:
        names = {"weight": "conv.weight", "bias": "conv.bias"}
        layers.insert(
            1,
            {
                "layer": "conv",
                "from": [0],
                "inputs": P,
                "size": P,
                "width": 3,
                "centred": True,
                "activation": "none",
                "tensors": names,
            },
        )
        tensors |= {"conv.weight": np.float32(rng.normal(size=(P, 3 * P))), "conv.bias": np.zeros(P, np.float32)}
    for output in document["outputs"].values():
        output["from"] = f"layers.{len(layers) - 1}"
    with suppress(OptionError):  # the model refuses it too, and names its place
        parsed, width = [], 3
        for i, node in enumerate(layers):
            node["from"] = [i - 1] if i else ["x"]
            options = {k: v for k, v in node.items() if k not in ("layer", "from")}
            parsed.append(parse(node["layer"], options, width, plain.tapes))
            width = parsed[-1].width
        document |= {"state": state_schema(parsed), "streams": streams_entry(parsed)}
    return Model(document, tensors)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("cell", "dialect"), CELLS)
def test_every_target_starts_from_it(cell: str, dialect: dict[str, str], whole: bool) -> None:
    results = verify(attach(model(cell, dialect, whole)))
    assert {"oracle", "torch", *_native.targets()} <= {result.target for result in results if result.ran}
    assert [result for result in results if not result.ok] == []


def test_it_matters_at_the_first_step_and_belongs_to_the_weights() -> None:
    found = model("gru", {})
    zeros = model("gru", {}, h=[0.0] * 6)
    assert found.weights_hash != zeros.weights_hash
    check = [m.tensors["check.0.output"] for m in (attach(found), attach(zeros))]
    assert abs(check[0] - check[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("initial", "sentence"),
    [
        ({"c": [0.0]}, "initial names 'c'; the states are h"),
        ({"h": [0.0] * 5}, r"initial.h must be float32 numbers of shape \[6\]"),
        ({"h": [0.0] * 5 + [0]}, "initial.h must be float32 numbers"),
        ({"h": [0.0] * 5 + [0.1]}, "initial.h must be float32 numbers"),
        ({"h": [[0.0] * 6]}, "initial.h must be float32 numbers"),
        ({"h": [0.0, [0.0]]}, "initial.h must be float32 numbers"),
        ({"h": 0.0}, "initial.h must be float32 numbers"),
    ],
)
def test_what_it_cannot_be_is_refused(initial: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelFileError, match=sentence):
        model("gru", {}, **initial)


def test_an_empty_one_is_refused() -> None:
    plain = sample(features=3, size=6)
    document = plain.document
    document["graphs"]["layers"]["nodes"][0]["initial"] = {}
    with pytest.raises(ModelFileError, match="initial must be an object of one state or more; leave it out for zeros"):
        Model(document, plain.tensors)
