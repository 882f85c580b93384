"""A tagger from end to end: fit, score, predict, stream, verify, info and export of tagged requests with an intent."""

from __future__ import annotations

import csv
import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest

import tidegate
from tidegate.tasks.tag import tag_words

Run = Callable[..., CompletedProcess[str]]
CITIES = ["boston", "new york", "rome", "san jose costa rica", "oslo", "kansas city", "bonn", "são paulo"]
VERBS = {"fly": "flight", "list": "flight", "price": "fare", "cost": "fare"}
QUICK = ("--hidden", "24", "--embed", "24", "--rate", "0.02", "--epochs", "10")
WAITING = "waiting for 1 more step, as the model looks 2 steps ahead"
TEXT = "fly from new york to san jose costa rica"


class Job(NamedTuple):
    """A folder with train.csv and test.csv, and the model fitted on the former."""

    folder: Path
    model: Path
    test: Path


def requests(count: int, seed: int) -> list[tuple[str, str, str]]:
    rng, rows = random.Random(seed), []
    for _ in range(count):
        verb, (a, b) = rng.choice(list(VERBS)), rng.sample(CITIES, 2)
        tags = ["O", "O", *tag("from", a), "O", *tag("to", b)]
        rows.append((f"{verb} from {a} to {b}", " ".join(tags), VERBS[verb]))
    return rows


def tag(name: str, city: str) -> list[str]:
    return [f"B-{name}", *[f"I-{name}"] * city.count(" ")]


def written(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("words", "slots", "intent"), *rows])
    return path


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, tidegate: Run) -> Job:
    folder = tmp_path_factory.mktemp("tags")
    train, test = written(folder / "train.csv", requests(240, 1)), written(folder / "test.csv", requests(60, 2))
    model = folder / "m.safetensors"
    columns = ("--tokens", "words", "--tags", "slots", "--label", "intent")
    done = tidegate("fit", "tag", str(train), *columns, *QUICK, "--out", str(model))
    assert done.returncode == 0, done.stderr
    assert "tags: column 'slots' (5 tags), label: column 'intent' (2 labels)" in done.stderr
    assert "span f1" in done.stdout
    assert "sentence accuracy" in done.stdout
    return Job(folder, model, test)


