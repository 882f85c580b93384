"""The kinds of input, by the name that a model's document gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..model import Model
from .inputs import Ids, Input, Numbers, Text

PLAIN: Final[dict[str, Callable[[Model, dict[str, Any]], Input]]] = {"text": Text, "ids": Ids, "array": Numbers}


def make_input(model: Model) -> Input:
    """Return the input that a model's document describes. Raises ModelFileError."""
    entry = model.document["input"]
    if entry["kind"] == "series":
        from .series import Series  # models of text need none of it

        return Series(model, entry)
    return PLAIN[entry["kind"]](model, entry)
