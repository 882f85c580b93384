"""Print a script that completes tidegate's commands and flags in your shell.

Needs shtab: pip install "tidegate[completion]". After an update of tidegate,
print the script again.
"""

from __future__ import annotations

import argparse

from ..errors import MissingExtra
from ._parser import Parser

EXAMPLES = """\
  eval "$(tidegate completion bash)"    # in ~/.bashrc
  eval "$(tidegate completion zsh)"     # in ~/.zshrc, after compinit
  tidegate completion tcsh > ~/.tidegate.tcsh    # then source it in ~/.tcshrc"""

SHELLS = ("bash", "zsh", "tcsh")


def add_flags(parser: Parser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="one of bash, zsh and tcsh")


def run(args: argparse.Namespace) -> int:
    from . import build_parser, command_names

    try:
        import shtab
    except ImportError as error:
        raise MissingExtra(
            'completion needs shtab, which is not installed; pip install "tidegate[completion]"'
        ) from error
    print(shtab.complete(build_parser(command_names()), args.shell))
    return 0
