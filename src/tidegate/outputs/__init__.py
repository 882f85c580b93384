"""Find the outputs of this folder, and parse the entries of a document's key `outputs`; see README.md."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import ModelFileError
from ..expect import check_object
from ..strictjson import show
from ._label_names import GIVEN
from ._reject import Reject as Reject
from ._scores import THRESHOLD as THRESHOLD
from ._scores import Scores as Scores
from .base import Answer as Answer
from .base import Answers as Answers
from .base import Output as Output

CONTRACT = "base"  # the module that is no kind


def kinds() -> list[str]:
    """List the kinds of outputs, sorted: the modules in this package's folders whose names have no _ in front.

    >>> "labels" in kinds()
    True
    """
    files = [name for folder in __path__ for name in os.listdir(folder)]
    return sorted({f[:-3] for f in files if f.endswith(".py") and not f.startswith("_")} - {CONTRACT})


def parse(name: str, entry: Any, width: int, inputs: Mapping[str, Any]) -> Output:
    """Check an entry of `outputs` and return the output that it describes.

    name: that of the entry. width: how many numbers its node has. inputs: those of the model, by name. `from` is left
    to the caller, who knows the graphs. Raises ModelFileError with the place, what was found and what was expected.

    >>> entry = {"kind": "values", "from": "layers.0", "at": "step", "labels": ["speed", "height"]}
    >>> parse("values", entry, 2, {}).labels
    ['speed', 'height']
    """
    place = f"outputs.{name}"
    check_object(place, entry)
    if (kind := entry.get("kind")) not in kinds():
        raise ModelFileError(f"{place}.kind: is {show(kind)}; expected one of {', '.join(kinds())}")
    output: Output = importlib.import_module(f"{__name__}.{kind}").parse(name, entry, width, inputs)
    return output


def feeds_back(entry: Mapping[str, Any]) -> bool:
    """Return whether the answers of a valid entry run the graph beyond the last step; see `Output.feeds_back`.

    >>> feeds_back({"kind": "values", "at": "step", "labels": None})
    False
    """
    module = importlib.import_module(f"{__name__}.{entry['kind']}")
    return hasattr(module, "feeds_back") and bool(module.feeds_back(entry))


def make_entry(labels: Sequence[str] | None, ends_in: str) -> dict[str, Any]:
    """Make the entry of labels, or of plain numbers without labels, all but `from`.

    ends_in: the function that the last layer ends in; see `Layer.ends_in`. With a sigmoid, an input has several labels.

    >>> make_entry(["rain", "wind"], "sigmoid")["kind"], make_entry(None, "")
    ('multilabel', {'kind': 'values', 'at': 'step', 'labels': None})
    """
    if labels is None:
        return {"kind": "values", "at": "step", "labels": None}
    common = {"at": "end", "labels": list(labels), "scores": GIVEN, "calibration": None}
    if ends_in == "sigmoid":
        return {"kind": "multilabel", **common, "threshold": THRESHOLD}
    return {"kind": "labels", **common}


def describe_numbers(outputs: Iterable[Output]) -> str:
    """Say what the numbers of a node are where they are not yet those of its outputs' answers; "" otherwise."""
    return "; ".join(text for output in outputs if (text := output.describe_numbers()))
