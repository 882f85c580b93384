"""The how-to pages run from top to bottom in one folder, and print what they show, apart from fractions."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest

Run = Callable[..., CompletedProcess[str]]
PAGES = ("encode.md", "conversations.md")
BLOCK = re.compile(r"^```python\n((?:.*\n)*?)```|((?:^    .*\n|^\n(?=    ))+)", re.MULTILINE)
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


class Command(NamedTuple):
    """A line of shell, and the lines that it prints; None: they are not shown."""

    line: str
    shown: list[str] | None


def read_blocks(page: str) -> Iterator[str | list[Command]]:
    """Yield what a page has to run, in order: Python code, or the commands of a block."""
    for found in BLOCK.finditer(page):
        if found[1] is not None:
            yield found[1]
        elif commands := read_commands(re.sub(r"^    ", "", found[2], flags=re.MULTILINE)):
            yield commands


def read_commands(block: str) -> list[Command]:
    """Return the commands of a block: those behind $ with what they print, or else all lines of it that call tidegate.

    >>> read_commands("$ tidegate info\\ncells  4\\n")
    [Command(line='tidegate info', shown=['cells  4'])]
    """
    lines = block.replace("\\\n", " ").splitlines()
    if not any(line.startswith("$ ") for line in lines):
        return [Command(line, None) for line in lines if line.startswith("tidegate ")]
    commands = list[Command]()
    for line in lines:
        if line.startswith("$ "):
            commands.append(Command(line[2:], []))
        elif line:
            commands[-1].shown.append(line)  # type: ignore[union-attr]
    return commands


def run_command(command: Command, tidegate: Run, folder: Path) -> None:
    """Run a command and compare what it prints. `cat FILE` writes what is shown into the file."""
    before, _, call = command.line.rpartition("| ")
    if call.startswith("cat "):
        assert command.shown
        (folder / call.split()[1]).write_text("\n".join(command.shown) + "\n", "utf-8")
        return
    call, _, source = call.partition(" < ")
    words = shlex.split(call, comments=True)
    assert words[0] == "tidegate", command.line
    stdin = None
    if before:
        stdin = subprocess.run(["bash", "-c", before], cwd=folder, capture_output=True, text=True, check=True).stdout
    elif source:
        stdin = (folder / source).read_text("utf-8")
    done = tidegate(*words[1:], stdin=stdin, cwd=folder)
    assert done.returncode == 0, done.stderr
    if command.shown is not None:
        assert is_shown(done.stdout.splitlines(), command.shown), f"{command.line} printed\n{done.stdout}"


def is_shown(printed: list[str], shown: list[str]) -> bool:
    """Tell whether lines are as shown: a number with a fraction stands for any, ... for any text, or for any lines.

    >>> is_shown(["cat 0.51  [1, 2]", "b", "c"], ["cat 0.9  [...]", "..."]), is_shown(["dog 0.51"], ["cat 0.51"])
    (True, False)
    """
    pattern = ""
    for line in shown:
        if line == "...":
            pattern += "(?:.*\n)*"
            continue
        parts = [re.escape(NUMBER.sub("#", part)) for part in line.split("...")]
        pattern += ".*".join(parts) + "\n"
    return re.fullmatch(pattern, "".join(NUMBER.sub("#", line) + "\n" for line in printed)) is not None


def check_encode(names: dict[str, Any], folder: Path) -> None:
    """Check what the page says in words and comments about its Python code."""
    assert names["answer"]["label"].label == "lost card"
    assert len({*zip(names["intents"], names["groups"].tolist(), strict=True)}) == 4
    assert names["corpus"][names["found"].rows[0][0]] == "how much money is on my balance"
    assert names["model"].predict(["hello, i lost my bank card"]) == ["lost card"]
    assert names["last"].tobytes() == names["encoder"].vectors(["i lost my card"]).tobytes()


def check_conversations(names: dict[str, Any], folder: Path) -> None:
    """Check what the page says in words and comments about its Python code."""
    assert names["predictor"].classify([names["talk"]]) == [["question", "answer"]]
    assert names["answer"].label == "answer"
    assert len((folder / "acts.csv").read_text("utf-8").splitlines()) == 241
    assert len((folder / "a.state").read_bytes()) < 3000


CHECKS = {"encode.md": check_encode, "conversations.md": check_conversations}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_from_top_to_bottom(
    name: str, root: Path, tidegate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("sklearn")
    names: dict[str, Any] = {}
    ran = 0
    for block in read_blocks((root / "docs" / name).read_text("utf-8")):
        if isinstance(block, str):
            exec(compile(block, name, "exec"), names)
        else:
            for command in block:
                run_command(command, tidegate, tmp_path)
                ran += 1
    assert ran >= 6
    CHECKS[name](names, tmp_path)


def test_a_page_that_shows_something_else_is_caught() -> None:
    page = "Text.\n\n    $ tidegate info\n    a 0.1\n    b\n\n```python\nx = 1\n```\n\n    tidegate data\n    # more\n"
    commands, code, more = read_blocks(page)
    assert commands == [Command("tidegate info", ["a 0.1", "b"])]
    assert (code, more) == ("x = 1\n", [Command("tidegate data", None)])
    assert is_shown(["a 0.7", "b"], ["a 0.1", "b"])
    assert not is_shown(["a 0.7", "c"], ["a 0.1", "b"])
    assert not is_shown(["a 0.7", "b", "c"], ["a 0.1", "b"])
    assert is_shown(["a", "b", "c"], ["a", "...", "c"])
