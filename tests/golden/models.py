"""Two small valid models of format 1, which the golden files, the attacks and the unit tests start from."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate import cells, layers
from tidegate.document import state_schema
from tidegate.tape import Tape

Parts = tuple[dict[str, Any], dict[str, Any]]

WORDS = [b"", b"tide", b"gate", b"a", b"the", b"opens", b"closes", b"water", "flüße".encode(), "潮".encode()]
TOKENIZER = {"kind": "word", "fold": True, "digits": "keep", "unicode": "14.0.0"}


def classifier(H: int = 8, seed: int = 1) -> Parts:
    """Text to three labels; document and tensors, check None."""
    V, E = len(WORDS), 5
    cell = cells.load("gru")
    chain = [
        {"kind": "embed", "rows": V, "size": E},
        recurrent(E, H, "gru"),
        {"kind": "norm", "size": H, "eps": 1e-5},
        recurrent(H, H, "gru", add=2),
        {"kind": "pool", "size": H, "over": ["last", "mean", "max", "attention"]},
        {"kind": "dense", "inputs": 4 * H, "size": 3, "activation": "none"},
        {"kind": "softmax", "size": 3},
    ]
    source = {
        "kind": "text",
        "tokenizer": TOKENIZER,
        "vocabulary": {"bytes": "input.vocabulary.bytes", "offsets": "input.vocabulary.offsets"},
        "size": V,
    }
    document, tensors = assembled(
        "classify", source, chain, {"gru": cell.tape}, ["low", "high", "slack"], seed
    )
    tensors["input.vocabulary.bytes"] = np.frombuffer(b"".join(WORDS), np.uint8)
    tensors["input.vocabulary.offsets"] = np.cumsum([0, *map(len, WORDS)], dtype=np.int64)
    return document, tensors


def forecaster(H: int = 6, seed: int = 2) -> Parts:
    """Three numbers a step to one; document and tensors, check None."""
    chain = [
        {"kind": "dense", "inputs": 3, "size": H, "activation": "tanh"},
        recurrent(H, H, "gru", add=0),
        {"kind": "dense", "inputs": H, "size": 1, "activation": "none"},
    ]
    source = {"kind": "array", "features": 3}
    return assembled("forecast", source, chain, {"gru": cells.load("gru").tape}, None, seed)


def recurrent(inputs: int, size: int, cell: str, **more: Any) -> dict[str, Any]:
    options = {"tape": cell, "cell": cell, "dialect": cells.load(cell).dialect}
    return {"kind": "recurrent", "inputs": inputs, "size": size, **options, **more}


def assembled(
    task: str,
    source: dict[str, Any],
    chain: list[dict[str, Any]],
    tapes: dict[str, Tape],
    labels: list[str] | None,
    seed: int,
) -> Parts:
    """The document around these layers, and random weights of both signs for each, no two equal."""
    rng, tensors = np.random.default_rng(seed), {}
    for i, layer in enumerate(chain):
        shapes = layers.load(layer["kind"]).tensors(layer, tapes)
        layer["tensors"] = {role: f"layers.{i}.{role}" for role in shapes}
        for role, shape in shapes.items():
            tensors[f"layers.{i}.{role}"] = rng.normal(0, 0.6, shape).astype(np.float32)
    document = {
        "format": 1,
        "task": {"kind": task, "options": {}},
        "input": source,
        "layers": chain,
        "tapes": {name: tape.to_json() for name, tape in tapes.items()},
        "state": state_schema(chain, tapes),
        "labels": labels,
        "streams": {"yes": True},
        "provenance": {"made_by": "tests/golden/make.py", "seed": seed},
        "check": None,
    }
    return document, tensors


def with_empty_check(parts: Parts) -> Parts:
    """The same with a check whose values are zero: valid in form, so that it can be saved."""
    document, tensors = parts
    case = {"steps": 1, "output": "check.1.output", "state": "check.1.state"}
    zeros = {"check.1.output": np.zeros(3), "check.1.state": np.zeros(4)}
    return {**document, "check": {"seed": 0, "stride": 1, "cases": [case]}}, {**tensors, **zeros}
