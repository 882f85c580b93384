"""Tables from files and frames: columns of cells, each row with its line in the file."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data import cells, compressed
from tidegate.data.arrow import read_parquet
from tidegate.data.columns import check_column
from tidegate.data.delimited import NUMBER, read_csv, read_tsv
from tidegate.data.frames import name_of, read_frame
from tidegate.data.jsonl import read_jsonl
from tidegate.errors import DataError

READERS = {".csv": read_csv, ".tsv": read_tsv, ".jsonl": read_jsonl, ".ndjson": read_jsonl}
FORMS = {".csv": "comma-separated with header", ".tsv": "tab-separated with header"}
PARQUET = ".parquet"
MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Table:
    """The rows of a file or frame, as columns of cells of one kind each: text, integers, booleans or numbers.

    Args:
        path: the file, as it was named, or what the frame is called.
        columns: the cells of every row by column name; all lists are equally long. A text file has text alone.
        lines: for every row, the line on which it begins, or where there are no lines its number; from 1.
        sha256: of the file's bytes as they lie on the disk, or of the frame's columns (`cells.sha256`), in hexadecimal.
        form: what the file was taken for; "" for a frame.
        unit: what `lines` counts: "line", or "row" of a frame or Parquet file.

    >>> table = Table("train.csv", {"message": ["hi"], "intent": ["greet"]}, [2], "")
    >>> table.column("message"), table.place(0)
    (['hi'], 'train.csv:2')
    """

    path: str
    columns: dict[str, list[Any]]
    lines: list[int]
    sha256: str
    form: str = ""
    unit: str = "line"

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> list[str]:
        """The text of every row in one column.

        Raises:
            DataError: there is no such column, or it is not one of text.
        """
        if (kind := self.kind(name)) != "text":
            place, cell = self.place(0), cells.shown(self.columns[name][0])
            raise DataError(f"{place}: column {name!r} holds {kind}, as {cell}; expected text; name another column")
        return list(self.columns[name])

    def labels(self, name: str, role: str = "label") -> list[str]:
        """The label of every row in one column: text as it is, integers in decimal, booleans as true and false.

        Args:
            name: of the column.
            role: what its cells are, for messages.

        Raises:
            DataError: there is no such column, or it holds numbers with a fraction.

        >>> Table("pandas frame", {"spam": [True, False]}, [1, 2], "", unit="row").labels("spam")
        ['true', 'false']
        """
        if (kind := self.kind(name)) == "numbers":
            place, cell = self.place(0), cells.shown(self.columns[name][0])
            expected = f"a {role} is text, an integer or a boolean; convert the column"
            raise DataError(f"{place}: column {name!r} holds numbers, as {cell}; {expected}")
        if kind == "booleans":
            return [str(cell).lower() for cell in self.columns[name]]
        return list(map(str, self.columns[name]))

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """The number of every row in one column, float64 [rows]; text is read as decimal numbers.

        Raises:
            DataError: there is no such column, or a cell that is no number, or one that float64 cannot hold.

        >>> Table("t.csv", {"x": ["1", "-2.5e3"]}, [2, 3], "").numbers("x").tolist()
        [1.0, -2500.0]
        """
        if self.kind(name) == "booleans":
            raise DataError(f"{self.path}: column {name!r} holds booleans; expected numbers; convert it")
        return np.array([self._number(row, name) for row in range(len(self))], np.float64)

    def kind(self, name: str) -> str:
        """What the cells of a column are: text, integers, booleans or numbers.

        Raises:
            DataError: there is no such column.
        """
        check_column(self.path, name, list(self.columns), "file" if self.unit == "line" else "table")
        return cells.KINDS[type(self.columns[name][0])] if len(self) else "text"

    def place(self, row: int) -> str:
        """File and line of a row, counted from 0, for a message about it.

        >>> Table("t.parquet", {"x": [1]}, [1], "", unit="row").place(0)
        't.parquet, row 1'
        """
        return f"{self.path}:{self.lines[row]}" if self.unit == "line" else f"{self.path}, row {self.lines[row]}"

    def described(self) -> str:
        """What the source was taken for, and how many rows it has.

        >>> Table("t.csv", {"x": ["1"]}, [2], "", form="comma-separated with header, UTF-8").described()
        'comma-separated with header, UTF-8, 1 row'
        """
        rows = "1 row" if len(self) == 1 else f"{len(self):,} rows"
        return f"{self.form}, {rows}" if self.form else rows

    def _number(self, row: int, name: str) -> float:
        cell = self.columns[name][row]
        if isinstance(cell, str) and not NUMBER.fullmatch(cell.strip()):
            fault = f"column {name!r} is {cells.shown(cell)}; expected a number such as -1.5 or 2e3"
            raise DataError(f"{self.place(row)}: {fault}")
        try:
            number = float(cell)
        except OverflowError:
            number = math.inf
        if math.isinf(number) or (isinstance(cell, int) and int(number) != cell):
            raise DataError(f"{self.place(row)}: column {name!r} is {cells.shown(cell)}, which float64 cannot hold")
        return number


def read(source: Any, columns: Sequence[str] | None = None, *, gaps: bool = False) -> Table:
    """The table in a file or frame.

    Args:
        source: a path that ends in .csv, .tsv, .jsonl or .ndjson (UTF-8; also with .gz, .bz2, .xz or .zst), or in
            .parquet; or a frame of pandas or polars, or an object with `__arrow_c_stream__`.
        columns: the columns to read; None: all. In JSON lines, other keys may then hold anything; in frames and
            Parquet files, other columns may be of any type.
        gaps: for series: cells may be missing (the empty text in text files and null in JSON lines; None in frames and
            Parquet files), and frames and Parquet files may have columns of dates.

    Raises:
        DataError: a source that cannot be opened or is no such table; the message has file, line or row, and remedy.
        MissingExtra: Parquet or Arrow, and pyarrow is not installed.
    """
    if not isinstance(source, str | os.PathLike):
        return _frame(source, columns, gaps)
    name = os.fspath(source)
    if os.path.isdir(name):
        raise DataError(f"{name} is a directory; name a file in it")
    if _suffix(name, gaps) == PARQUET:
        return _parquet(name, columns, gaps)
    return _text_file(name, columns, gaps)


def _text_file(name: str, columns: Sequence[str] | None, gaps: bool) -> Table:
    data = contents(name)
    packed = compressed.split(name)[1]
    text = compressed.unpack(data, packed, name) if packed else data
    suffix, plain = _suffix(name, gaps), _text(name, text, "unpacked text" if packed else "file")
    names, rows, lines = READERS[suffix](plain, name, columns, gaps=gaps)
    if not rows:
        raise DataError(f"{name} has a header but no rows; add at least one row")
    _check_header_once(names, rows, lambda row: f"{name}:{lines[row]}")
    table: dict[str, list[Any]] = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    kept = {column: table[column] for column in columns} if columns is not None else table
    mark = " with byte order mark" if text.startswith(MARK) else ""
    form = f"{FORMS.get(suffix, 'JSON lines')}, UTF-8{mark}"
    if packed:
        form = f"{compressed.FORMATS[packed][0]}, {form}"
    return Table(name, kept, lines, hashlib.sha256(data).hexdigest(), form)


def _parquet(name: str, columns: Sequence[str] | None, gaps: bool) -> Table:
    data = contents(name)
    found = read_parquet(data, name, columns, lambda row: f"{name}, row {row + 1}", gaps)
    return _typed(name, found, "Parquet", hashlib.sha256(data).hexdigest(), gaps)


def _frame(source: Any, columns: Sequence[str] | None, gaps: bool) -> Table:
    name = name_of(source)
    return _typed(name, read_frame(source, name, columns, lambda row: f"{name}, row {row + 1}", gaps), "", None, gaps)


def _typed(name: str, columns: dict[str, list[Any]], form: str, sha256: str | None, gaps: bool) -> Table:
    """The table of columns that have types, every cell checked."""
    rows = max(map(len, columns.values()), default=0)
    if not rows:
        raise DataError(f"{name} has no rows; add at least one row")
    check = cells.gapped if gaps else cells.checked
    plain = {c: check(found, c, lambda row: f"{name}, row {row + 1}") for c, found in columns.items()}
    _check_header_once(list(plain), zip(*plain.values(), strict=True), lambda row: f"{name}, row {row + 1}")
    return Table(name, plain, list(range(1, rows + 1)), sha256 or cells.sha256(plain), form, "row")


def _check_header_once(names: list[str], rows: Iterable[Sequence[Any]], place: Callable[[int], str]) -> None:
    """Refuse a row of two cells or more that says the names of the columns, as tables have that were joined."""
    if len(names) > 1 and (again := next((i for i, row in enumerate(rows) if list(row) == names), None)) is not None:
        shown = ", ".join(names[:12])
        raise DataError(f"{place(again)}: the row repeats the header ({shown}), as where files were joined; remove it")


def _suffix(name: str, series: bool) -> str:
    """The extension that says what a file is, of what was compressed where it is compressed. series: what is read."""
    stem, packed = compressed.split(name)
    suffix = os.path.splitext(stem)[1].lower()
    if suffix not in READERS and (packed or suffix != PARQUET):
        found = f"the extension {suffix + packed!r}" if suffix or packed else "no extension"
        if not os.path.exists(name):
            raise DataError(f"there is no file {name}; check the path")
        also = f"also with {', '.join(compressed.FORMATS)}, and {PARQUET}"
        also += ", and for series .npz and folders" * series
        raise DataError(f"{name} has {found}; supported are {', '.join(READERS)}, {also}")
    return suffix


def contents(name: str) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: a file that is not there, may not be read or is empty.
    """
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


def _text(name: str, data: bytes, what: str) -> str:
    """The characters of a text file. what: the bytes' name in messages, those of an archive are not the file's own."""
    if not data:
        raise DataError(f"{name} is empty; expected a header line or JSON objects")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name} is UTF-16; save it as UTF-8")
    nul = data.find(0)
    if nul >= 0:
        raise DataError(f"{_line(name, data, nul)}: byte {nul} of the {what} is NUL, which no text has; repair it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if data.startswith(MARK) else 0)
        raise DataError(
            f"{_line(name, data, start)}: byte {start} of the {what} (0x{data[start]:02x}) is not UTF-8; "
            "save the file as UTF-8"
        ) from error


def _line(name: str, data: bytes, offset: int) -> str:
    return f"{name}:{data.count(10, 0, offset) + 1}"
