"""The contract of an input: one way from raw data to the steps of a graph.

An input never changes. What it remembers of a stream is its state, an immutable value that `push` takes and returns, so
that a caller can check everything before anything changes: the unfinished word of a text, the memory of a series.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError, StateError

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


new_tuple: Final = tuple.__new__  # makes a NamedTuple of all its fields in a third of the time, where a push waits


class Port(NamedTuple):
    """Token ids that a layer can read: columns of an input's steps.

    first: the first column. ids: how many there are. size: how many different ids. may_lack: whether a step may have
    fewer ids; negative numbers then stand in place of the others. typical: how many of such ids a made-up step has at
    most; 0: as many as it can.
    """

    first: int
    ids: int
    size: int
    may_lack: bool = False
    typical: int = 0

    @property
    def most_drawn(self) -> int:
        """How many ids a made-up step has at most."""
        return self.typical or self.ids


class Steps(NamedTuple):
    """Steps that an input completed.

    rows: int32 ids [T] or [T, ids], or float32 [T, features], one for each step. restart: None; or if each answer comes
    from whole rows that the graph runs from its initial state, keeping none of it, what `Input.make_rows` makes these
    of, one for each answer; then `rows` is empty. number: how many steps they count for.
    """

    rows: Array
    number: int
    restart: list[Any] | None = None


class Round(NamedTuple):
    """A step of each of n different streams.

    positions: where they stand in the call [n]. rows: of those that complete a step [n', ...], or `restart` as in
    `Steps`. keep: which of the n these are [n']. states: the states after it [n]; None: they stay as they are.
    """

    positions: Indices
    rows: Array
    keep: Indices
    states: list[Any] | None = None
    restart: list[Any] | None = None


class Input(ABC):
    """One way from raw data to steps.

    name: that of its entry. features: how many numbers a step has; None: a step is token ids. size: how many different
    ids there are; 0 for numbers. ids: how many a step has. steps_needed: how many steps an answer needs. names_series:
    a stream needs the name of its series. rows: how many rows the graph runs for an answer, if it starts anew each
    time; None: it steps.
    """

    kind: ClassVar[str]
    takes: ClassVar[str]  # what it takes, in messages
    noun: ClassVar[str] = "series"  # a whole input, in messages
    empty: ClassVar[str] = "no step"  # says in messages what an empty one has
    event_key: ClassVar[str] = "x"  # where an event of `tidegate stream` has its piece
    event_options: ClassVar[tuple[str, ...]] = ()  # what else such an event can have
    may_be_side: ClassVar[bool] = False  # whether it gives one row of numbers, as a side input does
    features: int | None = None
    size: int = 0
    ids: int = 1
    steps_needed: int = 1
    names_series: bool = False
    rows: int | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def ports(self) -> dict[str, Port]:
        """What layers can read of token ids, by name; "" is all of it. Empty for numbers."""
        return {} if self.features is not None else {"": Port(0, self.ids, self.size)}

    @property
    def tokens(self) -> Sequence[bytes] | None:
        """What each token id stands for, in UTF-8 and "" for unknown ones; None if ids have no such names."""
        return None

    def row_names(self, port: str) -> tuple[Sequence[Any] | None, str]:
        """Return what each id of a port stands for, by which models are compared, and that in a word; or None, ""."""
        return (self.tokens, "words") if not port else (None, "")

    def normalise(self, token: bytes) -> bytes:
        """Return a token of another vocabulary as this input would give it, for instance with its case folded."""
        return token

    def differs_from(self, other: Input) -> str:
        """Say why weights that learnt to read another input cannot read this one; "" if they can."""
        if self.kind == other.kind:
            return ""
        return f"reads {other.takes}, and the data of this model are {self.takes}"

    def describe_ids(self) -> str:
        """Describe the token ids of a step, port by port."""
        texts = []
        for name, port in self.ports.items():
            column = f"column {port.first}" if port.ids == 1 else f"columns {port.first} to {port.first + port.ids - 1}"
            less = "below 0 for none, or " if port.may_lack else ""
            texts.append(f"{name and f'{name} in {column}, '}{less}0 to {port.size - 1}")
        return f"token ids{': ' if self.ports.get('') is None else ', '}{'; '.join(texts)}"

    # ---- the model file

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the entry that `parse` reads."""

    def tensor_names(self) -> set[str]:
        """Return the names of the tensors that the input uses."""
        return set()

    def describe(self) -> list[tuple[str, str]]:
        """Describe the input in lines of name and value; an empty list where its entry says all."""
        return []

    def describe_rows(self) -> str:
        """Say how the rows of the graph are made of what the input takes; "" if they are the same."""
        return ""

    @property
    def memory_bytes(self) -> int:
        """The bytes of a stream's input state, not counting a tokenizer's unfinished word."""
        return 0

    def serve(self, outputs: Iterable[Any]) -> Input:
        """Return the input that serves these outputs too, which may need more of its past. Raises ModelFileError."""
        return self

    def prepare(self) -> Input:
        """Return the input with what its first push needs, which loading a file leaves out. Raises ModelFileError."""
        return self

    # ---- streams

    @abstractmethod
    def start(self, series: str | None = None) -> Any:
        """Return the state of a new stream. series: its name. Raises DataError for a name that is not needed."""

    def start_as(self, id: Hashable) -> Any:
        """Return the state of a new stream that is known by an id only. Raises DataError if that is not enough."""
        return self.start()

    @abstractmethod
    def reset(self, state: Any) -> Any:
        """Return the state of a stream that forgets its message."""

    @abstractmethod
    def push(self, x: Any, state: Any, time: Any = None, end: bool = False) -> tuple[Steps, Any]:
        """Return the steps that `x` completes, and the state after it.

        time: of each step, if the input uses a calendar. end: whether the message ends with `x`, which may complete one
        more step; the state returned is then the last one before `reset`. Raises DataError.
        """

    @abstractmethod
    def push_each(self, x: Any, state: Any, time: Any = None, end: bool = False) -> tuple[list[tuple[Steps, Any]], Any]:
        """Do `push`, but return the steps one by one, each with the state after it, and the state after all of `x`."""

    @abstractmethod
    def finish(self, state: Any) -> tuple[Steps, Any]:
        """Return the steps that the end of a message completes, and the last state before `reset`. Raises DataError."""

    def pending_steps(self, state: Any) -> int:
        """Return how many steps more the end of a stream's message could complete."""
        return 0

    @abstractmethod
    def push_many(
        self, x: Any, ids: Sequence[Hashable], find_state: Callable[[Hashable], Any], times: Any = None
    ) -> list[Round]:
        """Push one step of each of n streams: ids [n], of which one that occurs twice is pushed twice, in order.

        find_state: gives the state of an id before the call. Raises DataError.
        """

    @abstractmethod
    def read_whole(self, x: Any, times: Any = None, series: str | None = None) -> tuple[Steps, Any]:
        """Return the steps of a whole input, and the state after it. Raises DataError."""

    def is_ready(self, count: int) -> bool:
        """Return whether there is an answer after so many steps."""
        return count >= self.steps_needed

    @abstractmethod
    def not_ready_reason(self, count: int, ended: bool = False) -> str:
        """Say why there is no answer after so many steps. ended: whether the message ended there."""

    # ---- what graphs and outputs need

    def make_rows(self, restart: Sequence[Any]) -> Iterator[tuple[Rows, Indices, Any]]:
        """Yield the rows of B restarts in batches of bounded size: float32 [B, K, features], lengths [B], context."""
        raise NotImplementedError(f"an input of kind {self.kind} never starts anew")

    def context(self, states: Sequence[Any]) -> Any:
        """Return what outputs need of the input to answer B ready streams in the data's units; None for nothing."""
        return None

    def select_context(self, context: Any, i: int) -> Any:
        """Return the context of one of several streams."""
        return None

    def not_continued_reason(self, state: Any, known: bool = False, horizon: int | None = None) -> str:
        """Say why a ready stream cannot be continued beyond its last step; "" if it can.

        known: whether the caller gives what must be known of the steps ahead. horizon: how many there are.
        """
        return ""

    def explain_overflow(self, values: Rows) -> str:
        """Say which of n whole inputs had too large a number, as their last values [n, width] tell; "" for none."""
        return ""

    @abstractmethod
    def synthesise(self, draws: Iterator[int], steps: int) -> Array:
        """Make rows [T], [T, ids] or [T, features] from draws of 0 to 2^64 - 1, for the check in a model file."""

    # ---- saved states

    @abstractmethod
    def to_bytes(self, state: Any) -> bytes:
        """Convert a state to bytes."""

    @abstractmethod
    def from_bytes(self, data: bytes, count: int) -> Any:
        """Read the bytes that `to_bytes` wrote, of a stream of so many steps. Raises StateError if they do not fit."""


class PlainInput(Input):
    """An input whose state is bytes, without names, times and restarts. One step is enough for an answer."""

    no_step_reason = "no step yet"
    unfinished_error: ClassVar[str] = "it has an unfinished word; this model takes numbers"

    def start(self, series: str | None = None) -> bytes:
        if series is not None:
            raise DataError(f"the series {series!r} is named, and this model takes none; leave the name out")
        return b""

    def reset(self, state: bytes) -> bytes:
        return b""

    @abstractmethod
    def read(self, x: Any, state: bytes) -> tuple[Array, bytes]:
        """Return the rows that `x` completes, and the state after it. Raises DataError."""

    @abstractmethod
    def read_many(self, x: Any) -> Array:
        """Return one row of each of n streams. Raises DataError."""

    def push(self, x: Any, state: bytes, time: Any = None, end: bool = False) -> tuple[Steps, bytes]:
        if time is not None:
            refuse_times()
        rows, state = self.read(x, state)
        return new_tuple(Steps, (rows, len(rows), None)), state

    def push_each(
        self, x: Any, state: bytes, time: Any = None, end: bool = False
    ) -> tuple[list[tuple[Steps, bytes]], bytes]:
        steps, after = self.push(x, state, time, end)
        return [(Steps(steps.rows[t : t + 1], 1), after) for t in range(steps.number)], after

    def finish(self, state: bytes) -> tuple[Steps, bytes]:
        each = (self.features,) if self.features is not None else (self.ids,) if self.ids > 1 else ()
        return Steps(np.zeros((0, *each), np.int32 if self.features is None else np.float32), 0), b""

    def pending_steps(self, state: bytes) -> int:
        return 1 if state else 0

    def push_many(
        self, x: Any, ids: Sequence[Hashable], find_state: Callable[[Hashable], Any], times: Any = None
    ) -> list[Round]:
        rows = self.read_many(x)
        check_count(len(ids), len(rows))
        if times is not None:
            refuse_times()
        every = np.arange(len(rows))
        return [Round(every, rows, every)]

    def read_whole(self, x: Any, times: Any = None, series: str | None = None) -> tuple[Steps, bytes]:
        return self.push(x, self.start(series), times, True)

    def not_ready_reason(self, count: int, ended: bool = False) -> str:
        return f"the message has {self.empty}" if ended else self.no_step_reason

    def to_bytes(self, state: bytes) -> bytes:
        return state

    def from_bytes(self, data: bytes, count: int) -> bytes:
        if data:
            raise StateError(self.unfinished_error)
        return data


def refuse_times() -> None:
    """Raise DataError for times that nothing needs."""
    raise DataError("times were given, and this model uses no calendar; leave them out")


def check_count(ids: int, steps: int) -> None:
    """Raise DataError unless there is a step for each id."""
    if ids != steps:
        raise DataError(f"there are {ids} ids and {steps} steps; both must be equal")
