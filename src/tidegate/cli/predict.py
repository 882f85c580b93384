"""Predict the label of messages: of --text, of a file's rows, or of stdin's lines.

A file is .csv, .tsv or .jsonl, also .gz, or .parquet; `-` reads one message a
line from stdin.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DataError, OptionError
from ._inputs import needs_labelled_text
from ._parser import Parser
from ._table import decimal, short

if TYPE_CHECKING:
    from ..runtime import Predictor

EXAMPLES = """\
  tidegate predict intent.safetensors --text "what's my balance"
  tidegate predict intent.safetensors new.csv --column message --top 3
  echo "what's my balance" | tidegate predict intent.safetensors - --json"""

WIDTH = 60


def flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model file")
    parser.add_argument("file", metavar="FILE", nargs="?", help="rows to predict, or - for lines on stdin")
    parser.add_argument("--text", metavar="TEXT", action="append", help="a message; may be given again")
    parser.add_argument("--column", metavar="NAME", help="column that holds the message (default: as in training)")
    parser.add_argument("--top", metavar="K", type=int, default=1, help="how many labels to show (default 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a message")


def run(args: argparse.Namespace) -> int:
    check(args)
    from ..runtime import load

    predictor = load(args.model)
    needs_labelled_text(predictor.model, args.model, "predict")
    texts, places = messages(args, predictor)
    probabilities = probabilities_of(predictor, texts, places)
    labels = predictor.model.labels or []
    for text, row in zip(texts, probabilities, strict=True):
        best = top(row, labels, args.top)
        print(json.dumps(answer(text, best, args.top), ensure_ascii=False) if args.json else line(text, best))
    return 0


def probabilities_of(predictor: Predictor, texts: list[str], places: list[str]) -> Any:
    """The outputs for all texts; a text that has none is named by its place."""
    try:
        return predictor.predict(texts)
    except DataError:
        for text, place in zip(texts, places, strict=True):
            try:
                predictor.predict([text])
            except DataError as error:
                fault = "is empty" if not text.strip() else str(error).removeprefix("text 0 ").removeprefix("text 0: ")
                raise DataError(f"{place}: the text {fault}; give one or leave it out") from error
        raise


def check(args: argparse.Namespace) -> None:
    if (args.file is None) == (args.text is None):
        raise OptionError("give either --text, a file, or - for stdin; see 'tidegate predict --help'")
    if args.column and args.file in (None, "-"):
        raise OptionError("--column is for a file; --text and - have no columns")
    if args.top < 1:
        raise OptionError(f"--top is {args.top}; it must be at least 1")


def messages(args: argparse.Namespace, predictor: Predictor) -> tuple[list[str], list[str]]:
    """The texts and, for each, the place to name when something is wrong with it."""
    if args.text is not None:
        return args.text, ["--text"] * len(args.text)
    if args.file == "-":
        lines = stdin_lines()
        return lines, [f"stdin:{n}" for n in range(1, len(lines) + 1)]
    from ..data.table import read

    column = args.column or predictor.model.document["task"]["options"].get("text", "text")
    rows = read(args.file, [column])
    return rows.column(column), [rows.place(i) for i in range(len(rows))]


def stdin_lines() -> list[str]:
    lines = []
    for number, raw in enumerate(sys.stdin.buffer, 1):
        try:
            lines.append(raw.decode().rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise DataError(f"stdin:{number}: not UTF-8 at byte {error.start} of the line; convert it first") from error
    return lines


def top(row: Any, labels: Sequence[str], k: int) -> list[tuple[str, float]]:
    """The k likeliest labels with their probabilities; equal ones in the order of the file."""
    order = sorted(range(len(labels)), key=lambda i: (-row[i], i))
    return [(labels[i], decimal(row[i])) for i in order[:k]]


def answer(text: str, best: list[tuple[str, float]], k: int) -> dict[str, Any]:
    found: dict[str, Any] = {"text": text, "label": best[0][0], "score": best[0][1]}
    return {**found, "top": [list(pair) for pair in best]} if k > 1 else found


def line(text: str, best: list[tuple[str, float]]) -> str:
    shown = ", ".join(f"{label} {score:.3f}" for label, score in best)
    return f"{shown}\t{short(text, WIDTH)}"
