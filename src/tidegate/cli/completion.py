"""Print a script that completes commands and flags in bash or zsh.

It is made from the commands themselves, so it knows all of them; after an
update, print it again.
"""

from __future__ import annotations

import argparse

from . import _completion
from ._parser import Parser

EXAMPLES = """\
  eval "$(tidegate completion bash)"    # in ~/.bashrc
  eval "$(tidegate completion zsh)"     # in ~/.zshrc, behind compinit
  tidegate completion zsh > ~/.zfunc/_tidegate    # or in a folder of $fpath"""


def flags(parser: Parser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=sorted(_completion.SHELLS), help="bash or zsh")


def run(args: argparse.Namespace) -> int:
    from . import built, names

    print(_completion.SHELLS[args.shell](list(_completion.places(built(names())))), end="")
    return 0
