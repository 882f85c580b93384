"""Conversations: messages of a table in their order, whose labels depend on the messages before them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..data.table import Table
from ..errors import DataError, OptionError, error_context
from ..inputs.category import MAX_SIZE, CategoryInput
from ._labels import NO_LABEL, Targets
from ._messages import hide_words
from ._options import option
from ._search_space import Multiples
from .base import Array, Batch, Indices, concatenate

SPEAKER: Final = "speaker"  # the name of the side input
LONGEST: Final = 512  # messages that are trained on together; the state of a longer conversation begins anew
MAX_SPEAKERS: Final = 8  # that are told apart: the last of them stands for all further ones


@dataclass(frozen=True)
class ConversationOptions:
    """Options of messages in conversations."""

    conversation: str | None = option(
        None,
        "column of conversations: the label of a message then depends on the messages before it, too",
        metavar="COLUMN",
    )
    turn: str | None = option(
        None, "column of numbers that put the messages of a conversation in order", metavar="COLUMN"
    )
    speaker: str | None = option(None, "column of speakers, if the label depends on who speaks", metavar="COLUMN")
    context: int | None = option(
        None,
        "width of the recurrent layer over the messages of a conversation",
        least=1,
        most=4096,
        earlier="kept",
        beside="conversation",
        presets={"tiny": 32, "small": 128, "base": 256},
        search=Multiples((0.5, 1, 2)),
    )

    def check_conversation(self) -> None:
        """Raise OptionError for options that need others."""
        if self.conversation is None:
            for name in ("turn", "speaker", "context"):
                if getattr(self, name) is not None:
                    raise OptionError(
                        f"{name} is given without a column of conversations; name it with --conversation, or leave "
                        f"--{name} out"
                    )
        elif self.turn is None:
            raise OptionError("--conversation needs --turn, the column of numbers that put its messages in order")

    def conversation_columns(self) -> list[str]:
        """Return the columns of conversations that the options name."""
        return [name for name in (self.conversation, self.turn, self.speaker) if name is not None]


def order_messages(source: Table, options: Any) -> list[Indices]:
    """Return the rows of each conversation in the order of their turns, conversations as they begin in the table.

    Raises DataError for a row without a conversation or a turn, and for a turn that a conversation has twice.
    """
    turns = source.numbers(options.turn)
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(source.labels(options.conversation, "conversation")):
        if not name.strip():
            raise DataError(
                f"{source.locate(row)}: column {options.conversation!r} has no conversation; fill it in or leave the "
                "row out"
            )
        rows.setdefault(name, []).append(row)
    ordered = [np.array(sorted(each, key=turns.__getitem__), np.int64) for each in rows.values()]
    for name, each in zip(rows, ordered, strict=True):
        for first, second in pairwise(each.tolist()):
            if turns[first] == turns[second]:
                raise DataError(
                    f"{source.locate(max(first, second))}: conversation {name!r} has turn {turns[first]:g} in "
                    f"{source.unit} {source.lines[min(first, second)]}, too; number its messages in their order"
                )
    return ordered


def read_speakers(source: Table, options: Any) -> list[str]:
    """Return the speaker of each row. Raises DataError for a row without one."""
    names = source.labels(options.speaker, "speaker")
    for row, name in enumerate(names):
        if not name.strip():
            raise DataError(
                f"{source.locate(row)}: column {options.speaker!r} has no speaker; fill it in or leave the row out"
            )
    return names


def count_speakers(names: list[str], conversations: list[Indices]) -> int:
    """Return the size of a category that tells the speakers of each conversation apart, 2 to `MAX_SPEAKERS`.

    >>> count_speakers(["ann", "bob", "cy"], [np.array([0, 1]), np.array([2])])
    2
    """
    most = max(len({names[row] for row in rows}) for rows in conversations)
    return min(max(2, most), MAX_SPEAKERS, MAX_SIZE)


def encode_speakers(
    source: Table, names: list[str], conversations: list[Indices], size: int
) -> npt.NDArray[np.float32]:
    """Return the row of each message's speaker as a stream reads it, float32 [rows, size]. Raises DataError."""
    category, encoded = CategoryInput(SPEAKER, size), np.zeros((len(names), size), np.float32)
    for rows in conversations:
        state = b""
        for row in rows.tolist():
            with error_context(source.locate(row)):
                encoded[row : row + 1], state = category.read(names[row], state)
    return encoded


class Conversations:
    """Rows that are conversations, or parts of at most `LONGEST` messages of long ones.

    parts: the messages of each, in order. ids: those of each message, int32 [T]. hide_rates: see `Messages`. sides: of
    each side input by name its row for each message, [messages, ...]. targets: of each message.
    """

    def __init__(
        self,
        parts: list[Indices],
        ids: list[npt.NDArray[np.int32]],
        output: str,
        targets: Targets,
        hide: npt.NDArray[np.float32],
        sides: dict[str, Array],
    ) -> None:
        self.parts, self.ids, self.output, self.targets = parts, ids, output, targets
        self.hide_rates, self.sides = hide, sides
        self.lengths: Indices = np.array([len(rows) for rows in parts], np.int64)

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """See `Rows`: lengths counts messages; training hides words as in `Messages`."""
        messages, lengths = concatenate([self.parts[i] for i in rows])
        ids, inner = concatenate([self.ids[i] for i in messages])
        if random is not None:
            ids = hide_words(ids, self.hide_rates, random)
        targets = self.targets[messages]
        return Batch(
            {"x": ids.astype(np.int64), **{name: side[messages] for name, side in self.sides.items()}},
            lengths,
            {self.output: targets},
            {self.output: lengths},
            {self.output: targets != NO_LABEL} if targets.ndim == 1 else {},
            (inner,),
        )


def split_long(conversation: Indices) -> list[Indices]:
    """Split a conversation into parts of similar length, of at most `LONGEST` messages."""
    return np.array_split(conversation, -(-len(conversation) // LONGEST))
