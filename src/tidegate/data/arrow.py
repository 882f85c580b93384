"""Read Parquet files, and tables of any library that supports Arrow, with pyarrow."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tidegate.data.columns import check_columns
from tidegate.data.compression import ALWAYS_ALLOWED, check_size
from tidegate.data.table_cells import Locate
from tidegate.errors import DataError, MissingExtra

PLAIN = ("is_string", "is_large_string", "is_integer", "is_boolean", "is_floating", "is_null")
DATES = ("is_timestamp", "is_date")
BATCH_ROWS = 4096  # few, so that a decompression bomb is noticed early
POINTER_BYTES = 8

Columns = dict[str, list[Any]]


def read_parquet(data: bytes, path: str, columns: Sequence[str] | None, locate: Locate, dates: bool = False) -> Columns:
    """Read columns of a Parquet file and return their cells as Python values.

    Args:
        data: the content of the file.
        path: its name in messages.
        columns: the columns to read; None: all.
        locate: returns the place of a row, counted from 0, for messages.
        dates: columns may hold timestamps and dates.

    Raises:
        MissingExtra: pyarrow is not installed.
        DataError: not a Parquet file, or a damaged one; a column that is missing, repeated, or of another type;
            more data than `compression.size_limit`.
    """
    pa = _import_pyarrow(path, "Parquet")
    damaged = (f"{path} is not a complete Parquet file", "write it again")
    parquet = importlib.import_module("pyarrow.parquet")
    with _explain_errors(pa, *damaged):
        file = parquet.ParquetFile(pa.BufferReader(data))
        schema = file.schema_arrow
    wanted = _select_columns(pa, schema, path, columns, "file", dates)
    with _explain_errors(pa, *damaged):
        groups = range(file.num_row_groups)
        if len(wanted) == len(schema.names):
            check_size(sum(_unpacked_size(file, group) for group in groups), len(data), path)
        dictionaries_kept = parquet.ParquetFile(pa.BufferReader(data), read_dictionary=wanted)
        rows = [_rows_per_batch(dictionaries_kept, group, wanted) for group in groups]
        batches = (b for g in groups for b in file.iter_batches(rows[g], row_groups=[g], columns=wanted))
        return _collect_cells(batches, wanted, locate, lambda size: check_size(size, len(data), path))


def _unpacked_size(file: Any, group: int) -> int:
    """Return the unpacked size of a row group in bytes, according to the file; a value shared by many rows counts once.

    The metadata of single columns is not read, because pyarrow aborts the process if it is damaged.
    """
    return int(file.metadata.row_group(group).total_byte_size)


def _rows_per_batch(file: Any, group: int, wanted: list[str]) -> int:
    """Return how many rows of a group to read at a time: few if many rows share a long value.

    file: opened so that columns keep their dictionaries; reading one row loads a whole dictionary.
    """
    if _unpacked_size(file, group) * BATCH_ROWS < ALWAYS_ALLOWED:
        return BATCH_ROWS
    compute = importlib.import_module("pyarrow.compute")
    first = next(iter(file.iter_batches(1, row_groups=[group], columns=wanted)), None)
    dictionaries = [c.dictionary for c in first.columns if hasattr(c, "dictionary")] if first is not None else []
    longest = max((compute.max(compute.binary_length(values)).as_py() or 0 for values in dictionaries), default=0)
    return max(1, min(BATCH_ROWS, ALWAYS_ALLOWED // max(1, 4 * longest)))


def read_arrow(source: Any, path: str, columns: Sequence[str] | None, locate: Locate, dates: bool = False) -> Columns:
    """Read columns of an object with `__arrow_c_stream__`, such as a pyarrow Table, and return their cells.

    Arguments as in `read_parquet`.

    Raises:
        MissingExtra: pyarrow is not installed.
        DataError: as `read_parquet`, or an object that is not a table.
    """
    pa = _import_pyarrow(path, "Arrow")
    with _explain_errors(pa, f"{path} is not a table", "give one with columns"):
        table = pa.table(source)
    wanted = _select_columns(pa, table.schema, path, columns, "table", dates)
    with _explain_errors(pa, f"{path} cannot be read", "repair it"):
        return _collect_cells(table.select(wanted).to_batches(BATCH_ROWS), wanted, locate)


def _import_pyarrow(path: str, what: str) -> Any:
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        message = f'{path}: reading {what} needs pyarrow, which is not installed; pip install "tidegate[parquet]"'
        raise MissingExtra(message) from error


def _select_columns(
    pa: Any, schema: Any, path: str, columns: Sequence[str] | None, container: str, dates: bool
) -> list[str]:
    """Return the names of the columns to read. Raises DataError if one is missing or of an unsupported type."""
    check_columns(path, schema.names, columns or (), container)
    wanted = list(dict.fromkeys(schema.names if columns is None else columns))
    known = (*PLAIN, *DATES) if dates else PLAIN
    for name in wanted:
        kind = schema.field(name).type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        views = hasattr(pa.types, "is_string_view") and pa.types.is_string_view(inner)
        if not views and not any(getattr(pa.types, test)(inner) for test in known):
            expected = f"expected text, integers, booleans{', numbers or dates' if dates else ' or numbers'}"
            raise DataError(f"{path}: column {name!r} is of type {kind}; {expected}; convert it")
    return wanted


def _collect_cells(
    batches: Iterable[Any], names: list[str], locate: Locate, check_bytes: Callable[[int], None] | None = None
) -> Columns:
    """Return the values of all batches by column. check_bytes: is called with the bytes so far, and may raise."""
    columns: Columns = {name: [] for name in names}
    size = 0
    for batch in batches:
        for name, cells in columns.items():
            array = batch.column(name)
            array = array.dictionary_decode() if hasattr(array, "dictionary_decode") else array
            if check_bytes is not None:
                size += array.nbytes + POINTER_BYTES * len(array)
                check_bytes(size)
            cells.extend(_to_python(array, name, len(cells), locate))
    return columns


def _to_python(array: Any, name: str, start: int, locate: Locate) -> list[Any]:
    """Return the values of an array. start: the row of the first. Raises DataError for text that is not UTF-8."""
    try:
        return list(array.to_pylist())
    except UnicodeDecodeError:
        for row, cell in enumerate(array):
            try:
                cell.as_py()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{locate(start + row)}: column {name!r} is not UTF-8; write it as UTF-8 text"
                ) from error
        raise


@contextmanager
def _explain_errors(pa: Any, fault: str, remedy: str) -> Iterator[None]:
    """Turn errors of pyarrow into a DataError."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: a name that is not UTF-8
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataError(f"{fault} ({reason}); {remedy}") from error
