"""The tokenizer: converts UTF-8 bytes to tokens, in chunks that may be cut anywhere.

`feed` and `flush` are pure functions of the options and the unfinished word. However a message is split into chunks,
the tokens are those of the whole message.
"""

from __future__ import annotations

from codecs import utf_8_decode
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from tidegate.errors import DataError, OptionError, StateError
from tidegate.features.characters import UNICODE, VERSIONS, load
from tidegate.features.vocabulary import Vocabulary

if TYPE_CHECKING:
    from re import Match

__all__ = ["DIGITS", "KINDS", "WORD_BYTES", "Tokenizer", "Vocabulary", "encode"]

KINDS = ("word", "space", "char", "byte")
DIGITS = ("keep", "shape")
WORD_BYTES = 64  # a longer word is split; a stream's state has this much room for the unfinished word

_SHAPE = bytes.maketrans(b"123456789", b"000000000")
_BYTES = tuple(bytes([byte]) for byte in range(256))
_GROWING = {  # by kind, the ASCII bytes that a word which ends in them may go on after
    "word": frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"),
    "space": frozenset(range(128)).difference(b"\t\n\v\f\r\x1c\x1d\x1e\x1f "),
}
_SPACE = r"\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # inside [] of a pattern


class Tokenizer:
    """Splits text into tokens. Immutable, and equal by value.

    word: a run of letters, marks, digits and underscores is a token, split after 64 bytes; an ideograph, a kana and
    every other visible character is a token by itself; white space, control and format characters separate tokens.
    space: a run of characters that are not white space is a token, as in `str.split`, split after 64 bytes.
    char: every character is a token. byte: every byte is a token.

    Args:
        kind: one of `KINDS`.
        fold: whether to fold case; by default True, but False for byte (which cannot fold).
        digits: "keep", or "shape": every decimal digit becomes 0 (not for byte).
        unicode: the version of Unicode for character classes and case folding.

    Raises:
        OptionError: an unknown value of an option.

    >>> tokenizer = Tokenizer("word")
    >>> tokens, unfinished = tokenizer.feed(b"What's my bal")
    >>> tokens, unfinished
    ([b'what', b"'", b's', b'my'], b'bal')
    >>> tokenizer.feed(b"ance?", unfinished)
    ([b'balance', b'?'], b'')
    """

    __slots__ = ("digits", "fold", "kind", "unicode")

    kind: str
    fold: bool
    digits: str
    unicode: str

    def __init__(
        self, kind: str = "word", fold: bool | None = None, digits: str = "keep", unicode: str = UNICODE
    ) -> None:
        _check_choice("kind", kind, KINDS)
        _check_choice("digits", digits, DIGITS)
        _check_choice("unicode", unicode, VERSIONS)
        folds = kind != "byte" if fold is None else fold
        if not isinstance(folds, bool):
            raise OptionError(f"fold is {folds!r}; choose true or false")
        if kind == "byte" and (folds or digits != "keep"):
            raise OptionError("kind byte keeps every byte, so fold is false and digits keep; or choose char")
        for name, value in (("kind", kind), ("fold", folds), ("digits", digits), ("unicode", unicode)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Tokenizer is immutable; make another one to change {name}")

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[object, ...]]:
        return Tokenizer, self._values()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"Tokenizer({self.kind!r}, fold={self.fold}, digits={self.digits!r}, unicode={self.unicode!r})"

    def _values(self) -> tuple[str, bool, str, str]:
        return self.kind, self.fold, self.digits, self.unicode

    def to_json(self) -> dict[str, str | bool]:
        """Return the options as a JSON object; `from_json` reads it.

        >>> Tokenizer("char", digits="shape").to_json()
        {'kind': 'char', 'fold': True, 'digits': 'shape', 'unicode': 'unicode-14.0.0'}
        """
        return {"kind": self.kind, "fold": self.fold, "digits": self.digits, "unicode": self.unicode}

    @classmethod
    def from_json(cls, document: object) -> Tokenizer:
        """Make the tokenizer that `to_json` described.

        Args:
            document: an object with exactly the keys kind, fold, digits and unicode.

        Raises:
            DataError: a key too few or too many, or a value that an option does not have.
        """
        keys = ("kind", "fold", "digits", "unicode")
        if not isinstance(document, dict):
            raise DataError(f"a tokenizer is a JSON object, not {type(document).__name__}")
        for key in document:
            if key not in keys:
                raise DataError(f"unknown key {key!r} in the tokenizer; expected {', '.join(keys)}")
        for key in keys:
            if key not in document:
                raise DataError(f"the tokenizer has no key {key!r}; expected {', '.join(keys)}")
        if not isinstance(document["fold"], bool):
            raise DataError(f"fold is {document['fold']!r}; choose true or false")
        try:
            return cls(**document)
        except OptionError as error:
            raise DataError(str(error)) from error

    def feed(self, data: bytes, unfinished: bytes = b"") -> tuple[list[bytes], bytes]:
        """Return the tokens that `data` completes, and the unfinished word.

        Args:
            data: the next UTF-8 bytes of the message; they may begin and end inside a character.
            unfinished: what the previous call returned; empty at the start of a message; less than 64 bytes.

        Raises:
            DataError: bytes that are not UTF-8 (kind byte takes any); the offset in the message is that in `data`.
            StateError: `unfinished` is longer than any unfinished word.
        """
        if not isinstance(data, bytes):
            raise DataError(f"the tokenizer takes bytes, not {type(data).__name__}; encode text first")
        whole = data
        if unfinished:
            if len(unfinished) >= WORD_BYTES:
                raise StateError(f"the unfinished word has {len(unfinished)} bytes; expected less than {WORD_BYTES}")
            whole = unfinished + data
        if self.kind == "byte":
            return [_BYTES[byte] for byte in whole], b""
        if whole.isascii():
            return (self._ascii_characters(whole), b"") if self.kind == "char" else self._ascii_words(whole)
        text, tail = _decode(whole, len(unfinished))
        return (self._characters(text), tail) if self.kind == "char" else self._words(text, tail)

    def flush(self, unfinished: bytes) -> list[bytes]:
        """Return the tokens that the end of the message completes.

        Args:
            unfinished: what the last `feed` returned.

        Raises:
            DataError: the message ends inside a character.

        >>> Tokenizer("word").flush(b"Balance")
        [b'balance']
        """
        tokens, rest = self.feed(b"", unfinished)
        if not rest:
            return tokens
        text, tail = _decode(rest, 0)
        if tail:
            raise DataError(f"the text ends inside a character, after 0x{tail.hex()}; feed the rest of it first")
        return [*tokens, self._token(text)]

    def tokens(self, data: bytes) -> list[bytes]:
        """Return all tokens of a whole message.

        >>> Tokenizer("word").tokens("Größe 7½ 世界".encode())[0].decode()
        'grösse'
        """
        tokens, unfinished = self.feed(data)
        return tokens + self.flush(unfinished) if unfinished else tokens

    def plain(self) -> Tokenizer:
        """Return the tokenizer that splits texts in the same places and leaves tokens as they are written.

        >>> Tokenizer("word").plain().tokens(b"Gate 7")
        [b'Gate', b'7']
        """
        return Tokenizer(self.kind, fold=False, digits="keep", unicode=self.unicode)

    def normalise(self, token: bytes) -> bytes:
        """Return a token of `plain` as this tokenizer gives it.

        >>> Tokenizer("word", digits="shape").normalise(b"Gate7")
        b'gate0'
        """
        return token if self.kind == "byte" else self._token(token.decode())

    def _ascii_characters(self, whole: bytes) -> list[bytes]:
        return [_BYTES[byte] for byte in self._fold_ascii(whole)]

    def _ascii_words(self, whole: bytes) -> tuple[list[bytes], bytes]:
        kind = self.kind
        folded = whole.lower() if self.fold else whole
        tokens = _ascii_pattern(kind)(folded if self.digits == "keep" else folded.translate(_SHAPE))
        if not whole or whole[-1] not in _GROWING[kind] or len(tokens[-1]) == WORD_BYTES:
            return tokens, b""
        return tokens, whole[-len(tokens.pop()) :]

    def _fold_ascii(self, whole: bytes) -> bytes:
        folded = whole.lower() if self.fold else whole
        return folded.translate(_SHAPE) if self.digits == "shape" else folded

    def _characters(self, text: str) -> list[bytes]:
        return [self._token(character) for character in text]

    def _words(self, text: str, tail: bytes) -> tuple[list[bytes], bytes]:
        runs, end = self._find_runs(text)
        pieces = [piece for run in runs for piece in _split_word(text[slice(*run)])]
        *full, last = _split_word(text[end:])
        if _is_full(last, tail):
            full, last = [*full, last], ""
        return [self._token(piece) for piece in pieces + full], last.encode() + tail

    def _find_runs(self, text: str) -> tuple[list[tuple[int, int]], int]:
        """Return the start and end of every finished word, and the start of the unfinished one."""
        if self.kind == "space":
            runs = [match.span() for match in _run_pattern()(text)]
            return (runs[:-1], runs[-1][0]) if runs and runs[-1][1] == len(text) else (runs, len(text))
        classes = text.translate(load(self.unicode)[0])
        end = len(classes.rstrip("wd"))
        return [match.span() for match in _class_pattern()(classes, 0, end)], end

    def _token(self, text: str) -> bytes:
        if text.isascii():
            return self._fold_ascii(text.encode())
        classes, folds = load(self.unicode)
        if self.digits == "shape":
            text = "".join("0" if classes[ord(character)] == "d" else character for character in text)
        return (text.translate(folds) if self.fold else text).encode()


