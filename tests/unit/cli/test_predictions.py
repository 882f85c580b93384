"""`predict`: which labels it prints, and the files that --out writes."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import cli
from tidegate.cli import _predictions
from tidegate.errors import MissingExtra
from tidegate.runtime import Scores
from tidegate.tasks import _label_predictions
from tidegate.verify.samples import sample

TEXTS = ['my "card", please', " two\r\nlines ", "größe 日本", "cash"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("model") / "text.safetensors")
    sample(check=True).save(path)
    return path


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("forecaster")
    rows = np.random.default_rng(3).standard_normal((80, 2)).cumsum(0)
    text = "day,a,b\n" + "".join(
        f"{np.datetime64('2024-01-01') + i},{a:.3f},{b:.3f}\n" for i, (a, b) in enumerate(rows)
    )
    (folder / "train.csv").write_text(text)
    out = str(folder / "m.safetensors")
    quick = ["--hidden", "3", "--epochs", "1", "--lookback", "6", "--season", "0", "--horizon", "2"]
    argv = ["fit", "forecast", str(folder / "train.csv"), "--time", "day", "--channels", "together", "--out", out]
    assert cli.main([*argv, *quick]) == 0
    return out, str(folder / "train.csv")


def messages(texts: list[str]) -> list[str]:
    return [word for text in texts for word in ("--message", text)]


def read_table(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return found
    with path.open(encoding="utf-8", newline="") as file:
        return [dict(row) for row in csv.DictReader(file)]


def printed(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert cli.main(argv) == 0
    return capsys.readouterr().out


# --- which labels


def test_the_largest_are_those_of_a_sort_also_with_ties_and_nan() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 7, 50):
        for k in (0, 1, 2, 5, size, size + 3):
            for values in (rng.random(size), rng.integers(0, 3, size).astype(float), np.full(size, np.nan)):
                row = values.astype(np.float32)
                row[rng.random(size) < 0.2] = np.nan
                assert _label_predictions.select_largest(row, k) == np.argsort(-row, kind="stable")[:k].tolist()


def test_many_labels_cost_no_sort_of_all_of_them() -> None:
    labels = [f"label {i}" for i in range(5000)]
    rows = np.random.default_rng(1).random((200, 5000), np.float32)

    def run(top: int | None) -> list[str]:
        return [_label_predictions.LabelPrediction("text", "x", Scores(row, labels), top).format() for row in rows]

    def seconds(work: Any) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return min(times)

    sorting = seconds(lambda: [sorted(range(len(row)), key=lambda i: -row[i]) for row in rows[:20].tolist()]) * 10
    assert run(1)[7] == f"{labels[int(rows[7].argmax())]} {rows[7].max():.3f}\tx"
    for top in (None, 1, 3):
        assert seconds(lambda top=top: run(top)) < sorting / 4


def test_labels_of_a_row_that_can_have_several_come_by_probability() -> None:
    scores = Scores(np.array([0.6, 0.2, 0.9, 0.5], np.float32), ["a", "b", "c", "d"], multi_label=True)
    prediction = _label_predictions.LabelPrediction("text", "x", scores, None)
    assert prediction.format() == "c 0.900, a 0.600, d 0.500\tx"
    assert prediction.as_dict()["labels"] == ["a", "c", "d"]
    assert prediction.as_row("|") == ["x", "c", 0.9, "a|c|d"]


# --- the files


def test_json_lines_are_those_that_json_prints(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.jsonl"
    flags = [model, *messages(TEXTS), "--top", "2"]
    assert cli.main(["predict", *flags, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"wrote {out} (4 rows)\n")
    lines = printed(["predict", *flags, "--json"], capsys).splitlines()
    assert list(map(json.loads, lines)) == list(map(json.loads, out.read_text("utf-8").splitlines()))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_a_row_for_each_message(
    model: str, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"o{suffix}"
    flags = [model, *messages(TEXTS), "--top", "2"]
    assert cli.main(["predict", *flags, "--out", str(out)]) == 0
    told = [json.loads(line) for line in printed(["predict", *flags, "--json"], capsys).splitlines()]
    rows = read_table(out)
    assert [row["text"] for row in rows] == TEXTS
    assert list(rows[0]) == ["text", "label", "score", "label_2", "score_2"]
    got = [[[row["label"], float(row["score"])], [row["label_2"], float(row["score_2"])]] for row in rows]
    assert got == [one["top"] for one in told]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_forecasts_take_a_row_for_each_step_and_target(
    forecaster: tuple[str, str], tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"o{suffix}"
    assert cli.main(["predict", *forecaster, "--out", str(out)]) == 0
    told = json.loads(printed(["predict", *forecaster, "--json"], capsys))
    rows = read_table(out)
    assert [(row["time"], row["target"]) for row in rows] == [(t, name) for t in told["steps"] for name in ("a", "b")]
    for level, of in told["quantiles"].items():
        assert [float(row[level]) for row in rows] == [of[name][i] for i in range(2) for name in ("a", "b")]
    lines = tmp_path / "o.jsonl"
    assert cli.main(["predict", *forecaster, "--out", str(lines)]) == 0
    assert json.loads(lines.read_text()) == told


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_file_of_predictions_is_replaced_and_another_is_not(
    model: str, forecaster: tuple[str, str], tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"o{suffix}"
    for flags in ([model, "--message", "cash", "--top", "3"], [*forecaster], [model, "--message", "cash"]):
        assert cli.main(["predict", *flags, "--out", str(out)]) == 0
    for other in (
        b"text,label\ncash,money\n",
        b'{"text": "cash", "label": "money"}\n',
        b"PAR1\0\0\0\0\xff\xff\xff\x7fPAR1",
    ):
        out.write_bytes(other)
        assert cli.main(["predict", model, "--message", "cash", "--out", str(out)]) == 2
        assert "is not a file of predictions" in capsys.readouterr().err
        assert out.read_bytes() == other
    assert cli.main(["predict", model, "--message", "cash", "--out", str(out), "--force"]) == 0


def test_a_parquet_file_of_others_is_not_replaced(model: str, tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "o.parquet"
    parquet.write_table(pa.table({"text": ["a"], "label": ["b"], "score": [1.0]}), out)
    assert cli.main(["predict", model, "--message", "cash", "--out", str(out)]) == 2


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--out", "o.txt"], "o.txt ends with '.txt', which says nothing about its format; name it .csv, .jsonl or "),
        (["--out", "o"], "o has no suffix"),
        (["--out", "o.csv", "--json"], "--json prints the predictions, but --out writes them to a file"),
        (["--out", "no/o.csv"], "its folder does not exist"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_model_is_read(
    flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["predict", "no.safetensors", "--message", "a", *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_parquet_without_its_library_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(_predictions.importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"pip install \"tidegate\[parquet\]\""):
        _predictions.check_path("o.parquet", [])


def test_an_input_is_never_replaced(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new.csv"
    file.write_text("text,label,score\ncash,a,1\n")
    assert cli.main(["predict", model, str(file), "--out", str(file), "--force"]) == 2
    assert "is an input of this command" in capsys.readouterr().err


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Any:
        yield ["cash", "a", 1.0]
        raise RuntimeError

    output = _predictions.Output({"text": str, "label": str, "score": float}, fail(), [])
    with pytest.raises(RuntimeError):
        _predictions.write(str(tmp_path / "o.csv"), output)
    assert list(tmp_path.iterdir()) == []
