"""Messages in conversations from end to end: fit, resume, score and predict, and what is refused on the way."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest

from tidegate import tasks
from tidegate.data.table import read_table
from tidegate.model import Model
from tidegate.tasks.classify import Options
from tidegate.train import checkpoint
from tidegate.train.job import TrainingJob

Run = Callable[..., CompletedProcess[str]]
COLUMNS = ("--text", "message", "--label", "act", "--conversation", "dialogue", "--turn", "turn", "--speaker", "who")
SIZES = ("--hidden", "16", "--context", "16")
QUICK = (*SIZES, "--rate", "0.02", "--epochs", "16", "--drop-embed", "0.1", "--drop-pool", "0.2")
HEADER = ("dialogue", "turn", "who", "message", "act")
SAID = ("yes sure", "no way", "okay then")
ASKED = ("are you there", "can you come", "is it late")


class Job(NamedTuple):
    """A folder with train.csv and test.csv, and the model fitted on the former."""

    folder: Path
    model: Path
    test: Path


def talks(count: int, seed: int) -> list[tuple[str, ...]]:
    """Conversations in which the same words answer the other's question, or else state something."""
    rng, rows = random.Random(seed), []
    for talk in range(count):
        asked = ""
        for turn in range(rng.randint(3, 8)):
            who = rng.choice(("ann", "bob"))
            if rng.random() < 0.5:
                rows.append((f"d{talk}", str(turn), who, rng.choice(ASKED), "question"))
                asked = who
            else:
                answers = asked not in ("", who)
                rows.append((f"d{talk}", str(turn), who, rng.choice(SAID), "answer" if answers else "statement"))
                asked = "" if answers else asked
    return rows


def written(path: Path, rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, tidegate: Run) -> Job:
    folder = tmp_path_factory.mktemp("talks")
    train, test = written(folder / "train.csv", talks(200, 1)), written(folder / "test.csv", talks(50, 2))
    model = folder / "m.safetensors"
    done = tidegate("fit", "classify", str(train), *COLUMNS, *QUICK, "--out", str(model))
    assert done.returncode == 0, done.stderr
    assert "200 conversations: column 'dialogue', turn: column 'turn', speaker: column 'who'" in done.stderr
    assert "of 200 conversations, held out" in done.stdout
    return Job(folder, model, test)


def output(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_label_of_a_message_depends_on_those_before_it(job: Job, tidegate: Run) -> None:
    """Without its conversation an answer cannot be told from a statement."""
    found = json.loads(output(tidegate("score", str(job.model), str(job.test), "--json")))
    assert found["rows"] == len(talks(50, 2))
    assert found["accuracy"] > 0.9
    alone = job.folder / "alone.csv"
    written(alone, [(f"e{i}", "0", *rest) for i, (_, _, *rest) in enumerate(talks(50, 2))])
    lost = json.loads(output(tidegate("score", str(job.model), str(alone), "--json")))
    assert lost["accuracy"] < found["accuracy"] - 0.1


def test_the_order_of_rows_does_not_matter(job: Job, tidegate: Run, tmp_path: Path) -> None:
    rows = talks(50, 2)
    order = random.Random(0).sample(range(len(rows)), len(rows))
    mixed = written(tmp_path / "mixed.csv", [rows[i] for i in order])
    lines = output(tidegate("predict", str(job.model), str(job.test), "--json")).splitlines()
    found = output(tidegate("predict", str(job.model), str(mixed), "--json")).splitlines()
    assert found == [lines[i] for i in order]


def test_a_message_alone_is_a_conversation(job: Job, tidegate: Run, tmp_path: Path) -> None:
    found = json.loads(output(tidegate("predict", str(job.model), "--message", "yes sure", "--json")))
    assert (found["text"], found["label"]) == ("yes sure", "statement")
    only = written(tmp_path / "one.csv", [("d", "7", "cy", "yes sure", "-")])
    of_file = json.loads(output(tidegate("predict", str(job.model), str(only), "--json")))
    assert of_file == found


def test_an_empty_message_has_no_answer_and_changes_no_other(job: Job, tidegate: Run, tmp_path: Path) -> None:
    rows = [("d", "1", "ann", "is it late", "question"), ("d", "2", "bob", "no way", "answer")]
    more = written(tmp_path / "more.csv", [rows[0], ("d", "1.5", "ann", " ", "-"), rows[1]])
    without = written(tmp_path / "without.csv", rows)
    three = [json.loads(line) for line in output(tidegate("predict", str(job.model), str(more), "--json")).splitlines()]
    two = [
        json.loads(line) for line in output(tidegate("predict", str(job.model), str(without), "--json")).splitlines()
    ]
    assert [three[0], three[2]] == two
    assert (three[1]["label"], three[1]["reason"]) == (None, "the message has no word")


def test_messages_without_a_label_are_not_scored(job: Job, tidegate: Run, tmp_path: Path) -> None:
    rows = talks(50, 2)
    half = written(tmp_path / "half.csv", [row if i % 2 else (*row[:4], "") for i, row in enumerate(rows)])
    found = json.loads(output(tidegate("score", str(job.model), str(half), "--json")))
    assert found["rows"] == len(rows) // 2


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (("d", "1", "ann", "", "-"), "conversation 'd' has turn 1 in line 2, too"),
        (("d", "", "ann", "hi", "-"), "column 'turn' is ''; expected a number"),
        (("", "1", "ann", "hi", "-"), "column 'dialogue' has no conversation"),
        (("d", "2", "", "hi", "-"), "column 'who' has no speaker"),
    ],
)
def test_bad_rows_are_refused_with_their_line(
    job: Job, tidegate: Run, tmp_path: Path, change: tuple[str, ...], wanted: str
) -> None:
    bad = written(tmp_path / "bad.csv", [("d", "1", "ann", "hi", "question"), change])
    for command in ("predict", "score"):
        done = tidegate(command, str(job.model), str(bad), *(["--unseen", "wrong"] if command == "score" else []))
        assert done.returncode == 2
        assert f"bad.csv:3: {wanted}" in done.stderr


def test_a_file_without_the_columns_of_training_is_refused(job: Job, tidegate: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("message,act,turn,who\nhi,question,1,ann\n", "utf-8")
    done = tidegate("predict", str(job.model), str(path))
    assert done.returncode == 2
    assert "no column 'dialogue'" in done.stderr


def test_a_resumed_run_has_the_same_bits(tmp_path: Path) -> None:
    path = written(tmp_path / "train.csv", talks(40, 3))
    options: dict[str, Any] = {"hidden": 6, "embed": 6, "context": 5, "epochs": 4, "refit_epochs": 1, "average": 0.9}
    columns = {"text": "message", "label": "act", "conversation": "dialogue", "turn": "turn", "speaker": "who"}

    def start() -> TrainingJob:
        return TrainingJob(tasks.load("classify"), Options(**columns, **options), read_table(path), None, 1)

    def finish(job: TrainingJob, run: Any) -> Model:
        for _ in run.run():
            pass
        return job.model(run)

    whole = start()
    wanted = finish(whole, whole.run(None))
    cut, file = start(), str(tmp_path / "m.checkpoint")
    run = cut.run(None)
    for _, _ in zip(range(len(run.batches()) + 2), run.run(), strict=False):
        pass
    checkpoint.save(file, run, cut.identity())
    again = start()
    run = again.run(None)
    checkpoint.load(file, run, again.identity(), Options)
    found = finish(again, run)
    assert found.weights_hash == wanted.weights_hash
    assert list(wanted.levels) == ["words", "talk"]
    assert wanted.document["check"].keys() == wanted.levels.keys()
