"""argparse, with errors that are one sentence, no abbreviations and help that fits 80 columns."""

from __future__ import annotations

import argparse
import difflib
from typing import Any, NoReturn

from ..errors import OptionError

WIDTH = 79


def formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=WIDTH)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are OptionErrors and whose help ends with examples."""

    def __init__(self, *, examples: str = "", **options: Any) -> None:
        epilog = f"examples:\n{examples}" if examples else None
        super().__init__(**options, epilog=epilog, formatter_class=formatter, allow_abbrev=False)
        self._positionals.title = "arguments"

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message}; see '{self.prog} --help'")

    def read(self, argv: list[str]) -> argparse.Namespace:
        """The arguments, or an error that names the nearest option."""
        args, unknown = self.parse_known_args(argv)
        if unknown:
            raise OptionError(self.stranger(unknown[0], argv))
        return args

    def stranger(self, word: str, argv: list[str]) -> str:
        place = self.innermost(argv)
        if not word.startswith("-"):
            return f"unexpected argument {word!r}; see '{place.prog} --help'"
        flag = word.partition("=")[0]
        near = difflib.get_close_matches(flag, place._option_string_actions, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"unknown option {flag}; {hint}see '{place.prog} --help'"

    def innermost(self, argv: list[str]) -> argparse.ArgumentParser:
        """The parser of the command (and of the task) that was asked for."""
        place: argparse.ArgumentParser = self
        for word in argv:
            for action in place._actions:
                if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                    place = action.choices[word]
                    break
        return place
