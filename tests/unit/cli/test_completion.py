"""The printed scripts complete commands, flags, choices and files in real shells."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidegate import cli, formats, tasks
from tidegate.cli import completion
from tidegate.errors import OptionError

BASH = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_shtab_tidegate
printf '%s\\n' "${COMPREPLY[@]}"
"""

SETUP = {
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u -D; eval \"$(cat {script})\"; echo rea''dy\n"),
    "tcsh": (["tcsh", "-f", "-i"], "set edit; source {script}; echo rea''dy\n"),
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory, tidegate_without_torch) -> dict[str, Path]:
    """The script of each shell, printed by a process without torch."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in completion.SHELLS:
        done = tidegate_without_torch("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        (folder / shell).write_text(done.stdout)
    return {shell: folder / shell for shell in completion.SHELLS}


def complete_in_bash(script: Path, *words: str, cwd: Path | None = None) -> list[str]:
    """Return what bash offers while the last of these words is being typed."""
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
    return done.stdout.split("\n")[:-1] if done.stdout != "\n" else []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("pre",), ["predict"]),
        (("fit", ""), tasks.names()),
        (("export", "m.safetensors", "--to", ""), formats.names()),
        (("export", "--to", "o"), ["onnx"]),
        (("score", "--uns"), ["--unseen"]),
        (("score", "--unseen", "w"), ["wrong"]),
        (("fit", "classify", "t.csv", "--uni"), ["--unit"]),
        (("fit", "classify", "t.csv", "--unit", "c"), ["character"]),
        (("fit", "classify", "--tok"), []),
        (("fit", "classify", "--seed", ""), []),
        (("completion", ""), ["bash", "zsh", "tcsh"]),
        (("--v",), ["--version"]),
    ],
)
def test_bash_offers(scripts: dict[str, Path], words: tuple[str, ...], offered: list[str]) -> None:
    assert complete_in_bash(scripts["bash"], *words) == offered


def test_bash_offers_every_command_and_every_long_flag(scripts: dict[str, Path], tidegate_without_torch) -> None:
    assert complete_in_bash(scripts["bash"], "") == cli.command_names()
    for words in [*([name] for name in cli.command_names()), *(["fit", name] for name in tasks.names())]:
        shown = {word.rstrip(",") for word in tidegate_without_torch(*words, "--help").stdout.split()}
        for flag in complete_in_bash(scripts["bash"], *words, "--"):
            assert flag in shown or flag == "--", (words, flag)
    assert "--unit" in complete_in_bash(scripts["bash"], "fit", "classify", "--")


def test_bash_offers_files_and_folders(scripts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "my model.safetensors").touch()
    (tmp_path / "more").mkdir()
    for words in (["info"], ["score", "a.safetensors"], ["fit", "forecast", "--out"]):
        offered = complete_in_bash(scripts["bash"], *words, "m", cwd=tmp_path)
        assert sorted(offered) == ["more", "my model.safetensors"], words
    assert complete_in_bash(scripts["bash"], "demo", "--out", "m", cwd=tmp_path) == ["more"]


@pytest.mark.parametrize("shell", SETUP)
@pytest.mark.parametrize(
    ("typed", "completed"),
    [("pred", "predict"), ("fit clas", "classify"), ("export m --to on", "onnx"), ("score m --unse", "--unseen")],
)
def test_other_shells_complete(
    scripts: dict[str, Path], tmp_path: Path, shell: str, typed: str, completed: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    screen = type_into(shell, scripts[shell], f"tidegate {typed}", completed, tmp_path)
    assert completed in screen, screen


def type_into(shell: str, script: Path, typed: str, awaited: str, cwd: Path) -> str:
    """Type into a shell's terminal, then a tab; return what it shows as soon as `awaited` is there."""
    command, setup = SETUP[shell]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "vt100", "PS1": "> ", "ZDOTDIR": str(cwd)}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment)
    os.close(theirs)
    try:
        os.write(ours, setup.format(script=script).encode())
        read_until(ours, "ready")
        os.write(ours, f"{typed}\t".encode())
        return read_until(ours, awaited)
    finally:
        process.kill()
        process.wait()
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


def test_without_shtab_an_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["completion", "bash"]) == 2
    assert 'shtab, which is not installed; pip install "tidegate[completion]"\n' in capsys.readouterr().err