def output(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_score_counts_spans_tags_labels_and_rows(job: Job, tidegate: Run) -> None:
    found = json.loads(output(tidegate("score", str(job.model), str(job.test), "--json")))
    assert found["rows"] == 60
    for name in ("span_f1", "span_precision", "span_recall", "tag_accuracy", "accuracy", "sentence_accuracy"):
        assert 0.9 <= found[name] <= 1, name
    assert {name: of["support"] for name, of in found["types"].items()} == {"from": 60, "to": 60}
    shown = output(tidegate("score", str(job.model), str(job.test)))
    assert "span F1" in shown
    assert "type  spans  precision  recall" in shown


def test_what_training_did_not_have_counts_as_wrong(job: Job, tidegate: Run, tmp_path: Path) -> None:
    rows = [
        ("fly from rome to bonn", "O O B-via O B-to", "flight"),
        ("fly from rome to bonn", "O O B-from O B-to", "-"),
    ]
    found = json.loads(output(tidegate("score", str(job.model), str(written(tmp_path / "t.csv", rows)), "--json")))
    assert (found["unseen_tags"], found["unseen_labels"], found["types"]["via"]["recall"]) == (1, 1, 0)
    assert (found["accuracy"], found["tag_accuracy"], found["sentence_accuracy"]) == (0.5, 0.9, 0)


def test_a_conll_file_is_scored_by_its_tags(job: Job, tidegate: Run, tmp_path: Path) -> None:
    sentences = [zip(words.split(), tags.split(), strict=True) for words, tags, _ in requests(60, 2)]
    lines = ["\n".join(f"{word}\t{tag}" for word, tag in pairs) for pairs in sentences]
    path = tmp_path / "test.conll"
    path.write_text("\n\n".join(lines) + "\n", "utf-8")
    columns = ("--tokens", "tokens", "--tags", "tags")
    found = json.loads(output(tidegate("score", str(job.model), str(path), *columns, "--json")))
    of_table = json.loads(output(tidegate("score", str(job.model), str(job.test), "--json")))
    assert found["span_f1"] == of_table["span_f1"]
    assert "accuracy" not in found


def test_predict_gives_words_tags_spans_and_the_label(job: Job, tidegate: Run, tmp_path: Path) -> None:
    found = json.loads(output(tidegate("predict", str(job.model), "--message", TEXT, "--json")))
    assert found["tokens"] == TEXT.split()
    assert found["tags"] == ["O", "O", "B-from", "I-from", "O", "B-to", "I-to", "I-to", "I-to"]
    assert [(span["type"], span["start"], span["end"], span["text"]) for span in found["spans"]] == [
        ("from", 2, 4, "new york"),
        ("to", 5, 9, "san jose costa rica"),
    ]
    assert found["label"] == "flight"
    shown = output(tidegate("predict", str(job.model), "--message", TEXT))
    assert shown.endswith("\tfly from [from: new york] to [to: san jose costa rica]\n")
    empty = json.loads(output(tidegate("predict", str(job.model), "--message", " ", "--json")))
    assert (empty["tags"], empty["label"], empty["reason"]) == (None, None, "the message has no word")
    out = tmp_path / "tags.csv"
    for _ in range(2):  # the second time over its own file
        output(tidegate("predict", str(job.model), str(job.test), "--out", str(out)))
    with out.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["text", "tokens", "tags", "label", "score"]
    assert [row["text"] for row in table] == [words for words, _, _ in requests(60, 2)]
    assert sum(row["tags"] == tags for row, (_, tags, _) in zip(table, requests(60, 2), strict=True)) > 50


def test_a_stream_tags_each_word_as_the_whole_text(job: Job, tidegate: Run) -> None:
    whole = json.loads(output(tidegate("predict", str(job.model), "--message", TEXT, "--json")))
    pieces = [TEXT[at : at + 5] for at in range(0, len(TEXT), 5)]
    events: list[dict[str, Any]] = [{"stream": 1, "text": piece} for piece in pieces] + [{"stream": 1, "end": True}]
    done = tidegate("stream", str(job.model), "--per-step", stdin="\n".join(map(json.dumps, events)) + "\n")
    results = [json.loads(line) for line in output(done).splitlines()]
    steps = [step for result in results for step in result["steps"]]
    assert [step["tags"]["tags"][0] for step in steps] == whole["tags"]
    assert [step["tags"]["scores"][0] for step in steps] == whole["scores"]
    assert [step["step"] for step in steps] == list(range(len(steps)))
    assert (results[-1]["label"], results[-1]["final"]) == ({"label": "flight", "score": whole["score"]}, True)
    early = tidegate("stream", str(job.model), "--per-step", stdin='{"stream": 1, "text": "fly from "}\n')
    assert json.loads(output(early)) == {
        "stream": 1,
        "tags": {"tags": None, "scores": None, "reason": WAITING},
        "label": {"label": None, "score": None, "reason": WAITING},
        "steps": [],
    }


def test_a_long_word_has_one_tag(job: Job) -> None:
    predictor = tidegate.load(job.model)
    long = "a" * 150
    (answer,) = predictor.answers([f"fly from {long} to rome"])
    assert len(answer["tags"].tags) == 7  # two further steps
    (one,) = tag_words(predictor, [["fly", "from", long, "to"]])
    assert len(one.word_tags()) == 4


def test_verify_info_and_export(job: Job, tidegate: Run, tmp_path: Path) -> None:
    output(tidegate("verify", str(job.model)))
    shown = output(tidegate("info", str(job.model)))
    assert "tags          5: B-from, B-to, I-from, I-to, O" in shown
    assert "8 for the outputs" in shown
    assert "yes, each answer 2 steps late" in shown
    output(tidegate("export", str(job.model), "--to", "onnx", "--out", str(tmp_path / "m.onnx")))
    output(tidegate("export", str(job.model), "--to", "c", "--out", str(tmp_path / "m.c")))
    if compiler := shutil.which("cc"):
        test = [compiler, "-std=c99", "-ffp-contract=off", "-DM_SELF_TEST", "m.c", "-lm", "-o", "test"]
        subprocess.run(test, check=True, cwd=tmp_path)
        subprocess.run(["./test"], check=True, cwd=tmp_path)
