"""Read delimited text: CSV with quotes, and TSV without."""

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
    """The type of `csv.reader(...)`: an iterator that counts lines."""

    line_num: int

    def __next__(self) -> list[str]: ...

    def __iter__(self) -> Iterator[list[str]]: ...


NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
BLOCK = 1 << 20  # characters
RENAME = "a .csv has commas and a .tsv tabs; save or rename it so"
_LIMIT = threading.Lock()  # the csv module has one limit for the whole process


def read_csv(text: str, path: str, columns: Sequence[str] | None = None, *, for_series: bool = False) -> Rows:
    """Return the column names, the rows, and the line on which each row begins.

    Fields are separated by commas. A field in double quotes may contain commas, line breaks and doubled quotes. Empty
    lines are skipped.

    Args:
        text: the content of the file.
        path: its name in messages.
        columns: columns that must exist; all fields of a row are read.
        for_series: refuse an empty line between rows of a single column, since it could be a missing value, and a
            header of numbers, since it could be the first row of a file without one.

    Raises:
        DataError: a row with too few or too many fields, unbalanced quotes, a header without names or with a repeated
            one, a single column that another delimiter would divide into several.

    >>> read_csv('text,label\\n"a, b",x\\n', "t.csv")
    (['text', 'label'], [['a, b', 'x']], [2])
    """
    with _allow_long_fields():
        reader = csv.reader(_split_lines(text), strict=True)
        return _read_rows(reader, text, path, columns or (), "quote fields that contain a comma", for_series)


def read_tsv(text: str, path: str, columns: Sequence[str] | None = None, *, for_series: bool = False) -> Rows:
    """Return the column names, the rows, and the line of each; fields are separated by tabs, and quotes are text.

    Args and raises: as `read_csv`.

    >>> read_tsv('text\\tlabel\\n"a", b\\tx\\n', "t.tsv")
    (['text', 'label'], [['"a", b', 'x']], [2])
    """
    with _allow_long_fields():
        reader = csv.reader(_split_lines(text), delimiter="\t", quoting=csv.QUOTE_NONE)
        return _read_rows(reader, text, path, columns or (), "a field cannot contain a tab or a line break", for_series)


def _split_lines(text: str) -> Iterator[str]:
    """Yield lines with their line ends, of any kind. StringIO takes 4 bytes per character, hence the blocks."""
    at = 0
    while at < len(text):
        end = text.find("\n", at + BLOCK) + 1 or len(text)
        yield from io.StringIO(text[at:end], newline="")
        at = end


@contextmanager
def _allow_long_fields() -> Iterator[None]:
    """Raise the csv module's limit on a field to the length that a line may have."""
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
    """Return whether a first line is Excel's `sep=,`, which declares the delimiter of the file.

    Raises DataError if it declares another delimiter than the one in use.
    """
    first = record[0].lower() if record else ""
    if first == "sep=" and record[1:] == [""]:
        return True
    if len(record) == 1 and first.startswith("sep=") and len(first) == len("sep=") + 1:
        raise DataError(f"{place}: the file declares the delimiter {first[-1]!r} ({record[0]}); {RENAME}")
    return False


def _check_delimiter(names: list[str], wanted: str, place: str) -> None:
    """Raise DataError if the only column's name contains the wanted name and a delimiter: the extension is wrong."""
    for delimiter in (";", "\t", "|", ","):
        if len(names) == 1 and wanted != names[0] and wanted in names[0].split(delimiter):
            raise DataError(f"{place}: the header is {names[0]!r}, separated by {delimiter!r}; {RENAME}")


def _check_one_column(names: list[str], record: list[str], place: str) -> None:
    """Raise DataError if another delimiter divides header and first row into equally many fields."""
    for delimiter in (";", "\t", "|"):
        parts = names[0].count(delimiter)
        if len(names) == 1 and parts and ",".join(record).count(delimiter) == parts:
            raise DataError(f"{place}: the header is {names[0]!r}, separated by {delimiter!r}; {RENAME}")


def _check_not_numbers(names: list[str], place: str) -> None:
    """Refuse names that are numbers or dates and numbers, unless the numbers are evenly spaced, as years are."""
    numbers = [float(name) for name in names if NUMBER.fullmatch(name.strip())]
    others = [name for name in names if not NUMBER.fullmatch(name.strip())]
    if not numbers or not all(map(_is_date, others)):
        return
    differences = {round(b - a, 9) for a, b in pairwise(numbers)}
    counts = numbers[0] in (0, 1) if len(numbers) == 1 else differences == {1}
    if others or (not counts and not (len(numbers) > 2 and len(differences) == 1 and differences != {0})):
        shown = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
        what = "numbers" + " and dates" * bool(others)
        remedy = "put the names of the columns on the first line; if these are the names, add a letter to them"
        raise DataError(f"{place}: the header is {shown}, only {what}, so it may be the first row; {remedy}")


def _is_date(text: str) -> bool:
    try:
        return bool(datetime.datetime.fromisoformat(text))
    except ValueError:
        return False


def _count_fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


def _read_records(reader: CsvReader, text: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not an empty line, with the line on which it begins."""
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
    """Describe the field that is too long, in the row on lines `begin` to `end`, with its length as far as it was read.

    Only CSV gets here: a line of a TSV file is too long before its field is.
    """
    lines = list(islice(_split_lines(text), begin - 1, end))
    csv.field_size_limit(sum(map(len, lines)))
    fields = next(csv.reader(lines))
    column = next(i for i, field in enumerate(fields) if len(field) > MAX_LINE)
    length = f"column {column + 1} of the row that begins here has {len(fields[column]):,} characters or more"
    return f"{length}; a field may have at most {MAX_LINE:,}; close its quotes, or divide it"


def _describe_quote_error(message: str) -> str:
    """Say what is wrong with the quotes of a row."""
    if "unexpected end" in message:
        return "the row that begins here has a quoted field that is never closed; close it, or double its quotes"
    if "expected after" in message:
        return "the row that begins here has text after a closing quote; double the quotes inside a quoted field"
    return f"the row that begins here is not valid CSV: {message}"


def _check_header(names: list[str], place: str) -> None:
    """Raise DataError for a header without names, with an empty name, or with a repeated one."""
    if not any(name.strip() for name in names):
        raise DataError(f"{place}: there is no header; put the names of the columns on the first line")
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name.strip():
            index = " (the index of pandas? to_csv(index=False) leaves it out)" if number == 1 else ""
            raise DataError(f"{place}: column {number} of the header has no name{index}; name it or remove it")
        if name in first:
            raise DataError(f"{place}: columns {first[name]} and {number} of the header are both {name!r}; rename one")
        first[name] = number
