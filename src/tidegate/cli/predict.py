"""Predict labels of messages or series, or forecast series.

Give messages with --message, as the rows of a file, or with - as lines on
stdin; give series as a file. A file is .csv, .tsv or .jsonl (also .gz) or
.parquet, and for series also .npz or a folder. If rows can have several labels,
those are printed whose probability reaches the model's threshold. A forecaster
prints its quantiles for each step ahead, and a chart if stdout is a terminal.

A model that gives vectors writes them with --vectors, and with --nearest finds
the rows of another file that are most similar to each input.

With --out the predictions go to a file instead. A .csv or .parquet file has one
row for each message or series, for a forecast one for each step ahead, and with
--nearest one for each similar row; a .jsonl file has the lines that --json
prints.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..errors import DataError, OptionError
from ..files import check_line
from ..tasks.base import Encoded
from . import _console, _flags, _precision, _predictions, _vectors
from ._inputs import find_task
from ._parser import FilePath, Parser, Renamed

if TYPE_CHECKING:
    from ..tasks.base import Question

EXAMPLES = """\
  tidegate predict intent.safetensors --message "what's my balance"
  tidegate predict intent.safetensors new.csv --text message --top 3
  echo "what's my balance" | tidegate predict intent.safetensors - --json
  tidegate predict intent.safetensors new.csv --out labels.csv
  tidegate predict encoder.safetensors new.csv --nearest 5 corpus.jsonl
  tidegate predict load.safetensors load.csv --plot forecast.png"""


def add_flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", action=FilePath, help="model file")
    parser.add_argument(
        "file", metavar="FILE", action=FilePath, nargs="?", help="messages or series, or - for lines on stdin"
    )
    parser.add_argument("--message", metavar="TEXT", action="append", help="a message; can be repeated")
    parser.add_argument("--text", metavar="COLUMN", help="column that holds the message (default: as in training)")
    parser.add_argument("--column", action=Renamed, now="--text")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each message or series")
    parser.add_argument(
        "--out", metavar="FILE", action=FilePath, help="write the predictions to a .csv, .jsonl or .parquet file"
    )
    _flags.add_task_flags(parser, "PREDICT_FLAGS")
    _flags.add_force(parser)
    _precision.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    check_flags(args)
    from ..runtime import load

    flags = _flags.task_values(args, "PREDICT_FLAGS")
    task = find_task(args.model, "predict")
    _flags.refuse_flags(task, "PREDICT_FLAGS", flags)
    if plot := flags.get("plot"):
        _flags.check_plot(plot, list_inputs(args), args.force)
    if vectors := flags.get("vectors"):
        _vectors.check_path(vectors, list_inputs(args), args.force)
    predictor = load(args.model, **_precision.load_arguments(args))
    predicted = task.predict(predictor, make_question(args), flags)
    if plot:
        print(f"wrote {predicted.plot(plot, args.force)}", file=sys.stderr)
    if vectors:
        assert isinstance(predicted, Encoded), "a task with the flag --vectors"
        print(f"wrote {_vectors.write(vectors, predicted.vectors(), args.force)}", file=sys.stderr)
    for warning in predicted.warnings:
        print(warning, file=sys.stderr)
    if args.out:
        output = _predictions.Output(predicted.columns, predicted.rows(), predicted.records())
        _predictions.write(args.out, output, args.force)
    elif args.json:
        for record in predicted.records():
            _console.print_json(record)
    else:
        width = _console.terminal_width() if sys.stdout.isatty() else None
        for line in predicted.format(width, (sys.stdout.encoding or "").lower().startswith("utf")):
            print(line)
    if not args.json:
        for note in predicted.notes:
            print(note, file=sys.stderr)
    return 0


def make_question(args: argparse.Namespace) -> Question:
    """Return what the arguments ask about."""
    from ..tasks.base import Question

    if args.message is not None:
        return Question(None, [("--message", text) for text in args.message], args.text)
    if args.file == "-":
        return Question(None, [(f"stdin:{n}", line) for n, line in enumerate(read_stdin(), 1)], args.text)
    return Question(args.file, None, args.text)


def check_flags(args: argparse.Namespace) -> None:
    """Raise OptionError for flags that contradict each other."""
    if args.text is not None and args.file in (None, "-") and not _flags.read_files(args, "PREDICT_FLAGS"):
        raise OptionError("--text is now the column of a file, as in fit and score; give a message with --message")
    if (args.file is None) == (args.message is None):
        raise OptionError("give --message, a file, or - for stdin; see 'tidegate predict --help'")
    if args.out is not None:
        if args.json:
            raise OptionError("--json prints the predictions, but --out writes them to a file; give one of the two")
        _predictions.check_path(args.out, list_inputs(args), args.force)


def list_inputs(args: argparse.Namespace) -> list[str]:
    """List the files that the command reads, which it does not replace."""
    given = [] if args.file in (None, "-") else [args.file]
    return [args.model, *given, *_flags.read_files(args, "PREDICT_FLAGS")]


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
