"""Writes predictions to the file of `predict --out`: .csv, .jsonl or .parquet, as its suffix says.

A .jsonl file has the lines that `--json` prints. The other two have one table: the predictions of labels take a row for
each input, and forecasts take one for each step ahead.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any, Final, NamedTuple

from .. import atomic, tasks
from ..errors import MissingExtra, OptionError
from ..text_tables import format_count
from ._console import nan_to_none

SUFFIXES: Final = (".csv", ".jsonl", ".parquet")
MARK: Final = b"tidegate.predictions"
MAX_FIRST_LINE: Final = 1 << 20  # bytes of a file that are read to find out what it is
BATCH_ROWS: Final = 4096


class Output(NamedTuple):
    """Predictions on their way to a file.

    columns: the name of each column and the type of its cells, str, int or float. rows: the cells of the table, None
    for an unknown one. records: the same as objects for JSON. Only one of rows and records is read, once.
    """

    columns: dict[str, type]
    rows: Iterable[Sequence[Any]]
    records: Iterable[dict[str, Any]]


def check_path(path: str, inputs: Iterable[str], force: bool = False) -> None:
    """Check before the work that predictions can be written to a path.

    Raises: OptionError for an unknown suffix, one of `inputs`, or a file that does not hold predictions, unless forced;
    MissingExtra for .parquet without pyarrow; TidegateError for a path that cannot be written.
    """
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        ending = f"ends with {suffix!r}" if suffix else "has no suffix"
        raise OptionError(f"{path} {ending}, which says nothing about its format; name it .csv, .jsonl or .parquet")
    if suffix == ".parquet":
        import_pyarrow(path)
    atomic.check(path, KIND, inputs, force)


def write(path: str, output: Output, force: bool = False) -> None:
    """Write predictions whole or not at all, and say so on stderr. Raises as `check_path`."""
    suffix = suffix_of(path)
    with atomic.replace(path, KIND, force) as file:
        if suffix == ".jsonl":
            count = write_jsonl(file, output.records)
        else:
            count = write_parquet(path, file, output) if suffix == ".parquet" else write_csv(file, output)
    print(f"wrote {path} ({format_count(count, 'row')})", file=sys.stderr)


def suffix_of(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def write_jsonl(file: IO[bytes], records: Iterable[dict[str, Any]]) -> int:
    count = 0
    for record in records:
        line = json.dumps(nan_to_none(record), ensure_ascii=False, allow_nan=False)
        file.write(line.encode("utf-8", "tidegate_json") + b"\n")
        count += 1
    return count


def write_csv(file: IO[bytes], output: Output) -> int:
    count = 0
    file.write((",".join(map(format_cell, output.columns)) + "\n").encode())
    for row in output.rows:
        file.write((",".join(map(format_cell, row)) + "\n").encode())
        count += 1
    return count


def format_cell(cell: Any) -> str:
    """Format a cell of a CSV file; None and NaN are empty.

    >>> format_cell(0.25), format_cell(None), format_cell('say "no", please')
    ('0.25', '', '"say ""no"", please"')
    """
    text = "" if cell is None or cell != cell else str(cell)
    quoted = any(mark in text for mark in ',"\r\n') or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if quoted else text


def write_parquet(path: str, file: IO[bytes], output: Output) -> int:
    pa, parquet = import_pyarrow(path)
    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    fields = [pa.field(name, types[kind]) for name, kind in output.columns.items()]
    schema = pa.schema(fields, metadata={MARK: b"1"})
    rows, count = iter(output.rows), 0
    with parquet.ParquetWriter(file, schema) as writer:
        while batch := list(itertools.islice(rows, BATCH_ROWS)):
            cells = zip(*batch, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(cells, fields, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(batch)
    return count


def import_pyarrow(path: str) -> tuple[Any, Any]:
    """Import pyarrow and its module of Parquet files. Raises MissingExtra."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        message = f'{path}: writing Parquet needs pyarrow, which is not installed; pip install "tidegate[parquet]"'
        raise MissingExtra(message) from error


def holds_predictions(file: IO[bytes]) -> bool:
    """Check whether a file begins as this module writes it, or for Parquet, whether it bears our mark."""
    start = file.readline(MAX_FIRST_LINE)
    if start.startswith(b"PAR1"):
        return MARK in read_footer(file)
    starts = [names for name in tasks.names() for names in tasks.load(name).PREDICTED]
    return start.endswith(b"\n") and any(begins_with(start, names) for names in starts)


def begins_with(line: bytes, names: Sequence[str]) -> bool:
    """Check whether a line is a head of a table, or an object, whose first names are these."""
    if not line.startswith(b"{"):
        return line.rstrip(b"\n").split(b",")[: len(names)] == [name.encode() for name in names]
    try:
        record = json.loads(line)
    except ValueError:  # also not UTF-8
        return False
    return isinstance(record, dict) and [*record][: len(names)] == list(names)


def read_footer(file: IO[bytes]) -> bytes:
    """Read the footer of a Parquet file, whose length stands before the last four bytes; b"" if it is damaged."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(4), "little")
    if length > size - 8:
        return b""
    file.seek(size - 8 - length)
    return file.read(length)


KIND: Final = atomic.FileKind("a file of predictions", holds_predictions)
