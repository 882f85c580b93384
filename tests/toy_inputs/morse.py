"""Morse code: a stream of `.`, `-` and spaces, in which a space ends a letter. A toy input in one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.errors import DataError, StateError
from tidegate.expect import check_integer, check_keys
from tidegate.inputs._draws import draw_ids
from tidegate.inputs._read import to_token_ids
from tidegate.inputs.base import PlainInput, Steps, refuse_times


def parse(name: str, entry: dict[str, Any], tensors: Mapping[str, Any]) -> MorseInput:
    check_keys(f"inputs.{name}", entry, "kind", "longest")
    return MorseInput(name, check_integer(f"inputs.{name}.longest", entry["longest"], 1, 8))


class MorseInput(PlainInput):
    """A step is the id of a letter of up to `longest` signs; the state is the letter that is not finished."""

    kind = "morse"
    takes = noun = "Morse code"
    event_key = "signs"
    empty = "no letter"
    no_step_reason = "no complete letter yet"

    def __init__(self, name: str, longest: int) -> None:
        super().__init__(name)
        self.longest, self.size = longest, 2 ** (longest + 1) - 2

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "longest": self.longest}

    def describe(self) -> list[tuple[str, str]]:
        return [("input", f"Morse code, letters of up to {self.longest} signs")]

    def push(self, x: Any, state: bytes, time: Any = None, end: bool = False) -> tuple[Steps, bytes]:
        if time is not None:
            refuse_times()
        ids, state = self.read(x, state)
        if end:
            last, state = self.read(" ", state)
            ids = np.concatenate([ids, last])
        return Steps(ids, len(ids)), state

    def finish(self, state: bytes) -> tuple[Steps, bytes]:
        return self.push("", state, None, True)

    def read(self, x: Any, state: bytes) -> tuple[npt.NDArray[np.int32], bytes]:
        if not isinstance(x, str) or set(x) - set(".- "):
            raise DataError(f"this model takes Morse code, text of '.', '-' and spaces; {x!r} was given")
        letters = (state.decode() + x).split(" ")
        if any(len(letter) > self.longest for letter in letters):
            raise DataError(f"a letter of Morse code has over {self.longest} signs; separate letters by spaces")
        ids = [int("1" + letter.replace(".", "0").replace("-", "1"), 2) - 2 for letter in letters[:-1] if letter]
        return np.array(ids, np.int32), letters[-1].encode()

    def read_many(self, x: Any) -> npt.NDArray[np.int32]:
        return to_token_ids(x, self.size)

    def synthesise(self, draws: Iterator[int], steps: int) -> npt.NDArray[np.int32]:
        return draw_ids(draws, steps, self.size)

    def from_bytes(self, data: bytes, count: int) -> bytes:
        if len(data) > self.longest or data.strip(b".-"):
            raise StateError("its unfinished letter does not fit this model")
        return data
