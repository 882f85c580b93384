"""--weights and --compute: every command passes them on, and verify reports their effect."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tidegate import _native, cli
from tidegate.verify.samples import sample

COMPUTE = ["--compute", "bf16"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("model") / "text.safetensors")
    sample(size=9, check=True).save(path)
    return path


def said(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(argv) == 0
    return capsys.readouterr().out


def test_verify_lists_the_targets_of_the_precision(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(["verify", file, "--json", *COMPUTE], capsys))
    assert found["ok"]
    assert [r["target"] for r in found["targets"] if r["path"] == "fused, compute=bf16"] == _native.targets(
        "compute=bf16"
    )
    ran = {r["path"] for r in found["targets"] if r["ran"]}
    assert ran == {"float64", "fused, compute=bf16", "interpreter, compute=bf16"}


def test_verify_says_how_far_rounded_weights_move_the_answers(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    moved = "rounding the weights moves the outputs by up to"
    assert moved in " ".join(said(["verify", file, "--weights", "bf16"], capsys).split())
    assert moved not in " ".join(said(["verify", file], capsys).split())


@pytest.mark.parametrize("flags", [["--weights", "bf16"], COMPUTE])
def test_stream_answers_in_it(
    file: str, flags: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = b'{"stream": 1, "text": "how much money", "end": true}\n'
    found = []
    for argv in (["stream", file, "--all"], ["stream", file, "--all", *flags]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(events)))
        cli.main(argv)
        found.append(json.loads(capsys.readouterr().out))
    assert found[0].keys() == found[1].keys()
    assert found[0] != found[1]


def test_a_precision_that_there_is_not_is_refused(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", file, "--weights", "int8"]) == 2
    assert "int8" in capsys.readouterr().err
    assert cli.main(["verify", file, "--weights", "float32", *COMPUTE]) == 2
    assert "compute=bf16 rounds the weights as well" in capsys.readouterr().err


def test_score_and_predict_hand_it_on(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import tidegate.runtime

    asked = []

    def load(path: str, **arguments: str | None) -> None:
        asked.append(arguments)
        raise ValueError("far enough")

    monkeypatch.setattr(tidegate.runtime, "load", load)
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\nhow,a\n")
    for argv in (["predict", file, "--message", "how"], ["score", file, str(rows)]):
        with pytest.raises(ValueError, match="far enough"):
            cli.main([*argv, *COMPUTE])
    assert asked == [{"weights": None, "compute": "bf16"}] * 2
