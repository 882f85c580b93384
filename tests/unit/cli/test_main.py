"""Exit codes, and the line on stderr that goes with each."""

from __future__ import annotations

import pytest

from tidegate import cli
from tidegate.errors import DataError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("train.csv:3: the text\nis empty"), 2, "tidegate: train.csv:3: the text is empty"),
        (KeyboardInterrupt(), 130, "tidegate: interrupted"),
        (
            FileNotFoundError(2, "No such file or directory", "a/b"),
            2,
            "tidegate: a/b: No such file or directory",
        ),
        (MemoryError(), 2, "tidegate: out of memory; use a smaller input, or a machine with more memory"),
    ],
)
def test_an_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    def failing(argv: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "run", failing)
    assert cli.main([]) == code
    assert capsys.readouterr().err.splitlines() == [line]


def test_a_bug_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "run", lambda argv: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main([])


def test_without_a_command_the_help_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "tidegate --help" in capsys.readouterr().err
