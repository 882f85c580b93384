"""Read tables from files and frames: columns of cells, and the line of each row in the file."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import files
from tidegate.data import compression
from tidegate.data.arrow import read_parquet
from tidegate.data.collection import hash_part
from tidegate.data.columns import check_column
from tidegate.data.conll import EXTENSIONS as CONLL
from tidegate.data.conll import read_conll
from tidegate.data.delimited import NUMBER, read_csv, read_tsv
from tidegate.data.frames import name_frame, read_frame
from tidegate.data.jsonl import read_jsonl
from tidegate.data.table_cells import KINDS, format_cell, hash_columns, to_python, to_python_or_none
from tidegate.errors import DataError

READERS = {".csv": read_csv, ".tsv": read_tsv, ".jsonl": read_jsonl, ".ndjson": read_jsonl}
TEXT_READERS = READERS | dict.fromkeys(CONLL, read_conll)  # with those that hold no series
FORMS = {".csv": "comma-separated with header", ".tsv": "tab-separated with header"}
FORMS |= dict.fromkeys(CONLL, "CoNLL, a token on each line")
PARQUET = ".parquet"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
EXPECTED_KINDS = {
    ".parquet": ("a Parquet file",),
    ".npz": ("a NumPy archive (.npz)", "a zip archive"),
    ".gz": ("gzip",),
    ".bz2": ("bzip2",),
    ".xz": ("xz",),
    ".zst": ("zstd",),
}
REMEDIES = {
    "an Excel workbook": "save the sheet as CSV in UTF-8",
    "a zip archive": "unpack it first",
    "a safetensors file": "that is a model, not data",
    "an HTML page": "the download went wrong, so fetch the file again",
    "a Git LFS pointer": "fetch the file itself with git lfs pull",
    "a NumPy array (.npy)": "save the array as x with numpy.savez",
    "text": "name it .csv, .tsv or .jsonl, or .conll if it has a token and its tag on each line",
    "JSON": "name it .jsonl, with one object per line",
}


@dataclass(frozen=True)
class Table:
    """The rows of a file or frame, as columns of cells with one type each: text, integers, booleans or numbers.

    Args:
        path: the path of the file, or what the frame is called in messages.
        columns: the cells of every row by column name; all lists have the same length. A text file has only text.
        lines: for every row, the line on which it begins, or its number if there are no lines; from 1.
        sha256: of the file's bytes on disk, or of the frame's columns (`table_cells.hash_columns`), in hexadecimal.
        form: how the file was interpreted; "" for a frame.
        unit: what `lines` counts: "line", or "row" of a frame or Parquet file.

    >>> table = Table("train.csv", {"message": ["hi"], "intent": ["greet"]}, [2], "")
    >>> table.column("message"), table.locate(0)
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
        """Return the text of every row in a column.

        Raises:
            DataError: there is no such column, or it does not hold text.
        """
        if (kind := self.kind(name)) != "text":
            place, cell = self.locate(0), format_cell(self.columns[name][0])
            raise DataError(
                f"{place}: column {name!r} holds {kind}, such as {cell}; expected text; name another column"
            )
        return list(self.columns[name])

    def labels(self, name: str, role: str = "label") -> list[str]:
        """Return the label of every row in a column: text as it is, integers in decimal, booleans as true and false.

        Args:
            name: of the column.
            role: what its cells are, in messages.

        Raises:
            DataError: there is no such column, or it holds numbers with a fraction.

        >>> Table("pandas frame", {"spam": [True, False]}, [1, 2], "", unit="row").labels("spam")
        ['true', 'false']
        """
        if (kind := self.kind(name)) == "numbers":
            place, cell = self.locate(0), format_cell(self.columns[name][0])
            expected = f"expected text, integers or booleans as {role}; convert the column"
            raise DataError(f"{place}: column {name!r} holds numbers, such as {cell}; {expected}")
        if kind == "booleans":
            return [str(cell).lower() for cell in self.columns[name]]
        return list(map(str, self.columns[name]))

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return the number of every row in a column, float64 [rows]; text is parsed as decimal numbers.

        Raises:
            DataError: there is no such column, a cell is not a number, or float64 cannot represent it.

        >>> Table("t.csv", {"x": ["1", "-2.5e3"]}, [2, 3], "").numbers("x").tolist()
        [1.0, -2500.0]
        """
        if self.kind(name) == "booleans":
            raise DataError(f"{self.path}: column {name!r} holds booleans; expected numbers; convert it")
        return np.array([self._parse_number(row, name) for row in range(len(self))], np.float64)

    def kind(self, name: str) -> str:
        """Return what the cells of a column are: text, integers, booleans or numbers.

        Raises:
            DataError: there is no such column.
        """
        check_column(self.path, name, list(self.columns), "file" if self.unit == "line" else "table")
        return KINDS[type(self.columns[name][0])] if len(self) else "text"

    def locate(self, row: int) -> str:
        """Return the file and line of a row, counted from 0, for a message.

        >>> Table("t.parquet", {"x": [1]}, [1], "", unit="row").locate(0)
        't.parquet, row 1'
        """
        return f"{self.path}:{self.lines[row]}" if self.unit == "line" else f"{self.path}, row {self.lines[row]}"

    def take(self, rows: Sequence[int]) -> Table:
        """Return a table of some rows, with their places in the file. Its hash is that of the file's hash and the rows.

        >>> part = Table("t.csv", {"x": ["a", "b", "c"]}, [2, 3, 4], "").take([2])
        >>> part.columns, part.locate(0)
        ({'x': ['c']}, 't.csv:4')
        """
        columns = {name: [cells[i] for i in rows] for name, cells in self.columns.items()}
        sha256 = hash_part(self.sha256, rows)
        return replace(self, columns=columns, lines=[self.lines[i] for i in rows], sha256=sha256)

    def describe(self) -> str:
        """Return how the source was interpreted, and how many rows it has.

        >>> Table("t.csv", {"x": ["1"]}, [2], "", form="comma-separated with header, UTF-8").describe()
        'comma-separated with header, UTF-8, 1 row'
        """
        rows = "1 row" if len(self) == 1 else f"{len(self):,} rows"
        return f"{self.form}, {rows}" if self.form else rows

    def _parse_number(self, row: int, name: str) -> float:
        cell = self.columns[name][row]
        if isinstance(cell, str) and not NUMBER.fullmatch(cell.strip()):
            fault = f"column {name!r} is {format_cell(cell)}; expected a number such as -1.5 or 2e3"
            raise DataError(f"{self.locate(row)}: {fault}")
        try:
            number = float(cell)
        except OverflowError:
            number = math.inf
        if math.isinf(number) or (isinstance(cell, int) and int(number) != cell):
            fault = f"column {name!r} is {format_cell(cell)}, which float64 cannot represent"
            raise DataError(f"{self.locate(row)}: {fault}; correct it")
        return number


def read_table(source: Any, columns: Sequence[str] | None = None, *, for_series: bool = False) -> Table:
    """Read the table in a file or frame.

    Args:
        source: a path that ends in .csv, .tsv, .jsonl or .ndjson, or for tagged tokens in .conll, .bio or .iob (UTF-8;
            also with .gz, .bz2, .xz or .zst), or in .parquet; or a frame of pandas or polars, or an object with
            `__arrow_c_stream__`.
        columns: the columns to read; None: all. Other keys of JSON lines, and other columns of frames and Parquet
            files, may then have any type.
        for_series: cells may be missing (the empty text in text files and null in JSON lines; None in frames and
            Parquet files), and frames and Parquet files may have columns of dates.

    Raises:
        DataError: a source that cannot be opened or is not such a table; the message says where, and what to do.
        MissingExtra: Parquet or Arrow, and pyarrow is not installed.
    """
    if not isinstance(source, str | os.PathLike):
        return _read_frame_table(source, columns, for_series)
    name = os.fspath(source)
    files.check(name, DataError)
    if _check_suffix(name, for_series) == PARQUET:
        return _read_parquet_file(name, columns, for_series)
    return _read_text_file(name, columns, for_series)


def _read_text_file(name: str, columns: Sequence[str] | None, for_series: bool) -> Table:
    """Read CSV, TSV or JSON lines, decompressed if necessary."""
    suffix, packed = _check_suffix(name, for_series), compression.split_extension(name)[1]
    data = read_bytes(name, packed or suffix)
    text = compression.unpack(data, packed, name) if packed else data
    if packed:
        _check_kind(name, text, suffix)
    plain = _decode(name, text, "unpacked text" if packed else "file")
    names, rows, lines = TEXT_READERS[suffix](plain, name, columns, for_series=for_series)
    if not rows:
        raise DataError(f"{name} has a header but no rows; add at least one row")
    _check_header_once(names, rows, lambda row: f"{name}:{lines[row]}")
    table: dict[str, list[Any]] = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    table = {column: table[column] for column in columns} if columns is not None else table
    mark = " with byte order mark" if text.startswith(BYTE_ORDER_MARK) else ""
    form = f"{FORMS.get(suffix, 'JSON lines')}, UTF-8{mark}"
    if packed:
        form = f"{compression.FORMATS[packed][0]}, {form}"
    return Table(name, table, lines, hashlib.sha256(data).hexdigest(), form)


def _read_parquet_file(name: str, columns: Sequence[str] | None, for_series: bool) -> Table:
    data = read_bytes(name, PARQUET)
    columns_read = read_parquet(data, name, columns, lambda row: f"{name}, row {row + 1}", for_series)
    return _table_of_cells(name, columns_read, "Parquet", hashlib.sha256(data).hexdigest(), for_series)


def _read_frame_table(source: Any, columns: Sequence[str] | None, for_series: bool) -> Table:
    name = name_frame(source)
    return _table_of_cells(
        name, read_frame(source, name, columns, lambda row: f"{name}, row {row + 1}", for_series), "", None, for_series
    )


def _table_of_cells(name: str, columns: dict[str, list[Any]], form: str, sha256: str | None, for_series: bool) -> Table:
    """Return the table of typed columns, with every cell checked."""
    rows = max(map(len, columns.values()), default=0)
    if not rows:
        raise DataError(f"{name} has no rows; add at least one row")
    check = to_python_or_none if for_series else to_python
    plain = {c: check(cells, c, lambda row: f"{name}, row {row + 1}") for c, cells in columns.items()}
    _check_header_once(list(plain), zip(*plain.values(), strict=True), lambda row: f"{name}, row {row + 1}")
    return Table(name, plain, list(range(1, rows + 1)), sha256 or hash_columns(plain), form, "row")


def _check_header_once(names: list[str], rows: Iterable[Sequence[Any]], locate: Callable[[int], str]) -> None:
    """Raise DataError for a row that repeats the names of two or more columns, as happens when files are joined."""
    if len(names) > 1 and (repeated := next((i for i, row in enumerate(rows) if list(row) == names), None)) is not None:
        shown = ", ".join(names[:12])
        raise DataError(
            f"{locate(repeated)}: the row repeats the header ({shown}), as happens when files are joined; remove it"
        )


def _check_suffix(name: str, for_series: bool) -> str:
    """Return the extension that says what a file contains, without that of a compression.

    Raises DataError for an unsupported one. for_series: also mention the sources of series in the message.
    """
    stem, packed = compression.split_extension(name)
    suffix = os.path.splitext(stem)[1].lower()
    readers = READERS if for_series else TEXT_READERS
    if suffix not in readers and (packed or suffix != PARQUET):
        extension = f"the extension {suffix + packed!r}" if suffix or packed else "no extension"
        kind = files.detect_kind(files.read(name, DataError, 512))
        also = f"also with {', '.join(compression.FORMATS)}, and {PARQUET}"
        also += ", and for series .npz and folders" * for_series
        remedy = (
            f"; it looks like {kind}: {_suggest_remedy(kind)}"
            if kind and kind not in EXPECTED_KINDS.get(suffix, ())
            else ""
        )
        raise DataError(f"{name} has {extension}; supported are {', '.join(readers)}, {also}{remedy}")
    return suffix


def read_bytes(name: str, wanted: str) -> bytes:
    """Return the bytes of a file.

    Args:
        name: the path.
        wanted: the extension that says what it should contain.

    Raises:
        DataError: as `files.read`; a file that is empty, or obviously something else.
    """
    data = files.read(name, DataError)
    if not data:
        raise DataError(f"{name} is empty; expected a header line or JSON objects")
    _check_kind(name, data, wanted)
    return data


def _check_kind(name: str, data: bytes, wanted: str) -> None:
    """Raise DataError for bytes that are obviously not what the extension `wanted` says."""
    kind = files.detect_kind(data[:512])
    if kind and kind not in EXPECTED_KINDS.get(wanted, ("text", "JSON")):
        expected = EXPECTED_KINDS.get(wanted, ("text",))[0]
        raise DataError(f"{name} looks like {kind}, but its extension says {expected}; {_suggest_remedy(kind)}")


def _suggest_remedy(kind: str) -> str:
    """Return what to do with a file of an unexpected kind."""
    if kind in REMEDIES:
        return REMEDIES[kind]
    extensions = {kind: extension for extension, kinds in EXPECTED_KINDS.items() for kind in kinds[:1]}
    return f"name it with {extensions[kind]}" if kind in extensions else "give a file of rows or series"


def _decode(name: str, data: bytes, what: str) -> str:
    """Return the text of a file. what: what the bytes are called in messages, such as "unpacked text"."""
    if not data:
        raise DataError(f"{name} is empty; expected a header line or JSON objects")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name} is UTF-16; save it as UTF-8")
    nul = data.find(0)
    if nul >= 0:
        raise DataError(
            f"{_locate_byte(name, data, nul)}: byte {nul} of the {what} is NUL, which no text contains; repair the file"
        )
    try:
        _check_lines(name, data)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if data.startswith(BYTE_ORDER_MARK) else 0)
        raise DataError(
            f"{_locate_byte(name, data, start)}: byte {start} of the {what} (0x{data[start]:02x}) is not UTF-8; "
            "save the file as UTF-8"
        ) from error


def _check_lines(name: str, data: bytes) -> None:
    """Raise DataError for a line of more than `files.MAX_LINE` bytes, before it is parsed."""
    at = 0
    while len(data) - at > files.MAX_LINE:
        end = at + files.MAX_LINE
        line_end = max(data.rfind(b"\n", at, end), data.rfind(b"\r", at, end))
        if line_end < 0:
            ends = [offset for mark in (b"\n", b"\r") if (offset := data.find(mark, end)) >= 0]
            size = min(ends, default=len(data)) - at
            raise DataError(
                f"{_locate_byte(name, data, at)}: the line has {size:,} bytes; a line may have at most "
                f"{files.MAX_LINE:,}; divide it, or use Parquet, or for series .npz"
            )
        at = line_end + 1


def _locate_byte(name: str, data: bytes, offset: int) -> str:
    """Return the file and line of a byte, for a message."""
    return f"{name}:{data.count(10, 0, offset) + 1}"
