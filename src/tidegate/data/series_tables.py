"""Read series from tables with one step per row, or one series per row."""

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
from tidegate.data.table import Table, read_table
from tidegate.data.times import TimeColumn, TimeIndex, find_time_column
from tidegate.errors import DataError, OptionError

ONE_CHANNEL = "value"
MAX_NAMES_IN_HINT = 12
NUMBERED = re.compile(r"(.*?)([0-9]{1,9})")
PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+")  # the names that pandas gives to an index without a name

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
    """Read the series of a table with one step per row; arguments as in `series.read_series`."""
    table = _read_table(source, values, {"time": time, "id": id, "label": label, "group": group})
    form = "table, one step per row" if id is None else "long table"
    if time is None and values is None:
        time = find_time_column(
            {n: cells for n, cells in table.columns.items() if n not in (id, label, group)}, table.path
        )
        form += "" if time is None else f", times in column {time!r}"
    columns = _value_columns(source, table, values, (time, id, label, group))
    matrix = _read_matrix(source, table, columns, values is not None)
    time_column = None if time is None else TimeColumn(table.columns[time], time, table.locate, id is not None)
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
    """Read the series of a table with one series of one channel per row; arguments as in `series.read_series`."""
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
    steps = [_trim_end(table, row, values_of_row) for row, values_of_row in enumerate(matrix)]
    series = [
        Series(ids[row], one, None, labels[row], [table.lines[row]] * len(one), group=groups[row])
        for row, one in enumerate(steps)
    ]
    ends = f"steps {columns[0]!r} to {columns[-1]!r}" if len(columns) > 1 else f"step {columns[0]!r}"
    return _make_collection(table, [ONE_CHANNEL], series, f"table, one series per row, {ends}")


def read_names(table: Table, name: str, role: str, missing: bool = False) -> list[str]:
    """Return the ids, labels or groups in a column: text as it is, integers in decimal, booleans as true and false.

    Args:
        table: one that was read with `for_series`.
        name: of the column.
        role: "id", "label" or "group", in messages.
        missing: cells may be missing, and become the empty text.

    Raises:
        DataError: a cell that is missing or the empty text; numbers with a fraction, dates.
    """
    column = table.columns[name]
    filled = [row for row, cell in enumerate(column) if cell is not None and cell != ""]
    if not missing and len(filled) < len(column):
        row = next(row for row, cell in enumerate(column) if cell is None or cell == "")
        raise DataError(f"{table.locate(row)}: no {role} in column {name!r}; fill it in, or remove the row")
    if filled and not isinstance(column[filled[0]], str | int):
        fault = f"column {name!r} holds {column[filled[0]]!s:.40}; expected text or integers as {role}"
        raise DataError(f"{table.locate(filled[0])}: {fault}; convert the column")
    some = replace(table, columns={name: [column[row] for row in filled]}, lines=[table.lines[row] for row in filled])
    texts = dict(zip(filled, some.labels(name, role), strict=True))
    return [texts.get(row, "") for row in range(len(column))]


def _read_table(source: Any, values: Names | None, roles: dict[str, str | None]) -> Table:
    """Read the needed columns of a table. Raises OptionError if a column has two roles."""
    roles_by_column: dict[str, str] = {}
    for role, name in [*roles.items(), *(("value", name) for name in values or ())]:
        if name is None:
            continue
        if name in roles_by_column:
            raise OptionError(f"column {name!r} is both {roles_by_column[name]} and {role}; give it one role")
        roles_by_column[name] = role
    return read_table(source, None if values is None else list(roles_by_column), for_series=True)


def _value_columns(source: Any, table: Table, values: Names | None, roles: Sequence[str | None]) -> list[str]:
    """Return the names of the columns of numbers: those requested, or all without a role."""
    for name in roles:
        try:
            if name is not None:
                check_column(table.path, name, list(table.columns), "file" if table.unit == "line" else "table")
        except MissingColumn as error:
            raise explain_index(source, error) from error
    columns = list(values) if values is not None else [name for name in table.columns if name not in roles]
    if values is None and (index := [name for name in columns if PANDAS_INDEX.fullmatch(name)]):
        remedy = "write the table without it (index=False), or name the columns of numbers with --values"
        raise DataError(f"{table.path}: column {index[0]!r} is the index of a pandas frame, not a channel; {remedy}")
    if not columns:
        raise DataError(f"{table.path}: there is no column of values; name one or more with --values")
    return columns


