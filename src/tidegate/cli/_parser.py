"""argparse without abbreviated flags, with errors of one sentence and help that fits 80 columns."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from ..errors import OptionError

WIDTH = 79


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Makes the column of names wide enough for the commands, whose indent argparse 3.11 and 3.12 forget to count."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        for command in self._iter_indented_subactions(action):
            length = len(self._format_action_invocation(command)) + self._current_indent
            self._action_max_length = max(self._action_max_length, length)


def make_formatter(prog: str) -> argparse.HelpFormatter:
    return HelpFormatter(prog, max_help_position=26, width=WIDTH)


class FilePath(argparse.Action):
    """Stores the path of a file. shtab reads `complete`, so that shells complete file names."""

    complete = "file"

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values)


class FolderPath(FilePath):
    """Stores the path of a folder."""

    complete = "directory"


class CountAndPath(FilePath):
    """Stores a number from 1 and the path of a file, which follow a flag in this order."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=2, **options)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        count, path = values
        if not count.isascii() or not count.isdigit() or int(count) < 1:
            expected = " ".join((option or "", *(self.metavar or ())))
            raise OptionError(
                f"{option} {count} {path}: {count!r} is not a number from 1; give {expected}, the number first; see "
                f"'{parser.prog} --help'"
            )
        setattr(namespace, self.dest, (int(count), path))


class Renamed(argparse.Action):
    """Refuses an old spelling of a flag and names the new one; help and completion do not show it."""

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
        super().__init__(**options, formatter_class=make_formatter, allow_abbrev=False)
        self._positionals.title = "arguments"
        self.set_examples(examples)

    def set_examples(self, examples: str) -> None:
        """Set the command lines that the help ends with; "" for none."""
        self.epilog = f"examples:\n{examples}" if examples else None

    def _match_arguments_partial(self, actions: Sequence[argparse.Action], arg_strings_pattern: str) -> list[int]:
        """Leave positional arguments that may be missing for later while flags are still to come.

        argparse would take the one of `predict MODEL --json FILE` to be missing as soon as it reaches the flag.
        """
        counts = super()._match_arguments_partial(actions, arg_strings_pattern)
        while counts and not counts[-1] and "O" in arg_strings_pattern:
            counts.pop()
        return counts

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message}; see '{self.prog} --help'")

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """Parse the arguments. Raises OptionError for an unknown one, with the most similar flag."""
        args, unknown = self.parse_known_args(argv)
        if unknown:
            raise OptionError(self.unknown_argument_message(unknown[0], argv))
        return args

    def unknown_argument_message(self, word: str, argv: list[str]) -> str:
        """Say that an argument is unknown, and suggest a similar flag."""
        parser = self.command_parser(argv)
        if not word.startswith("-"):
            return f"unexpected argument {word!r}; see '{parser.prog} --help'"
        flag = word.partition("=")[0]
        known = [name for name, action in parser._option_string_actions.items() if action.help != argparse.SUPPRESS]
        near = difflib.get_close_matches(flag, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"unknown option {flag}; {hint}see '{parser.prog} --help'"

    def command_parser(self, argv: list[str]) -> argparse.ArgumentParser:
        """Return the parser of the typed command, and of its task if it has one."""
        parser: argparse.ArgumentParser = self
        for word in argv:
            for action in parser._actions:
                if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                    parser = action.choices[word]
                    break
        return parser
