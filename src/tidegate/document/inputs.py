"""Check an entry of `inputs` of a document, which says how a step's input is made; one function per kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ModelFileError
from ..strictjson import show
from ..tensors import Array
from .expect import check_integer, check_keys, check_object, check_tensor
from .limits import MAX_VOCABULARY, MAX_WIDTH

Tensors = Mapping[str, Array]


def check(value: Any, tensors: Tensors) -> int | None:
    """Check an input and return the width of the first layer's input; None for token ids."""
    check_object("inputs.x", value)
    kind = value.get("kind")
    if kind not in ("text", "ids", "array", "series"):
        raise ModelFileError(f"inputs.x.kind: is {show(kind)}; expected 'text', 'ids', 'array' or 'series'")
    if kind == "array":
        check_keys("inputs.x", value, "kind", "features")
        return check_integer("inputs.x.features", value["features"], 1, MAX_WIDTH)
    if kind == "series":
        from . import series  # here, as models of text do not need it

        return series.check(value, tensors)
    if kind == "ids":
        check_keys("inputs.x", value, "kind", "size")
        check_integer("inputs.x.size", value["size"], 1, MAX_VOCABULARY)
    else:
        check_text_input(value, tensors)
    return None


def check_text_input(value: Any, tensors: Tensors) -> None:
    check_keys("inputs.x", value, "kind", "tokenizer", "vocabulary", "size")
    check_object("inputs.x.tokenizer", value["tokenizer"])
    check_keys("inputs.x.vocabulary", value["vocabulary"], "bytes", "offsets")
    size = check_integer("inputs.x.size", value["size"], 1, MAX_VOCABULARY)
    for key, dtype, shape in (("bytes", "U8", (-1,)), ("offsets", "I64", (size + 1,))):
        check_tensor(f"inputs.x.vocabulary.{key}", value["vocabulary"][key], tensors, dtype, shape)


def tensor_names(value: dict[str, Any]) -> set[str]:
    """Return the names of the tensors that a valid input uses."""
    if value["kind"] == "text":
        return set(value["vocabulary"].values())
    if value["kind"] == "series" and value["scale"] is not None:
        return {value["scale"][role] for role in ("mean", "deviation") if value["scale"][role] is not None}
    return set()


def window_rows(value: dict[str, Any]) -> int | None:
    """Return how many rows of a window the layers run for one output; None without a window, as they then stream."""
    window = value.get("window")
    return None if window is None else window["length"] // window["segment"]