def encode(text: str) -> bytes:
    """Encode a text as UTF-8, for `Tokenizer.feed`.

    Args:
        text: any text without lone surrogates.

    Raises:
        DataError: half of a surrogate pair, which is not a character.

    >>> encode("né")
    b'n\\xc3\\xa9'
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise DataError(
            f"character {error.start} of the text is U+{code:04X}, half of a surrogate pair; "
            "decode the text as UTF-8 again, without surrogateescape"
        ) from error


def _check_choice(option: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OptionError(f"unknown {option} {value!r}; choose one of {', '.join(choices)}")


def _decode(whole: bytes, before: int) -> tuple[str, bytes]:
    """Decode whole characters; return up to 3 bytes of an incomplete last one too. before: bytes of earlier chunks."""
    try:
        text, used = utf_8_decode(whole, "strict", False)
    except UnicodeDecodeError as error:
        start, byte = error.start - before, whole[error.start]
        where = f"byte {start}" if start >= 0 else "a character that began in the previous chunk"
        raise DataError(
            f"the text is not UTF-8: {where} (0x{byte:02x}): {error.reason}; encode the text as UTF-8"
        ) from error
    return text, whole[used:]


def _split_word(word: str) -> list[str]:
    """Split a word at the last character boundary within 64 bytes, as often as needed."""
    if len(word) <= WORD_BYTES // 4 or len(word.encode()) <= WORD_BYTES:
        return [word]
    pieces, start, size = [], 0, 0
    for here, character in enumerate(word):
        width = len(character.encode())
        if size + width > WORD_BYTES:
            pieces.append(word[start:here])
            start, size = here, 0
        size += width
    return [*pieces, word[start:]]


def _is_full(word: str, tail: bytes) -> bool:
    """Return whether a word is full: it has 64 bytes, or the character that has begun does not fit any more."""
    next_bytes = (2 + (tail[0] >= 0xE0) + (tail[0] >= 0xF0)) if tail else 1
    return len(word.encode()) + next_bytes > WORD_BYTES


@cache
def _ascii_pattern(kind: str) -> Callable[[bytes], list[bytes]]:
    import re

    if kind == "space":
        return re.compile(rb"[^\t-\r\x1c- ]{1,%d}" % WORD_BYTES).findall
    return re.compile(rb"[0-9A-Za-z_]{1,%d}|[!-/:-@\[-^`{-~]" % WORD_BYTES).findall


@cache
def _class_pattern() -> Callable[[str, int, int], Iterator[Match[str]]]:
    import re

    return re.compile("[wd]+|[io]").finditer


@cache
def _run_pattern() -> Callable[[str], Iterator[Match[str]]]:
    import re

    return re.compile(f"[^{_SPACE}]+").finditer