def _check_steps(table: Table, columns: list[str]) -> None:
    """Raise DataError for a column without a number if most have one, or whose number is out of order."""
    matches = {name: NUMBERED.fullmatch(name) for name in columns}
    prefixes = [match[1] for match in matches.values() if match]
    usual = max(set(prefixes), key=prefixes.count, default="")
    numbered = {name: int(match[2]) for name, match in matches.items() if match and match[1] == usual}
    if len(numbered) < 3 or 2 * len(numbered) <= len(columns):
        return
    names = list(numbered)
    if odd := [name for name in columns if name not in numbered]:
        remedy = "set it as id or label, or name the columns of steps with --values"
        raise DataError(
            f"{table.path}: in the layout rows each column is a step, such as {names[0]!r} to {names[-1]!r}, but "
            f"{odd[0]!r} is not; {remedy}"
        )
    for before, name in pairwise(names):
        if numbered[name] <= numbered[before]:
            remedy = "put the columns in the order of time, or name them in that order with --values"
            raise DataError(
                f"{table.path}: column {name!r} comes after {before!r}, but in the layout rows each is a step; {remedy}"
            )


def _read_matrix(source: Any, table: Table, columns: list[str], requested: bool) -> Floats:
    """Return columns of numbers, [rows, columns]. requested: they were requested by name."""
    for name in columns:
        if is_category(source, name):
            fault = f"column {name!r} holds categories; expected numbers; convert it, or leave it out"
            raise DataError(f"{table.path}: {fault}")
    try:
        return np.stack([numbers.parse_column(table, name) for name in columns], axis=1)
    except numbers.NotNumeric as error:
        numeric = "" if requested else _list_numeric(table, columns)
        raise DataError(f"{error}, or leave the column out: --values {numeric}" if numeric else str(error)) from error


def _list_numeric(table: Table, columns: list[str]) -> str:
    """Return the columns that hold numbers, as typed after --values; "" if there are none."""
    numeric = []
    for name in columns:
        with suppress(DataError):
            numbers.parse_column(table, name)
            numeric.append(name)
    listed = ",".join(numeric)
    if len(numeric) > MAX_NAMES_IN_HINT:
        return "NAME,NAME,..."
    return listed if all(map(_is_word, numeric)) else f'"{listed}"'


def _is_word(name: str) -> bool:
    return name.replace("_", "").replace("-", "").isalnum()


def _group_rows(table: Table, id: str | None) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Return the name and the rows of every series, in the order in which they begin."""
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
    """Return the label or group of a series. Raises DataError if its rows differ."""
    first = int(rows[0])
    for row in rows.tolist():
        if labels[row] != labels[first]:
            whose = f"series {name!r}" if name else "the series"
            before = f"{labels[first]!r} before ({table.locate(first)})"
            remedy = f"a series has one {role}; correct it"
            remedy += ", or set id to the column that identifies the series" if id is None else ""
            raise DataError(
                f"{table.locate(row)}: column {column!r} is {labels[row]!r}, but {whose} has {before}; {remedy}"
            )
    return labels[first]


def _check_once(table: Table, ids: list[str], column: str) -> None:
    """Raise DataError for a repeated id."""
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name in first:
            before = f"the same as in {table.locate(first[name])}"
            remedy = "in the layout rows a series is one row; rename one, or set the layout to steps"
            raise DataError(f"{table.locate(row)}: column {column!r} is {name!r}, {before}; {remedy}")
        first[name] = row


def _trim_end(table: Table, row: int, steps: Floats) -> Floats:
    """Return the steps of a row, [T, 1], without the missing ones at its end."""
    present = np.flatnonzero(~np.isnan(steps))
    if not present.size:
        raise DataError(f"{table.locate(row)}: the row has no values; add some, or remove the row")
    return np.ascontiguousarray(steps[: present[-1] + 1, None])


def _make_collection(table: Table, columns: list[str], series: list[Series], form: str) -> Collection:
    form = f"{form}, {table.form}" if table.form else form
    return Collection(table.path, columns, series, table.sha256, form, table.unit)
