"""What a stream remembers of the inputs of several graphs: of the first one's, and of side inputs, such as a speaker.

A side input is read when its graph ticks. Until then a stream remembers what it was given.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..document.levels import MESSAGE
from ..errors import DataError, StateError, error_context
from ..inputs.base import Input, Steps
from ..layers import INPUT
from ..model import Model

LENGTH: Final = Struct("<I")

Floats = npt.NDArray[np.float32]


class Given(NamedTuple):
    """What a side input was given: the value, the row of it, and what is remembered after it is read."""

    value: Any
    row: Floats
    memory: Any


class LevelState(NamedTuple):
    """What a stream remembers of its inputs. It never changes.

    first: of the first graph's input. memories: of each side input. given: what each was given since its graph ticked
    last; None: nothing.
    """

    first: Any
    memories: tuple[Any, ...]
    given: tuple[Given | None, ...]


class Plan(NamedTuple):
    """What a piece does to the graphs above the first.

    ended: how many levels end with it. ticks: whether each of these graphs ticks. rows: of the side inputs that were
    given, by name. state, counts: what the stream remembers then of its inputs, and how many steps each graph has had.
    """

    ended: int
    ticks: tuple[bool, ...]
    rows: Mapping[str, Floats]
    state: LevelState
    counts: list[int]

    def as_preview(self) -> Plan:
        """Return the same before anything ends."""
        return self._replace(ended=0, ticks=(False,) * len(self.ticks))


class LevelInput:
    """The inputs of a model with several graphs: the first one's, which makes steps, and side inputs. It never changes.

    levels: the words for the levels, the innermost first. sides: the side inputs by name. clocks: the number of the
    graph that each belongs to, counted from 0.
    """

    def __init__(self, model: Model, first: Input) -> None:
        graphs, entries = list(model.levels), model.document["inputs"]
        self.levels = level_words(model)
        self.first = first
        self.sides = {name: side for name, side in model.inputs.items() if name != INPUT}
        self.clocks = {name: graphs.index(entries[name]["clock"]) for name in self.sides}
        self._no_ticks = (False,) * (len(graphs) - 1)

    # ---- as of the input of a single graph

    def start(self, series: str | None = None) -> LevelState:
        """Return the state of a new stream; see `Input.start`."""
        return self._surround(self.first.start(series))

    def start_as(self, id: Hashable) -> LevelState:
        """Return the state of a new stream that is known by an id only."""
        return self._surround(self.first.start_as(id))

    def _surround(self, first: Any) -> LevelState:
        memories = tuple(side.start() for side in self.sides.values())
        return LevelState(first, memories, (None,) * len(memories))

    def reset(self, state: LevelState, ended: int | None = None) -> LevelState:
        """Return the state of a stream that forgets so many levels, from the innermost on; None: all of them."""
        ended = len(self.levels) if ended is None else ended
        memories, given = list(state.memories), list(state.given)
        for i, (name, side) in enumerate(self.sides.items()):
            given[i] = None if self.clocks[name] <= ended else given[i]
            memories[i] = side.start() if self.clocks[name] < ended else memories[i]
        return LevelState(self.first.reset(state.first), tuple(memories), tuple(given))

    def push(self, x: Any, state: LevelState, time: Any = None, end: Any = False) -> tuple[Steps, LevelState]:
        """Return the steps of the first graph that `x` completes, and the state after it; see `Input.push`."""
        steps, first = self.first.push(x, state.first, time, bool(end))
        return steps, state._replace(first=first)

    def push_each(
        self, x: Any, state: LevelState, time: Any = None, end: Any = False
    ) -> tuple[list[tuple[Steps, LevelState]], LevelState]:
        """Do `push`, but return the steps one by one; see `Input.push_each`."""
        pieces, first = self.first.push_each(x, state.first, time, bool(end))
        return [(steps, state._replace(first=one)) for steps, one in pieces], state._replace(first=first)

    def finish(self, state: LevelState) -> tuple[Steps, LevelState]:
        """Return the steps that the end of a message completes, and the state then; see `Input.finish`."""
        steps, first = self.first.finish(state.first)
        return steps, state._replace(first=first)

    def pending_steps(self, state: LevelState) -> int:
        """Return how many steps more the end of a message could complete."""
        return self.first.pending_steps(state.first)

    # ---- side inputs

    def take(self, state: LevelState, sides: Any) -> LevelState:
        """Return the state of a stream that was given these side inputs, by name.

        Raises DataError for a name that the model does not have, a value that cannot be used, and one that differs from
        what was given before.
        """
        if sides is None:
            return state
        if not isinstance(sides, Mapping):
            raise DataError(f"sides are {type(sides).__name__}; expected a dict from names to what they are")
        given = list(state.given)
        for name, value in sides.items():
            if name not in self.sides:
                raise DataError(describe_unknown_side(name, self.sides))
            i = list(self.sides).index(name)
            own = self.read_side(i, value, state.memories[i])
            before = given[i]
            if before is not None and before.value != own.value:
                word = self.levels[self.clocks[name] - 1]
                raise DataError(
                    f"{name} is {show(own.value)}, but {show(before.value)} was given before in the same {word}; end "
                    "it first"
                )
            given[i] = own
        return state._replace(given=tuple(given))

    def read_side(self, i: int, value: Any, memory: Any) -> Given:
        """Read what a side input is given. memory: what it remembers before. Raises DataError."""
        side = list(self.sides.values())[i]
        with error_context(side.name):
            steps, memory = side.push(value, memory)
            if steps.number != 1:
                raise DataError(f"{steps.number} steps were given; expected one")
        return Given(value if isinstance(value, str) else np.asarray(value).tolist(), steps.rows[0], memory)

    def preview(self, state: LevelState, counts: list[int]) -> Plan:
        """Return the plan of a piece that ends nothing."""
        rows = {name: own.row for name, own in zip(self.sides, state.given, strict=True) if own is not None}
        return Plan(0, self._no_ticks, rows, state, counts)

    def plan(self, state: LevelState, counts: list[int], ended: int) -> Plan:
        """Return what happens above the first graph when a piece ends so many levels, from the innermost on.

        state: after reading the piece. counts: how many steps each graph has had then. A graph ticks at the end of the
        one below unless that has had no step. Raises DataError if a graph ticks whose side input was not given.
        """
        if not ended:
            return self.preview(state, counts)
        counts, ticks = list(counts), list[bool]()
        for k in range(1, len(counts)):
            below = self.first.is_ready(counts[0]) if k == 1 else counts[k - 1] > 0
            ticks.append(ended >= k and below)
            counts[k] += ticks[-1]
        memories = list(state.memories)
        for i, (name, k) in enumerate(self.clocks.items()):
            own = state.given[i]
            if ticks[k - 1] and own is None:
                word = self.levels[k - 1]
                raise DataError(
                    f"the {word} has no {name!r}, and this model needs one for each {word}; give it with any part of "
                    f"the {word}, at the latest with its end"
                )
            if ticks[k - 1] and own is not None:
                memories[i] = own.memory
        rows = self.preview(state, counts).rows
        state = self.reset(state._replace(memories=tuple(memories)), ended)
        return Plan(ended, tuple(ticks), rows, state, [0 if k < ended else n for k, n in enumerate(counts)])

    # ---- saved states

    def to_bytes(self, state: LevelState) -> bytes:
        """Convert a state to bytes: each part behind its length. What was given is JSON."""
        parts = [self.first.to_bytes(state.first)]
        for side, memory, given in zip(self.sides.values(), state.memories, state.given, strict=True):
            value = json.dumps(None if given is None else given.value, ensure_ascii=False)
            parts += [side.to_bytes(memory), value.encode()]
        return b"".join(LENGTH.pack(len(part)) + part for part in parts)

    def from_bytes(self, data: bytes, count: int) -> LevelState:
        """Read the bytes that `to_bytes` wrote, of a stream whose message has had so many steps. Raises StateError."""
        first, *others = split_parts(data, 1 + 2 * len(self.sides))
        own = self.first.from_bytes(first, count)
        memories = [side.from_bytes(one, 0) for side, one in zip(self.sides.values(), others[::2], strict=True)]
        given = list[Given | None]()
        for i, (name, text) in enumerate(zip(self.sides, others[1::2], strict=True)):
            try:
                value = json.loads(text.decode())
                given.append(None if value is None else self.read_side(i, value, memories[i]))
            except (DataError, ValueError, RecursionError) as error:
                raise StateError(f"what the state has of {name!r} does not fit this model: {error}") from error
        return LevelState(own, tuple(memories), tuple(given))


def level_words(model: Model) -> tuple[str, ...]:
    """Return the words for the levels of a model, the innermost first.

    >>> from tidegate.verify.samples import sample
    >>> level_words(sample(size=4))
    ('message',)
    """
    return tuple(one.level for one in model.levels.values()) or (MESSAGE,)


def count_ended(words: Sequence[str], end: Any) -> int:
    """Return how many levels end. end: whether the innermost does, or the word for one, which ends those below too.

    Raises DataError for another word.

    >>> count_ended(("message", "conversation"), True), count_ended(("message", "conversation"), "conversation")
    (1, 2)
    """
    if not isinstance(end, str):
        return int(bool(end))
    if end not in words:
        *first, last = ("True", "False", *map(repr, words))
        raise DataError(f"end is {show(end)}; expected {', '.join(first)} or {last}")
    return list(words).index(end) + 1


def describe_unknown_side(name: Any, sides: Mapping[str, Any]) -> str:
    """Say that a model has no side input of this name."""
    has = f"has the side inputs {', '.join(sides)}" if sides else "has no side inputs"
    return f"{show(name)} was given, but this model {has}; leave it out"


def show(value: Any) -> str:
    """Return a value for messages, of bounded length."""
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."


def split_parts(data: bytes, count: int) -> list[bytes]:
    """Return the parts of bytes that each stand behind their length. Raises StateError unless there are so many."""
    parts, at = list[bytes](), 0
    while at + LENGTH.size <= len(data):
        (length,) = LENGTH.unpack_from(data, at)
        parts.append(data[at + LENGTH.size : at + LENGTH.size + length])
        at += LENGTH.size + length
    if at != len(data) or len(parts) != count:
        raise StateError("what the state has of the inputs does not fit this model")
    return parts
