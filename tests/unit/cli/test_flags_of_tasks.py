"""Flags that do not apply to a model's task are refused instead of ignored."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tidegate import cli, tasks
from tidegate.cli import predict, score


@pytest.fixture
def forecaster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every model file look like that of a forecaster."""
    for command in (predict, score):
        monkeypatch.setattr(command, "find_task", lambda path, name: tasks.load("forecast"))


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (["predict", "m.safetensors", "t.csv", "--top", "3"], "--top"),
        (["score", "m.safetensors", "t.csv", "--unseen", "wrong"], "--unseen"),
    ],
)
def test_flags_of_labels_for_a_forecaster(
    forecaster: None, capsys: pytest.CaptureFixture[str], command: list[str], flag: str
) -> None:
    assert cli.main(command) == 2
    said = capsys.readouterr()
    assert said.err == f"tidegate: {flag} is for labels, but this model forecasts; leave it out\n"
    assert said.out == ""


@pytest.mark.parametrize("name", tasks.names())
def test_the_help_of_fit_says_which_flags_are_columns_and_which_files_are_read(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = tasks.load(name)
    with pytest.raises(SystemExit):
        cli.main(["fit", name, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"data: {task.FILES}" in shown
    for option in fields(task.Options):
        what = option.metadata["help"].split()[0]
        if what in ("column", "columns"):
            assert f"--{option.name} {what.upper()} " in shown
    assert (".conll" in shown) == (name == "tag")
