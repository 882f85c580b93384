"""Export a model to C or ONNX.

c: C99, one .c and one .h file without malloc. You hold the state; a self-test
is built in. onnx: one graph whose inputs and outputs include the state.
See docs/export.md for details.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, error_context
from ..text_tables import format_pairs, format_size
from . import _console, _flags
from ._parser import FilePath, Parser

if TYPE_CHECKING:
    from ..model import Model

EXAMPLES = """\
  tidegate export intent.safetensors --to c
  tidegate export intent.safetensors --to c --out firmware/intent.c --name chat
  tidegate export intent.safetensors --to onnx --mode step"""


def add_flags(parser: Parser) -> None:
    from ..formats import names

    parser.add_argument("model", metavar="MODEL", action=FilePath, help="model file")
    parser.add_argument("--to", required=True, choices=names(), help="format to write")
    parser.add_argument("--out", metavar="FILE", action=FilePath, help="file to write (default: next to MODEL)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    _flags.add_force(parser)
    for name, help in sorted(format_options().items()):
        parser.add_argument(_flags.flag_of(name), dest=name, metavar=name.upper(), help=help)


def format_options() -> dict[str, str]:
    """Return the options of all formats with their help."""
    from ..formats import load, names

    options: dict[str, list[str]] = {}
    for to in names():
        for name, help in getattr(load(to), "OPTIONS", {}).items():
            options.setdefault(name, []).append(f"{to}: {help}")
    return {name: "; ".join(parts).replace("%", "%%") for name, parts in options.items()}


def run(args: argparse.Namespace) -> int:
    from ..bridge import export
    from ..formats import load
    from ..model import Model

    model, module = Model.load(args.model), load(args.to)
    options = {name: getattr(args, name) for name in format_options() if getattr(args, name) is not None}
    out = default_path(args.model, module.SUFFIX) if args.out is None else args.out
    with error_context(args.model):
        files = export(args.model, args.to, out, force=args.force, **options)
    _console.allow_no_reader()
    if model.graphs:
        figures = describe_graphs(model, module, out, options)
    else:
        figures = describe_one(model, module, files, options)
    if args.json:
        _console.print_json({"file": args.model, "to": args.to, "files": files, **figures})
    else:
        print(format_written(files, figures))
    return 0


def describe_one(model: Model, module: Any, files: list[str], options: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an export of one graph. files: that it has."""
    figures = module.report(model, files, **options) if hasattr(module, "report") else {}
    return {**describe_rows(model), **figures}


def describe_graphs(model: Model, module: Any, out: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an export of several graphs, by the name of the graph."""
    from ..formats import output_files
    from ..formats._levels import describe_connections, graph_path

    found: dict[str, Any] = {}
    for name, notes in describe_connections(model).items():
        own = options | ({"name": f"{options['name']}_{name}"} if "name" in options else {})
        files = output_files(module, graph_path(out, name))
        found[name] = {"notes": " ".join(notes), **describe_one(model.graphs[name].model, module, files, own)}
    return {"graphs": found}


def describe_rows(model: Model) -> dict[str, str]:
    """Describe what the layers take and give, where it is not what the model does: an export holds only the layers."""
    from ..outputs import describe_numbers

    (source,) = model.inputs.values()
    texts = {"takes": source.describe_rows(), "gives": describe_numbers(model.outputs.values())}
    return {name: text for name, text in texts.items() if text}


def default_path(file: str, suffix: str) -> str:
    """Return the model's path with another suffix.

    >>> default_path("models/intent.safetensors", ".c")
    'models/intent.c'
    """
    out = os.path.splitext(file)[0] + suffix
    if out == file:
        raise OptionError(f"{file} already ends with {suffix}; choose the file to write with --out")
    return out


def format_written(files: list[str], figures: dict[str, Any]) -> str:
    """Format what was written, one line each."""
    rows = [("wrote", f"{file} ({format_size(os.path.getsize(file))})") for file in files]
    for graph, own in figures.get("graphs", {}).items():
        rows += [(f"{graph}, {title}", text) for title, text in format_figures(own)]
    return format_pairs(rows + format_figures({k: v for k, v in figures.items() if k != "graphs"}))


def format_figures(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Format figures as lines of title and text."""
    titles = {name: name.removesuffix("_bytes").replace("_", " ") for name in figures}
    return [(titles[k], format_size(v) if k.endswith("_bytes") else str(v)) for k, v in figures.items()]
