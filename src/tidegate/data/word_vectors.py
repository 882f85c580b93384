"""Read the vectors of words that others have trained: text files of word2vec, GloVe and fastText, and .npz archives.

A text file has a word and its numbers on each line, separated by spaces; those of word2vec and fastText (`.vec`) begin
with a line of two counts, of words and of numbers. It may be compressed with gzip. It is read once, line by line, and
only the words that are wanted are kept, so it may be larger than the memory.

An archive has an array `vectors` (or `q`) [n, width], which a further one `scale` [n] may multiply, row by row; and the
words in an array `words` [n], or in a file `words.txt` or `words.txt.gz` beside it, one on each line.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tidegate import files
from tidegate.data.compression import unpack
from tidegate.data.npz import read_npz
from tidegate.errors import DataError, error_context

ARCHIVE: Final = ".npz"
BESIDE: Final = ("words.txt", "words.txt.gz")  # of an archive without words
NUMBERS: Final = ("vectors", "q")  # the names that an archive's array of numbers can have
MAX_WIDTH: Final = 4096
CHUNK: Final = 1 << 20
OF_NUMBERS: Final = b"0123456789+-.eE "  # all that a line has behind its word
UNKNOWN: Final = frozenset(["", "text"])  # what `files.detect_kind` says of vectors
FASTTEXT: Final = b"\xba\x16\x4f\x2f"  # the first bytes of fastText's binary files
FORMATS: Final = "expected a text file of word2vec, GloVe or fastText (also .gz), or an .npz archive"
TO_TEXT: Final = (
    "is binary, which is not read; write it as text, with gensim by KeyedVectors.load_word2vec_format(path, "
    "binary=True).save_word2vec_format('vectors.txt'), or take the .vec file of fastText"
)
Floats = npt.NDArray[np.float32]
Normalise = Callable[[bytes], bytes]


@dataclass
class WordVectors:
    """The vectors of some words in a file.

    width: of each. vectors: word -> float32 [width]. words: how many the file has. repeated: how many of those that are
    wanted it has more than once; the first one counts. sha256: of the file.
    """

    width: int
    vectors: dict[bytes, Floats] = field(default_factory=dict)
    words: int = 0
    repeated: int = 0
    sha256: str = ""


def list_files(path: str) -> list[str]:
    """Return the files that are read for the vectors at a path: itself, and the words beside an archive."""
    beside = [os.path.join(os.path.dirname(path), name) for name in BESIDE] if is_archive(path) else []
    return [path, *filter(os.path.exists, beside)]


def is_archive(path: str) -> bool:
    """Return whether a path is that of an archive."""
    return path.lower().endswith(ARCHIVE)


def read_width(path: str) -> int:
    """Return how many numbers each vector of a file has. Raises DataError if its beginning is not one of vectors.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".txt") as file:
    ...     _ = file.write(b"tide 0.5 1 -2\\n"), file.flush()
    ...     read_width(file.name)
    3
    """
    if is_archive(path):
        return len(read_archive(path)[1][0])
    with open_lines(path) as (lines, _), error_context(path):
        return read_head(lines)[0]


def read_word_vectors(path: str, wanted: Container[bytes], normalise: Normalise) -> WordVectors:
    """Return the vectors of those words of a file that are wanted.

    A word that is spelt as it is wanted counts before one that only becomes it; of several others the first one.

    Args:
        path: of the file.
        wanted: words in UTF-8.
        normalise: what a word of the file becomes, for instance with its case folded.

    Raises:
        DataError: a file that cannot be read, is damaged or incomplete, or holds anything else; with the number of the
            line.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".txt") as file:
    ...     _ = file.write(b"Tide 1 2\\ntide 3 4\\nsea 5 6\\nsea 7 8\\n"), file.flush()
    ...     found = read_word_vectors(file.name, {b"tide", b"sea"}, bytes.lower)
    >>> {word: vector.tolist() for word, vector in found.vectors.items()}, found.words, found.repeated
    ({b'tide': [3.0, 4.0], b'sea': [5.0, 6.0]}, 4, 1)
    """
    if is_archive(path):
        words, table, sha256 = read_archive(path)
        chooser = Chooser(WordVectors(table.shape[1], sha256=sha256), wanted, normalise)
        for word, row in zip(words, table, strict=True):
            if token := chooser.choose(word):
                chooser.found.vectors[token] = np.array(row)
        return chooser.found
    with open_lines(path) as (lines, source):
        with error_context(path):
            width, count, rest, first = read_head(lines)
        chooser = Chooser(WordVectors(width), wanted, normalise)
        for number, line in enumerate(rest, first):
            word, numbers = split_line(path, number, line, width)
            if token := chooser.choose(word):
                chooser.found.vectors[token] = parse_numbers(path, number, numbers)
        found = chooser.found
        if count is not None and found.words != count:
            raise DataError(
                f"{path}: has {found.words:,} words, and its first line promises {count:,}; fetch it again, as it is "
                "not complete"
            )
        found.sha256 = source.digest.hexdigest()
    return found


class Chooser:
    """Decides which lines of a file are kept, one after another. found: what is known so far."""

    def __init__(self, found: WordVectors, wanted: Container[bytes], normalise: Normalise) -> None:
        self.found, self.wanted, self.normalise = found, wanted, normalise
        self.spelt = set[bytes]()  # wanted words that stood in the file as they are

    def choose(self, word: bytes) -> bytes | None:
        """Return the wanted word that gets the vector of the next word of the file; None if there is none."""
        self.found.words += 1
        if word in self.wanted:
            if word in self.spelt:
                self.found.repeated += 1
                return None
            self.spelt.add(word)
            return word
        token = self.normalise(word)
        return token if token in self.wanted and token not in self.found.vectors else None


# ---- text


@contextmanager
def open_lines(path: str) -> Iterator[tuple[Iterator[bytes], files.HashedFile]]:
    """Open a text file, which may be compressed: its lines, and the file, whose digest is complete after the last one.

    Raises DataError for a file of another kind.
    """
    with files.stream(path, DataError) as source:
        raw = io.BufferedReader(source, CHUNK)
        start = raw.peek(512)[:512]
        is_gzip = start.startswith(b"\x1f\x8b")
        stream: Any = io.BufferedReader(gzip.GzipFile(fileobj=raw), CHUNK) if is_gzip else raw
        try:
            refuse_other_kinds(path, stream.peek(512)[:512] if is_gzip else start)
            yield (line for _, line in files.lines(stream)), source
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: is not a complete gzip file ({error}); fetch or compress it again") from error


def refuse_other_kinds(path: str, start: bytes) -> None:
    """Raise DataError for a file that begins like no text of vectors."""
    if not start:
        raise DataError(f"{path}: is empty; {FORMATS}")
    if start.startswith(FASTTEXT) or path.lower().endswith((".bin", ".bin.gz")):
        raise DataError(f"{path}: {TO_TEXT}")
    if (found := files.detect_kind(start)) not in UNKNOWN:
        how = "; unpack it and give one of its files" if found == "a zip archive" else ""
        raise DataError(f"{path}: is {found}; {FORMATS}{how}")


def read_head(lines: Iterator[bytes]) -> tuple[int, int | None, Iterator[bytes], int]:
    """Return the width of the vectors, how many words the first line promises (None for a file without such a line),
    the lines of words, and the number of the first of these. Raises DataError.
    """
    first = next(lines)
    fields = strip(first).split(b" ")
    if len(fields) == 2 and all(part.isdigit() for part in fields):
        count, width = map(int, fields)
        check_width(width, "its first line, of counts,")
        return width, count, lines, 2
    check_width(width := count_numbers(first), "line 1")
    return width, None, chain([first], lines), 1


def count_numbers(line: bytes) -> int:
    """Return how many numbers a line ends with, behind one word or more.

    >>> count_numbers(b"at home 0.5 1\\n"), count_numbers(b"1 2 3"), count_numbers(b"text")
    (2, 2, 0)
    """
    count = 0
    for part in reversed(strip(line).split(b" ")[1:]):
        try:
            float(part)
        except ValueError:
            break
        count += 1
    return count


def check_width(width: int, place: str) -> None:
    if not 1 <= width <= MAX_WIDTH:
        raise DataError(f"{place} gives a word {width:,} numbers, and 1 to {MAX_WIDTH:,} are possible; {FORMATS}")


def strip(line: bytes) -> bytes:
    """Return a line without its end, and with spaces in place of tabs."""
    return line.rstrip(b" \t\r\n").replace(b"\t", b" ")


def split_line(path: str, number: int, line: bytes, width: int) -> tuple[bytes, bytes]:
    """Return the word of a line, which may have spaces inside, and its numbers. Raises DataError with the line."""
    line = strip(line)
    spaces = line.count(b" ")
    if spaces == width:
        word, _, numbers = line.partition(b" ")
    else:
        word, *parts = line.rsplit(b" ", width)
        numbers = b" ".join(parts)
        if spaces < width:
            raise DataError(
                f"{path}:{number}: has {max(0, len(line.split()) - 1):,} numbers behind its word, and the vectors "
                f"have {width:,}; correct the line, or fetch the file again"
            )
    if numbers.translate(None, OF_NUMBERS):
        wrong = next(part for part in numbers.split(b" ") if part.translate(None, OF_NUMBERS))
        what = "a number" if spaces == width else f"one of the {width:,} numbers that end it"
        raise DataError(f"{path}:{number}: {show(wrong)} is not {what}; correct the line, or fetch the file again")
    if not word.isascii() or not word:
        check_word(path, number, word)
    return word, numbers


def check_word(path: str, number: int, word: bytes) -> None:
    """Raise DataError for a word that is empty or not UTF-8."""
    try:
        if word.decode():
            return
        fault = "has no word before its numbers"
    except UnicodeDecodeError:
        fault = f"the word {show(word)} is not UTF-8"
    raise DataError(f"{path}:{number}: {fault}; correct the line, or fetch the file again")


def parse_numbers(path: str, number: int, text: bytes) -> Floats:
    """Return the numbers of a line. Raises DataError for one that is not finite as float32."""
    parts = text.split(b" ")
    try:
        with np.errstate(over="ignore"):
            row = np.array([*map(float, parts)], np.float32)
    except ValueError:
        row = np.array([np.nan], np.float32)
    if not np.isfinite(row).all():
        wrong = next(part for part in parts if not is_finite(part))
        fault = f"{show(wrong)} is not a finite number"
        raise DataError(f"{path}:{number}: {fault}; correct the line, or fetch the file again")
    return row


def is_finite(text: bytes) -> bool:
    try:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(np.float32(float(text))))
    except ValueError:
        return False


def show(text: bytes) -> str:
    """Show some bytes of a file in a message, at most 40."""
    try:
        return repr(text.decode()[:40])
    except UnicodeDecodeError:
        return repr(text[:40])[1:]


# ---- archives


def read_archive(path: str) -> tuple[list[bytes], Floats, str]:
    """Return the words of an archive, their vectors [n, width], and the SHA-256 of what was read. Raises DataError."""
    data = files.read(path, DataError)
    arrays, parts = read_npz(data, path), [data]
    with error_context(path):
        table = read_table(arrays)
    if "words" in arrays:
        with error_context(f"{path}: array 'words'"):
            words = read_words(arrays["words"])
        place = "the array 'words'"
    else:
        beside = next((one for one in list_files(path)[1:]), None)
        if beside is None:
            raise DataError(
                f"{path}: has the vectors but not their words; add an array 'words' to it, or a file words.txt beside "
                "it, one word on each line"
            )
        parts.append(files.read(beside, DataError))
        words, place = split_words(parts[-1], beside), beside
    if len(words) != len(table):
        raise DataError(
            f"{path}: has {len(table):,} vectors, and {place} has {len(words):,} words; expected a word for each"
        )
    return words, table, files.sha256(parts, sum(map(len, parts)))


def read_table(arrays: dict[str, npt.NDArray[Any]]) -> Floats:
    """Return the vectors of an archive, [n, width], finite. Raises DataError."""
    name = next((name for name in NUMBERS if name in arrays), None)
    if name is None:
        found = ", ".join(map(repr, arrays)) or "none"
        raise DataError(f"has no array 'vectors' (its arrays: {found}); expected 'vectors' [n, width] and 'words' [n]")
    raw, scale = arrays[name], arrays.get("scale")
    if raw.ndim != 2 or raw.dtype.kind not in "fi" or not len(raw):
        raise DataError(f"array {name!r} is {raw.dtype} {list(raw.shape)}; expected numbers [n, width]")
    if raw.dtype.kind == "i" and scale is None:
        raise DataError(f"array {name!r} is {raw.dtype}; add an array 'scale' [n], by which its rows are multiplied")
    if scale is not None and (scale.shape != (len(raw),) or scale.dtype.kind not in "fi"):
        raise DataError(f"array 'scale' is {scale.dtype} {list(scale.shape)}; expected numbers [{len(raw)}]")
    check_width(raw.shape[1], f"array {name!r}")
    with np.errstate(over="ignore"):
        table = np.asarray(raw, np.float32)
        table = table if scale is None else table * scale.astype(np.float32)[:, None]
    if (wrong := np.flatnonzero(~np.isfinite(table).all(1))).size:
        raise DataError(f"row {wrong[0] + 1} of array {name!r} has a number that is NaN or infinite; correct it")
    return table


def read_words(array: npt.NDArray[Any]) -> list[bytes]:
    """Return the words of an array of text, in UTF-8. Raises DataError."""
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise DataError(f"is {array.dtype} {list(array.shape)}; expected text [n]")
    words = [word if isinstance(word, bytes) else encode(word) for word in array.tolist()]
    check_words(words, "row")
    return words


def encode(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


def split_words(data: bytes, path: str) -> list[bytes]:
    """Return the words of a file, one on each line. Raises DataError."""
    lines = (unpack(data, ".gz", path) if path.endswith(".gz") else data).split(b"\n")
    words = [line.removesuffix(b"\r") for line in (lines[:-1] if not lines[-1] else lines)]
    with error_context(path):
        check_words(words, "line")
    return words


def check_words(words: Iterable[bytes], unit: str) -> None:
    """Raise DataError for a word that is empty or not UTF-8. unit: what is counted."""
    for number, word in enumerate(words, 1):
        try:
            if word.decode():
                continue
            fault = "is empty"
        except UnicodeDecodeError:
            fault = f"is {show(word)}, which is not UTF-8"
        raise DataError(f"{unit} {number:,} {fault}; correct it")
