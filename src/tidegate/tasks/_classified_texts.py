"""Texts that are classified: reading them, and the rows and first layers of a classifier of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.columns import MissingColumn
from ..data.table import Table, read_table
from ..errors import DataError
from ..features.ngrams import NGrams
from ..layers import Builder
from . import _folds, _labels, _messages, _sizing
from ._classes import OUTPUT, Prepared
from ._holdout import hold_out, number_keys
from ._intervals import Units, number_units
from ._labels import Targets
from ._linear_text import TextCounts, make_entry
from ._misspelling import Speller
from ._ngram_counts import LONGEST, SHORTEST
from .base import Indices, Question

KIND, NOUN = "text", "row"
WORD_UNITS = ("word", "space")


def read(source: Any, options: Any, columns: list[str] | None = None) -> Table:
    """Read the labelled texts of a file or frame. Raises DataError."""
    return source if isinstance(source, Table) else _messages.read_messages(source, options)


def read_with_columns(
    file: str, options: Any, columns: list[str] | None, names: Sequence[str]
) -> tuple[Table, dict[str, list[str]]]:
    """Read the labelled texts of a file, and the cells of further columns by name. Raises DataError."""
    source = _messages.read_messages(file, options, names)
    return source, {name: read_values(source, name) for name in names}


def read_values(source: Table, name: str) -> list[str]:
    """Return the cell of each row in a column of any type, as text."""
    return list(map(str, source.columns[name])) if source.kind(name) == "numbers" else source.labels(name)


def find_units(source: Table, options: Any) -> Units | None:
    """Return the groups of rows that depend on each other; None where the model was trained without groups."""
    if options.group is None:
        return None
    if options.group not in source.columns:
        return Units(np.arange(len(source)), missing=options.group)
    return number_units(read_values(source, options.group), "group", options.group)


def read_asked(question: Question, options: Any, model: Any) -> Table:
    """Read the file that a question is about, without labels. Raises DataError."""
    try:
        return read_table(question.file, [question.text or options.text])
    except MissingColumn as error:
        remedy = "; choose the column of messages with --text"
        raise DataError(f"{str(error).removesuffix(error.hint)}{remedy}{error.hint}") from error


def answer(predictor: Any, question: Question, options: Any) -> tuple[list[str], list[Any]]:
    """Return the texts that a question asks about, and the answer about each. Raises DataError with the place."""
    if question.file is not None:
        column = question.text or options.text
        table = read_asked(question, options, predictor.model)
        return table.column(column), ask_texts(predictor.answers, table, column)
    texts, places = [text for _, text in question.messages or []], [place for place, _ in question.messages or []]
    return texts, ask(predictor.answers, texts, places)


def ask(run: Callable[[list[str]], Any], texts: list[str], places: Sequence[str]) -> Any:
    """Return what `run` makes of texts, such as a predictor's answers. Raises DataError with the place of a text."""
    try:
        return run(texts)
    except DataError:
        for text, place in zip(texts, places, strict=True):
            try:
                run([text])
            except DataError as error:
                fault = str(error).removeprefix("text 0 ").removeprefix("text 0: ")
                raise DataError(f"{place}: the text {fault}; correct it or leave it out") from error
        raise


def ask_texts(run: Callable[[list[str]], Any], source: Table, column: str) -> Any:
    """Do `ask` about the texts in a column of a table."""
    return ask(run, source.column(column), [source.locate(row) for row in range(len(source))])


def answer_rows(run: Callable[..., Any], source: Table, options: Any) -> Any:
    """Return what `run`, such as a predictor's `answers` or `vectors`, makes of each row of a table."""
    return ask_texts(run, source, options.text)


def names_of(source: Table, options: Any) -> list[str]:
    """Return the text of each row of a table."""
    return source.column(options.text)


def check_flags(flags: Mapping[str, Any]) -> None:
    """Do nothing: all flags apply to texts."""


