"""Standard input, output and error as commands use them; `use_consoles` puts them in place of Python's own.

Standard output is the command's result: when its reader goes away, the command ends quietly. Standard error (progress,
notes, errors) may go unread, and so may standard output once the work is done (`allow_no_reader`). Control characters
in data never reach a terminal. Characters that the encoding lacks are escaped as in JSON, so JSON output stays valid
in every encoding.
"""

from __future__ import annotations

import codecs
import errno
import io
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .. import files
from ..errors import DataError

READER_GONE = (
    errno.EPIPE,
    errno.EBADF,
    errno.EIO,
    errno.ENXIO,
)  # the reader left, the stream was closed, or its terminal hung up
OUTPUT_CLOSED = 141  # exit code if the reader of the output has gone, like a process ended by SIGPIPE
DEFAULT_WIDTH = 80
# Control characters other than tab and line feed, and marks of text direction: they could move the cursor or hide text.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Console(io.TextIOBase):
    """Standard output or error.

    stream: Python's stream, or None if it is closed. is_harmless: decides whether an error while writing is ignored;
    after it, everything printed is dropped.
    """

    def __init__(self, stream: Any, is_harmless: Callable[[OSError], bool]) -> None:
        self.stream, self.is_harmless = stream, is_harmless
        self.terminal = stream is not None and is_terminal(stream)
        self.broken = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self.terminal

    def fileno(self) -> int:
        if self.stream is None:
            raise io.UnsupportedOperation("fileno")
        return int(self.stream.fileno())

    def close(self) -> None:
        """Do nothing: the stream belongs to Python."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.write_raw(UNSAFE.sub(lambda match: escape(match[0]), text) if self.terminal else text)
        return len(text)

    def write_raw(self, text: str) -> None:
        """Write text whose control characters are intended."""
        if not text.isascii():
            text = text.encode(self.encoding, "tidegate_json").decode(self.encoding)
        self._try(lambda: self._open_stream().write(text))

    def flush(self) -> None:
        if self.stream is not None:
            self._try(lambda: self._open_stream().flush())

    def _open_stream(self) -> Any:
        if self.stream is None:
            raise OSError(errno.EBADF, "standard output is closed; redirect it to a file with > FILE")
        return self.stream

    def _try(self, act: Callable[[], object]) -> None:
        if self.broken:
            return
        try:
            act()
        except OSError as error:
            self.broken = True
            discard_buffer(self.stream)  # otherwise Python flushes again at exit and prints an error
            if not self.is_harmless(error):
                raise OSError(error.errno, f"cannot print: {error.strerror}") from error


def escape(text: str) -> str:
    """Escape each character as in JSON, so that JSON stays valid.

    >>> escape("\\x1b"), escape("\\U0001f600")
    ('\\\\u001b', '\\\\ud83d\\\\ude00')
    """
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _unencodable(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return escape(error.object[error.start : error.end]), error.end


codecs.register_error("tidegate_json", _unencodable)


def is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def discard_buffer(stream: Any) -> None:
    """Redirect a stream to the null device, so that what it has buffered is dropped."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextmanager
def use_consoles() -> Iterator[None]:
    """Replace sys.stdout and sys.stderr by consoles inside a with block."""
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            open_null(number)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Console(before[0], lambda error: False), Console(before[1], lambda error: True)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def open_null(number: int) -> None:
    """Open the null device at a closed descriptor (0 to 2), so that no file opened later gets what libraries print."""
    try:
        os.fstat(number)
    except OSError:
        with suppress(OSError):
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.close(null)


def allow_no_reader() -> None:
    """Keep running from here on when the reader of standard output has gone: it only reports finished work."""
    if isinstance(sys.stdout, Console):
        sys.stdout.is_harmless = lambda error: error.errno in READER_GONE


def read_lines() -> Iterable[tuple[int, bytes]]:
    """Read standard input line by line, like `files.lines`. Raises DataError if it is closed."""
    if sys.stdin is None:
        raise DataError("standard input is closed; pipe lines into it, or read a file with < FILE")
    return files.lines(sys.stdin.buffer)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON and flush it.

    Non-ASCII characters are escaped unless standard output is UTF-8. NaN and infinities, which JSON lacks, become null.
    """
    unicode = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    try:
        text = json.dumps(value, ensure_ascii=not unicode, allow_nan=False)
    except ValueError:
        text = json.dumps(nan_to_none(value), ensure_ascii=not unicode, allow_nan=False)
    print(text, flush=True)


def nan_to_none(value: Any) -> Any:
    """Copy a value with each NaN and infinity replaced by None.

    >>> nan_to_none({"a": [1.5, float("nan")]})
    {'a': [1.5, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: nan_to_none(one) for key, one in value.items()}
    return [nan_to_none(one) for one in value] if isinstance(value, list | tuple) else value


def print_headline(title: str) -> None:
    """Print a title between empty lines, in bold on a terminal unless NO_COLOR is set."""
    out = sys.stdout
    if isinstance(out, Console) and out.terminal and "NO_COLOR" not in os.environ:
        out.write_raw(f"\n\033[1m{title}\033[0m\n\n")
    else:
        print(f"\n{title}\n")
    out.flush()


def terminal_width(stream: Any = None) -> int:
    """Return the width of a terminal in characters, 80 if unknown. stream: standard output by default."""
    with suppress(OSError, ValueError, AttributeError):
        if columns := os.get_terminal_size((stream or sys.stdout).fileno()).columns:
            return columns
    columns_set = os.environ.get("COLUMNS", "")
    return int(columns_set) if columns_set.isdecimal() and int(columns_set) else DEFAULT_WIDTH
