"""Commands whose standard streams are closed, full or left: what is done is done, and exit codes tell it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from intents import messages, write

QUICK = [
    "--text",
    "message",
    "--label",
    "intent",
    "--hidden",
    "2",
    "--embed",
    "2",
    "--epochs",
    "2",
    "--refit-epochs",
    "0",
]
TIDEGATE = f"{sys.executable} -m tidegate"


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


@pytest.mark.parametrize("streams", ["2>&1 | head -n 1", ">&- 2>&- <&-"])
def test_training_ends_with_a_model_whoever_reads(streams: str, tmp_path: Path) -> None:
    write(tmp_path / "train.csv", messages(40, 1))
    done = shell(f"{TIDEGATE} fit classify train.csv {' '.join(QUICK)} --out m.safetensors {streams}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["m.safetensors", "train.csv"]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("info | true", 141, ""),
        ("info > /dev/full", 2, "cannot print: No space left on device"),
        ("info >&-", 2, "standard output is closed"),
        ("stream MODEL <&-", 2, "standard input is closed"),
        ("predict MODEL --message hello 2>&-", 0, ""),
    ],
)
def test_an_answer_that_cannot_be_given_is_no_success(
    line: str, code: int, said: str, fitted: Any, tmp_path: Path
) -> None:
    done = shell(f"{TIDEGATE} {line.replace('MODEL', str(fitted.model))}", tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == bool(said)


@pytest.mark.slow
def test_a_terminal_that_hangs_up_leaves_a_checkpoint(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", messages(300, 1))
    more = [*QUICK, "--hidden", "32", "--embed", "8", "--epochs", "400", "--patience", "400"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "-m", "tidegate", "fit", "classify", train, *more, "--out", "m"])
    shown = b""
    while b"epoch 1/" not in shown:
        shown += os.read(terminal, 4096)
    time.sleep(0.05)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert sorted(os.listdir(tmp_path)) == ["m.checkpoint", "train.csv"]
