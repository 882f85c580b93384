"""Series from tables: of one step a row, or of one series a row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data import numbers
from tidegate.data.collection import Collection, Floats, Series
from tidegate.data.columns import MissingColumn, check_column
from tidegate.data.frames import explain_index, is_category
from tidegate.data.table import Table, read
from tidegate.data.times import TimeColumn, TimeIndex, find_time_column
from tidegate.errors import DataError, OptionError

ONE_CHANNEL = "value"
MAX_NAMES_IN_HINT = 12
NUMBERED = re.compile(r"(.*?)([0-9]{1,9})")
PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+")  # pandas calls an index so that has no name

Names = Sequence[str]


def read_steps(
    source: Any,
    values: Names | None,
    time: str | None,
    id: str | None,
    label: str | None,
    unlabelled: bool = False,
    group: str | None = None,
) -> Collection:
    """The series of a table of one step a row; `series.read_series` has the arguments."""
    table = _read_table(source, values, {"time": time, "id": id, "label": label, "group": group})
    form = "table, one step a row" if id is None else "long table"
    if time is None and values is None:
        time = find_time_column(
            {n: found for n, found in table.columns.items() if n not in (id, label, group)}, table.path
        )
        form += "" if time is None else f", times in column {time!r}"
    columns = _value_columns(source, table, values, (time, id, label, group))
    matrix = _read_matrix(source, table, columns, values is not None)
    time_column = None if time is None else TimeColumn(table.columns[time], time, table.place, id is not None)
    labels = None if label is None else read_names(table, label, "label", unlabelled)
    groups = None if group is None else read_names(table, group, "group")
    series = []
    for name, rows in _group_rows(table, id):
        time_index = TimeIndex() if time_column is None else time_column.index(rows)
        label_text = None if labels is None else _read_constant(table, labels, rows, name, label, id)
        group_text = None if groups is None else _read_constant(table, groups, rows, name, group, id, "group")
        lines = [table.lines[row] for row in rows.tolist()]
        series.append(
            Series(name, matrix[rows], label=label_text, lines=lines, **time_index._asdict(), group=group_text)
        )
    return _make_collection(table, columns, series, form)


def read_rows(
    source: Any,
    values: Names | None,
    id: str | None,
    label: str | None,
    unlabelled: bool = False,
    group: str | None = None,
) -> Collection:
    """The series of a table of one series a row, one channel; `series.read_series` has the arguments."""
    table = _read_table(source, values, {"id": id, "label": label, "group": group})
    columns = _value_columns(source, table, values, (id, label, group))
    if values is None:
        _check_steps(table, columns)
    matrix = _read_matrix(source, table, columns, values is not None)
    ids = [""] * len(table) if id is None else read_names(table, id, "id")
    labels = [None] * len(table) if label is None else read_names(table, label, "label", unlabelled)
    groups = [None] * len(table) if group is None else read_names(table, group, "group")
    if id is not None:
        _check_once(table, ids, id)
    steps = [_trim_end(table, row, found) for row, found in enumerate(matrix)]
    series = [
        Series(ids[row], found, None, labels[row], [table.lines[row]] * len(found), group=groups[row])
        for row, found in enumerate(steps)
    ]
    ends = f"steps {columns[0]!r} to {columns[-1]!r}" if len(columns) > 1 else f"step {columns[0]!r}"
    return _make_collection(table, [ONE_CHANNEL], series, f"table, one series a row, {ends}")


def read_names(table: Table, name: str, role: str, missing: bool = False) -> list[str]:
    """The ids or labels of a column: text as it is, integers in decimal, booleans as true and false.

    Args:
        table: one that was read with `gaps`.
        name: of the column.
        role: "id", "label" or "group", for messages.
        missing: some may be missing, and are then the empty text.

    Raises:
        DataError: a cell that is missing or the empty text; numbers with a fraction, dates.
    """
    column = table.columns[name]
    there = [row for row, cell in enumerate(column) if cell is not None and cell != ""]
    if not missing and len(there) < len(column):
        row = next(row for row, cell in enumerate(column) if cell is None or cell == "")
        raise DataError(f"{table.place(row)}: no {role} in column {name!r}; fill it or leave the row out")
    if there and not isinstance(column[there[0]], str | int):
        fault = f"column {name!r} holds {column[there[0]]!s:.40}; expected text or integers as {role}"
        raise DataError(f"{table.place(there[0])}: {fault}; convert the column")
    some = replace(table, columns={name: [column[row] for row in there]}, lines=[table.lines[row] for row in there])
    found = dict(zip(there, some.labels(name, role), strict=True))
    return [found.get(row, "") for row in range(len(column))]


def _read_table(source: Any, values: Names | None, roles: dict[str, str | None]) -> Table:
    """The table, with the columns that are needed; no column has two roles."""
    roles_by_column: dict[str, str] = {}
    for role, name in [*roles.items(), *(("value", name) for name in values or ())]:
        if name is None:
            continue
        if name in roles_by_column:
            raise OptionError(f"column {name!r} is named as {roles_by_column[name]} and as {role}; name it once")
        roles_by_column[name] = role
    return read(source, None if values is None else list(roles_by_column), gaps=True)


def _value_columns(source: Any, table: Table, values: Names | None, roles: Sequence[str | None]) -> list[str]:
    for name in roles:
        try:
            if name is not None:
                check_column(table.path, name, list(table.columns), "file" if table.unit == "line" else "table")
        except MissingColumn as error:
            raise explain_index(source, error) from error
    columns = list(values) if values is not None else [name for name in table.columns if name not in roles]
    if values is None and (index := [name for name in columns if PANDAS_INDEX.fullmatch(name)]):
        remedy = "write the table without it (index=False), or name the columns of numbers with --values"
        raise DataError(f"{table.path}: column {index[0]!r} is the index of a pandas frame, no channel; {remedy}")
    if not columns:
        found = "no column was named" if values is not None else "no other column is there"
        raise DataError(f"{table.path}: {found} to take values from; name one or more with --values")
    return columns


def _check_steps(table: Table, columns: list[str]) -> None:
    """Raises DataError for a column that is no step where most are numbered, or that stands out of their order."""
    found = {name: NUMBERED.fullmatch(name) for name in columns}
    prefixes = [match[1] for match in found.values() if match]
    usual = max(set(prefixes), key=prefixes.count, default="")
    numbered = {name: int(match[2]) for name, match in found.items() if match and match[1] == usual}
    if len(numbered) < 3 or 2 * len(numbered) <= len(columns):
        return
    names = list(numbered)
    if odd := [name for name in columns if name not in numbered]:
        remedy = "name it as id or label, or name the columns of steps with --values"
        raise DataError(
            f"{table.path}: in layout rows each column is a step, as {names[0]!r} to {names[-1]!r} are, and {odd[0]!r} "
            f"is none; {remedy}"
        )
    for before, name in pairwise(names):
        if numbered[name] <= numbered[before]:
            remedy = "put the columns in the order of time, or name them in it with --values"
            raise DataError(
                f"{table.path}: column {name!r} comes after {before!r}, and in layout rows each is a step; {remedy}"
            )


def _read_matrix(source: Any, table: Table, columns: list[str], named: bool) -> Floats:
    """The columns side by side, [rows, columns]. named: they were asked for by name."""
    for name in columns:
        if is_category(source, name):
            fault = f"column {name!r} holds categories; expected numbers; convert it, or leave it out"
            raise DataError(f"{table.path}: {fault}")
    try:
        return np.stack([numbers.parse_column(table, name) for name in columns], axis=1)
    except numbers.NotNumeric as error:
        good = "" if named else _list_numeric(table, columns)
        raise DataError(f"{error}, or leave the column out: --values {good}" if good else str(error)) from error


def _list_numeric(table: Table, columns: list[str]) -> str:
    """The columns that hold numbers, as they are typed after a flag; "" if there are none or too many."""
    good = []
    for name in columns:
        with suppress(DataError):
            numbers.parse_column(table, name)
            good.append(name)
    listed = ",".join(good)
    if len(good) > MAX_NAMES_IN_HINT:
        return "NAME,NAME,..."
    return listed if all(map(_is_word, good)) else f'"{listed}"'


def _is_word(name: str) -> bool:
    return name.replace("_", "").replace("-", "").isalnum()


def _group_rows(table: Table, id: str | None) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """The name and the rows of every series, in the order in which they begin."""
    if id is None:
        return [("", np.arange(len(table)))]
    codes: dict[str, int] = {}
    code = np.array([codes.setdefault(name, len(codes)) for name in read_names(table, id, "id")])
    order = np.argsort(code, kind="stable")
    return list(zip(codes, np.split(order, np.cumsum(np.bincount(code))[:-1]), strict=True))


def _read_constant(
    table: Table,
    labels: list[str],
    rows: npt.NDArray[np.int64],
    name: str,
    column: str | None,
    id: str | None,
    role: str = "label",
) -> str:
    first = int(rows[0])
    for row in rows.tolist():
        if labels[row] != labels[first]:
            whose = f"series {name!r}" if name else "the series"
            before = f"{labels[first]!r} before ({table.place(first)})"
            remedy = f"a series has one {role}; correct it"
            remedy += ", or name the column that tells series apart as id" if id is None else ""
            raise DataError(
                f"{table.place(row)}: column {column!r} is {labels[row]!r}, but {whose} has {before}; {remedy}"
            )
    return labels[first]


def _check_once(table: Table, ids: list[str], column: str) -> None:
    seen: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name in seen:
            before = f"as on {table.place(seen[name])}"
            remedy = "in layout rows a series is one row; rename one, or set the layout to steps"
            raise DataError(f"{table.place(row)}: column {column!r} is {name!r}, {before}; {remedy}")
        seen[name] = row


def _trim_end(table: Table, row: int, steps: Floats) -> Floats:
    """The steps of a row as [T, 1], up to the last one that is there."""
    there = np.flatnonzero(~np.isnan(steps))
    if not there.size:
        raise DataError(f"{table.place(row)}: the row has no values; fill it or leave it out")
    return np.ascontiguousarray(steps[: there[-1] + 1, None])


def _make_collection(table: Table, columns: list[str], series: list[Series], form: str) -> Collection:
    form = f"{form}, {table.form}" if table.form else form
    return Collection(table.path, columns, series, table.sha256, form, table.unit)
