"""Tables and sentences of `verify`, `info`, `score` and the help fit the terminal, and lose nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tidegate import cli
from tidegate.cli import verify
from tidegate.text_tables import format_table
from tidegate.verify.samples import WORDS, sample

WIDTHS = [60, 80, 120]
REPLAYED = cache(verify.replay)  # a file is verified once, and its results are printed at every width


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    sample(size=9, check=True).save(made / "text.safetensors")
    sample(size=9, direction="both", cell="lstm", dialect={"norm": "layer"}, check=True).save(made / "both.safetensors")
    rows = [f"{word},label {i % 5}" for i, word in enumerate(WORDS[:40]) if word.isalpha()]
    (made / "test.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return made


def said(argv: list[str], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    capsys.readouterr()
    assert cli.main(argv) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "command",
    [
        "verify text",
        pytest.param("verify both", marks=pytest.mark.slow),
        "info text",
        "info both",
        "info",
        "score text",
    ],
)
def test_no_line_is_wider_than_the_terminal(
    folder: Path, width: int, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(verify, "replay", REPLAYED)
    words = command.split()
    argv = [words[0], *(f"{name}.safetensors" for name in words[1:]), *(["test.csv"] if words[0] == "score" else [])]
    narrow = said(argv, width, monkeypatch, capsys)
    assert [line for line in narrow.splitlines() if len(line) > width] == []
    wide = said(argv, 400, monkeypatch, capsys)
    assert sorted("".join(wide.split())) == sorted("".join(narrow.split()))  # cells in pieces, but whole


def test_a_table_breaks_few_cells_and_words_last() -> None:
    rows = [["a", "same bits", "ok"], ["b", "same bits", "not on this machine"]]
    wide = format_table(["target", "in pieces", "verdict"], rows, words_last=True, width=60)
    assert wide == format_table(["target", "in pieces", "verdict"], rows, words_last=True)
    assert format_table(["target", "in pieces", "verdict"], rows, words_last=True, width=34).splitlines() == [
        "target  in pieces  verdict",
        "a       same bits  ok",
        "b       same bits  not on this",
        "                   machine",
    ]
    assert format_table(["name"], [["x" * 20]], width=13).splitlines() == ["name", "x" * 12, "x" * 8]


@pytest.mark.parametrize("command", [[], ["fit"]])
def test_the_help_has_no_name_on_a_line_of_its_own(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] in (["completion", "Print"], ["classify", "Classify"]) for line in lines)
