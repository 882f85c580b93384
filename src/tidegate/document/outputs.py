"""Check the key `outputs` of a document, which says what the numbers of a node mean; one function per kind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

from ..errors import ModelFileError
from ..strictjson import show
from .expect import check_integer, check_keys, check_list, check_object, check_text
from .limits import MAX_HORIZON, MAX_OUTPUTS, MAX_QUANTILES, MAX_WIDTH

Entry = dict[str, Any]
COMMON: Final = ("kind", "from", "at")
SCORES: Final = ("given", "logits")
HEADS: Final = ("direct", "autoregressive")


def check_outputs(document: dict[str, Any], nodes: int, width: int) -> None:
    """Check all outputs. nodes: how many there are; width: that of the last one. Raises ModelFileError."""
    outputs = document["outputs"]
    check_object("outputs", outputs)
    if not 1 <= len(outputs) <= MAX_OUTPUTS:
        raise ModelFileError(f"outputs: has {len(outputs)} entries; expected 1 to {MAX_OUTPUTS}")
    for name, entry in outputs.items():
        check_text("a name in outputs", name)
        place = f"outputs.{name}"
        check_object(place, entry)
        if not isinstance(entry.get("kind"), str) or entry["kind"] not in KINDS:
            raise ModelFileError(f"{place}.kind: is {show(entry.get('kind'))}; expected one of {', '.join(KINDS)}")
        if entry.get("from") != (source := f"layers.{nodes - 1}"):
            raise ModelFileError(f"{place}.from: is {show(entry.get('from'))}; expected {source!r}, the last node")
        at = "end" if entry["kind"] in ("labels", "multilabel") else "step"
        if entry.get("at") != at:
            raise ModelFileError(f"{place}.at: is {show(entry.get('at'))}; expected {at!r}")
        KINDS[entry["kind"]](place, entry, check_part(place, entry, width), document)


def check_part(place: str, entry: Entry, width: int) -> int:
    """Check the numbers of the node that are the output's own, and return how many they are."""
    if "part" not in entry:
        return width
    check_list(f"{place}.part", entry["part"], 2, 2)
    start = check_integer(f"{place}.part[0]", entry["part"][0], 0, width - 1)
    return check_integer(f"{place}.part[1]", entry["part"][1], start + 1, width) - start


def keys_of(entry: Entry, *keys: str) -> tuple[str, ...]:
    """Return the keys that an output must have. `part` may be left out."""
    return (*COMMON, *(("part",) if "part" in entry else ()), *keys)


def check_labels(place: str, entry: Entry, width: int, document: dict[str, Any]) -> None:
    check_keys(place, entry, *keys_of(entry, "labels", "scores", "calibration"))
    check_label_names(f"{place}.labels", entry["labels"], width)
    check_scores(place, entry)
    check_calibration(place, entry)


def check_multilabel(place: str, entry: Entry, width: int, document: dict[str, Any]) -> None:
    check_keys(place, entry, *keys_of(entry, "labels", "scores", "calibration", "threshold"))
    check_label_names(f"{place}.labels", entry["labels"], width)
    check_scores(place, entry)
    check_calibration(place, entry)
    if type(entry["threshold"]) is not float or not 0 < entry["threshold"] < 1:
        raise ModelFileError(f"{place}.threshold: is {show(entry['threshold'])}; expected a number between 0 and 1")


def check_tags(place: str, entry: Entry, width: int, document: dict[str, Any]) -> None:
    check_keys(place, entry, *keys_of(entry, "labels", "scores"))
    check_label_names(f"{place}.labels", entry["labels"], width)
    check_scores(place, entry)


def check_values(place: str, entry: Entry, width: int, document: dict[str, Any]) -> None:
    check_keys(place, entry, *keys_of(entry, "labels"))
    if entry["labels"] is not None:
        check_label_names(f"{place}.labels", entry["labels"], width)


def check_forecast(place: str, entry: Entry, width: int, document: dict[str, Any]) -> None:
    check_keys(place, entry, *keys_of(entry, "of", "columns", "horizon", "quantiles", "head"))
    if entry["of"] != "x" or (series := document["inputs"]["x"])["kind"] != "series":
        raise ModelFileError(f"{place}.of: is {show(entry['of'])}; expected the name of an input of kind 'series'")
    horizon = check_integer(f"{place}.horizon", entry["horizon"], 1, MAX_HORIZON)
    check_list(f"{place}.quantiles", entry["quantiles"], 1, MAX_QUANTILES)
    for i, q in enumerate(entry["quantiles"]):
        if type(q) is not float or not 0 < q < 1:
            raise ModelFileError(f"{place}.quantiles[{i}]: is {show(q)}; expected a number between 0 and 1")
    if not all(a < b for a, b in pairwise(entry["quantiles"])):
        raise ModelFileError(
            f"{place}.quantiles: are {show(entry['quantiles'])}; each must be greater than the one before"
        )
    if entry["head"] not in HEADS:
        raise ModelFileError(f"{place}.head: is {show(entry['head'])}; expected one of {', '.join(HEADS)}")
    check_columns(f"{place}.columns", entry["columns"], series)
    if series["window"] is None and (series["scale"] is None or series["scale"]["deviation"] is None):
        raise ModelFileError(
            f"{place}: needs a window in inputs.x, or its means and deviations, to scale outputs to their units"
        )
    count = len(entry["columns"]) * len(entry["quantiles"])
    if horizon * count > MAX_WIDTH:
        raise ModelFileError(f"{place}: a forecast has {horizon * count} numbers; at most {MAX_WIDTH} are allowed")
    if width != (needed := count * (horizon if entry["head"] == "direct" else 1)):
        raise ModelFileError(f"{place}: needs {needed} numbers; its node gives {width}")


def check_columns(place: str, value: Any, series: Entry) -> None:
    """Check the columns that are forecast: those of the series that are past, in its order."""
    past = [name for name, role in zip(series["columns"], series["roles"], strict=True) if role == "past"]
    if not isinstance(value, list) or not value or value != [name for name in past if name in value]:
        raise ModelFileError(f"{place}: is {show(value)}; expected names of past columns of inputs.x, in their order")


def check_label_names(place: str, value: Any, width: int) -> None:
    """Check that the labels are different, not empty, and as many as there are numbers."""
    if not isinstance(value, list) or not all(isinstance(label, str) and label for label in value):
        raise ModelFileError(f"{place}: is {show(value)}; expected a list of strings that are not empty")
    if len(set(value)) != len(value):
        ordered = sorted(value)
        repeated = next(a for a, b in pairwise(ordered) if a == b)
        raise ModelFileError(f"{place}: {show(repeated)} appears twice; each label must appear once")
    if len(value) != width:
        raise ModelFileError(f"{place}: there are {len(value)}; the output has {width} numbers")


def check_scores(place: str, entry: Entry) -> None:
    if entry["scores"] not in SCORES:
        raise ModelFileError(f"{place}.scores: is {show(entry['scores'])}; expected one of {', '.join(SCORES)}")


def check_calibration(place: str, entry: Entry) -> None:
    if (value := entry["calibration"]) is None:
        return
    check_keys(f"{place}.calibration", value, "factor")
    if type(value["factor"]) is not float or not 0 < value["factor"] < float("inf"):
        raise ModelFileError(f"{place}.calibration.factor: is {show(value['factor'])}; expected a number above 0")


KINDS: Final[dict[str, Callable[[str, Entry, int, dict[str, Any]], None]]] = {
    "labels": check_labels,
    "multilabel": check_multilabel,
    "tags": check_tags,
    "forecast": check_forecast,
    "values": check_values,
}
