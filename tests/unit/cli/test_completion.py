"""The scripts complete in real shells what the parsers know."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tidegate import cli, formats, tasks
from tidegate.cli import _completion
from tidegate.errors import OptionError

PLACES = list(_completion.places(cli.built(cli.names())))

BASH = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_tidegate
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scripts")
    for name, made in _completion.SHELLS.items():
        (folder / name).write_text(made(PLACES))
    return {name: folder / name for name in _completion.SHELLS}


def in_bash(script: Path, *words: str, cwd: Path | None = None) -> list[str]:
    """What bash offers when the last of these words is being typed."""
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", str(script), "tidegate", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if done.stdout != "\n" else []


def test_every_command_task_and_flag_has_its_place() -> None:
    by_path = {place.path: place for place in PLACES}
    commands = {f"tidegate {name}" for name in cli.names()}
    assert set(by_path) == {"tidegate", *commands, *(f"tidegate fit {name}" for name in tasks.names())}
    export = {name: one for one in by_path["tidegate export"].flags for name in one.names}
    assert export["--to"].takes == formats.names()
    assert export["--out"].takes == _completion.FILES
    assert export["--json"].takes is None
    assert by_path["tidegate predict"].flags[1]._replace(about="") == (["--text"], "text", "", "anything", True)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("pre",), ["predict"]),
        (("fit", ""), tasks.names()),
        (("export", "m.safetensors", "--to", ""), formats.names()),
        (
            (
                "export",
                "--to=",
            ),
            [],
        ),
        (("export", "--to", "=", "o"), ["onnx"]),
        (("export", "--to", "="), formats.names()),
        (("score", "--uns"), ["--unseen"]),
        (("score", "--unseen", "w"), ["wrong"]),
        (("fit", "classify", "t.csv", "--tok"), ["--tokens"]),
        (("fit", "classify", "--seed", ""), []),
        (("completion", ""), ["bash", "zsh"]),
        (("--v",), ["--version"]),
    ],
)
def test_bash_offers(scripts: dict[str, Path], words: tuple[str, ...], offered: list[str]) -> None:
    assert in_bash(scripts["bash"], *words) == offered


def test_bash_offers_every_command_and_every_long_flag(scripts: dict[str, Path]) -> None:
    assert in_bash(scripts["bash"], "") == cli.names()
    for place in PLACES:
        words = place.path.split()[1:]
        long = [name for one in place.flags for name in one.names if name.startswith("--")]
        assert in_bash(scripts["bash"], *words, "--") == long


def test_bash_offers_files_and_folders(scripts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "my model.safetensors").touch()
    (tmp_path / "more").mkdir()
    assert sorted(in_bash(scripts["bash"], "info", "m", cwd=tmp_path)) == ["more", "my model.safetensors"]
    assert in_bash(scripts["bash"], "demo", "--out", "m", cwd=tmp_path) == ["more"]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("pred", "predict"), ("fit clas", "classify"), ("export m --to on", "onnx"), ("score m --unse", "--unseen")],
)
def test_zsh_completes(scripts: dict[str, Path], tmp_path: Path, typed: str, completed: str) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("no zsh here")
    screen = in_zsh(scripts["zsh"], f"tidegate {typed}", completed, tmp_path)
    assert completed in screen, screen


def in_zsh(script: Path, typed: str, awaited: str, cwd: Path) -> str:
    """What a terminal shows once a tab was typed, as soon as `awaited` is there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "PS1": "> ", "ZDOTDIR": str(cwd)}
    shell = subprocess.Popen(["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment)
    os.close(theirs)
    try:
        setup = f"autoload -U compinit; compinit -u -D; source {script}; echo rea''dy\n"
        os.write(ours, setup.encode())
        read_until(ours, "ready")
        os.write(ours, f"{typed}\t".encode())
        return read_until(ours, awaited)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def read_until(terminal: int, awaited: str) -> str:
    os.set_blocking(terminal, False)
    screen, end = "", time.monotonic() + 20
    while awaited not in screen and time.monotonic() < end:
        try:
            screen += os.read(terminal, 65536).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.02)
    return screen


def test_an_unknown_shell_is_refused() -> None:
    with pytest.raises(OptionError, match="invalid choice: 'fish'"):
        cli.run(["completion", "fish"])


def test_the_command_prints_the_script_without_torch(tidegate_without_torch, scripts: dict[str, Path]) -> None:
    for shell, script in scripts.items():
        done = tidegate_without_torch("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == script.read_text()