def check_source(source: Table, model: Any) -> None:
    """Do nothing: a text fits any model of texts."""


def columns_of(model: Any) -> None:
    """Return None: the columns of texts are options."""


def skip_bad(source: Table, options: Any) -> tuple[Table, list[str]]:
    """Leave out empty texts, if the options say so; return the source and notes about them."""
    return _messages.skip_empty(source, options)


def number_together(source: Table, options: Any) -> tuple[Indices, _folds.Kept]:
    """Number the rows that folds keep together: those of a group, or those that read the same. Raises DataError."""
    return _folds.number_together(
        source, options.group, lambda: number_keys(map(tuple, _messages.tokenize_rows(source, options)))
    )


def label_cells(source: Table, options: Any) -> _labels.Cells:
    """Return the place and the label cell of every row."""
    return [(source.locate(i), cell) for i, cell in enumerate(source.labels(options.label))]


def summary(source: Table, options: Any, labels: str) -> str:
    """Describe how a source and its columns are read. labels: its labels in words."""
    if options.label is None:
        return f"{source.describe()}; text: column {options.text!r}; {labels}"
    kind = source.kind(options.label)
    how = "" if kind == "text" else f"{kind} read as text, "
    return f"{source.describe()}; text: column {options.text!r}, label: column {options.label!r} ({how}{labels})"


def warn_of_names(source: Table) -> list[str]:
    """Warn of names in a source that look alike; texts have none."""
    return []


def prepare(options: Any, source: Table, valid: Table | None, y: Targets, labels: list[str]) -> Prepared:
    """Make the rows, the input and its layer. y: the targets of all rows. Raises DataError."""
    tokens = _messages.tokenize_rows(source, options)
    if options.unit in WORD_UNITS:
        options = options.decide_ngrams()
    else:
        options = options.without_ngrams(f"single {options.unit}s")
    options = _sizing.resolve_classifier(
        replace(options, input=KIND), _sizing.resolve_for_text, [len(t) for t in tokens], len(labels)
    )
    tokens += [] if valid is None else _messages.tokenize_rows(valid, options)
    parts, ids = _messages.build_input_and_ids(
        options, tokens if options.refit_epochs else tokens[: len(source)], tokens
    )
    part = hold_out(options, source, valid, y, labels, number_keys(row.tobytes() for row in ids))
    if not options.refit_epochs:
        parts, ids = _messages.build_input_and_ids(options, [tokens[i] for i in part.train_rows], tokens)
    section, arrays, vocabulary, hide_rates = parts
    builder = Builder(None)
    builder.add("embed", ("x",), rows=len(vocabulary), size=options.embed)
    counts = word_parts = None
    if options.subwords or options.linear == "auto":
        rows = np.arange(len(tokens)) if options.refit_epochs else part.train_rows
        counts = TextCounts(tokens, rows, len(labels))
        tables = counts.tables
        if options.subwords and len(tables["characters"]):
            entry, hashes = make_entry(tables)
            section, arrays = {**section, "ngrams": entry}, {**arrays, **hashes}
            ngrams = NGrams(**tables, shortest=SHORTEST, longest=LONGEST)
            speller = Speller(tokens[: len(source)], vocabulary, ngrams, options.misspell) if options.misspell else None
            word_parts = _messages.WordParts(tokens, ngrams, speller)
            builder.add(
                "bag", ("x.characters",), rows=len(tables["characters"]), size=options.subwords, most=ngrams.most
            )
            builder.add("dense", size=options.embed, activation="none", add=0)
    return Prepared(
        options,
        _messages.Messages(ids, OUTPUT, y, hide_rates, word_parts),
        part,
        part.train_rows,
        part.valid_rows,
        part.groups,
        y[part.train_rows],
        section,
        arrays,
        builder,
        conv_width=options.embed or 0,
        texts=counts if options.linear == "auto" else None,
        provenance={"judged_on": part.description},
    )
