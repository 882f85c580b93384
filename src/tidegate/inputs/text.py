"""Text: a tokenizer splits messages, a vocabulary gives each token its id, and ids to features of words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelFileError, StateError
from ..expect import check_integer, check_keys, check_object, check_tensor
from ..features.text import Tokenizer, Vocabulary, encode
from ..features.word_features import KINDS, NAMES, WordFeatures
from ..limits import MAX_VOCABULARY
from ..strictjson import show
from ..tensors import Array
from ._draws import draw_ids
from ._read import to_token_ids
from .base import Input, PlainInput, Steps, new_tuple, refuse_times

MAX_WORD: Final = 64
ROLES: Final = (("bytes", "U8"), ("offsets", "I64"))


def parse(name: str, entry: dict[str, Any], tensors: Mapping[str, Array]) -> TextInput:
    """Check the entry of a text and return its input. Raises ModelFileError."""
    place = f"inputs.{name}"
    check_keys(place, entry, "kind", "tokenizer", "vocabulary", "size", *(("features",) if "features" in entry else ()))
    check_object(f"{place}.tokenizer", entry["tokenizer"])
    names = entry["vocabulary"]
    check_keys(f"{place}.vocabulary", names, *(role for role, _ in ROLES))
    size = check_integer(f"{place}.size", entry["size"], 1, MAX_VOCABULARY)
    for (role, dtype), shape in zip(ROLES, ((-1,), (size + 1,)), strict=True):
        check_tensor(f"{place}.vocabulary.{role}", names[role], tensors, dtype, shape)
    if "features" in entry:
        check_features(f"{place}.features", entry["features"], entry["tokenizer"].get("kind"))
    return TextInput(name, entry, {role: tensors[names[role]] for role, _ in ROLES})


def check_features(place: str, names: Any, kind: Any) -> None:
    """Raise ModelFileError unless these are distinct names of features that a tokenizer of this kind has."""
    valid = isinstance(names, list) and names and all(isinstance(n, str) and n in NAMES for n in names)
    if not valid or len(set(names)) < len(names):
        raise ModelFileError(f"{place}: is {show(names)}; expected a list of different names of {', '.join(NAMES)}")
    if kind not in KINDS:
        raise ModelFileError(
            f"{place}: the tokenizer is of kind {show(kind)}; only {' and '.join(KINDS)} have features"
        )


class TextInput(PlainInput):
    """Messages: rows are int32 ids [T], or [T, ids] with features; the state is the unfinished word.

    entry: a valid one. vocabulary: its tensors, by role.
    """

    kind = "text"
    takes = noun = event_key = "text"
    empty = "no word"

    def __init__(self, name: str, entry: dict[str, Any], vocabulary: Mapping[str, Array]) -> None:
        super().__init__(name)
        self._entry, self._vocabulary = entry, vocabulary
        self.size, self.ids = entry["size"], 1 + len(entry.get("features", ()))
        self.no_step_reason = "no complete word yet" if entry["tokenizer"].get("kind") == "word" else "no step yet"

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """What splits a text into tokens."""
        return Tokenizer.from_json(self._entry["tokenizer"])

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The ids of tokens."""
        return Vocabulary(self._vocabulary["bytes"], self._vocabulary["offsets"])

    @cached_property
    def words(self) -> WordFeatures:
        """The ids of words and of their features."""
        return WordFeatures(self.tokenizer, self.vocabulary, self._entry.get("features", ()))

    @cached_property
    def _calls(self) -> tuple[Callable[..., Any], ...]:
        """What each push calls: `feed` and `flush` of the tokenizer, and what gives tokens their ids."""
        if self.ids == 1:
            return self.tokenizer.feed, self.tokenizer.flush, self.vocabulary.ids
        return self.words.splitter.feed, self.words.splitter.flush, self.words.ids

    @property
    def tokens(self) -> tuple[bytes, ...]:
        return self.vocabulary.tokens

    def differs_from(self, other: Input) -> str:
        if fault := super().differs_from(other):
            return fault
        own, before = self.tokenizer.to_json(), other.to_json()["tokenizer"]
        for name in own:
            if own[name] != before[name]:
                return f"has another tokenizer, whose {name} is {show(before[name])}, and here it is {show(own[name])}"
        return ""

    def normalise(self, token: bytes) -> bytes:
        return self.tokenizer.normalise(token)

    def prepare(self) -> TextInput:
        try:
            _ = self.words
        except DataError as error:
            raise ModelFileError(f"inputs.{self.name}: {error}") from error
        return self

    def to_json(self) -> dict[str, Any]:
        return dict(self._entry)

    def tensor_names(self) -> set[str]:
        return set(self._entry["vocabulary"].values())

    def push(self, x: Any, state: bytes, time: Any = None, end: bool = False) -> tuple[Steps, bytes]:
        """Return the ids of the words that `x` (str or bytes) completes, and the unfinished word."""
        if time is not None:
            refuse_times()
        if isinstance(x, str):
            x = x.encode() if x.isascii() else encode(x)
        elif not isinstance(x, bytes):
            raise DataError(f"this model takes text, str or bytes; {type(x).__name__} was given")
        feed, flush, find_ids = self._calls
        tokens, state = feed(x, state)
        if end and state:
            tokens, state = tokens + flush(state), b""
        return new_tuple(Steps, (find_ids(tokens), len(tokens), None)), state

    def read(self, x: Any, state: bytes) -> tuple[npt.NDArray[np.int32], bytes]:
        steps, state = self.push(x, state)
        return steps.rows, state

    def finish(self, state: bytes) -> tuple[Steps, bytes]:
        return self.push(b"", state, None, True)

    def read_many(self, x: Any) -> npt.NDArray[np.int32]:
        """Return the ids of a step for each of n streams: int32 [n], or [n, ids] with features."""
        return to_token_ids(x, self.size, self.ids)

    def synthesise(self, draws: Iterator[int], steps: int) -> npt.NDArray[np.int32]:
        return draw_ids(draws, steps, self.size, self.ids)

    def from_bytes(self, data: bytes, count: int) -> bytes:
        """Return the unfinished word. Raises StateError unless this tokenizer can leave it."""
        if len(data) > MAX_WORD:
            raise StateError(f"the state's unfinished word has {len(data)} bytes; at most {MAX_WORD} are allowed")
        try:
            tokens, rest = self.tokenizer.feed(b"", data)
        except DataError as error:
            raise StateError(f"its unfinished word does not fit this model: {error}") from error
        if tokens or rest != data:
            raise StateError("its unfinished word does not fit this model: the tokenizer would split it")
        return data
