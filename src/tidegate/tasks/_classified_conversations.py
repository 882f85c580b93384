"""Messages in conversations that are classified: reading them, and the rows and graphs of their classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from ..data.columns import MissingColumn
from ..data.table import Table, read_table
from ..document.levels import MESSAGE, GraphPlan
from ..errors import DataError, OptionError
from ..layers import INPUT, Builder, Source
from . import _messages, _sizing
from ._classes import OUTPUT, Classification, Prepared
from ._classified_texts import check_flags as check_flags
from ._classified_texts import check_source as check_source
from ._classified_texts import columns_of as columns_of
from ._classified_texts import label_cells as label_cells
from ._classified_texts import names_of as names_of
from ._classified_texts import read_values
from ._classified_texts import skip_bad as skip_bad
from ._classified_texts import summary as summary_of_texts
from ._classified_texts import warn_of_names as warn_of_names
from ._conversations import (
    SPEAKER,
    Conversations,
    count_speakers,
    encode_speakers,
    order_messages,
    read_speakers,
    split_long,
)
from ._folds import CONVERSATIONS, Kept
from ._graph_builder import add_recurrences, name_tensors
from ._holdout import HoldOut, split
from ._intervals import Units, number_units
from ._labels import NO_LABEL, Targets, format_count, strata_of
from .base import Array, Indices, Question

KIND, NOUN = "text", "message"
INNER: Final = "words"  # the graph that ticks with the words of a message
OUTER: Final = "talk"  # the graph that ticks at the end of each message
LEVEL: Final = "conversation"  # what the ticks of the outer graph belong to
ALONE: Final = "someone"  # who speaks where a message is given without a conversation


def read(source: Any, options: Any, columns: list[str] | None = None) -> Table:
    """Read the labelled messages of a file or frame, with their conversations and turns. Raises DataError."""
    more = options.conversation_columns()
    return source if isinstance(source, Table) else _messages.read_messages(source, options, more)


def read_with_columns(
    file: str, options: Any, columns: list[str] | None, names: Sequence[str]
) -> tuple[Table, dict[str, list[str]]]:
    """Read the labelled messages of a file, and the cells of further columns by name. Raises DataError."""
    source = _messages.read_messages(file, options, [*options.conversation_columns(), *names])
    return source, {name: read_values(source, name) for name in names}


def find_units(source: Table, options: Any) -> Units:
    """Return the conversations, whose messages depend on each other."""
    return number_units(source.labels(options.conversation, "conversation"), LEVEL, options.conversation)


def summary(source: Table, options: Any, labels: str) -> str:
    """Describe how a source and its columns are read. labels: its labels in words."""
    count = format_count(len(set(source.labels(options.conversation))), "conversation")
    speaker = f", speaker: column {options.speaker!r}" if options.speaker else ""
    return (
        f"{summary_of_texts(source, options, labels)}; {count}: column {options.conversation!r}, turn: column "
        f"{options.turn!r}{speaker}"
    )


def number_together(source: Table, options: Any) -> tuple[Indices, Kept]:
    """Number the conversations, which folds keep whole. Raises DataError."""
    number = np.zeros(len(source), np.int64)
    for i, rows in enumerate(order_messages(source, options)):
        number[rows] = i
    return number, CONVERSATIONS


# ---- answers


def answer_rows(run: Callable[..., Any], source: Table, options: Any) -> list[Any]:
    """Return what `run`, such as a predictor's `answers`, makes of each row and those before it in its conversation."""
    texts, found = source.column(options.text), dict[int, Any]()
    speakers = read_speakers(source, options) if options.speaker else None
    conversations = order_messages(source, options)
    rows = [[(texts[i], {SPEAKER: speakers[i]} if speakers else {}) for i in each] for each in conversations]
    for each, answers in zip(conversations, run(rows), strict=True):
        found.update(zip(each.tolist(), answers, strict=True))
    return [found[i] for i in range(len(source))]


def read_asked(question: Question, options: Any, model: Any) -> Table:
    """Read the messages of the file that a question is about, and where they stand. Raises DataError."""
    column = question.text or options.text
    try:
        return read_table(question.file, [column, *options.conversation_columns()])
    except MissingColumn as error:
        remedy = "; choose the column of messages with --text" if error.wanted == column else ""
        raise DataError(f"{str(error).removesuffix(error.hint)}{remedy}{error.hint}") from error


def answer(predictor: Any, question: Question, options: Any) -> tuple[list[str], list[Any]]:
    """Return the texts that a question asks about, and the answer about each. Raises DataError with the place.

    A message without a file is a conversation of one message.
    """
    if question.messages is not None:
        texts = [text for _, text in question.messages]
        side = {SPEAKER: ALONE} if options.speaker else {}
        return texts, [one for (one,) in predictor.answers([[(text, side)] for text in texts])]
    table = read_asked(question, options, predictor.model)
    options = replace(options, text=question.text or options.text)
    return table.column(options.text), answer_rows(predictor.answers, table, options)


# ---- training data


