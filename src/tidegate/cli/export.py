"""Write a model in another format, for another runtime.

c: float C99, one .c and one .h without malloc, with the state in your hands
and a self-test. onnx: one graph with the state as inputs and outputs.
docs/export.md tells the rest.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, error_context
from . import _console, _flags
from ._parser import FilePath, Parser
from ._table import format_pairs, format_size

if TYPE_CHECKING:
    from ..model import Model

EXAMPLES = """\
  tidegate export intent.safetensors --to c
  tidegate export intent.safetensors --to c --out firmware/intent.c --name chat
  tidegate export intent.safetensors --to onnx --mode step"""


def add_flags(parser: Parser) -> None:
    from ..formats import names

    parser.add_argument("model", metavar="MODEL", action=FilePath, help="the model file")
    parser.add_argument("--to", required=True, choices=names(), help="the format")
    parser.add_argument("--out", metavar="FILE", action=FilePath, help="the file to write (default: beside MODEL)")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    _flags.add_force(parser)
    for name, about in sorted(format_options().items()):
        parser.add_argument("--" + name.replace("_", "-"), dest=name, metavar=name.upper(), help=about)


def format_options() -> dict[str, str]:
    """The options of all formats -> what they mean, and to which format."""
    from ..formats import load, names

    found: dict[str, list[str]] = {}
    for to in names():
        for name, about in getattr(load(to), "OPTIONS", {}).items():
            found.setdefault(name, []).append(f"{to}: {about}")
    return {name: "; ".join(said).replace("%", "%%") for name, said in found.items()}


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
    figures = module.report(model, files, **options) if hasattr(module, "report") else {}
    figures = {**describe_rows(model), **figures}
    if args.json:
        _console.print_json({"file": args.model, "to": args.to, "files": files, **figures})
    else:
        print(format_written(files, figures))
    return 0


def describe_rows(model: Model) -> dict[str, str]:
    """What the export of a model of series is fed and gives: only its layers are in there, not what makes rows."""
    from ..formats._rows import given, taken

    entry = model.document["input"]
    if entry["kind"] != "series":
        return {}
    return {"takes": taken(entry), **({"gives": made} if (made := given(entry)) else {})}


def default_path(file: str, suffix: str) -> str:
    """The model's path with another suffix.

    >>> beside("models/intent.safetensors", ".c")
    'models/intent.c'
    """
    out = os.path.splitext(file)[0] + suffix
    if out == file:
        raise OptionError(f"{file} ends with {suffix} itself; say with --out where to write")
    return out


def format_written(files: list[str], figures: dict[str, Any]) -> str:
    """What was written, in lines."""
    rows = [("wrote", f"{file} ({format_size(os.path.getsize(file))})") for file in files]
    for name, value in figures.items():
        title = name.removesuffix("_bytes").replace("_", " ")
        rows.append((title, format_size(value) if name.endswith("_bytes") else str(value)))
    return format_pairs(rows)
