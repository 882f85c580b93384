"""Convert the X of a classifier to samples: from texts, a table with one series per row, or series of any lengths."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from ..data.series import Collection, from_arrays
from ..data.series_frames import REMEDY, read_frame_table, read_matrix
from ..data.table import Table
from ..data.table_cells import hash_columns, is_missing, to_python
from ..errors import WrongData, error_context

Samples = list[Any]
NO_LABELS = "requires y to be passed, but the target y is None"
TABLE_ATTRIBUTES = ("n_features_in_", "feature_names_in_")  # which scikit-learn sets when X is a table


def to_samples(estimator: Any, X: Any) -> Samples:
    """Return X as texts (str) or series (float64 [T, channels]), for prediction."""
    if (samples := _texts_or_series(X)) is not None:
        return samples
    finite = True if estimator.missing == "error" else "allow-nan"
    return list(validate_data(estimator, X, reset=False, dtype=np.float64, ensure_all_finite=finite)[:, :, None])


def to_labelled_samples(estimator: Any, X: Any, y: Any) -> tuple[Samples, Any]:
    """Return X as `to_samples` does, and y as an array [n] of class labels; set the attributes of a table's columns."""
    if isinstance(y, list | tuple):  # NumPy would silently convert a mixture to text
        _check_alike("y", y, "labels")
    if (samples := _texts_or_series(X)) is None:
        finite = True if estimator.missing == "error" else "allow-nan"
        table, y = validate_data(estimator, X, y, dtype=np.float64, ensure_all_finite=finite)
        samples = list(table[:, :, None])
    else:
        if y is None:
            raise WrongData(f"{type(estimator).__name__} {NO_LABELS}")
        y = column_or_1d(y, warn=True)
        check_consistent_length(samples, y)
        for name in TABLE_ATTRIBUTES:
            estimator.__dict__.pop(name, None)
    check_classification_targets(y)
    return samples, y


def to_messages(estimator: Any, X: Any) -> Samples:
    """Return X as texts, which are messages in conversations. Raises WrongData for anything else."""
    if (samples := _texts_or_series(X)) is None or not all(isinstance(one, str) for one in samples):
        raise WrongData("conversations are of messages, but X holds numbers; expected texts")
    for name in TABLE_ATTRIBUTES:
        estimator.__dict__.pop(name, None)
    return samples


def to_optional_labels(estimator: Any, samples: Any, y: Any) -> tuple[Any, npt.NDArray[np.bool_]]:
    """Return the class labels of the rows that have one, and which those are, bool [n].

    None, NaN and the empty text stand for a row without a label. Raises WrongData, and what scikit-learn raises.
    """
    if y is None:
        raise WrongData(f"{type(estimator).__name__} {NO_LABELS}")
    cells = list(y) if isinstance(y, list | tuple) else column_or_1d(y, warn=True).tolist()
    check_consistent_length(samples, cells)
    labelled = np.array([not is_missing(cell) and cell != "" for cell in cells])
    known = [cell for cell, has in zip(cells, labelled, strict=True) if has]
    if not known:
        raise WrongData("y has no label in any row; give two or more classes")
    _check_alike("y", known, "labels")
    check_classification_targets(labels := np.array(known))
    return labels, labelled


def make_unlabelled_source(estimator: Any, X: Any, groups: Any = None, pairs: Any = None) -> Table | Collection:
    """Return X as the table or collection that a task learns from without labels; set the attributes of a table.

    pairs: the text that belongs to each text of X, [n]. Raises WrongData, DataError, and what scikit-learn raises.
    """
    if (samples := _texts_or_series(X)) is None:
        finite = True if estimator.missing == "error" else "allow-nan"
        samples = list(validate_data(estimator, X, dtype=np.float64, ensure_all_finite=finite)[:, :, None])
    else:
        for name in TABLE_ATTRIBUTES:
            estimator.__dict__.pop(name, None)
    if pairs is not None and not all(isinstance(one, str) for one in samples):
        raise WrongData("pairs are texts that belong to texts, but X holds numbers; leave pairs out")
    return make_source(samples, None, groups, pairs)