def prepare(options: Any, source: Table, valid: Table | None, y: Targets, labels: list[str]) -> Prepared:
    """Make the rows and the inputs. y: the targets of all messages. Raises DataError."""
    if options.group is not None:
        raise OptionError("conversations are held out whole, so --group has no use here; leave it out")
    options = options.without_ngrams("conversations")
    tokens, conversations = _messages.tokenize_rows(source, options), order_messages(source, options)
    options = _sizing.resolve_classifier(
        replace(options, input=KIND, prefix=0.0, hold_out=options.hold_out or _sizing.default_hold_out_of_talk(len(y))),
        partial(_sizing.resolve_for_conversations, conversations=len(conversations)),
        [len(t) for t in tokens],
        len(labels),
    )
    part = hold_out(options, source, valid, y, conversations)
    if valid is not None:
        tokens += _messages.tokenize_rows(valid, options)
        conversations += [rows + len(source) for rows in order_messages(valid, options)]
    learnt = np.concatenate([conversations[i] for i in part.train_rows])
    seen = tokens if options.refit_epochs else [tokens[i] for i in learnt]
    (section, arrays, vocabulary, hide_rates), ids = _messages.build_input_and_ids(options, seen, tokens)
    sides, entries = make_sides(options, source, valid, conversations)
    parts = [
        (i, rows)
        for i, conversation in enumerate(conversations)
        for rows in split_long(conversation)
        if y.ndim == 2 or (y[rows] != NO_LABEL).any()
    ]
    number = np.array([i for i, _ in parts], np.int64)
    builder = Builder(None)
    builder.add("embed", rows=len(vocabulary), size=options.embed)
    return Prepared(
        options,
        Conversations([rows for _, rows in parts], ids, OUTPUT, y, hide_rates, sides),
        part,
        np.flatnonzero(np.isin(number, part.train_rows)),
        np.flatnonzero(np.isin(number, part.valid_rows)),
        number,
        y[learnt],
        section,
        arrays,
        builder,
        conv_width=options.embed or 0,
        sides=entries,
        provenance={"judged_on": part.description},
    )


def make_sides(
    options: Any, source: Table, valid: Table | None, conversations: list[Indices]
) -> tuple[dict[str, Array], dict[str, dict[str, Any]]]:
    """Return the rows of the side inputs for each message of both sources, and their entries in the model file."""
    if not options.speaker:
        return {}, {}
    tables = [source] if valid is None else [source, valid]
    names = [read_speakers(table, options) for table in tables]
    first = [rows for rows in conversations if rows[0] < len(source)]
    size, rows = count_speakers(names[0], first), []
    for table, own in zip(tables, names, strict=True):
        rows.append(encode_speakers(table, own, order_messages(table, options), size))
    return {SPEAKER: np.concatenate(rows)}, {SPEAKER: {"kind": "category", "size": size, "clock": OUTER}}


def hold_out(options: Any, source: Table, valid: Table | None, y: Targets, conversations: list[Indices]) -> HoldOut:
    """Hold out whole conversations, or all of another file; rows and groups of the result are conversations.

    Raises DataError where none can be held out, or both files are the same.
    """
    count = len(conversations)
    if valid is not None:
        if source.sha256 == valid.sha256:
            raise DataError(
                f"{valid.path}: has the same rows as {source.path}, so it cannot validate a model trained on them; "
                "give other rows, or leave --valid out to hold some conversations out"
            )
        more = len(order_messages(valid, options))
        words = f"{format_count(len(valid), 'message')} of {format_count(more, 'conversation')} of another file"
        return HoldOut(np.arange(count), np.arange(count, count + more), np.arange(count + more), words, [[], []])
    number = np.zeros(len(source), np.int64)
    for i, rows in enumerate(conversations):
        number[rows] = i
    labelled = np.flatnonzero(strata_of(y) != NO_LABEL)
    _, held_out = split(strata_of(y)[labelled], options.hold_out, options.seed, number[labelled])
    valid_rows = np.unique(number[labelled][held_out])
    if not len(valid_rows):
        raise DataError(
            f"{source.path}: too few conversations to hold one out, as each class needs a message in another one; add "
            "some, or give a validation file with --valid"
        )
    messages = sum(len(conversations[i]) for i in valid_rows)
    words = f"{messages:,} messages of {len(valid_rows):,} of {format_count(count, 'conversation')}, held out"
    return HoldOut(np.setdiff1d(np.arange(count), valid_rows), valid_rows, np.arange(count), words, [[]])


def add_graphs(
    made: Prepared, inner: Builder, vector: int, output: type[Classification] | None, classes: int
) -> dict[str, GraphPlan]:
    """Return the graphs: the one of a message, which is there, and the one of a conversation.

    The last layer, or the one before it that gives a vector of this width, reads the message next to what the
    recurrence over messages makes of it. output, classes: see `classify.add_layers`.
    """
    node, sides = f"{INNER}.{len(inner.layers) - 1}", made.sides or {}
    outer = Builder((inner.width or 0) + sum(entry["size"] for entry in sides.values()))
    add_recurrences(outer, made.options.load_cell(), made.options.context, None, "causal", 1)
    both: tuple[Source, ...] = (len(outer.layers) - 1, INPUT)
    if vector:
        outer.add("dense", both, size=vector, activation="tanh")
    if output is not None:
        output.add_head(outer, classes, None if vector else both)
    return {
        INNER: GraphPlan(MESSAGE, inner.layers),
        OUTER: GraphPlan(LEVEL, name_tensors(outer.layers, OUTER), (node, *sides)),
    }
