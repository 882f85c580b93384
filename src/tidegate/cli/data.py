"""List public data sets, or download one.

Downloads are checked against known checksums and cached in TIDEGATE_CACHE. If
you have the files already, set TIDEGATE_DATA to their folder.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import atomic
from ..errors import DataError, OptionError
from ..files import read
from ..text_tables import format_pairs, format_table
from . import _console, _flags
from ._parser import FolderPath, Parser

if TYPE_CHECKING:
    from ..data.dataset import DataSet

EXAMPLES = """\
  tidegate data
  tidegate data reuters_r8
  tidegate data reuters_r8 --out reuters"""


def add_flags(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="a data set (default: list all)")
    parser.add_argument(
        "--out", metavar="DIR", action=FolderPath, help="download its files (CSV or NPZ) to this folder"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    _flags.add_force(parser)


def run(args: argparse.Namespace) -> int:
    from ..data import catalogue

    if args.name is None:
        if args.out:
            raise OptionError("--out needs the name of a data set; run `tidegate data` to list them")
        known = {name: catalogue.get(name) for name in catalogue.list_names()}
        if args.json:
            _console.print_json({n: set_facts(s) for n, s in known.items()})
        else:
            print(format_list(known))
        return 0
    data_set = catalogue.get(args.name)
    cached = {split: str(path) for split, path in catalogue.find_cached(args.name).items()} if not args.out else {}
    files = {}
    if args.out:
        names = {split: os.path.join(args.out, split + data_set.suffix) for split in data_set.rows}
        files = copy_files(names, lambda: catalogue.fetch(args.name), args.force)
        _console.allow_no_reader()
    if args.json:
        _console.print_json({"name": args.name, **set_facts(data_set), "files": files, "cached": cached})
    else:
        print(format_set(args.name, data_set, files, cached))
    return 0


def format_list(known: dict[str, DataSet]) -> str:
    rows = [
        [name, s.task, s.unit, *(s.rows.get(split, "-") for split in ("train", "test")), s.labels or "-"]
        for name, s in known.items()
    ]
    return format_table(
        ["name", "task", "rows", "train", "test", "labels"], rows, left=3, width=_console.terminal_width()
    )


def set_facts(data_set: DataSet) -> dict[str, Any]:
    fields = ("title", "task", "labels", "split", "licence", "source", "unit", "flags")
    return {
        **{name: getattr(data_set, name) for name in fields},
        "rows": dict(data_set.rows),
        "published": list(data_set.published),
    }


def format_set(name: str, data_set: DataSet, files: dict[str, str], cached: dict[str, str]) -> str:
    rows = ", ".join(f"{split} {count:,}" for split, count in data_set.rows.items()) + f" {data_set.unit}"
    lines: list[tuple[str, object]] = [
        ("name", name),
        ("title", data_set.title),
        ("task", data_set.task),
        ("rows", rows),
    ]
    lines += [("labels", data_set.labels)] if data_set.labels else []
    lines += [("split", data_set.split), ("licence", data_set.licence), ("source", data_set.source)]
    lines += [("published" if i == 0 else "", figure) for i, figure in enumerate(data_set.published)]
    paths = [("wrote", path) for path in files.values()] + [("cached", path) for path in cached.values()]
    train = (files or cached).get("train", f"DIR/train{data_set.suffix}")
    parts = [format_pairs(lines, _console.terminal_width()), *([format_pairs(paths)] if paths else [])]
    parts += [] if files else [f"download: tidegate data {name} --out DIR"]
    return "\n\n".join([*parts, f"fit a model: {fit_command(name, data_set, train)}"])


def fit_command(name: str, data_set: DataSet, train: str) -> str:
    """Return the command that fits a model to a set.

    >>> from tidegate.data import catalogue
    >>> fit_command("trec", catalogue.get("trec"), "train.csv")
    'tidegate fit classify train.csv --text text --label label --out trec.safetensors'
    """
    words = ["tidegate fit", data_set.task, shlex.quote(train), data_set.flags, f"--out {name}.safetensors"]
    return " ".join(word for word in words if word)


def copy_files(names: dict[str, str], fetch: Callable[[], dict[str, Path]], force: bool = False) -> dict[str, str]:
    """Copy the fetched files to these names, by split, once it is clear that all can be written; return the names.

    Raises OptionError if a file with other content is there.
    """
    for name in names.values():
        atomic.make_folder(os.path.dirname(os.path.abspath(name)))
        atomic.check(name)  # before anything is downloaded
    contents = {names[split]: read(path, DataError) for split, path in fetch().items()}
    kinds = {name: kind_with_content(data) for name, data in contents.items()}
    for name, kind in kinds.items():
        atomic.check(name, kind, force=force)
    for name, data in contents.items():
        with atomic.replace(name, kinds[name], force) as file:
            file.write(data)
    return names


def kind_with_content(data: bytes) -> atomic.FileKind:
    """Return the kind of files with exactly this content, which need not be kept."""
    return atomic.FileKind("the file of the data set", lambda file: file.read(len(data) + 1) == data)
