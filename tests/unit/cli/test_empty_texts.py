"""An empty text stops a fit unless it is to be skipped, has no answer in predict, and counts as wrong in score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tidegate import cli
from tidegate.model import Model

ROWS = [f"{word} {i},{label}\n" for i in range(20) for word, label in (("rain", "weather"), ("play", "music"))]
QUICK = ["--epochs=1", "--hidden=4", "--embed=4", "--batch=8", "--threads=1"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Make a model from a file with two empty texts, on lines 12 and 32."""
    folder = tmp_path_factory.mktemp("empty")
    rows = [*ROWS[:10], ",music\n", *ROWS[10:29], "  ,weather\n", *ROWS[29:]]
    (folder / "train.csv").write_text("text,label\n" + "".join(rows))
    model = str(folder / "m.safetensors")
    assert cli.main(["fit", "classify", str(folder / "train.csv"), "--out", model, "--skip-bad", *QUICK]) == 0
    return str(folder / "train.csv"), model


def test_a_fit_stops_at_the_line_or_skips_and_lists(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, model = files
    out = str(tmp_path / "m")
    assert cli.main(["fit", "classify", train, "--out", out, *QUICK]) == 2
    assert f"{train}:12: the text in column 'text' is empty; fill it in, or" in capsys.readouterr().err
    provenance = Model.load(model).document["provenance"]
    assert provenance["notes"][0] == "skipped 2 of 42 rows, whose text is empty: lines 12, 32"
    assert sum(provenance["rows"].values()) == 40
    assert cli.main(["fit", "classify", train, "--valid", train, "--skip-bad", "--out", out, *QUICK]) == 2
    assert "has the same rows as" in capsys.readouterr().err


def test_predict_gives_the_reason_and_answers_the_others(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, model = files
    asked = ["predict", model, "--message", "rain", "--message", " "]
    capsys.readouterr()
    assert cli.main([*asked, "--json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["label"] in ("music", "weather")
    assert (second["label"], second["score"]) == (None, None)
    assert second["reason"]
    assert cli.main([*asked, "--top", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith(f"(none: {second['reason']})")


def test_score_counts_them_as_wrong_and_says_how_many(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, model = files
    test = tmp_path / "t.csv"
    found = []
    for rows in (ROWS, [*ROWS, ",music\n", ",weather\n"]):
        test.write_text("text,label\n" + "".join(rows))
        assert cli.main(["score", model, str(test), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    whole, more = found
    assert (whole["empty"], more["empty"]) == (0, 2)
    assert more["accuracy"] == pytest.approx(whole["accuracy"] * 40 / 42)
    assert more["log_loss"] == pytest.approx(whole["log_loss"])
    assert ["music", "(none)", 1] in more["confusions"]
    assert cli.main(["score", model, str(test)]) == 0
    assert "2 rows without an answer, counted as wrong" in capsys.readouterr().out
