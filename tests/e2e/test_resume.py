"""A run killed at random moments and resumed ends with the bits of an unbroken one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from intents import SMALL, messages, write

# A checkpoint after every step, so that there is one whenever the kill comes.
FIT = """
import sys
import tidegate.train.job as job
from tidegate.cli import main
job.CHECKPOINT_SECONDS = 0.0
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write(tmp_path / "train.csv", messages(120, 6))


def fit(train: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FIT, "fit", "classify", str(train), *SMALL, "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr


def killed(train: Path, out: Path, with_: signal.Signals, delay: float, *more: str) -> tuple[int, str]:
    """A run that gets a signal some time after a checkpoint has been written anew."""
    checkpoint = Path(f"{out}.checkpoint")
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    process = fit(train, out, *more)
    while process.poll() is None and not (checkpoint.exists() and checkpoint.stat().st_mtime_ns != before):
        time.sleep(0.002)
    time.sleep(delay)
    if process.poll() is None:
        os.kill(process.pid, with_)
    return finished(process)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, weights_hash: Callable[[Path], str]) -> str:
    """The weights' hash of a run that nothing stops."""
    folder = tmp_path_factory.mktemp("unbroken")
    train = write(folder / "train.csv", messages(120, 6))
    assert finished(fit(train, folder / "m.safetensors"))[0] == 0
    return weights_hash(folder / "m.safetensors")


@pytest.mark.slow
def test_a_run_killed_at_random_ends_with_the_same_bits(
    train: Path, unbroken: str, tmp_path: Path, weights_hash: Callable[[Path], str]
) -> None:
    broken = tmp_path / "broken.safetensors"
    rng, resume, kills = random.Random(7), [], 0
    for _ in range(4):
        code, stderr = killed(train, broken, signal.SIGKILL, rng.random() * 0.1, *resume)
        assert code in (0, -signal.SIGKILL), stderr
        resume = ["--resume"]
        kills += code != 0
        if code == 0:
            break
    if not broken.exists():
        code, stderr = finished(fit(train, broken, "--resume"))
        assert code == 0, stderr
    assert kills >= 1
    assert weights_hash(broken) == unbroken
    assert not Path(f"{broken}.checkpoint").exists()


@pytest.mark.slow
def test_ctrl_c_tells_how_to_go_on(
    train: Path, unbroken: str, tmp_path: Path, weights_hash: Callable[[Path], str]
) -> None:
    out = tmp_path / "m.safetensors"
    code, stderr = killed(train, out, signal.SIGINT, 0.0)
    assert code == 130, stderr
    assert stderr.splitlines()[-1] == "tidegate: interrupted; run the same command with --resume to continue"
    assert "Traceback" not in stderr
    assert not out.exists()
    code, stderr = finished(fit(train, out))
    assert code == 2
    assert "--resume" in stderr
    assert finished(fit(train, out, "--resume"))[0] == 0
    assert weights_hash(out) == unbroken


@pytest.mark.slow
def test_changed_data_are_refused(train: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    assert killed(train, out, signal.SIGINT, 0.0)[0] == 130
    write(train, messages(120, 8))
    code, stderr = finished(fit(train, out, "--resume"))
    assert code == 2
    assert "data" in stderr
