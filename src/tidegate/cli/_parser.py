"""argparse, with errors that are one sentence, no abbreviations and help that fits 80 columns."""

from __future__ import annotations

import argparse
import difflib
from typing import Any, NoReturn

from ..errors import OptionError

WIDTH = 79


def make_formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=WIDTH)


class FilePath(argparse.Action):
    """Stores the path of a file, which shells complete as one: shtab reads `complete`."""

    complete = "file"

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values)


class FolderPath(FilePath):
    """Stores the path of a folder."""

    complete = "directory"


class Renamed(argparse.Action):
    """Refuses the old spelling of a flag and gives the new one; help and completion leave it out."""

    def __init__(self, option_strings: list[str], dest: str, now: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, "?", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        self.now = now

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        raise OptionError(f"{option} is now {self.now}; see '{parser.prog} --help'")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are OptionErrors and whose help ends with examples."""

    def __init__(self, *, examples: str = "", **options: Any) -> None:
        epilog = f"examples:\n{examples}" if examples else None
        super().__init__(**options, epilog=epilog, formatter_class=make_formatter, allow_abbrev=False)
        self._positionals.title = "arguments"

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message}; see '{self.prog} --help'")

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """The arguments, or an error that names the nearest option."""
        args, unknown = self.parse_known_args(argv)
        if unknown:
            raise OptionError(self.unknown_argument_message(unknown[0], argv))
        return args

    def unknown_argument_message(self, word: str, argv: list[str]) -> str:
        place = self.command_parser(argv)
        if not word.startswith("-"):
            return f"unexpected argument {word!r}; see '{place.prog} --help'"
        flag = word.partition("=")[0]
        known = [name for name, action in place._option_string_actions.items() if action.help != argparse.SUPPRESS]
        near = difflib.get_close_matches(flag, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"unknown option {flag}; {hint}see '{place.prog} --help'"

    def command_parser(self, argv: list[str]) -> argparse.ArgumentParser:
        """The parser of the command (and of the task) that was asked for."""
        place: argparse.ArgumentParser = self
        for word in argv:
            for action in place._actions:
                if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                    place = action.choices[word]
                    break
        return place
