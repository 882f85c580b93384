"""Tables of fields with a delimiter: CSV with quotes, and TSV without."""

from __future__ import annotations

import csv
import datetime
import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import Protocol

from tidegate.data.columns import check_column
from tidegate.errors import DataError
from tidegate.files import MAX_LINE

Rows = tuple[list[str], list[list[str]], list[int]]


class CsvReader(Protocol):
    """What `csv.reader` returns: an iterator that counts lines."""

    line_num: int

    def __next__(self) -> list[str]: ...

    def __iter__(self) -> Iterator[list[str]]: ...


NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
BLOCK = 1 << 20  # characters
RENAME = "a .csv has commas and a .tsv tabs; save or rename it so"
_LIMIT = threading.Lock()  # the csv module's limit on a field is one for the whole process


def read_csv(text: str, path: str, columns: Sequence[str] | None = None, *, for_series: bool = False) -> Rows:
    """Column names, rows, and the line on which each row begins.

    Fields are separated by commas. A field in double quotes may hold commas, lines and doubled quotes. Empty
    lines are no rows.

    Args:
        text: the whole file.
        path: its name, for messages.
        columns: columns that must be there; all fields of a row are read.
        gaps: for series: an empty line between rows of one column is refused, since it could be a missing value, and
            so is a header of numbers, which may be the first row of a file without one.

    Raises:
        DataError: a row with too few or too many fields, quotes that do not match, a header without names or
            with one twice, one column where another delimiter makes several.

    >>> read_csv('text,label\\n"a, b",x\\n', "t.csv")
    (['text', 'label'], [['a, b', 'x']], [2])
    """
    with _allow_long_fields():
        reader = csv.reader(_split_lines(text), strict=True)
        return _read_rows(reader, text, path, columns or (), "quote a field that holds a comma", for_series)


def read_tsv(text: str, path: str, columns: Sequence[str] | None = None, *, for_series: bool = False) -> Rows:
    """Column names, rows, and the line of each; fields are separated by tabs, and quotes mean nothing.

    Args and raises: as `read_csv`.

    >>> read_tsv('text\\tlabel\\n"a", b\\tx\\n', "t.tsv")
    (['text', 'label'], [['"a", b', 'x']], [2])
    """
    with _allow_long_fields():
        reader = csv.reader(_split_lines(text), delimiter="\t", quoting=csv.QUOTE_NONE)
        return _read_rows(reader, text, path, columns or (), "a field cannot hold a tab or a line end", for_series)


def _split_lines(text: str) -> Iterator[str]:
    """The lines of a text with their ends, whichever they are. StringIO takes 4 bytes a character, hence the blocks."""
    at = 0
    while at < len(text):
        end = text.find("\n", at + BLOCK) + 1 or len(text)
        yield from io.StringIO(text[at:end], newline="")
        at = end


@contextmanager
def _allow_long_fields() -> Iterator[None]:
    with _LIMIT:
        before = csv.field_size_limit(MAX_LINE)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _read_rows(reader: CsvReader, text: str, path: str, columns: Sequence[str], remedy: str, for_series: bool) -> Rows:
    records = _read_records(reader, text, path)
    first, names = next(records, (1, []))
    if _is_delimiter_line(names, f"{path}:{first}"):
        first, names = next(records, (first + 1, []))
    if for_series:
        _check_not_numbers(names, f"{path}:{first}")
    _check_header(names, f"{path}:{first}")
    for wanted in columns:
        _check_delimiter(names, wanted, f"{path}:{first}")
        check_column(path, wanted, names)
    rows: list[list[str]] = []
    lines: list[int] = []
    end = reader.line_num
    for line, record in records:
        if for_series and not rows:
            _check_one_column(names, record, f"{path}:{first}")
        if for_series and len(names) == 1 and line > end + 1:
            raise DataError(f"{path}:{end + 1}: the line is empty; write NA for a missing value, or leave the line out")
        end = reader.line_num
        if len(record) != len(names):
            expected = f"{len(names)} ({', '.join(names[:12])})"
            raise DataError(f"{path}:{line}: found {_count_fields(len(record))}, expected {expected}; {remedy}")
        rows.append(record)
        lines.append(line)
    return names, rows, lines


