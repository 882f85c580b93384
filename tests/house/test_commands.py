"""Every file in cli/ is a command that explains itself in 80 columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tidegate import tasks

Run = Callable[..., CompletedProcess[str]]
FOLDER = Path(__file__).resolve().parents[2] / "src" / "tidegate" / "cli"
COMMANDS = sorted(p.stem for p in FOLDER.glob("*.py") if not p.name.startswith("_"))


def test_help_lists_every_command(tidegate: Run) -> None:
    done = tidegate("--help")
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and line.strip()]
    assert [name for name in COMMANDS if name not in listed] == []


@pytest.mark.parametrize("command", ["", *COMMANDS, *(f"fit {name}" for name in tasks.names())])
def test_help_fits_80_columns_and_has_an_example(tidegate_without_torch: Run, command: str) -> None:
    done = tidegate_without_torch(*command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    assert "example" in done.stdout


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_an_unknown_option_is_an_error_of_one_line(tidegate: Run, command: str) -> None:
    done = tidegate(*command.split(), "--no-such-option")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("tidegate: ")
