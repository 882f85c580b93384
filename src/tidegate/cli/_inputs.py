"""Checks that a model fits the commands that predict labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import OptionError

if TYPE_CHECKING:
    from ..model import Model


def read_task(file: str) -> str:
    """Read the task of the model in a file. Raises ModelFileError."""
    from ..model import Model

    return str(Model.load(file).document["task"]["kind"])


def require_labels(model: Model, file: str, command: str) -> None:
    """Raise OptionError unless the model predicts labels of texts or series."""
    (source,) = model.inputs.values()
    if source.kind in ("text", "series") and model.labels is not None:
        return
    what = "has no labels" if source.kind in ("text", "series") else f"takes {source.takes}"
    raise OptionError(
        f"{file}: this model {what}, but {command} needs a model that predicts labels of texts or series; "
        "use tidegate stream, or tidegate.load in Python"
    )


def check_times(source: Any, model: Model) -> None:
    """Raise DataError if the times of series have a time zone but those in training had none, or the reverse."""
    from ..features.series import SeriesTransform
    from ..tasks._series import check_zone

    if model.input_section["kind"] == "series":
        check_zone(source, SeriesTransform.from_json(model.input_section, model.tensors))
