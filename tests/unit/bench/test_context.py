"""The bench of a context vector: its task that reads all words again, and what it measures at a turn."""

import csv
import importlib
import json
import random
import sys

import numpy as np
import pytest

from tidegate import load, tasks
from tidegate.data import catalogue
from tidegate.data.table import Table
from tidegate.errors import DataError
from tidegate.tasks import _labels, classify
from tidegate.train import fit

COLUMNS = {"conversation": "conversation", "turn": "turn", "speaker": "speaker"}
SMALL = {"hidden": 8, "embed": 8, "epochs": 2, "batch": 4, "rate": 0.02}


@pytest.fixture
def bench(root, monkeypatch):
    """Import a benchmark, or a task of the benchmarks, by its name."""
    monkeypatch.syspath_prepend(root / "bench")
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(root / "bench" / "tasks")])

    def import_bench(name, *arguments):
        monkeypatch.setattr(sys, "argv", [str(root / "bench" / f"{name}.py"), *map(str, arguments)])
        return importlib.import_module(name)

    yield import_bench
    for name in [
        name for name in sys.modules if name in ("context", "conversations") or name.split(".")[0] == "common"
    ]:
        sys.modules.pop(name)


def write_talks(path, talks, turns=7):
    """Write conversations in which a message after a question of the other speaker is an answer."""
    draw = random.Random(path.name)
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["conversation", "turn", "speaker", "text", "label"])
        for talk in range(talks):
            asked = False
            for turn in range(turns):
                ask = draw.random() < 0.5
                text = draw.choice(["Is it late?", "Can you come?"] if ask else ["No way.", "Yes, sure."])
                rows.writerow([talk, turn, "ab"[turn % 2], text, "question" if ask else "answer" if asked else "other"])
                asked = ask
    return path


@pytest.fixture
def files(tmp_path):
    return {
        name: write_talks(tmp_path / f"{name}.csv", talks) for name, talks in (("train", 12), ("val", 4), ("test", 5))
    }


def test_the_label_of_a_message_stands_at_its_last_word(bench):
    task = tasks.load("reread")
    rows = {
        "conversation": ["a", "a", "b", "a"],
        "turn": ["1", "2", "1", "3"],
        "speaker": ["x", "y", "y", "x"],
        "text": ["Is it?", "No", "So it is", "Oh"],
        "label": ["ask", "tell", "tell", ""],
    }
    table = Table("t.csv", rows, [2, 3, 4, 5], "")
    problem = task.prepare(table, table, task.Options(**COLUMNS, **SMALL, drop_words=0.9))
    words = problem.arrays["input.vocabulary.bytes"].tobytes()
    assert b"<0>" in words
    assert b"<1>" in words
    assert b"<2>" not in words
    batch = problem.rows.batch(np.array([0]))
    assert batch.lengths.tolist() == [1 + 3 + 1 + 1 + 1 + 1]
    y = batch.targets["label"]
    assert np.flatnonzero(y != _labels.NO_LABEL).tolist() == [3, 5]
    assert y[[3, 5]].tolist() == [0, 1]
    assert batch.mask["label"].tolist() == (y != _labels.NO_LABEL).tolist()
    hidden = problem.rows.batch(np.array([0]), np.random.default_rng(0)).inputs["x"]
    marks = [0, 4, 6]
    assert (hidden[marks] == batch.inputs["x"][marks]).all()
    assert (hidden[[1, 2, 3, 5, 7]] == 0).sum() >= 3
    assert problem.judged == 6 - 3


def test_a_score_is_that_of_reading_everything_again(bench, files, tmp_path):
    task = tasks.load("reread")
    out = str(tmp_path / "m.safetensors")
    fit("reread", str(files["train"]), task.Options(**COLUMNS, **SMALL), out, valid=str(files["val"]))
    predictor = load(out)
    source = classify.read(str(files["test"]), task.Options(**COLUMNS))
    rows, talks = task.lay_out(source, task.Options(**COLUMNS), 2)
    right = 0
    for each, talk in zip(rows, talks, strict=True):
        for k, row in enumerate(each):
            whole = " ".join(" ".join(words) for words in talk[: k + 1])
            right += predictor.answers([whole])[0].label == source.column("label")[row]
    assert task.score(predictor, str(files["test"]), {}).as_dict()["accuracy"] == right / len(source)


