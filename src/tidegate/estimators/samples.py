"""What a classifier takes as X: texts, a table with a series in every row, or series of any lengths."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from ..data import cells
from ..data.series import Collection, of_arrays
from ..data.series_frames import CONVERT, matrix, typed
from ..data.table import Table
from ..errors import WrongData, error_context

Rows = list[Any]
NO_LABELS = "requires y to be passed, but the target y is None"
TABLE = ("n_features_in_", "feature_names_in_")  # what scikit-learn keeps of a table


def rows(estimator: Any, X: Any) -> Rows:
    """The texts (str), or the series float64 [T, channels], that a fitted classifier is asked about."""
    if (found := _apart(X)) is not None:
        return found
    finite = True if estimator.missing == "error" else "allow-nan"
    return list(validate_data(estimator, X, reset=False, dtype=np.float64, ensure_all_finite=finite)[:, :, None])


def labelled(estimator: Any, X: Any, y: Any) -> tuple[Rows, Any]:
    """The same of X, and y as an array [n] of class labels. Sets what scikit-learn keeps of a table's columns."""
    if isinstance(y, list | tuple):  # of which NumPy would make texts in silence
        _check_alike("y", y, "labels")
    if (found := _apart(X)) is None:
        finite = True if estimator.missing == "error" else "allow-nan"
        table, y = validate_data(estimator, X, y, dtype=np.float64, ensure_all_finite=finite)
        found = list(table[:, :, None])
    else:
        if y is None:
            raise WrongData(f"{type(estimator).__name__} {NO_LABELS}")
        y = column_or_1d(y, warn=True)
        check_consistent_length(found, y)
        for name in TABLE:
            estimator.__dict__.pop(name, None)
    check_classification_targets(y)
    return found, y


def source(found: Rows, labels: list[str], groups: Any = None) -> Table | Collection:
    """What a task learns from: the rows, their labels, and which belong together, [n], where that is said."""
    if groups is not None:
        check_consistent_length(found, groups := column_or_1d(groups).tolist())
    if not isinstance(found[0], str):
        return of_arrays(found, labels, groups=groups)
    plain = cells.checked(found, "text", lambda row: f"X, row {row + 1}")
    columns = {"text": [text or "" for text in plain], "label": labels}
    if groups is not None:
        columns["group"] = cells.checked(groups, "group", lambda row: f"groups, row {row + 1}")
    return Table("X", columns, list(range(1, len(labels) + 1)), cells.sha256(columns), unit="row")


def names(classes: Any) -> list[str]:
    """The classes as a model file names them: text as it is, whole numbers in decimal, booleans as true and false.

    >>> names(np.array([False, True])), names(np.array([1.0, 2.0]))
    (['false', 'true'], ['1', '2'])
    """
    found = []
    for one in classes.tolist():
        if isinstance(one, bool):
            found.append(str(one).lower())
        else:
            found.append(str(int(one)) if isinstance(one, float) else str(one))
    return found


def _apart(X: Any) -> Rows | None:
    """Texts, or series that are no rows of a table; None for all else, which scikit-learn checks."""
    if isinstance(X, str):
        raise WrongData("X is one text; put it in a list, as [X]")
    if hasattr(X, "columns") or hasattr(X, "column_names"):
        return _of_frame(X)
    if isinstance(X, np.ndarray) and X.ndim == 3:
        return _numbers(list(X))
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1 and all(isinstance(v, str) for v in X[:, 0]):
        return [str(text) for text in X[:, 0]]
    listed = _one_by_one(X)
    if not listed:
        _check_cells(X)
        return None
    if all(isinstance(one, str) for one in listed):
        return [str(one) for one in listed]
    _check_alike("X", listed, "texts")
    if not all(hasattr(one, "__array__") or (isinstance(one, list | tuple) and one) for one in listed):
        return None
    lengths = {len(one) if _is_plain(one) else None for one in listed}
    if len(lengths) != 1 or None in lengths:
        return _numbers(listed)
    _check_cells(listed)
    return None


def _of_frame(X: Any) -> Rows | None:
    """The texts of a frame of one column; None for numbers, which scikit-learn checks. Raises DataError for others."""
    frame = X
    if hasattr(X, "set_axis"):  # of pandas, whose names may be numbers
        frame = X.set_axis([str(name) for name in X.columns], axis=1)
    table = typed(frame)
    names = list(table.columns)
    kinds = [next((type(cell) for cell in cells if cell is not None), float) for cells in table.columns.values()]
    if kinds == [str]:
        return cells.checked(table.columns[names[0]], names[0], table.place)
    texts = [name for name, kind in zip(names, kinds, strict=True) if kind is str]
    pass_one = f"convert it, or for texts pass one column of them, as X[{texts[0]!r}]" if texts else CONVERT
    with error_context("X"):
        matrix(frame, table, names, pass_one)
    return None


def _check_cells(X: Any) -> None:
    """Raises WrongData for what NumPy would make numbers of in silence: booleans, text, dates and durations."""
    if isinstance(X, list | tuple):
        rows = X
    elif not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind in "iufc":
        return
    elif X.dtype.kind != "O":
        kind = "text" if X.dtype.kind in "UST" else str(X.dtype)
        raise WrongData(f"X holds {kind}; expected integers or floating-point numbers; convert it")
    else:
        rows = X.tolist()
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            if isinstance(cell, bool | np.bool_ | str | bytes | datetime.date | datetime.timedelta):
                raise WrongData(f"X, row {i + 1}, column {j + 1}: found {cell!r:.40}; expected a number; convert it")


def _check_alike(name: str, cells: Sequence[Any], what: str) -> None:
    """Raises WrongData where some are text and some are not."""
    texts = [isinstance(cell, str) for cell in cells]
    if any(texts) and not all(texts):
        row = texts.index(False)
        raise WrongData(f"{name}, row {row + 1}: found {cells[row]!r:.40} among {what} that are text; make them alike")


def _one_by_one(X: Any) -> Sequence[Any] | None:
    """The rows of a list, or of an array or column of objects or texts."""
    if isinstance(X, list | tuple):
        return X
    if isinstance(X, np.ndarray):
        return X.tolist() if X.ndim == 1 and X.dtype.kind in "OUT" else None
    if type(X).__name__ == "Series" and hasattr(X, "to_list"):
        return list(X.to_list())
    return None


def _is_plain(one: Any) -> bool:
    """Whether it is a list of scalars, which may be the row of a table."""
    return isinstance(one, list | tuple) and not any(isinstance(v, list | tuple) or hasattr(v, "__len__") for v in one)


def _numbers(series: Sequence[Any]) -> Rows:
    """Series as float64 [T, channels]. Raises DataError."""
    return [one.values for one in of_arrays(list(series)).series]
