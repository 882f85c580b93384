"""An alarm: a number that is too high if it is over a limit. A toy output in one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.errors import ModelFileError
from tidegate.outputs.base import NOT_FINITE, Answer, Context, Floats, Output, check_common, is_finite


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> AlarmOutput:
    place = f"outputs.{name}"
    if check_common(place, entry, "step", width, "limit") != 1:
        raise ModelFileError(f"{place}: an alarm has one number; give it one by part")
    if type(entry["limit"]) is not float:
        raise ModelFileError(f"{place}.limit: is {entry['limit']!r}; expected a number")
    return AlarmOutput(name, entry, width)


class Alarm(Answer):
    """A level, and whether it is over the limit."""

    def __init__(self, values: Floats | None, limit: float, reason: str = "") -> None:
        ok = values is None or is_finite(values)
        self._values, self.limit = (None if values is None or not ok else values.copy()), limit
        self._reason = reason if ok else NOT_FINITE

    def __reduce__(self) -> tuple[Any, ...]:
        return Alarm, (self._values, self.limit, self._reason)

    @property
    def values(self) -> Floats | None:
        return self._values

    @property
    def reason(self) -> str:
        return self._reason

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        if self.values is None:
            return {"alarm": None, "reason": self.reason}
        level = float(self.values[0])
        return {"alarm": level > self.limit, **({"level": level} if all_scores else {})}


class AlarmOutput(Output):
    kind = "limit"

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.limit: float = entry["limit"]

    def describe(self) -> list[tuple[str, str]]:
        return [(self.name, f"an alarm above {self.limit}")]

    def answer(self, values: Floats | None, context: Context, reason: str = "") -> Alarm:
        return Alarm(None if reason or values is None else self.select(values), self.limit, reason)
