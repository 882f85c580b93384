"""Old spellings of flags and options are refused with the new one."""

from __future__ import annotations

import pytest

from tidegate import cli
from tidegate.errors import OptionError
from tidegate.tasks import forecast
from tidegate.tasks._options import make_options, restore_options
from tidegate.tasks.classify import Options


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("score m.safetensors --from 5 all.csv", "--from is now --start; see 'tidegate score --help'"),
        ("score m.safetensors all.csv --from=5", "--from is now --start"),
        ("predict m.safetensors new.csv --column message", "--column is now --text"),
        ("fit classify a.csv --tokens char", "--tokens is now --unit; see 'tidegate fit classify --help'"),
        ("fit forecast a.csv --windows 64 --out m", "--windows is now --windows-per-epoch"),
        ("predict m.safetensors --text hello", "--text is now the column of a file"),
    ],
)
def test_old_flags_give_the_new_ones(command: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command.split()) == 2
    assert f"tidegate: {sentence}" in capsys.readouterr().err


def test_old_flags_are_neither_shown_nor_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["fit", "classify"], ["fit", "forecast"], ["score"], ["predict"]):
        with pytest.raises(SystemExit):
            cli.main([*command, "--help"])
        shown = set(capsys.readouterr().out.split())
        old = {"--column", "--windows"} | ({"--from"} if command[0] != "fit" else set())  # which fit has again
        assert not old & shown
        assert command == ["score"] or "--tokens" not in shown  # there it is a column of a tagger's
    assert cli.main(["fit", "classify", "a.csv", "--out", "m", "--token", "byte"]) == 2
    assert "--tokens" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("task", "old", "sentence"),
    [
        (Options, "tokens", "the option tokens is now unit$"),
        (forecast.Options, "windows", "the option windows is now windows_per_epoch$"),
        (Options, "windows", "unknown option 'windows'"),  # of another task, so its new name would be unknown as well
        (forecast.Options, "tokens", "unknown option 'tokens'"),
    ],
)
def test_old_options_of_a_task_give_the_new_ones(task: type, old: str, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        make_options(task, {old: 3})


def test_the_options_of_an_older_model_file_are_understood() -> None:
    assert restore_options(Options, {"tokens": "char"}).unit == "character"
    assert restore_options(Options, {"tokens": "byte", "of_long_ago": 3}).unit == "byte"
