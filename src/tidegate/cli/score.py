"""Score a model on a test file: accuracy and F1, or forecast errors.

Columns have the names of those in training, unless you give --text or --label.
Predictions are made by the native engine, as in use. If rows can have several
labels, those are predicted whose probability reaches the model's threshold. A
row that gets no label, because the model is in too much doubt, counts as wrong.
Rows out of scope (--out-of-scope) have figures of their own.

Figures of labels have 95 % intervals, and a line and a table say whether
probabilities hold: docs/score.md. --by scores the rows with each value of a
column as well, such as a source; --plot draws what is confused.

A forecaster is back-tested: at each step it forecasts from the steps up to
there, and is compared to seasonal naive and ridge regression. If the file
begins with the training data, the back-test starts after it; --start overrides.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..tasks.base import Plotted, Scored
from . import _console, _flags, _precision
from ._inputs import find_task
from ._parser import FilePath, Parser

EXAMPLES = """\
  tidegate score intent.safetensors test.csv
  tidegate score intent.safetensors test.csv --label gold --unseen wrong
  tidegate score intent.safetensors test.csv --by source --plot intent.png
  tidegate score intent.safetensors test.csv --out-of-scope other
  tidegate score intent.safetensors test.csv --json
  tidegate score load.safetensors all.csv --start 2688 --plot last.png"""


def add_flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", action=FilePath, help="model file")
    parser.add_argument(
        "file",
        metavar="FILE",
        action=FilePath,
        help="labelled rows or series: .csv, .tsv or .jsonl (also .gz), .parquet, .npz or a folder",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    _precision.add_flags(parser)
    _flags.add_task_flags(parser, "SCORE_FLAGS")
    _flags.add_force(parser)


def run(args: argparse.Namespace) -> int:
    flags = _flags.task_values(args, "SCORE_FLAGS")
    if plot := flags.get("plot"):
        _flags.check_plot(plot, [args.model, args.file], args.force)
    scored = measure(args.model, args.file, flags, **_precision.load_arguments(args))
    if plot:
        assert isinstance(scored, Plotted), "a task with the flag --plot"
        print(f"wrote {scored.plot(plot, args.force)}", file=sys.stderr)
    if args.json:
        _console.print_json(scored.as_dict())
    else:
        print(scored.report(_console.terminal_width()))
    return 0


def measure(
    model: str,
    file: str,
    flags: dict[str, Any] | None = None,
    weights: str | None = None,
    compute: str | None = None,
) -> Scored:
    """Score a model file on a file, as its task does. flags: the values of the task's flags that were typed."""
    from ..runtime import load

    typed = {name: value for name, value in (flags or {}).items() if value is not None}
    task = find_task(model, "score")
    _flags.refuse_flags(task, "SCORE_FLAGS", typed)
    scored: Scored = task.score(load(model, weights=weights, compute=compute), file, typed)
    return scored
