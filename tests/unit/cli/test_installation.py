"""`tidegate info` without a file: installed packages, available targets, and the engine that trains."""

from __future__ import annotations

import json

import pytest

from tidegate import _native, cli
from tidegate.cli import info

TARGETS = _native.targets()


@pytest.mark.parametrize("target", TARGETS)
def test_it_says_which_engine_trains_and_why(
    target: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEGATE_TARGET", target)
    assert cli.main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == target
    assert found["training"].startswith(f"native on {target}, because fit trains in float32 on the CPU; torch for ")
    assert cli.main(["info"]) == 0
    assert found["training"] in " ".join(capsys.readouterr().out.split())


def test_without_torch_nothing_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "package_version", lambda package: None)
    assert info.installation()["training"] == 'none, because torch is not installed; pip install "tidegate[train]"'


def test_a_target_that_is_not_here_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEGATE_TARGET", "z80")
    assert cli.main(["info"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"tidegate: TIDEGATE_TARGET 'z80' is not in this build; choose one of {', '.join(TARGETS)}"
    ]


def test_it_says_whether_there_are_fused_kernels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TIDEGATE_FUSED", raising=False)
    assert info.installation()["kernels"] == "fused"
    monkeypatch.setenv("TIDEGATE_FUSED", "0")
    assert info.installation()["kernels"] == "none, because TIDEGATE_FUSED is 0; the bits are the same"
    monkeypatch.setenv("TIDEGATE_FUSED", "off")
    assert cli.main(["info"]) == 2
    assert capsys.readouterr().err == "tidegate: TIDEGATE_FUSED is 'off'; expected 1 for fused kernels, or 0 for none\n"
