"""The transform of a forecaster's series as its model file has it, together with what is forecast."""

from __future__ import annotations

from tidegate import inputs, outputs
from tidegate.features.series import SeriesTransform
from tidegate.inputs.series import SeriesInput
from tidegate.tasks.base import Problem


def read_transform(problem: Problem) -> SeriesTransform:
    """Read the transform from a problem's entries, as a stream of the finished model has it."""
    source, width = inputs.parse("x", problem.inputs["x"], problem.arrays), problem.layers[-1].width
    assert isinstance(source, SeriesInput)
    entries = {name: {**entry, "from": ""} for name, entry in problem.outputs.items()}
    return source.serve([outputs.parse(name, entry, width, {"x": source}) for name, entry in entries.items()]).transform
