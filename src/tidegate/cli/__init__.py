"""Train small recurrent models and run them on live streams.

From a labelled file to a model that answers in microseconds, with the same
results wherever it runs.
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

__all__ = ["command_names", "main"]

EXAMPLES = """\
  tidegate demo
  tidegate fit classify train.csv --text message --label intent \\
      --out intent.safetensors
  tidegate score intent.safetensors test.csv
  tidegate predict intent.safetensors --message "what's my balance"
  cat events.jsonl | tidegate stream intent.safetensors > scores.jsonl

Run `tidegate COMMAND --help` for more about a command.

exit codes:
  0 success, 1 a check failed, 2 bad input, 130 interrupted,
  141 the reader of the output has gone"""

BAD_INPUT, INTERRUPTED = 2, 130


def command_names() -> list[str]:
    """List the commands: each file of this folder is one.

    >>> "fit" in command_names()
    True
    """
    folder = os.path.dirname(__file__)
    return sorted(f[:-3] for f in os.listdir(folder) if f.endswith(".py") and not f.startswith("_"))


def load_command(name: str) -> ModuleType:
    """Import a command's module, which has a docstring, EXAMPLES, `add_flags(parser)` and `run(args) -> exit code`."""
    return importlib.import_module(f".{name}", __name__)


def main(argv: list[str] | None = None) -> int:
    """Run a command line and return its exit code.

    0: success. 1: a check failed. 2: bad input. 130: interrupted. 141: the reader of the output has gone.
    """
    with _console.use_consoles():
        try:
            return run(sys.argv[1:] if argv is None else argv)
        except TidegateError as error:
            return print_error(str(error), BAD_INPUT)
        except KeyboardInterrupt as stop:
            return print_error(str(stop) or "interrupted", INTERRUPTED)
        except BrokenPipeError:
            return _console.OUTPUT_CLOSED
        except OSError as error:
            return print_error(format_os_error(error), BAD_INPUT)
        except MemoryError:
            return print_error("out of memory; use a smaller input, or a machine with more memory", BAD_INPUT)


def run(argv: list[str]) -> int:
    """Parse the arguments and run their command; let its exceptions through."""
    args = parser_for(argv).parse(argv)
    code: int = load_command(args.command).run(args)
    sys.stdout.flush()
    return code


def parser_for(argv: list[str]) -> Parser:
    """Build the parser with the flags of the typed command only, so that the other commands cost no time."""
    return build_parser([word for word in argv if not word.startswith("-")][:1])


def build_parser(with_flags: list[str]) -> Parser:
    """Build the parser of all commands; only those in `with_flags` get their flags."""
    parser = Parser(prog="tidegate", description=__doc__, examples=EXAMPLES)
    parser.add_argument("--version", action="version", version=f"tidegate {__version__}", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name in command_names():
        module = load_command(name)
        summary = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        command = commands.add_parser(name, help=summary, description=module.__doc__, examples=module.EXAMPLES)
        if name in with_flags:
            module.add_flags(command)
    return parser


def print_error(sentence: str, code: int) -> int:
    """Print an error as one line on stderr and return the exit code."""
    with suppress(OSError):
        sys.stdout.flush()
    print(f"tidegate: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def format_os_error(error: OSError) -> str:
    """Format an error of the system as `file: reason`."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
