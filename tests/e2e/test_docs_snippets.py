"""What the README and the docs show runs: Python as it stands, commands as far as their files, C as it compiles."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tidegate.cli import main

ROOT = Path(__file__).resolve().parents[2]
NEEDS = ("intent.onnx", "tidegate.features.text", "GATES")  # what test_export.py runs; a cell, not a script
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HOW_TO = ("encode.md", "conversations.md")  # test_how_to_pages.py runs them from top to bottom, in one folder
NO_FILES = ("data", "demo", "completion")  # commands that would do their whole work


def blocks(language: str) -> list[tuple[str, str]]:
    """The name of the page and the text of each block of code in a language."""
    return [
        (page.name, text)
        for page in PAGES
        for text in re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ]


def commands() -> list[tuple[str, str]]:
    """Each line that calls tidegate, in blocks of shell, with or without a fence; with the name of its page."""
    found = []
    for page in PAGES:
        fenced = "\n".join(re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
        indented = "\n".join(re.findall(r"^    (.+)$", page.read_text("utf-8"), re.MULTILINE))
        for line in f"{fenced}\n{indented}".replace("\\\n", " ").splitlines():
            if call := re.match(r"(?:\$ |.*\| )?tidegate (?!: )([a-z].*)", line):
                found.append((page.name, call[1]))
    return found


PYTHON = [
    (name, text) for name, text in blocks("python") if name not in HOW_TO and not any(word in text for word in NEEDS)
]


def test_there_are_some() -> None:
    assert len(PYTHON) >= 3
    assert len(commands()) >= 10


@pytest.mark.parametrize(("name", "text"), PYTHON, ids=[f"{name}-{i}" for i, (name, _) in enumerate(PYTHON)])
def test_it_runs(name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    monkeypatch.chdir(tmp_path)
    if '"intent.safetensors"' in text and "tidegate.fit" not in text:
        shutil.copy(request.getfixturevalue("fitted").model, "intent.safetensors")
    for library in ("pandas", "sktime"):
        if f"import {library}" in text or f"from {library}" in text:
            pytest.importorskip(library)
    exec(compile(text, name, "exec"), {})


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_have_such_flags(
    page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an empty folder each fails for want of its files, and not for what it is asked."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(re.split(r" [<>] | 2>", line)[0], comments=True)
    if words[0] in NO_FILES:
        words = [words[0], "--help"]
    elif "..." in words:
        pytest.skip("shows a part of a command")
    with suppress(SystemExit):  # of --help
        main(words)
    assert not re.search("--help'| is now ", capsys.readouterr().err)


def test_the_c_of_the_readme_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model of the snippet before it, exported, and the lines around which a main is put."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    monkeypatch.chdir(tmp_path)
    (lines,) = (text for name, text in blocks("c") if name == "README.md")
    (python,) = (text for name, text in blocks("python") if name == "README.md" and "from_torch" in text)
    exec(compile(python, "README.md", "exec"), {})
    assert main(["export", "mine.safetensors", "--to", "c"]) == 0
    arrays = "float x[MINE_INPUTS] = {0}, out[MINE_OUTPUTS];"
    Path("main.c").write_text(f'#include "mine.h"\nint main(void) {{ {arrays}\n{lines} return out[0] != out[0]; }}\n')
    subprocess.run([compiler, "-std=c99", "-ffp-contract=off", "main.c", "mine.c", "-lm", "-o", "main"], check=True)
    subprocess.run(["./main"], check=True)
