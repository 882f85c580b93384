"""Replay a model file's own check on every target, whole and in pieces.

The file's SHA-256 is compared first: it covers labels, vocabulary and all else.
Then its check is run, an input made from a seed and the answer of a float64
oracle. Each target's largest error is held against a bound that is proved from
the arithmetic, and so is each single step of those that run step by step. With
bfloat16 weights the oracle gets the rounded weights, and the table's end says
how far those move its answers.

A model may amplify roundings so much that no bound of the whole holds, as a
chaotic one does. A target whose every step is right is ok even then; of one
that was not followed step by step nothing can be told.

Exit code 0: all that ran is right; 1: a target is wrong; 3: none is wrong, but
of some nothing can be told.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..errors import error_context
from . import _console, _precision
from ._parser import FilePath, Parser
from ._table import table

if TYPE_CHECKING:
    from ..verify import Result

EXAMPLES = """\
  tidegate verify intent.safetensors
  tidegate verify intent.safetensors --json
  tidegate verify intent.safetensors --compute bf16"""

WRONG, UNDECIDED = 1, 3  # 2 is bad input
SHA256_OK = "the file is as it was written: its SHA-256 holds, over labels, vocabulary and all else"
NO_SHA256 = (
    "the file has no SHA-256, so labels, vocabulary and what else no number depends on were not verified; "
    "tidegate.load(file).save(file) adds one"
)


def add_flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", action=FilePath, help="the model file")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    _precision.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    sha256, results = replay(args.model, **_precision.load_arguments(args))
    if args.json:
        targets = [r.to_json() for r in results]
        _console.print_json({"file": args.model, "ok": is_ok(results), "sha256": sha256, "targets": targets})
    else:
        print(f"{format_report(results)}\n{SHA256_OK if sha256 else NO_SHA256}")
    return exit_code(results)


def replay(file: str, weights: str | None = None, compute: str | None = None) -> tuple[str | None, list[Result]]:
    """The file's sum, which loading has compared, and what became of its check."""
    from ..model import Model
    from ..verify import verify

    model = Model.load(file)
    with error_context(file):
        return model.sha256, verify(model, weights, compute)


def is_ok(results: list[Result]) -> bool | None:
    """Whether all is right; None where nothing is wrong but some could not be told."""
    verdicts = {result.ok for result in results}
    return False if False in verdicts else None if None in verdicts else True


def exit_code(results: list[Result]) -> int:
    """The exit code that says so."""
    return {True: 0, False: WRONG, None: UNDECIDED}[is_ok(results)]


def format_report(results: list[Result]) -> str:
    """A table of targets, and a sentence."""
    head = ["target", "path", "largest error", "its bound", "of bound", "in pieces", "verdict"]
    ran = sum(result.ran for result in results)
    faults, open_ = (sum(result.ok is verdict for result in results) for verdict in (False, None))
    said = "all within their bounds" if not faults and not open_ else f"{faults} wrong"
    if open_:
        said += (
            f"; {open_} cannot be told right from wrong: the model amplifies roundings too much for a bound, "
            "or its numbers outgrow float32"
        )
    moved = [result.moved for result in results if result.moved is not None]
    if moved:
        said += f"; rounding the weights moves the answers by up to {max(moved):.1e}"
    return (
        f"{table(head, map(format_row, results), left=2, words_last=True)}\n\n{ran} of {len(results)} ran here, {said}"
    )


def format_row(result: Result) -> list[str]:
    pieces = {True: "same bits", False: "differ", None: "-"}[result.chunks]
    figures = [
        format_figure(result.error, ".1e"),
        format_figure(result.bound, ".1e"),
        format_figure(result.ratio, ".1%"),
    ]
    return [result.target, result.path, *figures, pieces, result.verdict]


def format_figure(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)
