"""Upgrade documents of older formats to the current one; docs/format.md says how, and golden files prove it."""

from __future__ import annotations

from typing import Any

from ..errors import ModelFileError
from ..expect import check_integer, check_keys, check_list, check_object
from ..strictjson import show

Document = dict[str, Any]

KEYS_1 = ("format", "task", "input", "layers", "tapes", "state", "labels", "streams", "provenance", "check")
THRESHOLD_1 = 0.5  # format 1 does not say from which score on a label of several applies: it was always this one


def upgrade(document: Document) -> Document:
    """Return a document of format 1 as one of format 2; a document of format 2 is returned as it is.

    What both formats say in the same way is copied and not checked here. Raises ModelFileError where the document does
    not have the keys of format 1.

    >>> sections = ("task", "tapes", "state", "streams", "provenance", "check")
    >>> layers = [{"kind": "softmax", "size": 2, "tensors": {}}]
    >>> older = {"format": 1, "input": {"kind": "array", "features": 2}, "layers": layers, "labels": ["a", "b"]}
    >>> newer = upgrade(older | dict.fromkeys(sections))
    >>> newer["graphs"]["layers"]["nodes"], newer["outputs"]["label"]["from"]
    ([{'layer': 'softmax', 'from': ['x'], 'size': 2, 'tensors': {}}], 'layers.0')
    """
    if document["format"] != 1:
        return document
    check_keys("the document", document, *KEYS_1)
    check_object("input", document["input"])
    check_list("layers", document["layers"], 1, 1 << 16)
    for i, layer in enumerate(document["layers"]):
        check_object(f"layers[{i}]", layer)
    copied = {key: document[key] for key in ("tapes", "state", "streams", "provenance", "check")}
    return {
        "format": 2,
        "task": document["task"],
        "inputs": {"x": upgrade_input(document["input"])},
        "graphs": {"layers": {"clock": "x", "nodes": chain_nodes(document["layers"])}},
        "outputs": upgrade_outputs(document["input"], document["layers"], document["labels"]),
        "decoders": {},
        **copied,
    }


def chain_nodes(layers: list[Document]) -> list[Document]:
    """Return layers as the nodes of a graph, each of which reads the one before.

    >>> chain_nodes([{"kind": "embed", "rows": 9, "size": 2}, {"kind": "norm", "size": 2, "eps": 1e-5}])[1]
    {'layer': 'norm', 'from': [0], 'size': 2, 'eps': 1e-05}
    """
    return [
        {
            "layer": layer.get("kind"),
            "from": [i - 1] if i else ["x"],
            **{k: v for k, v in layer.items() if k != "kind"},
        }
        for i, layer in enumerate(layers)
    ]


def upgrade_input(section: Document) -> Document:
    """Return the key `input` of format 1 without what it says about outputs."""
    if section.get("kind") != "series":
        return section
    entry = {key: value for key, value in section.items() if key != "answer"}
    if isinstance(roles := entry.get("roles"), list):
        entry["roles"] = ["past" if role == "target" else role for role in roles]
    return entry


def upgrade_outputs(section: Document, layers: list[Document], labels: Any) -> Document:
    """Return the outputs that format 1 described in its input, or left to be guessed from the last layer."""
    source = f"layers.{len(layers) - 1}"
    if section.get("answer") is not None:
        if labels is not None:
            raise ModelFileError("labels: must be null, as a model with input.answer forecasts")
        return {"forecast": upgrade_answer(section, source)}
    if labels is None:
        return {"values": {"kind": "values", "from": source, "at": "step", "labels": None}}
    common = {"from": source, "at": "end", "labels": labels, "scores": "given", "calibration": None}
    if layers[-1].get("kind") == "dense" and layers[-1].get("activation") == "sigmoid":
        return {"label": {"kind": "multilabel", **common, "threshold": THRESHOLD_1}}
    return {"label": {"kind": "labels", **common}}


def upgrade_answer(section: Document, source: str) -> Document:
    """Return the key `input.answer` of format 1 as an output."""
    answer, columns, roles = section["answer"], section.get("columns"), section.get("roles")
    check_keys("input.answer", answer, "horizon", "quantiles", "head")
    if not isinstance(columns, list) or not isinstance(roles, list) or len(roles) != len(columns):
        raise ModelFileError("input.roles: expected a role for each of input.columns")
    targets = [name for name, role in zip(columns, roles, strict=True) if role == "target"]
    if not targets:
        raise ModelFileError("input.roles: has no 'target'; with input.answer there must be one to forecast")
    return {"kind": "forecast", "from": source, "at": "step", "of": "x", "columns": targets, **answer}


def read_format(document: Any, newest: int) -> int:
    """Return the format of a document. Raises ModelFileError unless it is one of 1 to `newest`."""
    check_object("the document", document)
    version = document.get("format")
    if type(version) is int and version > newest:
        raise ModelFileError(
            f"was made by a newer tidegate (format {version}); this version reads format {newest}; upgrade tidegate"
        )
    if type(version) is not int:
        raise ModelFileError(f"format is {show(version)}; expected {newest}")
    return check_integer("format", version, 1, newest)
