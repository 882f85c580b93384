"""The contract of an output: what the numbers of a node mean, and the answers made of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ..expect import check_integer, check_keys, check_list
from ..strictjson import show

if TYPE_CHECKING:
    from ..decode.base import Decoder

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Numbers = TypeVar("Numbers", bound=Array)

COMMON: Final = ("kind", "from", "at")
NOT_FINITE: Final = "the result is not a finite number, because the input was not finite or too large; end the stream"


class Context(NamedTuple):
    """What an answer needs besides the numbers of its node.

    scaling: what the input gives for it (`Input.context`). roll: continues the graph beyond the last step and returns
    the values of the steps ahead, for an output that feeds back. decided: what the output's decoder gave of each of the
    answer's steps, [T, ...]. numbers: the output's own numbers after these steps, float32 [T, width], where they are
    earlier ones than the values.
    """

    scaling: Any = None
    roll: Callable[[], Any] | None = None
    decided: Array | None = None
    numbers: Floats | None = None


class Answer(ABC):
    """What a model says after a step, or the reason why it says nothing.

    values: the numbers, or None. reason: why values is None, or why nothing is said in spite of them; else "".
    """

    __slots__ = ("_step",)
    _step: int

    @property
    def step(self) -> int | None:
        """The number of the step that it is about, from 0, in a stream whose answers are late; else None."""
        return getattr(self, "_step", None)

    def at_step(self, step: int) -> Self:
        """Set the number of the step, once, and return the answer."""
        self._step = step
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        made = self.__reduce__()
        return made if self.step is None else (restore_step, (self.step, *made[:2]))

    @property
    @abstractmethod
    def values(self) -> Any:
        """The numbers, or None."""

    @property
    @abstractmethod
    def reason(self) -> str:
        """Why there are no values, or why nothing is said in spite of them; "" otherwise."""

    @abstractmethod
    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        """Return a dict for JSON. all_scores: with the scores of all labels, not only of those that are given."""


def restore_step(step: int, make: Callable[..., Answer], arguments: tuple[Any, ...]) -> Answer:
    """Make the copy of an answer that was pickled."""
    return make(*arguments).at_step(step)


class LazyAnswer(Answer, Generic[Numbers]):
    """An answer whose numbers are made when they or the reason are first read, so that a push does not wait for them.

    source: what the numbers are made from; None: there are none, for this reason. Numbers of which one is not finite
    become None, with a reason. convert: makes the numbers from the source; None: copies it.

    `_content` is the source, and later values and reason in one tuple. A single assignment puts the tuple in place, so
    threads can read an answer at the same time; and where `_make` fails, the next reader tries again.
    """

    __slots__ = ("_content", "_convert")

    def __init__(self, source: Any, reason: str = "", convert: Callable[[Any], Numbers] | None = None) -> None:
        self._content = (None, reason) if source is None else source
        self._convert = convert

    def _make(self, source: Any) -> Numbers:
        """Make the numbers, and leave the source as it is."""
        made: Numbers = source.copy() if self._convert is None else self._convert(source)
        return made

    def _settle(self) -> tuple[Numbers | None, str]:
        """Return values and reason, and work them out if they have not been read yet."""
        content: Any = self._content
        if not isinstance(content, tuple):
            values = self._make(content)
            content = self._content = (values, "") if is_finite(values) else (None, NOT_FINITE)
        return content[0], content[1]

    @property
    def values(self) -> Numbers | None:
        """The numbers, or None."""
        return self._settle()[0]

    @property
    def reason(self) -> str:
        """Why there are no values; "" if there are."""
        return self._settle()[1]


class Answers(Answer):
    """The answers of a model with several outputs, by name: a mapping.

    >>> from tidegate.outputs import Scores
    >>> answers = Answers({"speed": Scores(np.ones(1, np.float32), None), "heat": Scores(None, None, "no step yet")})
    >>> answers["speed"].values.tolist(), list(answers), answers.reason
    ([1.0], ['speed', 'heat'], 'no step yet')
    """

    __slots__ = ("_answers",)

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = dict(answers)

    def __reduce__(self) -> tuple[Any, ...]:
        return Answers, (self._answers,)

    def __getitem__(self, name: str) -> Answer:
        return self._answers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, name: object) -> bool:
        return name in self._answers

    def keys(self) -> list[str]:
        """Return the names of the outputs."""
        return list(self._answers)

    def items(self) -> list[tuple[str, Answer]]:
        """Return the names of the outputs with their answers."""
        return list(self._answers.items())

    @property
    def values(self) -> dict[str, Any]:
        """The numbers of each answer, or None, by name."""
        return {name: answer.values for name, answer in self._answers.items()}

    @property
    def reason(self) -> str:
        """The first reason of an answer that says nothing; "" if all say something."""
        return next((answer.reason for answer in self._answers.values() if answer.reason), "")

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        """Return a dict for JSON that has the answer of each output under its name."""
        return {name: answer.as_dict(all_scores) for name, answer in self._answers.items()}

    def __repr__(self) -> str:
        return f"Answers({', '.join(f'{name}={answer!r}' for name, answer in self._answers.items())})"


class Output(ABC):
    """What the numbers of a node mean.

    at: "end": the answer after the last step counts; "step": that after every step. width: how many numbers of the
    node are its own. part: their slice; None: all. labels: the names of its numbers, or None.

    classifies: an input has labels; gives_several: any number of them, not one. encodes: an input has a vector. scales:
    its numbers are converted to the data's units, by what the input knows. feeds_back: an answer runs the graph beyond
    the last step. per_step: the answer about a whole input has every step. whole_reason: why whole inputs have no plain
    array of outputs, or "". decoder: what turns its numbers into results over time, or None. decoded: what a decoder
    that its entry names gives, in words; "": none can be named.
    """

    kind: ClassVar[str]
    at: ClassVar[str] = "step"
    classifies: ClassVar[bool] = False
    gives_several: ClassVar[bool] = False
    encodes: ClassVar[bool] = False
    scales: ClassVar[bool] = False
    per_step: ClassVar[bool] = False
    whole_reason: ClassVar[str] = ""
    decoded: ClassVar[str] = ""
    feeds_back: bool = False
    decoder: Decoder | None = None
    labels: list[str] | None = None

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        self.name, self._entry = name, entry
        part = entry.get("part")
        self.part = None if part is None else slice(*part)
        self.width = width if part is None else part[1] - part[0]

    def place(self, start: int, width: int) -> None:
        """Set where the numbers of its node, of this width, begin among those of all outputs' nodes together."""
        own = slice(0, width) if self.part is None else self.part
        self.part = slice(start + own.start, start + own.stop)

    def to_json(self) -> dict[str, Any]:
        """Return the entry that `parse` reads."""
        return dict(self._entry)

    def implied_decoder(self) -> dict[str, Any] | None:
        """Return the entry of the decoder that the output brings along if its own entry names none, or None."""
        return None

    def check_decoder(self, place: str, decoder: Decoder) -> None:
        """Check the decoder that the entry names. place: of the entry. Raises ModelFileError."""
        if decoder.gives != self.decoded:
            takes = f"needs one that gives {self.decoded}" if self.decoded else "reads a node"
            raise ModelFileError(
                f"{place}.from: {decoder.place} gives {decoder.gives}; an output of kind {self.kind} {takes}"
            )

    def describe(self) -> list[tuple[str, str]]:
        """Describe the output in lines of name and value, for `info`.

        The default: what its decoder does, if it has one.
        """
        return [] if self.decoder is None else self.decoder.describe()

    def describe_numbers(self) -> str:
        """Say what the numbers of the node are if they are not yet those of answers; "" otherwise."""
        return ""

    def select(self, values: Floats) -> Floats:
        """Return the output's own numbers [..., width] of those of its node [..., all]."""
        return values if self.part is None else values[..., self.part]

    def convert(self, values: Floats, scaling: Any = None) -> Array:
        """Convert the node's numbers [n, all] to those of answers [n, ...]. scaling: of n streams, from the input."""
        return self.select(values)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an answer's numbers."""
        return (self.width,)

    @property
    def dtype(self) -> type[Any]:
        """The type of an answer's numbers."""
        return np.float32

    @abstractmethod
    def answer(self, values: Floats, context: Context, reason: str = "") -> Answer:
        """Return the answer after a step.

        values: the node's numbers [all]; or after every step of a whole input [T, all], if `per_step`. Nobody writes to
        them later, so that an answer can keep them and convert them when it is first read. reason: why there is no
        answer, or "".
        """

    def select_labels(self, scores: Array) -> list[list[str]]:
        """Return the labels of each row of scores [n, width], for an output that classifies."""
        raise NotImplementedError(f"an output of kind {self.kind} gives inputs no labels")


