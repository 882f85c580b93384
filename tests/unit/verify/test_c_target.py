"""The exported C as a target of verify: what it reports if it cannot run, and that mistakes are detected."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tidegate.verify import attach, c_target
from tidegate.verify.c_target import describe_command, find_compiler, verify_c
from tidegate.verify.replay import Replay, Result
from tidegate.verify.samples import sample


@pytest.fixture(scope="module")
def replay() -> Replay:
    return Replay(attach(sample(features=3, size=5, over=("mean", "attention"))))


def test_it_runs_whole_and_in_pieces(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (command := find_compiler()):
        pytest.skip("no C compiler here")
    result = verify_c(replay)
    assert (result.target, result.verdict, result.ran, result.chunks) == ("c", "ok", True, True), result
    assert result.path == describe_command(command, "-O2")
    monkeypatch.setattr(c_target, "LARGEST", 10)
    again = verify_c(replay)
    assert again == Result(**{**vars(result), "path": result.path + ", large tables by address"})


def test_without_a_compiler_it_is_listed(replay: Replay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert verify_c(replay) == Result("c", "compiled", "no C compiler", ran=False)


def test_a_compiler_that_is_named_and_missing_is_a_fault(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-cc -O1")
    assert verify_c(replay) == Result(
        "c", "compiled", "CC is 'no-such-cc', but there is no such program", ran=False, ok=False
    )


def test_a_compiler_that_fails_is_a_fault_with_its_words(
    replay: Replay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "failing.py"
    script.write_text("import sys\nprint('In function f:\\nmodel.c:1: error: odd', file=sys.stderr)\nsys.exit(1)\n")
    monkeypatch.setenv("CC", f"{sys.executable} {script}")
    result = verify_c(replay)
    assert (result.ran, result.ok, result.verdict) == (False, False, "model.c:1: error: odd")


def test_a_command_that_is_none_is_a_fault(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", 'gcc "-O1')
    result = verify_c(replay)
    assert (result.ran, result.ok) == (False, False)
    assert result.verdict == "CC is 'gcc \"-O1', which is not a command: No closing quotation"


def test_a_compiler_that_cannot_be_started_is_a_fault(
    replay: Replay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cc").write_text("no program")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("CC", str(tmp_path / "cc"))
    assert verify_c(replay).verdict == "cc does not start: Exec format error"


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("pass", r"reported success but wrote no file; is it a C compiler\?"),
        ("open(sys.argv[sys.argv.index('-o') + 1], 'w').write('no library')", "does not load here: "),
        ("sys.exit(f'{len(sys.stdin.read())} bytes of stdin are an error')", "0 bytes of stdin are an error"),
    ],
)
def test_a_compiler_that_makes_no_library_is_a_fault(
    replay: Replay, does: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "odd.py").write_text(f"import sys\n{does}\n")
    monkeypatch.setenv("CC", f"{sys.executable} {tmp_path / 'odd.py'}")
    result = verify_c(replay)
    assert (result.ran, result.ok) == (False, False)
    assert re.search(said, result.verdict)
    assert str(Path(tempfile.gettempdir(), "tmp")) not in result.verdict


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_compiler_that_does_not_end_is_ended_with_what_it_started(
    replay: Replay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    child = f"import time; file = open({str(fifo)!r}, 'w'); file.write('here'); file.flush(); time.sleep(60)"
    (tmp_path / "slow.py").write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n")
    monkeypatch.setenv("CC", f"{sys.executable} {tmp_path / 'slow.py'}")
    monkeypatch.setattr(c_target, "TIMEOUT_S", 2)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    result = verify_c(replay)
    assert (result.ran, result.ok) == (False, False)
    assert result.verdict == f"{Path(sys.executable).name} did not end within 2 s"
    os.set_blocking(reader, True)  # reading ends when the last writer has exited
    with os.fdopen(reader) as file:
        assert file.read() == "here"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("float sum = b[j];", "float sum = 0.0f;"),
        ("logistic(v", "rectified(v"),
        ("b0[i] + out[i]", "b0[i] - out[i]"),
        ("s_peak[0] = v12;", ""),
        ("v12 * b2[i]", "b2[i]"),
        ("v6 / steps", "v6"),
    ],
)
def test_code_that_is_wrong_is_found(replay: Replay, right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not find_compiler():
        pytest.skip("no C compiler here")
    right_code = c_target.generate_code

    def changed(*args: Any, **options: Any) -> Any:
        code = right_code(*args, **options)
        assert right in code.c
        text = code.c.replace(right, wrong)
        if "rectified" in wrong:
            text = text.replace(
                "/* layers[0]", "static float rectified(float x) { return x < 0.0f ? 0.0f : x; }\n/*", 1
            )
        return code._replace(c=text)

    monkeypatch.setattr(c_target, "generate_code", changed)
    assert verify_c(replay).verdict == "over its bound"


def test_a_model_that_does_not_stream_is_listed() -> None:
    result = verify_c(Replay(attach(sample(features=2, size=3, direction="both"))))
    assert (result.ran, result.ok) == (False, True)
    assert result.verdict.startswith("no steps, because it reads each input in both directions")
