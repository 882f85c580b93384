"""Rows with several labels from end to end: fit, score, verify, predict, stream, export, each in its own process."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest
from intents import SMALL, messages

Run = Callable[..., CompletedProcess[str]]
TEXT = "I lost my card in Paris! when do you open in Köln"


class Job(NamedTuple):
    """A folder with train.csv and test.csv, and the model fitted on the former."""

    folder: Path
    model: Path
    test: Path


def written(path: Path, count: int, seed: int) -> Path:
    """A quarter of the rows has no label, the others have one or two: of two messages, one after the other."""
    rng, rows = random.Random(seed), messages(count, seed)
    made = [("good morning to you all", ""), ("hello there", "")] * (count // 8)
    while len(made) < count:
        (one, a), (two, b) = rng.choice(rows), rng.choice(rows)
        made.append((f"{one} {two}", "|".join(dict.fromkeys([a, b]))))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("message", "intent"), *made])
    return path


def command(folder: Path, out: Path, *more: str) -> list[str]:
    learnt = (*SMALL, "--epochs", "15", "--rate", "0.01")
    return ["fit", "classify", str(folder / "train.csv"), *learnt, "--label-separator", "|", "--out", str(out), *more]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, tidegate: Run) -> Job:
    folder = tmp_path_factory.mktemp("several")
    written(folder / "train.csv", 300, 1)
    done = tidegate(*command(folder, folder / "m.safetensors"))
    assert done.returncode == 0, done.stderr
    assert "4 labels separated by '|', 0 to 2 per row, 74 rows without" in done.stderr
    assert "micro f1" in done.stdout
    return Job(folder, folder / "m.safetensors", written(folder / "test.csv", 80, 2))


def answers(done: CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_score_tells_what_rows_with_several_labels_need(job: Job, tidegate_without_torch: Run) -> None:
    metrics = answers(tidegate_without_torch("score", job.model, job.test, "--json"))[0]
    assert metrics["rows"] == 80
    assert metrics["micro_f1"] > 0.9
    assert metrics["threshold"] == 0.5
    shown = tidegate_without_torch("score", job.model, job.test).stdout
    for name in ("subset accuracy", "micro F1", "macro F1", "sample F1", "Hamming loss", "labels per row"):
        assert name in shown
    assert "confusions" not in shown


def test_a_label_unseen_in_training_is_an_error_or_missed(job: Job, tidegate: Run, tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    file.write_text("message,intent\nmy card is gone,card_lost|weather\n")
    refused = tidegate("score", job.model, file)
    assert refused.returncode == 2
    assert f"{file}:2: label 'weather' was not seen in training" in refused.stderr
    metrics = answers(tidegate("score", job.model, file, "--unseen", "wrong", "--json"))[0]
    assert (metrics["unseen"], metrics["subset_accuracy"]) == (1, 0.0)


def test_predict_shows_the_labels_that_hold(job: Job, tidegate_without_torch: Run) -> None:
    texts = ("--message", TEXT, "--message", "good morning to you all")
    one, none = answers(tidegate_without_torch("predict", job.model, *texts, "--json"))
    assert (one["labels"], none["labels"]) == (["card_lost", "hours"], [])
    lines = tidegate_without_torch("predict", job.model, *texts).stdout.splitlines()
    assert {pair.split()[0] for pair in lines[0].split("\t")[0].split(", ")} == {"card_lost", "hours"}
    assert lines[1].startswith("(none)\t")
    best = answers(tidegate_without_torch("predict", job.model, "--message", TEXT, "--json", "--top", "3"))[0]["top"]
    assert len(best) == 3
    assert best[0] == [one["label"], one["score"]]


def test_streaming_gives_the_bits_of_predict_and_the_labels_that_hold(job: Job, tidegate_without_torch: Run) -> None:
    whole = answers(tidegate_without_torch("predict", job.model, "--message", TEXT, "--json", "--top", 4))[0]
    pieces = [TEXT[i : i + 5] for i in range(0, len(TEXT), 5)]
    sent = [{"stream": 1, "text": piece, "end": i == len(pieces) - 1} for i, piece in enumerate(pieces)]
    lines = "".join(json.dumps(event) + "\n" for event in sent)
    streamed = answers(tidegate_without_torch("stream", job.model, "--all", stdin=lines))
    assert streamed[-1]["labels"] == whole["labels"]
    assert streamed[-1]["scores"] == dict(whole["top"])
    assert "labels" not in streamed[0] or streamed[0]["labels"] != whole["labels"]


def test_every_target_agrees_and_it_is_exported(job: Job, tidegate_without_torch: Run) -> None:
    done = tidegate_without_torch("verify", job.model)
    assert done.returncode == 0, done.stdout + done.stderr
    for form in ("c", "onnx"):
        if form == "onnx":
            pytest.importorskip("onnx")
        done = tidegate_without_torch("export", job.model, "--to", form, "--out", job.folder / f"m.{form}")
        assert done.returncode == 0, done.stderr
    told = tidegate_without_torch("info", job.model).stdout
    assert "dense" in told
    assert "any number per row: " in " ".join(told.split())


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("a||b", "train.csv:3: the labels in column 'intent' are 'a||b'; an entry is empty"),
        ("a|a", "'a' appears twice"),
    ],
)
def test_a_bad_cell_is_named(tidegate: Run, tmp_path: Path, cell: str, sentence: str) -> None:
    (tmp_path / "train.csv").write_text(f"message,intent\nhi,a\nyo,{cell}\n")
    done = tidegate(*command(tmp_path, tmp_path / "m"))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
