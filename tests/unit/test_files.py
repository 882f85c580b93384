"""Reading files: only regular ones, whole, as they were at one moment; lines; checksums; detecting kinds of files."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import socket
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import cells, cli, export, files
from tidegate.data.series import read_series
from tidegate.data.table import read_table
from tidegate.errors import DataError, TidegateError
from tidegate.model import Model
from tidegate.verify.samples import sample


def test_the_bytes_of_a_file_or_the_first_of_them(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"text,label")
    assert files.read(tmp_path / "f", DataError) == b"text,label"
    assert files.read(tmp_path / "f", DataError, 4) == b"text"
    assert files.read(tmp_path / "f", DataError, 99) == b"text,label"
    os.symlink(tmp_path / "f", tmp_path / "link")
    assert files.read(str(tmp_path / "link"), DataError) == b"text,label"


def make_pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def make_socket(path: Path) -> Path:
    there = os.getcwd()
    os.chdir(path.parent)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(there)
    return path


IRREGULAR: dict[str, Callable[[Path], Path]] = {
    "is a pipe, not a regular file; write its contents to a file first": make_pipe,
    "is a socket, not a regular file": make_socket,
    "is a device, not a regular file": lambda path: Path("/dev/zero"),
    "is a folder; give the path of a file": lambda path: path.parent,
}
READERS: dict[str, Callable[[str], Any]] = {
    "f.csv": read_table,
    "f.jsonl": read_table,
    "f.tsv.gz": read_table,
    "f.parquet": read_table,
    "f.npz": read_series,
    "f.safetensors": Model.load,
    "f.py": cells.load,
}


@pytest.mark.parametrize("sentence", IRREGULAR)
def test_what_is_no_regular_file_is_refused_in_one_sentence(tmp_path: Path, sentence: str) -> None:
    path = IRREGULAR[sentence](tmp_path / "f")
    with pytest.raises(DataError) as caught:
        files.read(path, DataError)
    assert str(caught.value).startswith(f"{path}: {sentence}")


@pytest.mark.parametrize("name", READERS)
def test_every_reader_refuses_a_pipe_and_a_device_before_it_waits_for_it(tmp_path: Path, name: str) -> None:
    make_pipe(tmp_path / name)
    with pytest.raises(TidegateError, match="is a pipe, not a regular file"):
        READERS[name](str(tmp_path / name))
    (tmp_path / name).unlink()
    os.symlink("/dev/zero", tmp_path / name)
    with pytest.raises(TidegateError, match="is a device, not a regular file"):
        READERS[name](str(tmp_path / name))


def test_a_folder_of_series_with_a_pipe_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    make_pipe(tmp_path / "b.csv")
    with pytest.raises(DataError, match=r"b\.csv: is a pipe"):
        read_series(str(tmp_path))


def test_an_export_does_not_wait_for_a_pipe_in_its_place(tmp_path: Path) -> None:
    make_pipe(tmp_path / "m.onnx")
    with pytest.raises(TidegateError, match="not a regular file"):
        export(sample(size=4, check=True), "onnx", tmp_path / "m.onnx")


def test_a_pipe_that_takes_the_place_of_a_file_before_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regular = os.stat(__file__)
    make_pipe(tmp_path / "f")
    monkeypatch.setattr("os.stat", lambda *_, **__: regular)
    with pytest.raises(DataError, match="is a pipe, not a regular file"):
        files.read(tmp_path / "f", DataError)


def test_a_file_that_grows_while_it_is_streamed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(b"tide 1 2\n")

    def read_and_rewrite() -> None:
        with files.stream(path, DataError) as opened:
            assert opened.read() == b"tide 1 2\n"
            path.write_bytes(b"tide 1 2\nsea 3 4\n")

    with pytest.raises(DataError, match=r"v\.txt: changed while it was read; try again when it is complete"):
        read_and_rewrite()
    make_pipe(tmp_path / "f")
    with pytest.raises(DataError, match="is a pipe, not a regular file"), files.stream(tmp_path / "f", DataError):
        pass


@pytest.mark.parametrize("content", [b"text,label\nho,b\n", b"text", b"text,label\nhi,a\nhi,a\n"])
def test_a_file_that_is_rewritten_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    path, opened = tmp_path / "t.csv", os.open
    path.write_bytes(b"text,label\nhi,a\n")
    os.utime(path, ns=(1, 1))

    def open_and_rewrite(*args: Any) -> Any:
        handle, fstat, calls = opened(*args), os.fstat, []

        def rewrite(handle: int) -> Any:
            found = fstat(handle)
            if not calls:  # the first look at the file is over, its bytes are not read yet
                path.write_bytes(content)
            calls.append(handle)
            return found

        monkeypatch.setattr("os.fstat", rewrite)
        return handle

    monkeypatch.setattr("os.open", open_and_rewrite)
    with pytest.raises(DataError, match=r"t\.csv: changed while it was read; try again when it is complete"):
        read_table(path)


def test_a_write_under_way_whose_time_has_been_told_already_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long write sets the file's time when it begins, so the time is the same before and after."""
    path, now = tmp_path / "t.csv", time.time_ns
    path.write_bytes(b"text,label\nhi,a\n")
    begun = path.stat().st_mtime_ns

    def write_on() -> int:
        with open(path, "r+b") as file:
            file.write(b"text,label\nho,b\n")
        os.utime(path, ns=(begun, begun))
        return now()

    monkeypatch.setattr("time.time_ns", write_on)
    with pytest.raises(DataError, match="changed while it was read"):
        files.read(path, DataError)


