"""What `fit` and `score` say of forecasters: errors by channel and series, and nothing pooled without a word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tidegate.cli import main

RANDOM = np.random.default_rng(4)
HEAD = "id,time,kW,degrees,flow"


def write(path: Path, names: list[str], steps: int) -> str:
    lines = [HEAD]
    for name in names:
        walk = RANDOM.standard_normal((steps, 3)).cumsum(0) * [1, 1000, 0.01]
        lines += [f"{name},{t},{a},{b},{c}" for t, (a, b, c) in enumerate(walk.tolist())]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def fit(folder: Path, names: list[str], channels: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str, str]:
    """Fit to the first 80 of 110 steps; return the model, the file of all steps, and what `fit` said."""
    whole = write(folder / "whole.csv", names, 110)
    rows = [row for row in Path(whole).read_text().splitlines() if row == HEAD or int(row.split(",")[1]) < 80]
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    flags = f"--id id --time time --horizon 2 --lookback 4 --hidden 3 --epochs 1 --channels {channels} --season 0"
    out = str(folder / "m.safetensors")
    assert main(["fit", "forecast", str(folder / "train.csv"), *flags.split(), "--out", out]) == 0
    return out, whole, capsys.readouterr().out


@pytest.mark.parametrize("channels", ["apart", "together"])
def test_channels_of_different_units_are_pooled_scaled(
    channels: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, whole, said = fit(tmp_path, ["a"], channels, capsys)
    assert "MASE" in said
    assert "The 3 channels may have different units" in said
    assert "mean absolute error" not in said
    assert main(["score", model, whole]) == 0
    said = capsys.readouterr().out
    first, _, rest = said.partition(" in its own unit:\n\n")
    assert f"{29 * (3 if channels == 'apart' else 1)} forecasts of 3 channels, each of 2 steps" in first
    assert "The 3 channels may have different units" in first
    assert "values one step apart" in " ".join(first.split())
    assert [line.split()[0] for line in rest.splitlines()[1:4]] == ["kW", "degrees", "flow"]
    assert "RMSE" not in rest.partition("\n")[2]
    assert "series" not in rest
    assert main(["score", model, whole, "--scaled"]) == 0
    said = capsys.readouterr().out
    assert "Errors are in units of each channel's standard deviation in training" in said
    assert "MSE" in said.partition("flow")[2]
    assert main(["score", model, whole, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["per_target"]) == found["targets"] == ["kW", "degrees", "flow"]
    assert list(found["per_series"]) == ["a"]
    assert "pool 3 channels, whose units may differ; compare mase" in found["pooling"]
    assert found["per_target"]["degrees"]["mae"] > 1000 * found["per_target"]["flow"]["mae"]
    assert main(["score", model, whole, "--json", "--scaled"]) == 0
    scaled = json.loads(capsys.readouterr().out)
    assert (scaled["pooling"], scaled["unit"]) == ("", "standard deviation in training")
    assert scaled["per_target"]["degrees"]["mae"] < 10 * scaled["per_target"]["flow"]["mae"]
    assert scaled["mase"] == pytest.approx(found["mase"])


def test_many_series_are_all_in_the_json_and_the_worst_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"s{i}" for i in range(12)]
    model, whole, _ = fit(tmp_path, names, "apart", capsys)
    assert main(["score", model, whole]) == 0
    said = capsys.readouterr().out
    assert (
        "of 3 channels of 12 series, each of 2 steps, after the rows that the model was fitted on (36 channels)" in said
    )
    table = said.partition("series, highest MASE first")[2].partition("\n\n")[0].splitlines()[1:]
    assert table[-1] == "and 2 more series; --json has all"
    assert main(["score", model, whole, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["per_series"]) == names
    assert found["series"] == 12
    worst = sorted(names, key=lambda name: -found["per_series"][name]["mase"])[:10]
    assert [line.split()[0] for line in table[:-1]] == worst
    assert list(found["per_series"]["s3"]["per_target"]) == ["kW", "degrees", "flow"]


def test_scaled_is_for_forecasters(capsys: pytest.CaptureFixture[str]) -> None:
    model = str(Path(__file__).parents[2] / "golden" / "1-classifier.safetensors")
    assert main(["score", model, __file__, "--scaled"]) == 2
    assert "--scaled is for forecasters" in capsys.readouterr().err