def make_source(
    samples: Samples, labels: list[str] | None, groups: Any = None, pairs: Any = None
) -> Table | Collection:
    """Return samples with what is known of each as the table or collection that the task learns from.

    labels, groups, pairs: [n], or None. pairs: texts that belong to texts.
    """
    if groups is not None:
        check_consistent_length(samples, groups := column_or_1d(groups).tolist())
    if not isinstance(samples[0], str):
        return from_arrays(samples, labels, groups=groups)
    texts = to_python(samples, "text", lambda row: f"X, row {row + 1}")
    columns = {"text": [text or "" for text in texts]}
    if labels is not None:
        columns["label"] = labels
    if groups is not None:
        columns["group"] = to_python(groups, "group", lambda row: f"groups, row {row + 1}")
    if pairs is not None:
        check_consistent_length(samples, pairs := column_or_1d(pairs).tolist())
        columns["pairs"] = to_python(pairs, "pairs", lambda row: f"pairs, row {row + 1}")
    return Table("X", columns, list(range(1, len(texts) + 1)), hash_columns(columns), unit="row")


def format_classes(classes: Any) -> list[str]:
    """Return the names of classes in a model file: text as it is, whole numbers in decimal, booleans as true and false.

    >>> format_classes(np.array([False, True])), format_classes(np.array([1.0, 2.0]))
    (['false', 'true'], ['1', '2'])
    """
    names = []
    for one in classes.tolist():
        if isinstance(one, bool):
            names.append(str(one).lower())
        else:
            names.append(str(int(one)) if isinstance(one, float) else str(one))
    return names


def _texts_or_series(X: Any) -> Samples | None:
    """Return X if it holds texts or series that are not rows of a table; else None, and scikit-learn checks it."""
    if isinstance(X, str):
        raise WrongData("X is one text; put it in a list, as [X]")
    if hasattr(X, "columns") or hasattr(X, "column_names"):
        return _frame_texts(X)
    if isinstance(X, np.ndarray) and X.ndim == 3:
        return _to_series(list(X))
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1 and all(isinstance(v, str) for v in X[:, 0]):
        return [str(text) for text in X[:, 0]]
    rows = _list_rows(X)
    if not rows:
        _check_cells(X)
        return None
    if all(isinstance(one, str) for one in rows):
        return [str(one) for one in rows]
    _check_alike("X", rows, "texts")
    if not all(hasattr(one, "__array__") or (isinstance(one, list | tuple) and one) for one in rows):
        return None
    lengths = {len(one) if _is_list_of_scalars(one) else None for one in rows}
    if len(lengths) != 1 or None in lengths:
        return _to_series(rows)
    _check_cells(rows)
    return None


def _frame_texts(X: Any) -> Samples | None:
    """Return the texts of a frame with one column of them; None for numbers. Raises DataError for other types."""
    frame = X
    if hasattr(X, "set_axis"):  # a frame of pandas, whose column names may be numbers
        frame = X.set_axis([str(name) for name in X.columns], axis=1)
    table = read_frame_table(frame)
    names = list(table.columns)
    kinds = [next((type(cell) for cell in cells if cell is not None), float) for cells in table.columns.values()]
    if kinds == [str]:
        return to_python(table.columns[names[0]], names[0], table.locate)
    texts = [name for name, kind in zip(names, kinds, strict=True) if kind is str]
    remedy = f"convert it, or to classify texts pass that column alone, as X[{texts[0]!r}]" if texts else REMEDY
    with error_context("X"):
        read_matrix(frame, table, names, remedy)
    return None


def _check_cells(X: Any) -> None:
    """Raise WrongData for what NumPy would silently convert to numbers: booleans, text, dates and durations."""
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
    """Raise WrongData if some cells are text and others are not."""
    texts = [isinstance(cell, str) for cell in cells]
    if any(texts) and not all(texts):
        row = texts.index(False)
        raise WrongData(
            f"{name}, row {row + 1}: found {cells[row]!r:.40} among {what} that are text; make them all text"
        )


def _list_rows(X: Any) -> Sequence[Any] | None:
    """Return the rows of a list, or of an array or column of objects or texts; None for other types."""
    if isinstance(X, list | tuple):
        return X
    if isinstance(X, np.ndarray):
        return X.tolist() if X.ndim == 1 and X.dtype.kind in "OUT" else None
    if type(X).__name__ == "Series" and hasattr(X, "to_list"):
        return list(X.to_list())
    return None


def _is_list_of_scalars(one: Any) -> bool:
    """Return whether it is a list of scalars, so that it may be the row of a table."""
    return isinstance(one, list | tuple) and not any(isinstance(v, list | tuple) or hasattr(v, "__len__") for v in one)


def _to_series(series: Sequence[Any]) -> Samples:
    """Return series as float64 [T, channels]. Raises DataError for other shapes and types."""
    return [one.values for one in from_arrays(list(series)).series]
