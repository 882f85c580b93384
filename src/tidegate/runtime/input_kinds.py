"""Make the kind of input that a model's document asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..model import Model
from .inputs import IdsInput, Input, NumbersInput, TextInput

KINDS: Final[dict[str, Callable[[Model, dict[str, Any]], Input]]] = {
    "text": TextInput,
    "ids": IdsInput,
    "array": NumbersInput,
}


def make_input(model: Model) -> Input:
    """Return the input that a model's document describes. Raises ModelFileError."""
    entry = model.input_section
    if entry["kind"] == "series":
        from .series import SeriesInput  # models of text need none of it

        return SeriesInput(model, entry)
    return KINDS[entry["kind"]](model, entry)
