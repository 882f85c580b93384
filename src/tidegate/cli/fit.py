"""Train a model on a file of labelled rows or of series.

Writes one model file. A checkpoint next to it lets you stop with Ctrl-C and
continue with --resume. Some rows are held out to choose the best weights,
unless --valid gives a file for that. Training needs torch.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from .. import tasks
from ..text_tables import format_size
from . import _choosing, _console, _flags
from ._parser import FilePath, Parser
from ._progress import Reporter

if TYPE_CHECKING:
    from ..model import Model

EXAMPLES = ""  # the tasks have them
USAGE = "tidegate fit {} FILE --out FILE [options]"


def add_flags(parser: Parser) -> None:
    """Add a sub-command for each task, with flags made from the task's options."""
    parser.set_examples("\n".join(tasks.load(name).EXAMPLES for name in tasks.names()))
    task_parsers = parser.add_subparsers(dest="task", metavar="TASK", required=True, title="tasks")
    for name in tasks.names():
        task = tasks.load(name)
        summary = (task.__doc__ or "").partition("\n")[0].rstrip(".")
        task_parser = task_parsers.add_parser(
            name, help=summary, description=summary + ".", examples=task.EXAMPLES, usage=USAGE.format(name)
        )
        add_common_flags(task_parser, task.FILES)
        _flags.add_options(task_parser, task.Options)


def add_common_flags(parser: Parser, files: str) -> None:
    """Add the flags that all tasks have. files: the kinds of files that a task reads, in words."""
    parser.add_argument("train", metavar="FILE", action=FilePath, help=f"data: {files}")
    parser.add_argument("--out", metavar="FILE", action=FilePath, required=True, help="model file to write")
    parser.add_argument("--valid", metavar="FILE", action=FilePath, help="data that chooses the best weights")
    parser.add_argument(
        "--folds", metavar="K", type=int, help="first measure the options in K parts, each by a model of the others"
    )
    parser.add_argument(
        "--search",
        metavar="N",
        type=int,
        help="first try N choices of the options that are not given, on held-out rows or folds, and take the best",
    )
    parser.add_argument(
        "--threads", metavar="N", type=int, help="threads, which the weights depend on (default TIDEGATE_THREADS, or 1)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    _flags.add_force(parser)
    checkpoint = parser.add_mutually_exclusive_group()
    checkpoint.add_argument("--resume", action="store_true", help="continue from the checkpoint of an interrupted run")
    checkpoint.add_argument("--restart", action="store_true", help="discard the checkpoint and start over")


def run(args: argparse.Namespace) -> int:
    task = tasks.load(args.task)
    _console.allow_no_reader()
    with Reporter(sys.stderr) as report:
        model = train(args, _flags.typed_values(args, task.Options), report)
    print_result(args, model)
    return 0


def train(args: argparse.Namespace, options: dict[str, Any], report: Reporter) -> Model:
    """Train as the flags say; after Ctrl-C, say how to continue. options: those that were typed, by name."""
    from ..train.job import fit

    try:
        return fit(
            args.task,
            args.train,
            None,
            args.out,
            valid=args.valid,
            folds=args.folds,
            search=args.search,
            resume=args.resume,
            restart=args.restart,
            force=args.force,
            progress=report,
            say=report.print_note,
            threads=args.threads,
            **options,
        )
    except KeyboardInterrupt:
        begun = any(os.path.exists(args.out + ending) for ending in (".checkpoint", ".trials"))
        how = "run the same command with --resume to continue" if begun else "nothing was written yet"
        raise KeyboardInterrupt(f"interrupted; {how}") from None


def print_result(args: argparse.Namespace, model: Model) -> None:
    """Print what was written, how good the model is, and what to run next."""
    provenance = model.document["provenance"]
    size = os.path.getsize(args.out)
    if args.json:
        import json

        print(json.dumps({"file": args.out, "bytes": size, "provenance": provenance}))
        return
    print(f"wrote {args.out} ({format_size(size)})")
    if chosen := _choosing.format_report(provenance, _console.terminal_width()):
        print(chosen)
    print(tasks.load(args.task).report(model.document, args.out))
