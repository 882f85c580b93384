"""Encoders that learn without labels: from what follows in each text, series or conversation."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Final

import numpy as np

from ..data.series import Collection, read_series
from ..data.table import Table, read_table
from ..document.graph import GRAPH
from ..errors import DataError, OptionError
from ..layers import INPUT
from . import _classified_series, _classified_texts, _messages, _next_numbers, _series, _word_head, classify
from ._classes import Prepared
from ._conversations import Conversations
from ._folds import split_rows
from ._holdout import Source, number_keys
from ._next_numbers import NextNumbers, NumbersToCome, Scaling
from ._next_step import OUTPUT, NextStep
from ._next_words import OWN_PROJECTION, MessagesToCome, NextWords, WordsToCome
from ._sequences import Sequences
from ._series_parts import cut_series
from .base import Fold, Indices, Rows

USUAL: Final = "label"  # the column that a user may have meant to be used
FOR_LABELS: Final = {
    **{"label_separator": None, "smoothing": None, "prefix": None, "class_weights": "none"},
    **{"reject": None, "out_of_scope": None},
}
OWN_WORDS: Final = 1.0  # the weight of a text's own words, unless the user gives one
LEAST_SINGLE: Final = 20  # texts that occur once, for those alone to be held out
MEASURED_ROWS: Final = 256  # rows whose targets are looked at together


def check_options(options: Any) -> None:
    """Raise OptionError for an option that is of use with labels alone, or that reads what is to be predicted."""
    for name, default in FOR_LABELS.items():
        if getattr(options, name) != default:
            raise OptionError(
                f"{name} is for labels, and none are used; name their column with --label, or leave "
                f"--{name.replace('_', '-')} out"
            )
    if options.pairs is None and options.direction != "causal":
        raise OptionError(
            f"direction is {options.direction!r}, which also reads the steps that are to be predicted; leave it out, "
            "or name labels with --label or pairs with --pairs"
        )


# ---- sources


def read(source: Any, options: Any, columns: list[str] | None = None) -> Source:
    """Read the messages or series of a source without labels. columns: of series, those of a model.

    Of a table of messages, the column `label` is read too if there is one, so that the summary can say that it is not
    used. Raises DataError, OptionError.
    """
    if classify.find_input(source, options) is _classified_series:
        if options.own_words is not None:
            raise OptionError("own_words is for texts, and these data are series; leave --own-words out")
        return read_collection(source, options, columns)
    if isinstance(source, Table):
        return source
    more = options.conversation_columns() + ([] if options.pairs is None else [options.pairs])
    if USUAL not in (options.text, options.group, *more):
        try:
            return _messages.read_messages(source, options, [*more, USUAL])
        except DataError:  # there is none, or it cannot be read, which does not matter
            pass
    return _messages.read_messages(source, options, more)


def read_collection(source: Any, options: Any, columns: list[str] | None) -> Collection:
    """Read series; of a table without named columns, all but a column `label`, which is not meant to be predicted."""
    is_table = not isinstance(source, Collection | np.ndarray | list | tuple) and not (
        isinstance(source, str | os.PathLike) and (os.path.isdir(source) or os.fspath(source).lower().endswith(".npz"))
    )
    if is_table and options.values is None and columns is None:
        roles = (options.time, options.id, options.group, USUAL)
        names = list(read_table(source, for_series=True).columns)
        if USUAL in names and (values := [name for name in names if name not in roles]):
            named = {"time": options.time, "id": options.id, "layout": options.layout, "group": options.group}
            found = read_series(source, values=values, **named)
            source = replace(found, form=f"{found.form}, column {USUAL!r} left out")
    return _series.read_collection(source, options, None, columns, False, options.group)


def summary(source: Source, options: Any) -> str:
    """Describe how a source and its columns are read, and what becomes of its labels."""
    words = "no labels are used (--label names their column)"
    if isinstance(source, Table) and USUAL in source.columns:
        words = f"column {USUAL!r} is not used (--label {USUAL} learns from it)"
    return str(classify.find_input(source, options).summary(source, options, words))


# ---- training data


def split_folds(source: Source, options: Any, count: int) -> list[Fold]:
    """Split a source into folds; parts of long series are series of their own, as in training. Raises DataError."""
    kind = classify.find_input(source, options)
    source, _ = kind.skip_bad(source, options)
    if isinstance(source, Collection):
        source, _ = cut_series(source, options.window)
    together, what = kind.number_together(source, options)
    return split_rows(source, count, together, seed=options.seed, what=what)


def prepare(source: Source, valid: Source | None, options: Any) -> NextStep:
    """Make the `Problem` of a source. valid: rows that select the weights. Raises DataError, OptionError."""
    kind = classify.find_input(source, options)
    source, skipped = kind.skip_bad(source, options)
    valid, skipped_valid = (None, []) if valid is None else kind.skip_bad(valid, options)
    if valid is not None and options.refit_epochs is None:
        options = replace(options, refit_epochs=0)  # a validation file is only trained on where the user says so
    summaries = [summary(each, options) for each in (source, valid) if each is not None]
    names = kind.warn_of_names(source)
    if isinstance(source, Collection):
        if len(source) == 1 < len(source.columns) and options.layout is None:
            skipped.append("all rows are steps of one series; if each row is a series, add --layout rows")
        source, cut = cut_series(source, options.window)
        skipped += cut
    if isinstance(valid, Collection):
        valid, cut = cut_series(valid, options.window)
        skipped_valid += cut
    if kind is _classified_texts and options.own_words is None:
        options = replace(options, own_words=OWN_WORDS)
    kinds = np.zeros(len(source) + (0 if valid is None else len(valid)), np.int64)
    if kind is _classified_texts and options.group is None and isinstance(source, Table):
        kinds[: len(source)] = number_repeated(_messages.tokenize_rows(source, options))
    made: Prepared = kind.prepare(options, source, valid, kinds, [""])
    layers, graphs = classify.add_layers(made, options.size)
    graph = next(reversed(graphs), GRAPH)
    rows, kind_of_problem, own = find_objective(made, source)
    check_targets(rows, made, source.path)
    return kind_of_problem(
        options=replace(made.options, smoothing=None, prefix=None),
        rows=rows,
        train_rows=made.train_rows,
        valid_rows=made.valid_rows,
        inputs={INPUT: made.section, **(made.sides or {})},
        arrays=made.arrays,
        features=made.features,
        layers=layers,
        graphs=graphs,
        outputs={OUTPUT: {"kind": "vector", "at": "end", "from": f"{graph}.{len(layers) - 1}"}},
        summaries=summaries,
        notes=[
            skipped + names + made.part.notes[0],
            *(skipped_valid + more for more in made.part.notes[1:]),
        ],
        initial=made.initial,
        groups=made.groups,
        provenance=made.provenance,
        **own,
    )


def number_repeated(rows: list[list[bytes]]) -> Indices:
    """Return 0 for texts that occur once, and a number of their own, from 1, for those that do not, int64 [n].

    As equal rows are held out together, a few answers such as "yes" would else be all that is held out. So rows with a
    number of their own are trained on, unless few texts occur once.

    >>> number_repeated([[b"yes"], [b"a"], [b"yes"], *([str(i).encode()] for i in range(20))])[:4].tolist()
    [1, 0, 1, 0]
    """
    alike = number_keys(map(tuple, rows))
    counts = np.bincount(alike)
    repeated = np.where(counts > 1, np.cumsum(counts > 1), 0)[alike]
    return repeated if (repeated == 0).sum() >= LEAST_SINGLE else np.zeros_like(alike)


def find_objective(made: Prepared, source: Source) -> tuple[Rows, type[NextStep], dict[str, Any]]:
    """Return the rows with what their vectors predict, the class of their problem, and its own fields."""
    options = made.options
    if isinstance(made.rows, Sequences):
        scaling = Scaling.of(made.initial, len(source.columns), options.missing == "mask")
        tensors = _next_numbers.first_tensors(scaling, options.size, options.seed)
        return NumbersToCome(made.rows, scaling), NextNumbers, {"loss_tensors": tensors, "kept": tuple(tensors)}
    rows: MessagesToCome | WordsToCome
    if isinstance(made.rows, Conversations):
        rows, learnt = MessagesToCome(made.rows), np.concatenate([made.rows.parts[i] for i in made.train_rows])
    else:
        assert isinstance(made.rows, _messages.Messages)
        rows, learnt = WordsToCome(made.rows, options.own_words > 0), made.train_rows
    counts = np.bincount(np.concatenate([made.rows.ids[i] for i in learnt]), minlength=made.section["size"])
    tensors = _word_head.first_tensors(counts, options.size, options.embed, options.seed)
    fields = {"table": made.builder.layers[0].tensors["weight"], "kept": tuple(tensors), "own_words": 0.0}
    if isinstance(rows, WordsToCome) and rows.own:
        further = _word_head.first_tensors(counts, options.size, options.embed, options.seed + 1)
        tensors, fields["own_words"] = {**tensors, OWN_PROJECTION: further[_word_head.PROJECTION]}, options.own_words
    return rows, NextWords, {**fields, "loss_tensors": tensors}


def check_targets(rows: Rows, made: Prepared, path: str) -> None:
    """Raise DataError where nothing follows what is read, so that there is nothing to learn or to measure."""
    what = {"rows": made.train_rows, "held-out rows": made.valid_rows}
    for name, which in what.items():
        parts = (which[k : k + MEASURED_ROWS] for k in range(0, len(which), MEASURED_ROWS))
        if not any(rows.batch(part).mask[OUTPUT].any() for part in parts):
            raise DataError(
                f"{path}: nothing in the {name} is followed by a step to predict, such as a word that training has; "
                "learning without labels needs more or longer rows"
            )