def _is_delimiter_line(record: list[str], place: str) -> bool:
    """Tell whether a first line is the one by which Excel knows the delimiter, `sep=,`, and names the one that holds.

    Raises DataError where it names another.
    """
    first = record[0].lower() if record else ""
    if first == "sep=" and record[1:] == [""]:
        return True
    if len(record) == 1 and first.startswith("sep=") and len(first) == len("sep=") + 1:
        raise DataError(f"{place}: the file says that {first[-1]!r} separates its fields ({record[0]}); {RENAME}")
    return False


def _check_delimiter(names: list[str], wanted: str, place: str) -> None:
    """One column, whose name holds the wanted one and a delimiter: the file is of another kind than it says."""
    for delimiter in (";", "\t", "|", ","):
        if len(names) == 1 and wanted != names[0] and wanted in names[0].split(delimiter):
            raise DataError(f"{place}: the header is {names[0]!r}, separated by {delimiter!r}; {RENAME}")


def _check_one_column(names: list[str], record: list[str], place: str) -> None:
    """The same, where no column was asked for: header and first row are divided alike by something else."""
    for delimiter in (";", "\t", "|"):
        parts = names[0].count(delimiter)
        if len(names) == 1 and parts and ",".join(record).count(delimiter) == parts:
            raise DataError(f"{place}: the header is {names[0]!r}, separated by {delimiter!r}; {RENAME}")


def _check_not_numbers(names: list[str], place: str) -> None:
    """Refuse numbers, or dates and numbers, as names, unless they count or lie evenly apart, as years do."""
    numbers = [float(name) for name in names if NUMBER.fullmatch(name.strip())]
    others = [name for name in names if not NUMBER.fullmatch(name.strip())]
    if not numbers or not all(map(_is_date, others)):
        return
    differences = {round(b - a, 9) for a, b in pairwise(numbers)}
    counts = numbers[0] in (0, 1) if len(numbers) == 1 else differences == {1}
    if others or (not counts and not (len(numbers) > 2 and len(differences) == 1 and differences != {0})):
        shown = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
        what = "numbers" + " and dates" * bool(others)
        remedy = "put the names of the columns on the first line, and if these are names, write them with a letter"
        raise DataError(f"{place}: the header is {shown}, {what} alone, so it may be the first row; {remedy}")


def _is_date(text: str) -> bool:
    try:
        return bool(datetime.datetime.fromisoformat(text))
    except ValueError:
        return False


def _count_fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


def _read_records(reader: CsvReader, text: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not an empty line, with the line on which it begins."""
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            long = "field limit" in str(error)
            fault = _describe_long_field(text, line, reader.line_num) if long else _describe_quote_error(str(error))
            raise DataError(f"{path}:{line}: {fault}") from error
        if record is None:
            return
        if record:
            yield line, record


def _describe_long_field(text: str, begin: int, end: int) -> str:
    """Which field of the row in the lines `begin` to `end` is too long, and how long as far as it has been read. Lines
    with tabs are shorter than that.
    """
    lines = list(islice(_split_lines(text), begin - 1, end))
    csv.field_size_limit(sum(map(len, lines)))
    fields = next(csv.reader(lines))
    column = next(i for i, field in enumerate(fields) if len(field) > MAX_LINE)
    found = f"column {column + 1} of the row that begins here has {len(fields[column]):,} characters or more"
    return f"{found}; a field may have at most {MAX_LINE:,}; close its quotes, or divide it"


def _describe_quote_error(message: str) -> str:
    if "unexpected end" in message:
        return "the row that begins here has a quoted field that is never closed; close it, or double its quotes"
    if "expected after" in message:
        return "the row that begins here has text after a closing quote; double the quotes inside a quoted field"
    return f"the row that begins here is no CSV: {message}"


def _check_header(names: list[str], place: str) -> None:
    if not any(name.strip() for name in names):
        raise DataError(f"{place}: there is no header; put the names of the columns on the first line")
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name.strip():
            index = " (an index of pandas, which to_csv(index=False) leaves out)" if number == 1 else ""
            raise DataError(f"{place}: column {number} of the header has no name{index}; name it or leave it out")
        if name in seen:
            twice = f"columns {seen[name]} and {number}"
            raise DataError(f"{place}: {twice} of the header are both {name!r}; rename one")
        seen[name] = number
