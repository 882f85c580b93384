"""Completion scripts, made from the parsers: places (a command, or the whole), their flags, and what these take."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

FILES, FOLDERS, ANYTHING = "files", "folders", "anything"
METAVARS = {"FILE": FILES, "MODEL": FILES, "DIR": FOLDERS}

Values = str | list[str]  # FILES, FOLDERS, ANYTHING, or the words there are


class Flag(NamedTuple):
    """names: as typed; none of an argument by position. takes: None for a switch. again: may be given again."""

    names: list[str]
    title: str
    about: str
    takes: Values | None
    again: bool


class Place(NamedTuple):
    """path: the words up to here, `tidegate fit`. commands: what may follow, with what it does."""

    path: str
    flags: list[Flag]
    arguments: list[Flag]
    commands: dict[str, str]


def places(parser: argparse.ArgumentParser) -> Iterator[Place]:
    """The parser's own place, then those of its commands.

    >>> parser = argparse.ArgumentParser(prog="tide", add_help=False)
    >>> _ = parser.add_argument("--to", choices=("ebb", "flood"), help="where to")
    >>> list(places(parser))[0].flags
    [Flag(names=['--to'], title='to', about='where to', takes=['ebb', 'flood'], again=False)]
    """
    deeper = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    found = [flag(parser, action) for action in parser._actions if action not in deeper]
    commands = {one.dest: one.help or "" for action in deeper for one in action._choices_actions}
    yield Place(parser.prog, [f for f in found if f.names], [f for f in found if not f.names], commands)
    for action in deeper:
        for inner in action.choices.values():
            yield from places(inner)


def flag(parser: argparse.ArgumentParser, action: argparse.Action) -> Flag:
    about = parser._get_formatter()._expand_help(action) if action.help else ""
    takes = None if action.option_strings and action.nargs == 0 else values(action)
    again = isinstance(action, argparse._AppendAction)
    return Flag(list(action.option_strings), action.dest.replace("_", " "), about, takes, again)


def values(action: argparse.Action) -> Values:
    if action.choices is not None:
        return list(map(str, action.choices))
    metavar: Any = action.metavar
    return METAVARS.get(metavar, ANYTHING)


# --- bash

BASH = """\
# bash completion for tidegate, printed by: tidegate completion bash
_tidegate() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local place=tidegate takes=anything words= flags= word
    if [[ $current == "=" ]]; then
        current=
    elif [[ $before == "=" ]]; then
        before=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$place $word" in
            {commands}) place="$place $word" ;;
        esac
    done
    case "$place $before" in
{flags}
        *)
            case "$place" in
{places}
            esac
            if [[ $current == -* ]]; then
                takes=words words=$flags
            fi
            ;;
    esac
    COMPREPLY=()
    case $takes in
        words)
            local IFS=' '
            words=$(compgen -W "$words" -- "$current")
            ;;
        files) words=$(compgen -f -- "$current") && compopt -o filenames 2>/dev/null ;;
        folders) words=$(compgen -d -- "$current") && compopt -o filenames 2>/dev/null ;;
        *) words= ;;
    esac
    while IFS= read -r word; do
        [[ -n $word ]] && COMPREPLY+=("$word")
    done <<<"$words"
}}
complete -F _tidegate tidegate
"""


def bash(found: list[Place]) -> str:
    """The script for bash 3.2 and newer."""
    deeper = [f"'{place.path}'" for place in found[1:]]
    taking = [(f"'{p.path} {name}'", f.takes) for p in found for f in p.flags for name in f.names if f.takes]
    flags = [f"        {pattern}) {assigned(takes)} ;;" for pattern, takes in taking if takes]
    arms = [f"                '{p.path}') {followed(p)} ;;" for p in found]
    return BASH.format(commands=" | ".join(deeper), flags="\n".join(flags), places="\n".join(arms))


def assigned(takes: Values) -> str:
    return f"takes={takes}" if isinstance(takes, str) else f"takes=words words='{' '.join(takes)}'"


def followed(place: Place) -> str:
    """What may stand at a place where no flag waits for its value."""
    flags = " ".join(name for f in place.flags for name in f.names if name.startswith("--"))
    kinds = [f.takes for f in place.arguments if f.takes]
    words = [*place.commands, *(word for kind in kinds if not isinstance(kind, str) for word in kind)]
    takes: Values = words or next((kind for kind in kinds if kind != ANYTHING), ANYTHING)
    return f"flags='{flags}' {assigned(takes)}"


# --- zsh

ZSH = """\
#compdef tidegate
# zsh completion for tidegate, printed by: tidegate completion zsh
{functions}
if [[ $funcstack[1] == _tidegate ]]; then
    _tidegate "$@"
else
    compdef _tidegate tidegate
fi
"""

FUNCTION = """
{name}() {{
    local line state
    _arguments -C {specs}{rest}
}}
"""

REST = """ \\
        '1:command:(({commands}))' '*::argument:->rest'
    if [[ $state == rest ]]; then
        case $line[1] in
{arms}
        esac
    fi"""

ACTIONS = {FILES: "_files", FOLDERS: "_files -/", ANYTHING: " "}


def zsh(found: list[Place]) -> str:
    """The script for zsh, for `eval` behind compinit or for a folder of $fpath."""
    return ZSH.format(functions="".join(map(function, found)).rstrip())


def function(place: Place) -> str:
    specs = [spec for f in [*place.flags, *place.arguments] for spec in specified(f)]
    rest = ""
    if place.commands:
        listed = " ".join(f'{name}\\:"{plain(about)}"' for name, about in place.commands.items())
        arms = [f"            {name}) {named(f'{place.path} {name}')} ;;" for name in place.commands]
        rest = REST.format(commands=listed, arms="\n".join(arms))
    return FUNCTION.format(name=named(place.path), specs=" ".join(f"\\\n        {one}" for one in specs), rest=rest)


def specified(one: Flag) -> list[str]:
    """The arguments of _arguments for a flag, or for an argument by position."""
    takes = "" if one.takes is None else f":{one.title}:{action(one.takes)}"
    again = "*" if one.again else ""
    return [f"'{again}{name}[{plain(one.about)}]{takes}'" for name in one.names] or [f"'{takes}'"]


def action(takes: Values) -> str:
    return ACTIONS[takes] if isinstance(takes, str) else f"({' '.join(takes)})"


def named(path: str) -> str:
    return "_" + path.replace(" ", "_").replace("-", "_")


def plain(about: str) -> str:
    """Without what zsh would read as its own."""
    words = about.translate(str.maketrans("[]'", "()\u2019", '"`$\\'))
    return " ".join(words.replace(":", " -").split())


SHELLS = {"bash": bash, "zsh": zsh}
