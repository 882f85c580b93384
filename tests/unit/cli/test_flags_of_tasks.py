"""Flags that do not apply to a model's task are refused instead of ignored."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

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


def test_a_flag_of_several_tasks_says_what_it_is_for_in_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["score", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    own = (
        "plot the confusions and the calibration, as PNG; of forecasters: plot the last forecast and the truth, as PNG"
    )
    assert f"for labels and forecasters: --plot FILE {own}" in shown
    monkeypatch.setattr(score, "find_task", lambda path, name: tasks.load("tag"))
    for flag, subject in (("--plot", "labels and forecasters"), ("--by", "labels")):
        assert cli.main(["score", "m.safetensors", "t.conll", flag, "a.png"]) == 2
        assert f"{flag} is for {subject}, but this model" in capsys.readouterr().err


def test_a_picture_without_matplotlib_is_refused_before_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main(["score", "no.safetensors", "t.csv", "--plot", str(tmp_path / "a.png")]) == 2
    assert capsys.readouterr().err.startswith("tidegate: --plot: plots need matplotlib, which is not installed; pip")


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