def is_finite(values: Array) -> bool:
    """Return whether all numbers are finite.

    >>> is_finite(np.array([1e38, -1e38], np.float32)), is_finite(np.array([1.0, np.nan]))
    (True, False)
    """
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())  # the former is sooner


def shortest_decimals(values: Floats) -> list[float]:
    """Return float32 numbers [n] as the shortest decimals that read back as the same.

    >>> shortest_decimals(np.array([0.1], np.float32)), np.array([0.1], np.float32).tolist()
    ([0.1], [0.10000000149011612])
    """
    return [float(str(value)) for value in values]


def check_common(place: str, entry: dict[str, Any], at: str, width: int, *keys: str) -> int:
    """Check the keys of an entry, its `at` and its `part`; return how many numbers are its own. Raises ModelFileError.

    width: how many its node has. keys: those that only this kind has.
    """
    check_keys(place, entry, *COMMON, *(("part",) if "part" in entry else ()), *keys)
    if entry["at"] != at:
        raise ModelFileError(f"{place}.at: is {show(entry['at'])}; expected {at!r}")
    if "part" not in entry:
        return width
    check_list(f"{place}.part", entry["part"], 2, 2)
    start = check_integer(f"{place}.part[0]", entry["part"][0], 0, width - 1)
    return check_integer(f"{place}.part[1]", entry["part"][1], start + 1, width) - start
