"""Series that are too short: what `fit`, `score` and `predict` print about them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tidegate.cli import main

RANDOM = np.random.default_rng(6)
QUICK = ("--id", "id", "--horizon", "2", "--hidden", "3", "--epochs", "1", "--lookback", "6", "--season", "0")


def written(path: Path, **lengths: int) -> str:
    lines = ["id,y", *(f"{name},{v:.3f}" for name, n in lengths.items() for v in RANDOM.standard_normal(n).cumsum())]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("series")


@pytest.fixture(scope="module")
def model(folder: Path) -> str:
    out = str(folder / "m.safetensors")
    assert main(["fit", "forecast", written(folder / "train.csv", a=60, b=5), "--out", out, *QUICK]) == 0
    return out


def test_fit_names_the_series_that_it_leaves_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, out = written(folder / "named.csv", a=60, b=3, c=1), str(folder / "named.safetensors")
    assert main(["fit", "forecast", train, "--out", out, "--json", *QUICK]) == 0
    said = capsys.readouterr()
    assert (
        "2 series not trained on (that takes 4 steps before the held-out end): 'b' has 3 steps, 'c' has 1 step"
        in said.err
    )
    left = json.loads(said.out)["provenance"]["not_learnt_from"]
    assert left == [{"series": "b", "reason": "has 3 steps"}, {"series": "c", "reason": "has 1 step"}]


def test_predict_forecasts_every_series_from_two_steps_on_and_names_the_others(
    model: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(folder / "new.csv", long=30, two=2, one=1)
    assert main(["predict", model, file, "--json"]) == 0
    said = capsys.readouterr()
    long, two, one = map(json.loads, said.out.splitlines())
    assert len(long["forecast"]["y"]) == len(two["forecast"]["y"]) == 2
    assert one == {
        "series": "one",
        "steps": [],
        "assumed": None,
        "forecast": None,
        "reason": "has 1 step; this model needs 2",
    }
    assert said.err == "1 series without a forecast: 'one' has 1 step; this model needs 2\n"
    assert main(["predict", model, file]) == 0
    said = capsys.readouterr()
    assert "two" in said.out
    assert "one\n" not in said.out
    assert main(["predict", model, written(folder / "one.csv", one=1)]) == 2
    assert "the series has 1 step; this model needs 2; give earlier rows too" in capsys.readouterr().err


def test_score_counts_and_names_the_series_that_it_leaves_out(
    model: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(folder / "scored.csv", long=30, four=4, three=3)
    assert main(["score", model, file]) == 0
    said = capsys.readouterr().out
    assert "28 forecasts of 2 series, each of 2 steps, as soon as enough steps are known" in said
    assert "5 forecasts use fewer steps than the look-back" in said
    assert "1 series left out: 'three' has 3 steps; a forecast needs 2 before it and 2 to be compared with" in said
    assert main(["score", model, file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["series"], found["short"], [one["series"] for one in found["left_out"]]) == (2, 5, ["three"])


def test_predict_names_the_series_of_each_calendar(
    model: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "calendars.csv"
    days = {"daily": range(1, 13), "work": (1, 2, 3, 4, 5, 8, 9, 10, 11, 12)}
    lines = [f"{name},2024-01-{day:02d},{day % 5}" for name, of in days.items() for day in of]
    file.write_text("\n".join(["id,ds,y", *lines, *(line.replace("daily", "two") for line in lines[:12])]) + "\n")
    assert main(["predict", model, str(file)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "'daily', 'two': the steps ahead continue the times: one step every day",
        "'work': the steps ahead continue the times: one step each business day (Monday to Friday)",
    ]


def test_one_forecast_is_in_the_singular(model: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", model, written(folder / "single.csv", a=4)]) == 0
    said = capsys.readouterr().out
    assert "1 forecast of 2 steps, as soon as enough steps are known" in said
    assert "1 forecast uses fewer steps than the look-back" in said
