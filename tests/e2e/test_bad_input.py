"""What a person gets wrong is answered in one sentence that names the place: exit code 2, no traceback."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from intents import SMALL, messages

Run = Callable[..., CompletedProcess[str]]


def refused(done: CompletedProcess[str], *fragments: str) -> None:
    last = done.stderr.splitlines()[-1] if done.stderr else ""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert last.startswith("tidegate: ")
    assert "Traceback" not in done.stderr
    assert [fragment for fragment in fragments if fragment not in last] == [], last


GOOD = "".join(f'"{text}",{label}\n' for text, label in messages(40, 1))


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"text,label\nhi,a\n", ("no column 'message'", "'text', 'label'")),
        (b"message,intent\nhello,a\n  ,b\n", ("train.csv:3", "empty")),
        (b"message,intent\nhello,a\nhello,\n", ("train.csv:3", "label", "empty")),
        (b"message,intent\nhello,a\nbye,a\n", ("only one class, 'a'",)),
        (b"message,intent\nhello,a\nna\xefve,b\n", ("train.csv:3", "byte 25", "UTF-8")),
        (b"message,intent\nhello,a\nbye,b,c\n", ("train.csv:3", "3 fields", "expected 2")),
        (b'message,intent\nhello,a\n"bye,b\n', ("train.csv:3", "never closed")),
        (b"message,intent\n", ("no rows",)),
        (b"", ("empty",)),
    ],
)
def test_a_file_that_cannot_be_learnt_from(
    tidegate: Run, tmp_path: Path, content: bytes, fragments: tuple[str, ...]
) -> None:
    (tmp_path / "train.csv").write_bytes(content)
    out = tmp_path / "m.safetensors"
    refused(tidegate("fit", "classify", tmp_path / "train.csv", *SMALL, "--out", out), *fragments)
    assert not out.exists()


def test_paths_and_options_that_are_wrong(fitted: Any, tidegate: Run, tmp_path: Path) -> None:
    fit = ("fit", "classify", fitted.train, *SMALL)
    refused(tidegate("fit", "classify", tmp_path / "no.csv", *SMALL, "--out", "m.safetensors"), "no.csv")
    refused(tidegate(*fit, "--out", tmp_path / "no" / "m.safetensors"), "folder")
    refused(tidegate(*fit, "--out", tmp_path / "m.safetensors", "--hidden", "0"), "hidden is 0")
    refused(tidegate(*fit, "--out", tmp_path / "m.safetensors", "--hiden", "8"), "did you mean --hidden?")
    refused(tidegate(*fit, "--out", tmp_path / "m.safetensors", "--cell", "gruu"), "did you mean 'gru'?")
    refused(tidegate("fit", "clasify", fitted.train), "clasify")
    refused(tidegate("predict", fitted.model), "--message")
    blank = tidegate("predict", fitted.model, "--message", " ")  # it has no answer, and stops nothing
    assert (blank.returncode, blank.stdout) == (0, "(none: the message has no word)\t\n")
    refused(tidegate("predict", fitted.model, fitted.test, "--text", "mesage"), "did you mean 'message'?")


@pytest.mark.parametrize(
    "command", [("info",), ("verify",), ("predict", "--message", "a"), ("stream",), ("score", "x.csv")]
)
def test_a_file_that_is_no_model(tidegate: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    file = tmp_path / "intent.safetensors"
    name, *rest = command
    refused(tidegate(name, file, *rest, stdin=""), "intent.safetensors")
    for content in (b"", b"not a model at all", b"PK\x03\x04" + bytes(100), b"\x02" + bytes(7) + b"{}"):
        file.write_bytes(content)
        refused(tidegate(name, file, *rest, stdin=""), "intent.safetensors")


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("hello", "not JSON"),
        ('["a"]', "expected a JSON object"),
        ('{"text": "a"}', "the event has no 'stream'"),
        ('{"stream": "a", "txt": "a"}', "unknown key 'txt'"),
        ('{"stream": "a", "text": 3}', "'text' is 3"),
        ('{"stream": "a", "text": "a", "end": 1}', "'end' is 1"),
        ('{"stream": true, "text": "a"}', "'stream' is True"),
        ('{"stream": "a"}', "neither 'text' nor 'end'"),
        ('{"stream": "a", "x": [1.0]}', "takes text"),
        ('{"stream": "a", "stream": "b", "text": "a"}', "appears twice"),
        ('{"stream": "a", "text": "\\ud800"}', "stdin:2"),
    ],
)
def test_an_event_that_is_none(fitted: Any, tidegate_without_torch: Run, line: str, fragment: str) -> None:
    good = '{"stream": "a", "text": "hello "}\n'
    done = tidegate_without_torch("stream", fitted.model, stdin=good + line + "\n" + good)
    refused(done, "stdin:2", fragment)
    assert len(done.stdout.splitlines()) == 1
    skipped = tidegate_without_torch("stream", fitted.model, "--skip-bad", stdin=good + line + "\n" + good)
    assert skipped.returncode == 0
    assert len(skipped.stdout.splitlines()) == 2
    assert "stdin:2" in skipped.stderr


def test_a_full_disk_leaves_the_old_file(fitted: Any, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    shutil.copy(fitted.model, out)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tidegate",
            "fit",
            "classify",
            str(fitted.train),
            *SMALL,
            "--epochs",
            "1",
            "--out",
            str(out),
        ],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),  # stands for the disk's end
    )
    refused(done, "m.safetensors", "larger than this file system or process may write")
    assert "epoch" not in done.stderr
    assert out.read_bytes() == fitted.model.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors"]


def test_a_reader_who_leaves_is_no_error(fitted: Any) -> None:
    endless = """yes '{"stream": 1, "text": "a "}'"""
    done = subprocess.run(
        f"{endless} | {sys.executable} -m tidegate stream {fitted.model} | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
