"""Small recurrent models for streams: from a labelled file to a model that
answers in microseconds, with the same answer wherever it runs.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress
from types import ModuleType

from .. import __version__
from ..errors import TidegateError
from . import _console
from ._parser import Parser

__all__ = ["main", "names"]

EXAMPLES = """\
  tidegate demo
  tidegate fit classify train.csv --text message --label intent \\
      --out intent.safetensors
  tidegate score intent.safetensors test.csv
  tidegate predict intent.safetensors --message "what's my balance"
  cat events.jsonl | tidegate stream intent.safetensors > scores.jsonl

`tidegate COMMAND --help` tells the rest of a command. Exit codes: 0, done;
1, a check failed; 2, bad input; 130, interrupted; 141, nobody reads it."""

BAD_INPUT, INTERRUPTED = 2, 130


def names() -> list[str]:
    """The commands: each file of this folder is one.

    >>> "fit" in names()
    True
    """
    folder = os.path.dirname(__file__)
    return sorted(f[:-3] for f in os.listdir(folder) if f.endswith(".py") and not f.startswith("_"))


def load(name: str) -> ModuleType:
    """A command's module: a docstring, EXAMPLES, `flags(parser)` and `run(args) -> exit code`."""
    return importlib.import_module(f".{name}", __name__)


def main(argv: list[str] | None = None) -> int:
    """The exit code of a command line: 0, 1 (a check failed), 2 (bad input), 130 (interrupted) or 141 (whoever read the
    answer has left).
    """
    with _console.installed():
        try:
            return run(sys.argv[1:] if argv is None else argv)
        except TidegateError as error:
            return complain(str(error), BAD_INPUT)
        except KeyboardInterrupt as stop:
            return complain(str(stop) or "interrupted", INTERRUPTED)
        except BrokenPipeError:
            return _console.UNREAD
        except OSError as error:
            return complain(system_error(error), BAD_INPUT)
        except MemoryError:
            return complain("out of memory; give it less at once, or use a machine with more", BAD_INPUT)


def run(argv: list[str]) -> int:
    args = parser(argv).read(argv)
    code: int = load(args.command).run(args)
    sys.stdout.flush()
    return code


def parser(argv: list[str]) -> Parser:
    """The parser; only the command that was asked for is built in full, so that the others cost nothing."""
    return build_parser([word for word in argv if not word.startswith("-")][:1])


def build_parser(in_full: list[str]) -> Parser:
    """Build the parser of all commands, these with their flags."""
    whole = Parser(prog="tidegate", description=__doc__, examples=EXAMPLES)
    whole.add_argument("--version", action="version", version=f"tidegate {__version__}", help="print the version")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name in names():
        module = load(name)
        summary = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        one = commands.add_parser(name, help=summary, description=module.__doc__, examples=module.EXAMPLES)
        if name in in_full:
            module.flags(one)
    return whole


def complain(sentence: str, code: int) -> int:
    with suppress(OSError):
        sys.stdout.flush()
    print(f"tidegate: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def system_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
