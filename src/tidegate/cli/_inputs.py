"""Finds the task that a model was trained for."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from ..layers import INPUT


def find_task(file: str, command: str) -> Any:
    """Return the module of the task of the model in a file. Raises OptionError for a model that has none of ours."""
    from .. import tasks
    from ..model import Model

    model = Model.load(file)
    source = model.inputs[INPUT]
    name = model.document["task"]["kind"]
    if name in tasks.names() and source.kind in (task := tasks.load(name)).INPUTS:
        return task
    readable = {kind for each in tasks.names() for kind in tasks.load(each).INPUTS}
    what = "has no labels" if source.kind in readable else f"takes {source.takes}"
    *verbs, last = (tasks.load(each).VERB for each in tasks.names())
    raise OptionError(
        f"{file}: this model {what}, but {command} needs a model that {', '.join(verbs)} or {last}; "
        "use tidegate stream, or tidegate.load in Python"
    )
