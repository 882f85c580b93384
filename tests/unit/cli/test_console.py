"""Terminals, pipes and files: readers that leave, characters that cannot be encoded, data with control characters."""

from __future__ import annotations

import errno
import io
import json
import sys
from typing import Any

import pytest

from tidegate import cli
from tidegate.cli import _console
from tidegate.cli._console import Console
from tidegate.text_tables import format_table


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A stream on which every write fails with a system error."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, "said by the system")


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace Python's streams: `streams(stdout=..., stderr=..., stdin=...)`."""

    def put(**found: Any) -> None:
        for name, stream in found.items():
            monkeypatch.setattr(sys, name, stream)

    return put


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the command by one that prints, works and reports; return the list of what it has done."""
    done: list[str] = []

    def run(argv: list[str]) -> int:
        print("epoch 1", file=sys.stderr, flush=True)
        if argv:
            _console.allow_no_reader()
        done.append("worked")
        print("an answer", flush=True)
        return 0

    monkeypatch.setattr(cli, "run", run)
    return done


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC])
def test_nobody_has_to_read_the_progress(streams: Any, work: list[str], number: int) -> None:
    out = io.StringIO()
    streams(stdout=out, stderr=Broken(number))
    assert cli.main([]) == 0
    assert (work, out.getvalue()) == (["worked"], "an answer\n")


@pytest.mark.parametrize(("stream", "code"), [(Broken(errno.EPIPE), 141), (Broken(errno.ENOSPC), 2), (None, 2)])
def test_an_answer_that_nobody_reads_is_not_given(streams: Any, work: list[str], stream: Any, code: int) -> None:
    err = io.StringIO()
    streams(stdout=stream, stderr=err)
    assert cli.main([]) == code
    assert ("cannot print" in err.getvalue()) == (code == 2)


@pytest.mark.parametrize(("stream", "code"), [(Broken(errno.EPIPE), 0), (Broken(errno.ENOSPC), 2), (None, 0)])
def test_work_that_is_done_is_done_whoever_reads_of_it(streams: Any, work: list[str], stream: Any, code: int) -> None:
    streams(stdout=stream, stderr=None)
    assert cli.main(["work"]) == code
    assert work == ["worked"]


def test_a_closed_standard_input_is_a_sentence(streams: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.StringIO()
    streams(stdin=None, stderr=err)
    monkeypatch.setattr(cli, "run", lambda argv: len(list(_console.read_lines())))
    assert cli.main([]) == 2
    assert err.getvalue().startswith("tidegate: standard input is closed")


HOSTILE = "a\x1b[31m\x07\r\x9b\u202eb\tc\u2028"


def test_data_cannot_steer_a_terminal() -> None:
    for terminal, shown in (
        (Terminal(), "a\\u001b[31m\\u0007\\u000d\\u009b\\u202eb\tc\\u2028\n"),
        (io.StringIO(), None),
    ):
        print(HOSTILE, file=Console(terminal, lambda error: False))
        assert terminal.getvalue() == (shown or HOSTILE + "\n")


def test_a_line_break_in_a_cell_makes_no_row() -> None:
    assert format_table(["label"], [["a\nb"], ["c"]]).splitlines() == ["label", "a\\nb", "c"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
@pytest.mark.parametrize("terminal", [False, True])
def test_json_is_valid_in_every_encoding(streams: Any, encoding: str, terminal: bool) -> None:
    value = {"label": HOSTILE + "é日\U0001f600\udcff", "score": float("nan")}
    below = io.TextIOWrapper(io.BytesIO(), encoding)
    below.isatty = lambda: terminal  # type: ignore[method-assign]
    streams(stdout=below)
    with _console.use_consoles():
        _console.print_json(value)
        print("é日\U0001f600")  # and a text is shown as far as it can be
    line, shown, _ = below.buffer.getvalue().decode(encoding).split("\n")  # type: ignore[attr-defined]
    assert json.loads(line) == {**value, "score": None}
    assert "\ufffd" not in shown
    assert encoding in ("utf-8", "utf-16") or line.isascii()


@pytest.mark.parametrize("said", [(0, 0), (40, 24), None])
def test_a_terminal_of_no_size_has_80_columns(said: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda number: _console.os.terminal_size(said))
    stream = type("Stream", (), {"fileno": lambda self: 1})() if said else io.StringIO()
    assert _console.terminal_width(stream) == (40 if said == (40, 24) else 80)
