"""The contract of a decoder: it turns the numbers after each step into a result over time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..expect import check_integer, check_keys, check_list, check_object

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Memory = Mapping[str, Array]  # name -> [n, ...]; nobody writes to its arrays

COMMON: Final = ("kind", "reads", "options")
IDS: Final = "an id for each step"  # what decoders give, in words
WRITTEN: Final = "the ids that it writes"
FLAGS: Final = "for each step which labels are active"
ALARMS: Final = "for each step whether an alarm runs"
VALUES: Final = "numbers of the steps ahead"


class Field(NamedTuple):
    """An array of a memory, of which a stream has one and n streams have n, one below the other.

    dtype: "float32", "float64", "int32" or "int64". shape: of one stream's. least, most: the range of integers.
    It begins as zeros.
    """

    dtype: str
    shape: tuple[int, ...]
    least: int = 0
    most: int = 0

    @property
    def nbytes(self) -> int:
        """How many bytes it takes in the state of a stream."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Context(NamedTuple):
    """What the caller of a decoder decides. seed: of random draws. paths: how many hypotheses each stream has. known:
    what is known of the steps ahead, float64 [n, steps, columns], or None.
    """

    seed: int = 0
    paths: int = 1
    known: Array | None = None


class Update(NamedTuple):
    """What a step or the end changes.

    memory: the next one. decided: the results that are final now, oldest first, [n, steps, ...]; of a decoder of ids,
    -1 stands behind the last one of a stream. next: what is fed back to the model, [hypotheses, ...], if the decoder
    drives it. parents: of a search, the hypothesis whose state each of them continues, among those before, int64
    [hypotheses]; hypotheses that have ended are left out, and there is nothing more to do once all are.
    """

    memory: Memory
    decided: Array
    next: Array | None = None
    parents: Indices | None = None


class Decoder(ABC):
    """Turns the numbers after each step into a result over time. It never changes, and its functions are pure.

    place: of its entry in the document. width: how many numbers of its node it reads. tensors: role -> name of each.
    gives: what it gives, in words. drives: what it gives is fed back, beyond the last step of a stream; then no stream
    remembers anything of it. writes: it drives a graph of its own, from `begin` until no hypothesis is left; then
    `finish` gives the results, of which the id `end` ends one. late: after how many later steps a result is final, at
    the latest.
    """

    kind: ClassVar[str]
    gives: ClassVar[str]
    drives: ClassVar[bool] = False
    writes: ClassVar[bool] = False
    late: int = 0
    end: int = -1

    def __init__(self, place: str, entry: Mapping[str, Any], width: int) -> None:
        self.place, self.tensors = place, dict(entry.get("tensors", {}))
        part = entry.get("part")
        self.width: int = width if part is None else part[1] - part[0]

    @property
    def fields(self) -> dict[str, Field]:
        """The arrays of its memory, by name."""
        return {}

    def describe(self) -> list[tuple[str, str]]:
        """Describe the decoder in lines of name and value, for `info`."""
        return []

    def start(self, n: int, context: Context | None = None) -> Memory:
        """Return the memory of n streams before their first step."""
        return {name: np.zeros((n, *field.shape), field.dtype) for name, field in self.fields.items()}

    def check_fed(self, ids: int, size: int, features: int) -> str:
        """Say what is wrong with the input of the graph that the decoder drives, in a few words; "" if nothing is.

        ids, size: how many ids a step has, and how many different ones there are. features: or how many numbers it has.
        """
        raise NotImplementedError(f"a decoder of kind {self.kind} drives no graph")

    def begin(self, memory: Memory) -> Update:
        """Return what is fed first to the graph that the decoder drives: one hypothesis for each stream."""
        raise NotImplementedError(f"a decoder of kind {self.kind} drives no graph")

    @abstractmethod
    def update(self, memory: Memory, y: Array) -> Update:
        """Return what a step changes. y: the numbers after it [n, width], or of each hypothesis if the decoder drives.

        Each of n streams gets the bits that it gets alone.
        """

    def finish(self, memory: Memory) -> Update:
        """Return what the end of a message changes: everything is decided then. The default: nothing was left."""
        n = len(next(iter(memory.values())))
        return Update(memory, np.zeros((n, 0), np.int64))

    def recall(self, memory: Memory) -> Array:
        """Return what the latest steps gave, [n, late + 1, ...], the newest last.

        Those of the last `count_pending` steps are not final. Before as many steps, the first ones mean nothing.
        """
        raise NotImplementedError(f"a stream remembers nothing of a decoder of kind {self.kind}")

    def count_pending(self, memory: Memory) -> Indices:
        """Return how many of the latest steps have no final result yet, int64 [n], at most `late`."""
        return np.zeros(len(next(iter(memory.values()))), np.int64)

    def count_decided(self, memory: Memory) -> Indices:
        """Return how many results the last step or the end made final, int64 [n]."""
        return np.ones(len(next(iter(memory.values()))), np.int64)

    def check(self, memory: Memory) -> str:
        """Say what is wrong with a memory [1, ...] of another origin: an integer out of its range; "" if nothing is."""
        for name, field in self.fields.items():
            values = memory[name]
            wrong = values[(values < field.least) | (values > field.most)] if values.dtype.kind == "i" else values[:0]
            if wrong.size:
                return f"{self.place}.{name} is {wrong.flat[0]}; expected {field.least} to {field.most}"
        return ""

    def decode(self, values: Array) -> Array:
        """Return the results of all steps of a message, [T, ...]: those that a stream gives one after another.

        values: the numbers after each step [T, width].
        """
        memory, found = self.start(1), []
        for row in values:
            update = self.update(memory, row[None])
            memory = update.memory
            found.append(update.decided[0])
        if not self.late:
            return np.concatenate(found)
        found.append(self.finish(memory).decided[0])
        ids = np.concatenate(found)
        return ids[ids >= 0]


def check_common(place: str, entry: Mapping[str, Any], width: int, *options: str, tensors: tuple[str, ...] = ()) -> int:
    """Check the keys of an entry and its `part`; return how many numbers it reads. Raises ModelFileError.

    width: how many its node has. options: the keys of `options`. tensors: the roles of its tensors.
    """
    keys = [*COMMON, *(("part",) if "part" in entry else ()), *(("tensors",) if tensors else ())]
    check_keys(place, entry, *keys)
    check_object(f"{place}.options", entry["options"])
    check_keys(f"{place}.options", entry["options"], *options)
    if tensors:
        check_keys(f"{place}.tensors", entry["tensors"], *tensors)
    if "part" not in entry:
        return width
    check_list(f"{place}.part", entry["part"], 2, 2)
    start = check_integer(f"{place}.part[0]", entry["part"][0], 0, width - 1)
    return check_integer(f"{place}.part[1]", entry["part"][1], start + 1, width) - start