def test_a_row_without_a_speaker_is_refused_with_its_line(bench, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("conversation,turn,speaker,text,label\na,1,x,hi,p\na,2,,ho,q\n")
    task = tasks.load("reread")
    options = task.Options(**COLUMNS)
    with pytest.raises(DataError, match=r"t.csv:3: column 'speaker' has no speaker"):
        task.prepare(task.read(str(path), options), task.read(str(path), options), options)


def test_between_messages_only_the_vector_and_its_count_are_not_as_at_the_start(bench, files, tmp_path):
    context, out = bench("context"), str(tmp_path / "m.safetensors")
    options = classify.Options(**COLUMNS, **SMALL, context=6)
    fit("classify", str(files["train"]), options, out, valid=str(files["val"]))
    stream = load(out).stream()
    first = stream.state
    stream.push("Is it late?", end=True, sides={"speaker": "ann"})
    changed = {name for name, array in stream.state.arrays.items() if (array != first.arrays[name]).any()}
    assert changed == {"talk.steps", "talk.0.h"}
    assert context.size_of_vector(stream) == 4 * 6
    assert context.size_of(stream) > stream.state.block.nbytes + len("ann")


def prepare(bench, files, tmp_path, monkeypatch, *arguments):
    context = bench("context", "meld", *arguments, "--repeats", 2, "--out", tmp_path)
    monkeypatch.setattr(catalogue, "fetch", lambda name: files)
    monkeypatch.setattr(context, "OPTIONS", {"meld": {context.VECTOR: {**SMALL, "context": 6}, context.AGAIN: SMALL}})
    monkeypatch.setattr(context, "TURNS", (2, 5, 20))
    return context


def test_a_seed_is_added_and_the_gains_are_those_of_all(bench, files, tmp_path, monkeypatch):
    prepare(bench, files, tmp_path, monkeypatch, "--seeds", 1).main()
    (first,) = json.loads((tmp_path / "context.json").read_text("utf-8")).values()
    context = prepare(bench, files, tmp_path, monkeypatch, "--seeds", 0, 1, "--add")
    context.main()
    (both,) = json.loads((tmp_path / "context.json").read_text("utf-8")).values()
    assert [run["seed"] for run in both["figures"]["runs"]] == [0, 1, 0, 1]
    assert [run for run in both["figures"]["runs"] if run["seed"] == 1] == first["figures"]["runs"]
    assert both["figures"]["gains"][0]["points"][1:] == first["figures"]["gains"][0]["points"]
    assert both["earlier"][0]["command"].endswith("--seeds 1 --repeats 2")
    monkeypatch.setitem(context.OPTIONS, "meld", {})
    with pytest.raises(SystemExit, match="meld was measured with other options"):
        context.main()


def test_both_ways_are_measured_at_the_turns_that_there_are(bench, files, tmp_path, monkeypatch, capsys):
    context = prepare(bench, files, tmp_path, monkeypatch, "--seeds", 0, 1)
    context.main()
    found = json.loads((tmp_path / "context.json").read_text("utf-8"))["meld"]["figures"]
    assert [(run["case"], run["seed"]) for run in found["runs"]] == [
        (case, seed) for case in (context.VECTOR, context.AGAIN) for seed in (0, 1)
    ]
    assert [one["figure"] for one in found["gains"]] == ["accuracy", "weighted F1"]
    vector, again = ([run["accuracy"] for run in found["runs"] if run["case"] == case] for case in context.TASKS)
    assert found["gains"][0]["points"] == [100 * (a - b) for a, b in zip(vector, again, strict=True)]
    turns = {(one["turn"], one["case"]): one for one in found["turns"]}
    ways = (context.VECTOR, context.AGAIN, context.ENDLESS)
    assert list(turns) == [(turn, way) for turn in (2, 5) for way in ways]  # no conversation has 20
    assert all(one["conversations"] == 5 and one["us"] > 0 for one in turns.values())
    assert {one["vector"] for (_, way), one in turns.items() if way == context.VECTOR} == {4 * 6}
    assert {one["kept"] for (_, way), one in turns.items() if way == context.ENDLESS} == {
        turns[2, context.ENDLESS]["kept"]
    }
    assert turns[5, context.AGAIN]["kept"] > 2 * turns[2, context.AGAIN]["kept"]
    assert turns[5, context.AGAIN]["read"] > turns[5, context.VECTOR]["read"]
    assert "all words so far again" in capsys.readouterr().out
