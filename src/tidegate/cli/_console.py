"""Standard input, output and error, as all commands use them: `installed` puts them in the place of Python's own.

What a command prints is its answer, and who stops reading it ends the command, quietly. What it says beside (progress,
notes, errors), and what it reports of work that is done (`carry_on`), ends nothing when nobody reads it. A terminal
gets no control characters from data. Characters that an encoding has not are written as JSON writes them, so JSON is
valid in each.
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

READER_GONE = (errno.EPIPE, errno.EBADF, errno.EIO, errno.ENXIO)  # it left, was closed, or its terminal hung up
OUTPUT_CLOSED = 141  # exit code when whoever read the answer has left: as of a process that SIGPIPE has ended
DEFAULT_WIDTH = 80
# Controls but tab and line feed, and what turns the direction of text: they would move the cursor, colour or reorder.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Console(io.TextIOBase):
    """Standard output or error. under: the stream below, None where it is closed. tolerates: which errors of writing
    end nothing; what is printed afterwards is dropped.
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
        """Leave the stream below open: it is Python's."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.write_raw(UNSAFE.sub(lambda found: escape(found[0]), text) if self.terminal else text)
        return len(text)

    def write_raw(self, text: str) -> None:
        """Write text of our own, in which control characters are meant."""
        if not text.isascii():
            text = text.encode(self.encoding, "tidegate_json").decode(self.encoding)
        self._try(lambda: self._open_stream().write(text))

    def flush(self) -> None:
        if self.stream is not None:
            self._try(lambda: self._open_stream().flush())

    def _open_stream(self) -> Any:
        if self.stream is None:
            raise OSError(errno.EBADF, "standard output is closed; give it a file, such as > FILE")
        return self.stream

    def _try(self, act: Callable[[], object]) -> None:
        if self.broken:
            return
        try:
            act()
        except OSError as error:
            self.broken = True
            discard_buffer(self.stream)  # else Python tries once more when it ends, and complains
            if not self.is_harmless(error):
                raise OSError(error.errno, f"cannot print: {error.strerror}") from error


def escape(text: str) -> str:
    """Spell each character as JSON escapes it, so that JSON with it stays JSON.

    >>> escaped("\\x1b"), escaped("\\U0001f600")
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
    """Send what a stream still holds nowhere."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def use_consoles() -> Iterator[None]:
    """Make sys.stdout and sys.stderr consoles in this block."""
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
    """Take a closed descriptor of 0 to 2, so that no file which is opened later gets what libraries print there."""
    try:
        os.fstat(number)
    except OSError:
        with suppress(OSError):
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.close(found)


def allow_no_reader() -> None:
    """From here on standard output only reports work that is done in any case: nobody has to read it."""
    if isinstance(sys.stdout, Console):
        sys.stdout.is_harmless = lambda error: error.errno in READER_GONE


def read_lines() -> Iterable[tuple[int, bytes]]:
    """Read standard input line by line, as `files.lines`. Raises DataError where it is closed."""
    if sys.stdin is None:
        raise DataError("standard input is closed; pipe lines into it, or give a file with < FILE")
    return files.lines(sys.stdin.buffer)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON at once: in UTF-8, or in ASCII where standard output has another encoding. A
    number that JSON has not, NaN or an infinity, is null.
    """
    unicode = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    try:
        text = json.dumps(value, ensure_ascii=not unicode, allow_nan=False)
    except ValueError:
        text = json.dumps(nan_to_none(value), ensure_ascii=not unicode, allow_nan=False)
    print(text, flush=True)


def nan_to_none(value: Any) -> Any:
    """Copy a value with None for each NaN and infinity in it.

    >>> finite({"a": [1.5, float("nan")]})
    {'a': [1.5, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: nan_to_none(one) for key, one in value.items()}
    return [nan_to_none(one) for one in value] if isinstance(value, list | tuple) else value


def print_headline(title: str) -> None:
    """Print a title between empty lines; bold where the terminal is one and wants it."""
    out = sys.stdout
    if isinstance(out, Console) and out.terminal and "NO_COLOR" not in os.environ:
        out.write_raw(f"\n\033[1m{title}\033[0m\n\n")
    else:
        print(f"\n{title}\n")
    out.flush()


def terminal_width(stream: Any = None) -> int:
    """Tell how many characters a line of a terminal has; 80 where nobody knows. stream: default standard output."""
    with suppress(OSError, ValueError, AttributeError):
        if found := os.get_terminal_size((stream or sys.stdout).fileno()).columns:
            return found
    said = os.environ.get("COLUMNS", "")
    return int(said) if said.isdecimal() and int(said) else DEFAULT_WIDTH
