"""What a model takes, for commands that read texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OptionError

if TYPE_CHECKING:
    from ..model import Model

TAKES = {"text": "text", "array": "numbers", "ids": "token ids"}


def needs_labelled_text(model: Model, file: str, command: str) -> None:
    """Raises OptionError unless the model turns text into labels."""
    kind = model.document["input"]["kind"]
    if kind == "text" and model.labels is not None:
        return
    what = f"takes {TAKES[kind]}" if kind != "text" else "has no labels"
    raise OptionError(
        f"{file}: this model {what}, and {command} is for labels of texts; stream its events with tidegate stream, or "
        "use tidegate.load in Python"
    )
