"""An encoder gives each input a vector, which its labels depend on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.cli import main
from tidegate.data.table import Table
from tidegate.errors import OptionError
from tidegate.model import Model
from tidegate.tasks import classify, encode

QUICK: dict[str, Any] = {"hidden": 8, "embed": 8, "size": 5}
FLAGS = ["--label", "label", "--hidden", "8", "--embed", "8", "--size", "5", "--rate", "0.02", "--epochs", "6"]
WORDS = {"cats": ["cat", "kitten", "purr", "meow"], "cars": ["car", "wheel", "motor", "road"]}


def texts(count: int, seed: int) -> list[tuple[str, str]]:
    rng, rows = random.Random(seed), []
    for _ in range(count):
        label = rng.choice(list(WORDS))
        rows.append((" ".join(rng.sample(WORDS[label], 2)), label))
    return rows


def table(rows: list[tuple[str, str]]) -> Table:
    return Table(
        "t.csv", {"text": [t for t, _ in rows], "label": [y for _, y in rows]}, list(range(2, len(rows) + 2)), "a"
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    train = folder / "train.csv"
    train.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in texts(120, 1)))
    out = str(folder / "e.safetensors")
    assert main(["fit", "encode", str(train), *FLAGS, "--out", out]) == 0
    return out


def test_the_labels_depend_on_the_vector_alone() -> None:
    problem = encode.prepare(table(texts(40, 2)), None, encode.Options(**QUICK, label="label"))
    vector, dense, softmax = problem.layers[-3:]
    assert (vector.kind, vector.width, dense.inputs, softmax.kind) == ("dense", 5, 5, "softmax")
    assert problem.outputs["vector"] == {"kind": "vector", "at": "end", "from": "layers.3"}
    assert problem.output_nodes() == {"label": 5, "vector": 3}
    alone = classify.prepare(table(texts(40, 2)), None, classify.Options(hidden=8, embed=8, linear="off", subwords=0))
    assert list(alone.outputs) == ["label"]
    assert len(alone.layers) == len(problem.layers) - 1


def test_texts_of_one_label_have_vectors_near_each_other(model: str) -> None:
    rows = texts(40, 3)
    vectors = np.stack([one["vector"].values for one in tidegate.load(model).answers([text for text, _ in rows])])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = np.array([[a == b for _, b in rows] for _, a in rows])
    near = (unit @ unit.T)[~np.eye(len(rows), dtype=bool)]
    same = alike[~np.eye(len(rows), dtype=bool)]
    assert near[same].mean() > near[~same].mean() + 0.5


def test_a_stream_ends_with_the_vector_of_the_whole_text(model: str) -> None:
    predictor = tidegate.load(model)
    stream = predictor.stream()
    for piece in ("kit", "ten pu"):
        stream.push(piece)
    (whole,) = predictor.answers(["kitten purr"])
    assert stream.push("rr", end=True)["vector"].values.tobytes() == whole["vector"].values.tobytes()
    assert stream.push("")["vector"].as_dict() == {"vector": None, "reason": "no complete word yet"}


def test_predict_writes_the_vectors(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "new.csv", str(tmp_path / "v.npy")
    file.write_text('text,more\nkitten purr,1\n" ",2\nroad,3\n')
    for _ in range(2):  # the second time over a file of its own kind
        assert main(["predict", model, str(file), "--json", "--vectors", out]) == 0
    shown = capsys.readouterr()
    records = [json.loads(line) for line in shown.out.splitlines()][:3]
    vectors = np.load(out)
    assert (vectors.dtype, vectors.shape) == (np.float32, (3, 5))
    assert np.allclose(vectors[0], records[0]["vector"])
    assert np.isnan(vectors[1]).all()
    assert (records[1]["vector"], records[1]["reason"]) == (None, "the message has no word")
    assert f"wrote {out} (3 vectors of 5 numbers)" in shown.err
    assert main(["predict", model, str(file), "--vectors", out]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("cats ")
    assert "1 of 3 inputs have no vector; their rows are NaN" in shown.err


def test_score_counts_the_labels(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = tmp_path / "test.csv"
    test.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in texts(40, 4)))
    assert main(["score", model, str(test), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] > 0.95


def test_vectors_go_to_npy_files_of_encoders_only(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, classifier = tmp_path / "notes.npy", str(tmp_path / "c.safetensors")
    other.write_text("mine")
    assert main(["predict", model, "--message", "cat", "--vectors", str(other)]) == 2
    assert other.read_text() == "mine"
    assert main(["predict", model, "--message", "cat", "--vectors", "v.csv"]) == 2
    assert "--vectors is v.csv; expected a path that ends with .npy" in capsys.readouterr().err
    train = tmp_path / "train.csv"
    train.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in texts(40, 1)))
    assert main(["fit", "classify", str(train), "--hidden", "4", "--epochs", "1", "--out", classifier]) == 0
    assert main(["predict", classifier, "--message", "cat", "--vectors", str(tmp_path / "v.npy")]) == 2
    assert "--vectors is for vectors, but this model predicts labels" in capsys.readouterr().err


def test_a_conversation_so_far_has_a_vector_too() -> None:
    rows = [(f"{text} {i}", label) for i, (text, label) in enumerate(texts(40, 5))]
    columns = {**table(rows).columns, "talk": [str(i // 4) for i in range(40)], "turn": [str(i) for i in range(40)]}
    source = Table("t.csv", columns, list(range(2, 42)), "a")
    problem = encode.prepare(source, None, encode.Options(**QUICK, label="label", conversation="talk", turn="turn"))
    assert problem.outputs["vector"]["from"] == "talk.1"
    assert [layer.kind for layer in problem.layers] == ["recurrent", "dense", "dense", "softmax"]


def test_a_file_from_before_labels_could_be_left_out_is_used_as_ever(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such a file always names a column of labels, and knows no pairs and no own words."""
    made = Model.load(model)
    document = made.document
    for name in ("pairs", "own_words"):
        del document["task"]["options"][name]
    old, test = str(tmp_path / "old.safetensors"), tmp_path / "test.csv"
    Model(document, made.tensors).save(old)
    test.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in texts(40, 4)))
    assert main(["score", old, str(test), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] > 0.95
    assert main(["predict", old, "--message", "kitten purr", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "cats"


def test_the_size_of_a_vector_is_an_option() -> None:
    with pytest.raises(OptionError, match="size is 0; it must be 1 to 4096"):
        encode.Options(size=0)