def test_a_file_replaced_by_renaming_while_it_is_read_gives_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fstat = tmp_path / "f", os.fstat
    path.write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"newer")

    def rename(handle: int) -> Any:
        if (tmp_path / "new").exists():
            os.replace(tmp_path / "new", path)
        return fstat(handle)

    monkeypatch.setattr("os.fstat", rename)
    assert files.read(path, DataError) == b"old"
    assert files.read(path, DataError) == b"newer"


def test_lines_arrive_as_they_are_sent_and_one_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 4)
    found = list(files.lines(io.BytesIO(b"abc\nabcdefghijk\n\nabcd\nab")))
    assert found == [(1, b"abc\n"), (2, b"abcde"), (3, b"\n"), (4, b"abcd\n"), (5, b"ab")]
    for _, line in found:
        if line == b"abcde":
            with pytest.raises(DataError, match="the line has more than 4 bytes, which is the limit"):
                files.check_line(line)
        elif len(line) < 5:
            files.check_line(line)


def test_both_ways_to_a_sum_are_one() -> None:
    parts = [b"tide", np.arange(5, dtype=np.float32)]
    expected = hashlib.sha256(b"tide" + parts[1].tobytes()).hexdigest()  # type: ignore[attr-defined]
    assert files.sha256(parts, 24) == files.sha256(parts, 1 << 30) == expected


def zip_bytes(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"content")
    return file.getvalue()


KINDS = {
    "a PyTorch file (.pt)": zip_bytes("archive/data.pkl"),
    "a Keras model (.keras)": zip_bytes("metadata.json"),
    "a NumPy archive (.npz)": zip_bytes("x.npy"),
    "an Excel workbook": zip_bytes("[Content_Types].xml"),
    "a zip archive": zip_bytes("train.csv"),
    "a pickle": pickle.dumps([1]),
    "gzip": gzip.compress(b"text"),
    "an ONNX model": b"\x08\x0a\x12\x07pytorch\x1a\x052.1.0",
    "a NumPy array (.npy)": b"\x93NUMPY\x01\0v\0{'descr': '<f8'",
    "an HTML page": b"<!DOCTYPE html>\n<html>",
    "JSON": b'\xef\xbb\xbf [{"text": "hi"}]',
    "text": "größe,ça\nä,b\n".encode()[:-3],
    "": bytes(range(256)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_bytes_look_like(kind: str) -> None:
    assert files.detect_kind(KINDS[kind]) == kind


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.csv", KINDS["an Excel workbook"], "looks like an Excel workbook, .*; save the sheet as CSV in UTF-8"),
        ("t.csv", KINDS["gzip"], r"looks like gzip, but its extension says text; name it with \.gz"),
        ("t.csv", b"PAR1\x15\0\x15\0", r"looks like a Parquet file, .*; name it with \.parquet"),
        (
            "t.jsonl",
            KINDS["an HTML page"],
            "looks like an HTML page, .*; the download went wrong, so fetch the file again",
        ),
        ("t.parquet", b"text,label\nhi,a\n", r"looks like text, .* says a Parquet file; name it \.csv, \.tsv or"),
        ("t.npz", KINDS["a NumPy array (.npy)"], r"looks like a NumPy array.*; save the array as x with numpy\.savez"),
        ("t.csv.gz", b"text,label\nhi,a\n", r"looks like text, but its extension says gzip; name it \.csv"),
        ("t.csv.gz", gzip.compress(KINDS["a zip archive"]), "looks like a zip archive, .*; unpack it first"),
        (
            "t.xlsx",
            KINDS["an Excel workbook"],
            r"has the extension '\.xlsx'; .*; it looks like an Excel workbook: save",
        ),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,  # gzip's header has the time
)
def test_data_of_another_kind_than_its_name_says_is_told_with_a_remedy(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        (read_series if name.endswith(".npz") else read_table)(str(tmp_path / name))


def test_a_model_given_as_data_is_told(tmp_path: Path) -> None:
    sample(size=4, check=True).save(tmp_path / "m.safetensors")
    for name in ("m.safetensors", "m.csv"):
        (tmp_path / name).write_bytes((tmp_path / "m.safetensors").read_bytes())
        with pytest.raises(DataError, match="looks like a safetensors file.*that is a model, not data"):
            read_table(tmp_path / name)


def test_an_endless_event_is_refused_at_the_limit_or_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample(size=4, check=True).save(tmp_path / "m.safetensors")
    event = b'{"stream": 1, "text": "how much", "end": true}\n'
    monkeypatch.setattr(files, "MAX_LINE", 100)
    for more in ([], ["--skip-bad"]):
        sent = io.TextIOWrapper(io.BytesIO(event + b'{"stream": 1, "text": "' + b"a" * 1000 + b'"}\n' + event))
        monkeypatch.setattr("sys.stdin", sent)
        assert cli.main(["stream", str(tmp_path / "m.safetensors"), *more]) == (0 if more else 2)
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == (2 if more else 1)
        assert "stdin:2: the line has more than 100 bytes, which is the limit" in err
        assert ("1 bad event was skipped" in err) == bool(more)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hi\n" + b"a" * 1000)))
    assert cli.main(["predict", str(tmp_path / "m.safetensors"), "-"]) == 2
