"""Messages in conversations as an estimator's X: where each stands, and the table that the task reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_consistent_length, column_or_1d

from .. import tasks
from ..data.series import Collection
from ..data.table import Table
from ..data.table_cells import hash_columns, to_python
from ..errors import WrongData, WrongValue
from ..tasks import _classified_conversations
from ..tasks._options import restore_options
from . import samples

COLUMNS: Final = ("conversation", "turn", "speaker")  # of the table, and the options that name them
FORGOTTEN: Final = "{} was fitted with conversations; give it conversations and turns here, too{}"


class Places(NamedTuple):
    """Where messages stand, as an estimator's arguments; see `Classifier`. None: not given."""

    conversations: Any = None
    turns: Any = None
    speakers: Any = None


def make_labelled_source(
    estimator: Any, X: Any, y: Any, groups: Any, places: Places
) -> tuple[Table | Collection, dict[str, str], npt.NDArray[Any]]:
    """Return X and y as the task reads them, the options that name the columns, and the classes, sorted.

    Raises WrongData, WrongValue, DataError, and what scikit-learn raises for tables.
    """
    columns = make_message_options(places, groups, estimator.context)
    if columns:
        rows = samples.to_messages(estimator, X)
        y, has_label = samples.to_optional_labels(estimator, rows, y)
    else:
        rows, y = samples.to_labelled_samples(estimator, X, y)
        has_label = np.ones(len(y), bool)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise WrongData(f"y has only one class, {classes.tolist()[0]!r}; give two or more")
    names, labels = samples.format_classes(classes), np.full(len(rows), "", object)
    labels[has_label] = [names[k] for k in codes]
    if columns:
        return make_message_table(rows, places, labels.tolist()), columns, classes
    named = {} if groups is None else {"group": "group"}
    return samples.make_source(rows, labels.tolist(), groups), {"label": "label", **named}, classes


def make_plain_source(
    estimator: Any, X: Any, pairs: Any, groups: Any, places: Places
) -> tuple[Table | Collection, dict[str, str]]:
    """Return X without labels as the task reads it, and the options that name the columns.

    Raises WrongData, WrongValue, DataError, and what scikit-learn raises for tables.
    """
    columns = make_message_options(places, groups, estimator.context)
    if not columns:
        given = {"group": groups, "pairs": pairs}
        named = {name: name for name, values in given.items() if values is not None}
        return samples.make_unlabelled_source(estimator, X, groups, pairs), named
    if pairs is not None:
        raise WrongData("pairs are for single texts, and conversations are given; leave one of them out")
    del columns["label"]
    return make_message_table(samples.to_messages(estimator, X), places), columns


def make_message_options(places: Places, groups: Any, context: Any) -> dict[str, str]:
    """Return the options that name the columns of messages; none without conversations.

    Raises WrongData, WrongValue for arguments that need others or exclude them.
    """
    if places.conversations is None:
        for name in ("turns", "speakers"):
            if getattr(places, name) is not None:
                raise WrongData(f"{name} are given without conversations; give fit both, or leave {name} out")
        if context is not None:
            raise WrongValue(
                f"context is {context!r}, the width of the layer that reads conversations; give fit conversations and "
                "turns, or leave context out"
            )
        return {}
    if groups is not None:
        raise WrongData("conversations are held out whole, so groups have no use beside them; leave groups out")
    return {"label": "label"} | {name: name for name in COLUMNS if name != "speaker" or places.speakers is not None}


def make_message_table(texts: list[Any], places: Places, labels: list[str] | None = None) -> Table:
    """Return messages with their conversations, turns, and if they are given their speakers and labels, as a table.

    Raises WrongData without turns; DataError for a cell that cannot be used.
    """
    if places.turns is None:
        raise WrongData(
            "conversations are given without turns, the numbers that put their messages in order; give both"
        )
    columns = {"text": to_python(texts, "text", lambda row: f"X, row {row + 1}")}
    for name, given in zip(COLUMNS, places, strict=True):
        if given is not None:
            columns[name] = read_cells(name, given, texts)
    if labels is not None:
        columns["label"] = labels
    return Table("X", columns, list(range(1, len(texts) + 1)), hash_columns(columns), unit="row")


def read_cells(name: str, given: Any, texts: list[Any]) -> list[Any]:
    """Return an argument as cells, one for each message. Raises WrongData, DataError naming the row."""
    if isinstance(given, str):
        raise WrongData(f"{name}s is one text; expected one {name} for each row of X")
    cells = column_or_1d(np.array([*given], object) if isinstance(given, list | tuple | range) else given).tolist()
    check_consistent_length(texts, cells)
    return to_python(cells, name, lambda row: f"{name}s, row {row + 1}")


def ask_conversations(estimator: Any, run: Callable[..., Any], texts: list[Any], places: Places) -> list[Any]:
    """Return what `run`, such as a predictor's `answers`, makes of each message, in the order of the rows.

    Raises WrongData, DataError.
    """
    model = estimator.model_
    task = model.document["task"]
    options: Any = restore_options(tasks.load(task["kind"]).Options, task["options"])
    if options.speaker is None and places.speakers is not None:
        raise WrongData(f"{type(estimator).__name__} was fitted without speakers; leave them out")
    if options.speaker is not None and places.speakers is None:
        raise WrongData(FORGOTTEN.format(type(estimator).__name__, ", and speakers"))
    table = make_message_table(texts, places)
    named = dict.fromkeys(COLUMNS) | {name: name for name in COLUMNS if name in table.columns}
    return _classified_conversations.answer_rows(run, table, replace(options, text="text", **named))


def has_conversations(estimator: Any, places: Places) -> bool:
    """Tell whether a fitted estimator reads conversations. Raises WrongData if it does and has none, or the reverse."""
    name = type(estimator).__name__
    if estimator.model_.levels:
        if places.conversations is None:
            raise WrongData(FORGOTTEN.format(name, ""))
        return True
    if any(given is not None for given in places):
        raise WrongData(f"{name} was fitted without conversations; leave conversations, turns and speakers out")
    return False


def require_values(row: int, answer: Any) -> Any:
    """Return the numbers of an answer. row: whose it is. Raises WrongData for one that has none, with the reason.

    >>> from tidegate import Scores
    >>> require_values(2, Scores(None, None, "the message has no word"))
    Traceback (most recent call last):
        ...
    tidegate.errors.WrongData: X, row 3: the message has no word; fill it in or leave the row out
    """
    if answer.values is None:
        raise WrongData(f"X, row {row + 1}: {answer.reason}; fill it in or leave the row out")
    return answer.values
