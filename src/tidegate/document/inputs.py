"""The `input` of a document: how a step's input is made, kind by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ModelFileError
from ..strictjson import show
from ..tensors import Array
from .expect import keys, mapping, tensor, whole
from .limits import MAX_VOCABULARY, MAX_WIDTH

Tensors = Mapping[str, Array]


def check(value: Any, tensors: Tensors) -> int | None:
    """The width that the first layer gets: the features of a step, or None for token ids."""
    mapping("input", value)
    kind = value.get("kind")
    if kind not in ("text", "ids", "array", "series"):
        raise ModelFileError(f"input.kind: is {show(kind)}; expected 'text', 'ids', 'array' or 'series'")
    if kind == "array":
        keys("input", value, "kind", "features")
        return whole("input.features", value["features"], 1, MAX_WIDTH)
    if kind == "series":
        from . import series  # models of text need none of it

        return series.check(value, tensors)
    if kind == "ids":
        keys("input", value, "kind", "size")
        whole("input.size", value["size"], 1, MAX_VOCABULARY)
    else:
        text(value, tensors)
    return None


def text(value: Any, tensors: Tensors) -> None:
    keys("input", value, "kind", "tokenizer", "vocabulary", "size")
    mapping("input.tokenizer", value["tokenizer"])
    keys("input.vocabulary", value["vocabulary"], "bytes", "offsets")
    size = whole("input.size", value["size"], 1, MAX_VOCABULARY)
    for key, dtype, shape in (("bytes", "U8", (-1,)), ("offsets", "I64", (size + 1,))):
        tensor(f"input.vocabulary.{key}", value["vocabulary"][key], tensors, dtype, shape)


def tensors_of(value: dict[str, Any]) -> set[str]:
    """The names of the tensors of a valid input."""
    if value["kind"] == "text":
        return set(value["vocabulary"].values())
    if value["kind"] == "series" and value["scale"] is not None:
        return {value["scale"][role] for role in ("mean", "deviation") if value["scale"][role] is not None}
    return set()


def rows_of(value: dict[str, Any]) -> int | None:
    """Over how many rows the layers run afresh for one answer; None where they go on from step to step."""
    window = value.get("window")
    return None if window is None else window["length"] // window["segment"]


def outputs_of(value: dict[str, Any]) -> int | None:
    """How many outputs a valid input's answer needs; None where it has none."""
    answer = value.get("answer")
    if answer is None:
        return None
    ahead = answer["horizon"] if answer["head"] == "direct" else 1
    return int(ahead * value["roles"].count("target") * len(answer["quantiles"]))
