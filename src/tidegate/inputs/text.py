"""Text: a tokenizer splits messages, a vocabulary gives each token its id, and ids to features of words.

A step may also have the ids of hashed n-grams, as two ports of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelFileError, StateError
from ..expect import check_integer, check_keys, check_list, check_object, check_tensor
from ..features import ngrams
from ..features.text import Tokenizer, Vocabulary, encode
from ..features.word_features import KINDS, NAMES, WordFeatures
from ..limits import MAX_IDS, MAX_VOCABULARY
from ..strictjson import show
from ..tensors import Array
from ._draws import draw_ids, draw_port_ids
from ._read import to_port_ids, to_token_ids
from .base import Input, PlainInput, Port, Steps, new_tuple, refuse_times

MAX_WORD: Final = 64
ROLES: Final = (("bytes", "U8"), ("offsets", "I64"))
NGRAM_ROLES: Final = ("words", "characters")
TYPICAL: Final = 24  # n-grams that a made-up word has at most: sums of far more are numbers that no text gives
BEFORE: Final = 4  # bytes of a state for the hash that the next word is appended to


def parse(name: str, entry: dict[str, Any], tensors: Mapping[str, Array]) -> TextInput:
    """Check the entry of a text and return its input. Raises ModelFileError."""
    place = f"inputs.{name}"
    further = [key for key in ("features", "ngrams") if key in entry]
    check_keys(place, entry, "kind", "tokenizer", "vocabulary", "size", *further)
    check_object(f"{place}.tokenizer", entry["tokenizer"])
    names = entry["vocabulary"]
    check_keys(f"{place}.vocabulary", names, *(role for role, _ in ROLES))
    size = check_integer(f"{place}.size", entry["size"], 1, MAX_VOCABULARY)
    for (role, dtype), shape in zip(ROLES, ((-1,), (size + 1,)), strict=True):
        check_tensor(f"{place}.vocabulary.{role}", names[role], tensors, dtype, shape)
    if "features" in entry:
        check_features(f"{place}.features", entry["features"], entry["tokenizer"].get("kind"))
    if "ngrams" in entry:
        check_ngrams(f"{place}.ngrams", entry["ngrams"], entry["tokenizer"].get("kind"), tensors)
    tables = entry["ngrams"]["tables"] if "ngrams" in entry else {}
    return TextInput(
        name,
        entry,
        {role: tensors[names[role]] for role, _ in ROLES},
        {role: tensors[table] for role, table in tables.items()},
    )


def check_features(place: str, names: Any, kind: Any) -> None:
    """Raise ModelFileError unless these are distinct names of features that a tokenizer of this kind has."""
    valid = isinstance(names, list) and names and all(isinstance(n, str) and n in NAMES for n in names)
    if not valid or len(set(names)) < len(names):
        raise ModelFileError(f"{place}: is {show(names)}; expected a list of different names of {', '.join(NAMES)}")
    if kind not in KINDS:
        raise ModelFileError(
            f"{place}: the tokenizer is of kind {show(kind)}; only {' and '.join(KINDS)} have features"
        )


def check_ngrams(place: str, entry: Any, kind: Any, tensors: Mapping[str, Array]) -> None:
    """Check the entry of hashed n-grams. kind: of the tokenizer. Raises ModelFileError."""
    check_object(place, entry)
    check_keys(place, entry, "hash", "characters", "tables")
    if entry["hash"] != ngrams.HASH:
        raise ModelFileError(f"{place}.hash: is {show(entry['hash'])}; expected {ngrams.HASH!r}")
    check_list(f"{place}.characters", entry["characters"], 2, 2)
    shortest = check_integer(f"{place}.characters[0]", entry["characters"][0], 1, ngrams.MAX_LENGTH)
    longest = check_integer(f"{place}.characters[1]", entry["characters"][1], shortest, ngrams.MAX_LENGTH)
    if ngrams.WORDS + ngrams.count_most(shortest, longest) + len(NAMES) + 1 > MAX_IDS:
        raise ModelFileError(f"{place}.characters: n-grams of {shortest} to {longest} give a step over {MAX_IDS} ids")
    check_object(f"{place}.tables", entry["tables"])
    check_keys(f"{place}.tables", entry["tables"], *NGRAM_ROLES)
    for role in NGRAM_ROLES:
        check_tensor(f"{place}.tables.{role}", entry["tables"][role], tensors, "U32", (-1,))
        hashes = tensors[entry["tables"][role]]
        if not 1 <= len(hashes) <= MAX_VOCABULARY or (hashes[1:] <= hashes[:-1]).any():
            raise ModelFileError(f"{place}.tables.{role}: must be 1 to {MAX_VOCABULARY} hashes in ascending order")
    if kind not in KINDS:
        raise ModelFileError(f"{place}: the tokenizer is of kind {show(kind)}; only {' and '.join(KINDS)} have n-grams")


class TextInput(PlainInput):
    """Messages: rows are int32 ids [T], or [T, ids] with features or n-grams.

    The state is the unfinished word; with n-grams, there are four bytes in front of it for the word before, unless
    nothing has been read.

    entry: a valid one. vocabulary: its tensors, by role. tables: those of n-grams, by role.
    """

    kind = "text"
    takes = noun = event_key = "text"
    empty = "no word"

    def __init__(
        self, name: str, entry: dict[str, Any], vocabulary: Mapping[str, Array], tables: Mapping[str, Array]
    ) -> None:
        super().__init__(name)
        self._entry, self._vocabulary, self._tables = entry, vocabulary, tables
        own = 1 + len(entry.get("features", ()))
        self._ports = {"": Port(0, own, entry["size"])}
        if tables:
            most = ngrams.count_most(*entry["ngrams"]["characters"])
            self._ports["words"] = Port(own, ngrams.WORDS, len(tables["words"]), True)
            characters = len(tables["characters"])
            self._ports["characters"] = Port(own + ngrams.WORDS, most, characters, True, min(most, TYPICAL))
        self.size, self.ids = entry["size"], sum(port.ids for port in self._ports.values())
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

    @property
    def ports(self) -> dict[str, Port]:
        return dict(self._ports)

    @property
    def memory_bytes(self) -> int:
        return BEFORE if self._tables else 0

    @cached_property
    def ngrams(self) -> ngrams.NGrams | None:
        """The ids of n-grams; None without them."""
        if not self._tables:
            return None
        shortest, longest = self._entry["ngrams"]["characters"]
        return ngrams.NGrams(self._tables["words"], self._tables["characters"], shortest, longest)

    def describe(self) -> list[tuple[str, str]]:
        if not self._tables:
            return []
        words, characters = (len(self._tables[role]) for role in NGRAM_ROLES)
        return [("n-grams", f"{words:,} of words and {characters:,} of characters, by {self._entry['ngrams']['hash']}")]

    @cached_property
    def _calls(self) -> tuple[Callable[..., Any], ...]:
        """What each push calls: `feed` and `flush` of the tokenizer, and what gives tokens their ids."""
        if self._ports[""].ids == 1:
            return self.tokenizer.feed, self.tokenizer.flush, self.vocabulary.ids
        return self.words.splitter.feed, self.words.splitter.flush, self.words.ids

    @property
    def tokens(self) -> tuple[bytes, ...]:
        return self.vocabulary.tokens

    def row_names(self, port: str) -> tuple[Sequence[Any] | None, str]:
        if not port:
            return super().row_names(port)
        return list(map(str, self._tables[port].tolist())), f"n-grams of {port}"

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
            _ = self.words, self.ngrams
        except DataError as error:
            raise ModelFileError(f"inputs.{self.name}: {error}") from error
        return self

    def to_json(self) -> dict[str, Any]:
        return dict(self._entry)

    def tensor_names(self) -> set[str]:
        tables = self._entry["ngrams"]["tables"] if self._tables else {}
        return {*self._entry["vocabulary"].values(), *tables.values()}

    def push(self, x: Any, state: bytes, time: Any = None, end: bool = False) -> tuple[Steps, bytes]:
        """Return the ids of the words that `x` (str or bytes) completes, and the unfinished word."""
        if time is not None:
            refuse_times()
        if isinstance(x, str):
            x = x.encode() if x.isascii() else encode(x)
        elif not isinstance(x, bytes):
            raise DataError(f"this model takes text, str or bytes; {type(x).__name__} was given")
        feed, flush, find_ids = self._calls
        if self._tables:
            return self._push_ngrams(x, state, end)
        tokens, state = feed(x, state)
        if end and state:
            tokens, state = tokens + flush(state), b""
        return new_tuple(Steps, (find_ids(tokens), len(tokens), None)), state

    def _push_ngrams(self, x: bytes, state: bytes, end: bool) -> tuple[Steps, bytes]:
        """Do `push` for steps that have n-grams as well."""
        feed, flush, find_ids = self._calls
        before = int.from_bytes(state[:BEFORE], "little") if state else ngrams.NO_WORD
        tokens, unfinished = feed(x, state[BEFORE:])
        if end and unfinished:
            tokens, unfinished = tokens + flush(unfinished), b""
        ids = find_ids(tokens).reshape(len(tokens), self._ports[""].ids)
        if self._ports[""].ids > 1:
            tokens = [self.tokenizer.normalise(token) for token in tokens]
        assert self.ngrams
        more, before = self.ngrams.ids(tokens, before)
        state = before.to_bytes(BEFORE, "little") + unfinished if unfinished or before != ngrams.NO_WORD else b""
        return new_tuple(Steps, (np.concatenate([ids, more], 1), len(tokens), None)), state

    def pending_steps(self, state: bytes) -> int:
        return int(len(state) > self.memory_bytes)

    def read(self, x: Any, state: bytes) -> tuple[npt.NDArray[np.int32], bytes]:
        steps, state = self.push(x, state)
        return steps.rows, state

    def finish(self, state: bytes) -> tuple[Steps, bytes]:
        return self.push(b"", state, None, True)

    def read_many(self, x: Any) -> npt.NDArray[np.int32]:
        """Return the ids of a step for each of n streams: int32 [n], or [n, ids] with features or n-grams."""
        if self._tables:
            return to_port_ids(x, self._ports)
        return to_token_ids(x, self.size, self.ids)

    def synthesise(self, draws: Iterator[int], steps: int) -> npt.NDArray[np.int32]:
        if self._tables:
            return draw_port_ids(draws, steps, self._ports.values())
        return draw_ids(draws, steps, self.size, self.ids)

    def from_bytes(self, data: bytes, count: int) -> bytes:
        """Return the unfinished word. Raises StateError unless this tokenizer can leave it."""
        word = data[self.memory_bytes :]
        if len(word) > MAX_WORD:
            raise StateError(f"the state's unfinished word has {len(word)} bytes; at most {MAX_WORD} are allowed")
        if 0 < len(data) < self.memory_bytes:
            raise StateError(f"its input state has {len(data)} bytes; expected 0, or at least {self.memory_bytes}")
        try:
            tokens, rest = self.tokenizer.feed(b"", word)
        except DataError as error:
            raise StateError(f"its unfinished word does not fit this model: {error}") from error
        if tokens or rest != word:
            raise StateError("its unfinished word does not fit this model: the tokenizer would split it")
        return data
