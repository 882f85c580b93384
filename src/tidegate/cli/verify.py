"""Verify that a model gives the same results on every target.

First the file's SHA-256 is compared, which covers labels, vocabulary and
everything else. Then the check in the file is replayed: an input made from a
seed, and the output of a float64 reference. The largest error of each target is
compared to a proven bound on rounding errors, over the whole input and, for
targets that run step by step, at each step. With bfloat16 weights the reference
uses the rounded weights; a line below the table says how far rounding moves the
outputs. Of a model with several graphs, such as messages in conversations, each
is verified.

Some models, such as chaotic ones, amplify rounding errors so much that no bound
on the whole exists. A target is then ok if each step is right; a target that
does not run step by step is reported as undecided.

exit codes:
  0 all targets that ran are right, 1 a target is wrong, 3 none is wrong, but
  some are undecided
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..errors import error_context
from ..text_tables import format_table, join_items
from . import _console, _precision
from ._parser import FilePath, Parser

if TYPE_CHECKING:
    from ..verify import Result

EXAMPLES = """\
  tidegate verify intent.safetensors
  tidegate verify intent.safetensors --json
  tidegate verify intent.safetensors --compute bf16"""

WRONG, UNDECIDED = 1, 3  # 2 is bad input
SHA256_OK = "the file is intact: its SHA-256 matches, which covers labels, vocabulary and everything else"
NO_SHA256 = (
    "the file has no SHA-256, so labels, vocabulary and other parts that no output depends on were not verified; "
    "tidegate.load(file).save(file) adds one"
)


def add_flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", action=FilePath, help="model file")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    _precision.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    sha256, results = replay(args.model, **_precision.load_arguments(args))
    if args.json:
        targets = [r.to_json() for r in results]
        _console.print_json({"file": args.model, "ok": is_ok(results), "sha256": sha256, "targets": targets})
    else:
        width = _console.terminal_width()
        print(format_report(results, width), join_items([SHA256_OK if sha256 else NO_SHA256], width), sep="\n")
    return exit_code(results)


def replay(file: str, weights: str | None = None, compute: str | None = None) -> tuple[str | None, list[Result]]:
    """Load a file, which compares its SHA-256, and replay its check; return the SHA-256 and the results."""
    from ..model import Model
    from ..verify import verify

    model = Model.load(file)
    with error_context(file):
        return model.sha256, verify(model, weights, compute)


def is_ok(results: list[Result]) -> bool | None:
    """Return True if all results are right, False if one is wrong, None if some are undecided."""
    verdicts = {result.ok for result in results}
    return False if False in verdicts else None if None in verdicts else True


def exit_code(results: list[Result]) -> int:
    """Return the exit code for the results."""
    return {True: 0, False: WRONG, None: UNDECIDED}[is_ok(results)]


def format_report(results: list[Result], width: int) -> str:
    """Format the results as a table of targets and a summary. width: of the terminal."""
    head = ["target", "path", "largest error", "bound", "of bound", "in pieces", "verdict"]
    lines, left = list(map(format_row, results)), 2
    if any(result.graph for result in results):
        head, left = ["graph", *head], 3
        lines = [[result.graph, *line] for result, line in zip(results, lines, strict=True)]
    rows = format_table(head, lines, left=left, words_last=True, width=width)
    ran = sum(result.ran for result in results)
    wrong, undecided = (sum(result.ok is verdict for result in results) for verdict in (False, None))
    summary = f"{wrong} wrong" if wrong or undecided else "all within their bounds"
    if undecided:
        summary += f"; {undecided} undecided: rounding errors grow too large for a bound, or values overflow float32"
    if moved := [result.moved for result in results if result.moved is not None]:
        summary += f"; rounding the weights moves the outputs by up to {max(moved):.1e}"
    return f"{rows}\n\n{join_items([f'{ran} of {len(results)} ran here, {summary}'], width)}"


def format_row(result: Result) -> list[str]:
    pieces = {True: "same bits", False: "differ", None: "-"}[result.chunks]
    figures = ((result.error, ".1e"), (result.bound, ".1e"), (result.ratio, ".1%"))
    return [result.target, result.path, *(format_figure(*f) for f in figures), pieces, result.verdict]


def format_figure(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)
