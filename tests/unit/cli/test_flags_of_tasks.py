"""Flags that do not apply to a model's task are refused instead of ignored."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import tidegate.runtime
from tidegate import cli
from tidegate.cli import score


@pytest.fixture
def forecaster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every model file look like that of a forecaster."""
    model = SimpleNamespace(document={"task": {"kind": "forecast"}})
    monkeypatch.setattr(tidegate.runtime, "load", lambda path, **_: SimpleNamespace(model=model))
    monkeypatch.setattr(score, "read_task", lambda path: "forecast")


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
