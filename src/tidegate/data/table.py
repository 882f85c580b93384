"""Tables from files: columns of text, each row with its line in the file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.data.columns import check_column
from tidegate.data.delimited import read_csv, read_tsv
from tidegate.data.jsonl import read_jsonl
from tidegate.errors import DataError

READERS = {".csv": read_csv, ".tsv": read_tsv, ".jsonl": read_jsonl, ".ndjson": read_jsonl}


@dataclass(frozen=True)
class Table:
    """The rows of a file, as columns of text.

    Args:
        path: the file, as it was named.
        columns: text of every row by column name; all lists are equally long.
        lines: for every row, the line on which it begins, from 1.
        sha256: of the file's bytes, in hexadecimal.

    >>> table = Table("train.csv", {"message": ["hi"], "intent": ["greet"]}, [2], "")
    >>> table.column("message"), table.place(0)
    (['hi'], 'train.csv:2')
    """

    path: str
    columns: dict[str, list[str]]
    lines: list[int]
    sha256: str

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> list[str]:
        """The text of every row in one column.

        Raises:
            DataError: there is no such column.
        """
        check_column(self.path, name, list(self.columns))
        return self.columns[name]

    def place(self, row: int) -> str:
        """File and line of a row, counted from 0, for a message about it."""
        return f"{self.path}:{self.lines[row]}"


def read(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> Table:
    """The table in a file.

    Args:
        path: a file in UTF-8 that ends in .csv, .tsv, .jsonl or .ndjson.
        columns: the columns to read; None: all. In JSON lines, other keys may then hold anything.

    Raises:
        DataError: a file that cannot be opened or is no such table; the message has file, line and remedy.
    """
    name = os.fspath(path)
    data = _contents(name)
    names, rows, lines = READERS[_suffix(name)](_text(name, data), name, columns)
    if not rows:
        raise DataError(f"{name} has a header but no rows; add at least one row")
    table = {column: list(cells) for column, cells in zip(names, zip(*rows, strict=True), strict=True)}
    kept = {column: table[column] for column in columns} if columns is not None else table
    return Table(name, kept, lines, hashlib.sha256(data).hexdigest())


def _suffix(name: str) -> str:
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in READERS:
        found = f"the extension {suffix!r}" if suffix else "no extension"
        raise DataError(f"{name} has {found}; supported are {', '.join(READERS)}")
    return suffix


def _contents(name: str) -> bytes:
    if os.path.isdir(name):
        raise DataError(f"{name} is a directory; name a file in it")
    _suffix(name)
    try:
        with open(name, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        raise DataError(f"there is no file {name}; check the path") from error
    except PermissionError as error:
        raise DataError(f"{name} may not be read; change its permissions") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not data:
        raise DataError(f"{name} is empty; expected a header line or JSON objects")
    return data


def _text(name: str, data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name} is UTF-16; save it as UTF-8")
    nul = data.find(0)
    if nul >= 0:
        raise DataError(f"{_line(name, data, nul)}: byte {nul} of the file is NUL, which no text has; repair it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        raise DataError(
            f"{_line(name, data, start)}: byte {start} of the file (0x{data[start]:02x}) is not UTF-8; "
            "save the file as UTF-8"
        ) from error


def _line(name: str, data: bytes, offset: int) -> str:
    return f"{name}:{data.count(10, 0, offset) + 1}"
