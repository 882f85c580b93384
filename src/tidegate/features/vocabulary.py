"""The vocabulary: converts tokens to ids and back; a model file stores it as two arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import DataError, OptionError

_EVERY_BYTE = bytes(range(256))


class Vocabulary:
    """The ids of tokens. Id 0 is the unknown token, whose entry is empty. Treat it as immutable.

    Args:
        data: uint8, shape (N,): the UTF-8 bytes of all tokens, one after the other.
        offsets: int64, shape (V + 1,): entry i is `data[offsets[i]:offsets[i + 1]]`; only the first is empty.

    Raises:
        DataError: arrays that are not a vocabulary: wrong type, offsets that do not ascend from 0 to N, an entry
            that is not UTF-8 (except for the 256 single bytes, `Vocabulary.of_bytes`) or occurs twice.

    >>> vocabulary = Vocabulary.learn({b"tide": 2, b"gate": 3})
    >>> len(vocabulary), vocabulary.ids([b"gate", b"moon", b"tide"])
    (3, array([1, 0, 2], dtype=int32))
    """

    __slots__ = ("_every_id", "_ids", "_tokens")

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        _check_layout(data, offsets)
        whole, bounds = data.tobytes(), offsets.tolist()
        self._tokens = [whole[start:end] for start, end in pairwise(bounds)]
        self._ids = _Ids((token, index) for index, token in enumerate(self._tokens))
        _check_tokens(whole, data, offsets, self._tokens)
        if len(self._ids) != len(self._tokens):
            first = next(index for index, token in enumerate(self._tokens) if self._ids[token] != index)
            raise DataError(f"entry {first} of the vocabulary occurs twice, as {self._tokens[first]!r}")
        del self._ids[b""]
        self._every_id = np.arange(len(self._tokens), dtype=np.int32)
        self._every_id.flags.writeable = False  # the ids of single tokens are parts of it

    @classmethod
    def learn(cls, counts: Mapping[bytes, int], min_count: int = 1, max_size: int | None = None) -> Vocabulary:
        """Make a vocabulary of the most frequent tokens, by descending count, then by bytes.

        Args:
            counts: how often each token occurs.
            min_count: leave out rarer tokens; at least 1.
            max_size: the largest number of entries, including the unknown token; at least 1; None: no limit.

        Raises:
            OptionError: a limit below 1.
            DataError: a token that is empty or not UTF-8.
        """
        for name, value in (("min_count", min_count), ("max_size", max_size)):
            if value is not None and value < 1:
                raise OptionError(f"{name} is {value}; it must be at least 1")
        frequent = sorted((-count, token) for token, count in counts.items() if count >= min_count)
        return cls._from_tokens([token for _, token in frequent[: None if max_size is None else max_size - 1]])

    def extend(self, tokens: Iterable[bytes], max_size: int | None = None) -> Vocabulary:
        """Return a vocabulary with further tokens behind its own, those that it does not have yet, in their order.

        Args:
            tokens: the further ones.
            max_size: the largest number of entries; None: no limit.

        Raises:
            DataError: a token that is not UTF-8.

        >>> Vocabulary.learn({b"tide": 1}).extend([b"gate", b"tide", b"moon"], 3).tokens
        (b'', b'tide', b'gate')
        """
        both = [*dict.fromkeys([*self._tokens, *tokens])]
        return self._from_tokens(both[1 : None if max_size is None else max(max_size, len(self))])

    @classmethod
    def of_bytes(cls) -> Vocabulary:
        """Make the vocabulary of kind byte: byte b has id b + 1.

        >>> Vocabulary.of_bytes().ids([b"a", b"\\xff"])
        array([ 98, 256], dtype=int32)
        """
        return cls._from_tokens([_EVERY_BYTE[i : i + 1] for i in range(256)])

    @classmethod
    def _from_tokens(cls, tokens: list[bytes]) -> Vocabulary:
        return cls(*_arrays([b"", *tokens]))

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._tokens == other._tokens

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} entries)"

    @property
    def tokens(self) -> tuple[bytes, ...]:
        """The entries by id; the first, the unknown token, is empty."""
        return tuple(self._tokens)

    def ids(self, tokens: Sequence[bytes]) -> NDArray[np.int32]:
        """Return the id of each token, 0 if it is unknown: int32, shape (T,).

        Args:
            tokens: as `Tokenizer.feed` returns them.
        """
        if len(tokens) == 1:  # a stream waits for it
            first = self._ids[tokens[0]]
            return self._every_id[first : first + 1]
        return np.array([*map(self._ids.__getitem__, tokens)], np.int32)

    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return data (uint8) and offsets (int64), as the constructor takes them.

        >>> data, offsets = Vocabulary.learn({b"b": 1, b"a": 1}).arrays()
        >>> bytes(data), offsets.tolist()
        (b'ab', [0, 0, 1, 2])
        """
        return _arrays(self._tokens)


class _Ids(dict[bytes, int]):
    """The id of each token, 0 for those that are not there, which it does not add."""

    def __missing__(self, token: bytes) -> int:
        return 0


def _arrays(tokens: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    offsets = np.zeros(len(tokens) + 1, np.int64)
    np.cumsum([len(token) for token in tokens], out=offsets[1:])
    return np.frombuffer(b"".join(tokens), np.uint8), offsets


def _check_layout(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    """Raise DataError unless the arrays have the right types, and the offsets ascend from 0 to the end of the data."""
    for name, array, dtype in (("data", data, np.uint8), ("offsets", offsets, np.int64)):
        if array.dtype != dtype or array.ndim != 1:
            fault = f"are {array.dtype} with {array.ndim} axes"
            raise DataError(f"the vocabulary's {name} {fault}; expected {np.dtype(dtype)} with one axis")
    if len(offsets) < 2 or offsets[0] != 0 or offsets[1] != 0:
        raise DataError("the vocabulary's offsets must begin with 0, 0: entry 0, the unknown token, is empty")
    falls = np.flatnonzero(offsets[2:] <= offsets[1:-1])
    if falls.size:
        entry = int(falls[0]) + 1
        span = f"from {offsets[entry]} to {offsets[entry + 1]}"
        raise DataError(f"entry {entry} of the vocabulary runs {span}; it must have at least one byte")
    if offsets[-1] != len(data):
        raise DataError(f"the vocabulary's offsets end at {offsets[-1]}, its data at {len(data)}")


def _check_tokens(whole: bytes, data: NDArray[np.uint8], offsets: NDArray[np.int64], tokens: list[bytes]) -> None:
    """Raise DataError unless each entry is UTF-8: the whole is, and no entry begins inside a character."""
    if whole == _EVERY_BYTE and len(tokens) == 257:
        return
    inside = (data[offsets[1:-1]] & 0xC0) == 0x80
    try:
        whole.decode()
    except UnicodeDecodeError as error:
        entry = int(np.searchsorted(offsets, error.start, "right")) - 1
    else:
        if not inside.any():
            return
        entry = int(np.flatnonzero(inside)[0]) + 1
    raise DataError(f"entry {entry} of the vocabulary is not UTF-8: {tokens[entry]!r}")
