"""Predict labels of messages or series, or forecast series.

Give messages with --message, as the rows of a file, or with - as lines on
stdin; give series as a file. A file is .csv, .tsv or .jsonl (also .gz) or
.parquet, and for series also .npz or a folder. If rows can have several labels,
those with a probability of at least 0.5 are printed. A forecaster prints its
quantiles for each step ahead, and a chart if stdout is a terminal.

With --out the predictions go to a file instead. A .csv or .parquet file has one
row for each message or series, and for a forecast one for each step ahead; a
.jsonl file has the lines that --json prints.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DataError, OptionError
from ..files import check_line
from . import _console, _flags, _forecasts, _precision, _predictions
from ._inputs import check_times, require_labels
from ._parser import FilePath, Parser, Renamed
from ._table import escape_breaks, shorten, shortest_decimal

if TYPE_CHECKING:
    from ..runtime import Predictor, Scores

EXAMPLES = """\
  tidegate predict intent.safetensors --message "what's my balance"
  tidegate predict intent.safetensors new.csv --text message --top 3
  echo "what's my balance" | tidegate predict intent.safetensors - --json
  tidegate predict intent.safetensors new.csv --out labels.csv
  tidegate predict load.safetensors load.csv --plot forecast.png"""

MAX_NAME = 60
SEPARATOR = "|"  # of labels in a table, if the model was not trained on a file with one


def add_flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", action=FilePath, help="model file")
    parser.add_argument(
        "file", metavar="FILE", action=FilePath, nargs="?", help="messages or series, or - for lines on stdin"
    )
    parser.add_argument("--message", metavar="TEXT", action="append", help="a message; can be repeated")
    parser.add_argument("--text", metavar="COLUMN", help="column that holds the message (default: as in training)")
    parser.add_argument("--column", action=Renamed, now="--text")
    parser.add_argument("--top", metavar="K", type=int, help="number of labels to print (default 1)")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each message or series")
    parser.add_argument(
        "--out", metavar="FILE", action=FilePath, help="write the predictions to a .csv, .jsonl or .parquet file"
    )
    parser.add_argument(
        "--plot", metavar="FILE", action=FilePath, help="plot the forecast and the recent history, as PNG"
    )
    _flags.add_force(parser)
    _precision.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    check_flags(args)
    from ..runtime import Scores, load

    predictor = load(args.model, **_precision.load_arguments(args))
    model = predictor.model
    if model.document["task"]["kind"] == "forecast":
        if args.top is not None:
            raise OptionError("--top is for labels, but this model forecasts; leave it out")
        return _forecasts.predict(args, predictor)
    if args.plot:
        raise OptionError("--plot is for forecasters, but this model predicts labels; leave it out")
    require_labels(model, args.model, "predict")
    kind = model.input_section["kind"]
    names, probabilities = (predict_series if kind == "series" else predict_texts)(args, predictor)
    labels = predictor.labels
    predictions = (
        Prediction(kind, name, Scores(row, labels, multi_label=model.multi_label), args.top)
        for name, row in zip(names, probabilities, strict=True)
    )
    if args.out:
        columns = list_columns(kind, min(args.top or 1, len(labels or [])), model.multi_label)
        separator = model.document["task"]["options"].get("label_separator") or SEPARATOR
        rows, records = (p.as_row(separator) for p in predictions), (p.as_dict() for p in predictions)
        _predictions.write(args.out, _predictions.Output(columns, rows, records), args.force)
        return 0
    for prediction in predictions:
        if args.json:
            _console.print_json(prediction.as_dict())
        else:
            print(prediction.format())
    return 0


def predict_texts(args: argparse.Namespace, predictor: Predictor) -> tuple[list[str], Any]:
    """Read the texts and predict; return the texts and the outputs for each."""
    texts, places = read_messages(args, predictor)
    return texts, predict_probabilities(predictor, texts, places)


def predict_series(args: argparse.Namespace, predictor: Predictor) -> tuple[list[str], Any]:
    """Read series and predict; return their names (or places in the file) and the outputs for each."""
    from .. import tasks
    from ..tasks._options import restore_options

    if args.file in (None, "-"):
        raise OptionError("this model takes series of numbers; give a file of series, or use tidegate stream")
    if args.text:
        raise OptionError("--text is for messages, but this model takes series; leave it out")
    document = predictor.model.document
    task = tasks.load(document["task"]["kind"])
    options = restore_options(task.Options, document["task"]["options"])
    source = task.read_unlabelled(args.file, options, predictor.model.input_section["columns"])
    check_times(source, predictor.model)
    names = [series.id or source.place(i, 0).removesuffix(", step 1") for i, series in enumerate(source.series)]
    return names, predictor.predict(**task.predictor_inputs(source, options))


def predict_probabilities(predictor: Predictor, texts: list[str], places: list[str]) -> Any:
    """Predict all texts. Raises DataError with the place of a text that cannot be classified."""
    try:
        return predictor.predict(texts)
    except DataError:
        for text, place in zip(texts, places, strict=True):
            try:
                predictor.predict([text])
            except DataError as error:
                fault = "is empty" if not text.strip() else str(error).removeprefix("text 0 ").removeprefix("text 0: ")
                raise DataError(f"{place}: the text {fault}; correct it or leave it out") from error
        raise


def check_flags(args: argparse.Namespace) -> None:
    """Raise OptionError for flags that contradict each other."""
    if args.text is not None and args.file in (None, "-"):
        raise OptionError("--text is now the column of a file, as in fit and score; give a message with --message")
    if (args.file is None) == (args.message is None):
        raise OptionError("give --message, a file, or - for stdin; see 'tidegate predict --help'")
    if args.top is not None and args.top < 1:
        raise OptionError(f"--top is {args.top}; it must be at least 1")
    if args.out is not None:
        if args.json:
            raise OptionError("--json prints the predictions, but --out writes them to a file; give one of the two")
        _predictions.check_path(
            args.out, [args.model, *([args.file] if args.file not in (None, "-") else [])], args.force
        )


def read_messages(args: argparse.Namespace, predictor: Predictor) -> tuple[list[str], list[str]]:
    """Read the texts and, for each, its place for error messages."""
    if args.message is not None:
        return args.message, ["--message"] * len(args.message)
    if args.file == "-":
        lines = read_stdin()
        return lines, [f"stdin:{n}" for n in range(1, len(lines) + 1)]
    from ..data.columns import MissingColumn
    from ..data.table import read_table

    column = args.text or predictor.model.document["task"]["options"].get("text", "text")
    try:
        rows = read_table(args.file, [column])
    except MissingColumn as error:
        remedy = "; choose the column of messages with --text"
        raise DataError(f"{str(error).removesuffix(error.hint)}{remedy}{error.hint}") from error
    return rows.column(column), [rows.locate(i) for i in range(len(rows))]


def read_stdin() -> list[str]:
    """Read a message from each line of stdin. Raises DataError."""
    messages = []
    for number, raw in _console.read_lines():
        try:
            check_line(raw)
            messages.append(raw.decode().rstrip("\r\n"))
        except DataError as error:
            raise DataError(f"stdin:{number}: {error}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"stdin:{number}: not UTF-8 at byte {error.start} of the line; convert it first") from error
    return messages


def select_largest(row: Any, k: int) -> list[int]:
    """Return the indices of the k largest of some numbers, largest first; ties in the order of the row.

    >>> select_largest(np.array([0.1, 0.3, 0.3, 0.2]), 2)
    [1, 2]
    """
    if 0 < k < len(row):
        least = np.partition(row, -k)[-k]
        chosen = np.flatnonzero(row >= least)
        if len(chosen) >= k:  # fewer only if a number is NaN
            return [int(i) for i in chosen[np.argsort(-row[chosen], kind="stable")][:k]]
    return [int(i) for i in np.argsort(-row, kind="stable")[:k]]


class Prediction(NamedTuple):
    """The prediction for one input.

    kind: text or series. name: the text, or the name of the series. top: how many labels to print, or None for all
    that are predicted.
    """

    kind: str
    name: str
    scores: Scores
    top: int | None

    def labels(self) -> list[tuple[str, float]]:
        """Return the labels to print with their probabilities, most likely first; ties in the order of the model."""
        values, labels, chosen = self.scores.values, self.scores.labels or [], self.scores.predicted_labels
        assert values is not None
        count = len(chosen) if self.top is None else self.top
        return [(labels[i], shortest_decimal(values[i])) for i in select_largest(values, count)]

    def as_dict(self) -> dict[str, Any]:
        result: dict[str, Any] = {
            self.kind: self.name,
            "label": self.scores.label,
            "score": shortest_decimal(self.scores.score),
        }
        if self.scores.multi_label:
            result["labels"] = self.scores.predicted_labels
        return {**result, "top": [list(pair) for pair in self.labels()]} if self.top and self.top > 1 else result

    def as_row(self, separator: str) -> list[Any]:
        """Return the cells of a table, see `list_columns`. separator: joins the labels of a row that can have several.

        The second label and those after it are among the largest `top` of the same numbers, so the first is `label`.
        """
        one = self.as_dict()
        several = [separator.join(one["labels"])] if "labels" in one else []
        further = [cell for pair in one.get("top", [])[1:] for cell in pair]
        return [self.name, one["label"], one["score"], *several, *further]

    def format(self) -> str:
        labels = ", ".join(f"{escape_breaks(label)} {score:.3f}" for label, score in self.labels())
        return f"{labels or '(none)'}\t{shorten(self.name, MAX_NAME)}"


def list_columns(kind: str, top: int, multi_label: bool) -> dict[str, type]:
    """List the columns of a table of predictions and the types of their cells.

    >>> list(list_columns("text", 2, False))
    ['text', 'label', 'score', 'label_2', 'score_2']
    """
    several = {"labels": str} if multi_label else {}
    pairs = ({f"label_{k}": str, f"score_{k}": float} for k in range(2, top + 1))
    further = {name: cell for pair in pairs for name, cell in pair.items()}
    return {kind: str, "label": str, "score": float, **several, **further}
